import test from 'ava';
import { dtypeBytes, dtypeOf, type Dtype } from './tensor.ts';

test('dtypeOf: names every array that a frame can hold, with its size', (t) => {
  const arrays = {
    f32: new Float32Array(1),
    bf16: new Uint16Array(1),
    f64: new Float64Array(1),
    i32: new Int32Array(1),
    u8: new Uint8Array(1),
    i64: new BigInt64Array(1),
  };
  t.deepEqual(Object.keys(arrays).toSorted(), Object.keys(dtypeBytes).toSorted());
  for (const [dtype, array] of Object.entries(arrays)) {
    t.is(dtypeOf(array), dtype as Dtype);
    t.is(dtypeBytes[dtypeOf(array)], array.byteLength);
  }
});
