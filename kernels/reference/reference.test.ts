import test from 'ava';
import { F32_TOLERANCE, F64_TOLERANCE } from '../conformance/body.ts';
import { conformKernels } from '../conformance/conform.ts';
import { openReferenceDevice } from './reference-device.ts';

const longWork = 100e6;

conformKernels(test, {
  name: 'reference f64',
  open: () => openReferenceDevice({ dtype: 'f64' }),
  tolerance: F64_TOLERANCE,
  bitwise: true,
  longWork,
});

conformKernels(test, {
  name: 'reference f32',
  open: () => openReferenceDevice({ dtype: 'f32' }),
  tolerance: F32_TOLERANCE,
  bitwise: true,
  longWork,
});
