import test from 'ava';
import { F32_TOLERANCE } from '../conformance/body.ts';
import { conformKernels } from '../conformance/conform.ts';
import { openTfjsDevice } from './tfjs-device.ts';

conformKernels(test, {
  name: 'tfjs wasm',
  open: (options) => openTfjsDevice({ ...options, backend: 'wasm' }),
  tolerance: F32_TOLERANCE,
  bitwise: false,
  longWork: 500e6,
});
