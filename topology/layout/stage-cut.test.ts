import test from 'ava';
import { cutByCost } from './stage-cut.ts';

test('stage cut: costs beyond whole numbers are cut all the same, and the search ends', (t) => {
  for (const size of [2 ** 53, 1e30, 1e300]) {
    const cut = cutByCost({ blocks: [size, size * 3, size, size], head: size }, 3);
    t.is(cut.length, 4);
    t.deepEqual([cut[0], cut.at(-1)], [0, 4]);
  }
});
