import test from 'ava';
import { F32_TOLERANCE, type Test } from '../conformance/body.ts';
import { conformOperations } from '../conformance/conform-operations.ts';
import { conformKernels } from '../conformance/conform.ts';
import { leavesNothing } from './testing/leaks.ts';
import { openTfjsDevice } from './tfjs-device.ts';

// One device at a time: a hundred threads with a heap each would not fit into memory.
const serial = Object.assign(test.serial.bind(test), { serial: test.serial }) as unknown as Test;

/** Whole: as `npm run test:sim` has it. */
const isWhole = process.env['TROUPE_CONFORMANCE'] === 'all';

// Of what conformity asks beyond single operations this body claims little: no equal bits, no bf16.
(isWhole ? conformKernels : conformOperations)(serial, {
  name: 'tfjs wasm',
  open: (options) => openTfjsDevice({ ...options, backend: 'wasm' }),
  tolerance: F32_TOLERANCE,
  bitwise: false,
  bf16: false,
  longWork: 500e6,
  numRuns: isWhole ? 30 : 12,
});

// Of machines without WebAssembly alone.
if (isWhole)
  conformOperations(serial, {
    name: 'tfjs cpu',
    open: (options) => openTfjsDevice({ ...options, backend: 'cpu' }),
    tolerance: F32_TOLERANCE,
    bitwise: false,
    bf16: false,
    longWork: 5e6,
    numRuns: 8,
  });

serial('tfjs cpu: 200 steps of every operation leave no tensor behind', (t) => leavesNothing(t, 'cpu'));
