import test from 'ava';
import { F32_TOLERANCE, type Test } from '../conformance/body.ts';
import { conformOperations } from '../conformance/conform-operations.ts';
import { conformKernels } from '../conformance/conform.ts';
import { leavesNothing } from './testing/leaks.ts';
import { openTfjsDevice } from './tfjs-device.ts';

// One device at a time: a hundred threads with a heap each would not fit into memory.
const serial = Object.assign(test.serial.bind(test), { serial: test.serial }) as unknown as Test;

conformKernels(serial, {
  name: 'tfjs wasm',
  open: (options) => openTfjsDevice({ ...options, backend: 'wasm' }),
  tolerance: F32_TOLERANCE,
  bitwise: false,
  bf16: false,
  longWork: 500e6,
  numRuns: process.env['TROUPE_CONFORMANCE'] === 'all' ? 30 : 12,
});

// Of machines without WebAssembly alone, and a third of this file's minutes: `TROUPE_CONFORMANCE=all`, as `npm run test:sim` has it.
if (process.env['TROUPE_CONFORMANCE'] === 'all')
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
