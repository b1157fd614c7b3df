import test from 'ava';
import { leafLimit } from './gradient-target.ts';

test('leafLimit: so many leaves below it stay below 2^63 quanta, and 128 are bounded as ever', (t) => {
  t.deepEqual(
    [1, 2, 127, 128, 129, 256, 257, 1024, 8192, 32_768].map(leafLimit),
    [64, 64, 64, 64, 32, 32, 16, 8, 1, 0.25],
  );
  for (const leaves of [1, 100, 128, 129, 255, 256, 1000, 4095, 4097, 2 ** 20 - 1]) {
    // The largest f32 below the limit, in quanta.
    const largest = BigInt(leafLimit(leaves) * 2 ** 50) - BigInt(leafLimit(leaves) * 2 ** 26);
    t.true(BigInt(leaves) * largest < 2n ** 63n, `${leaves}`);
  }
});
