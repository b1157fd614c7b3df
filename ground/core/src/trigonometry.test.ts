import test from 'ava';
import { createHash } from 'node:crypto';
import { cosine, sine } from './trigonometry.ts';

/** Angle, cosine and sine: rounded from 80 digits. */
const exact: readonly (readonly [number, number, number])[] = [
  [0.1, 0.9950041652780258, 0.09983341664682815],
  [0.7853981633974483, 0.7071067811865476, 0.7071067811865475],
  [0.7853981633974484, 0.7071067811865475, 0.7071067811865476],
  [1.5707963267948966, 6.123233995736766e-17, 1.0],
  [2.5, -0.8011436155469337, 0.5984721441039565],
  [3.141592653589793, -1.0, 1.2246467991473532e-16],
  [22.0, -0.9999608263946371, -0.008851309290403876],
  [355.0, -0.999999999545659, -3.014435335948845e-5],
  [4095.0, -0.0659759965580649, -0.9978212103769744],
  [100000.5, -0.8941605043666447, -0.4477465716572126],
  [823549.0, 0.787174250682942, -0.6167306535771907],
  [519151.0, -0.946817846926005, 0.3217700494800659],
];

/** Distance to the next number. */
const unit = (x: number): number => 2 ** (Math.floor(Math.log2(Math.abs(x))) - 52);

test('cosine, sine: within one unit in the last place of values of eighty digits', (t) => {
  for (const [angle, cos, sin] of exact) {
    t.true(Math.abs(cosine(angle) - cos) <= unit(cos), `cos ${angle}`);
    t.true(Math.abs(sine(angle) - sin) <= unit(sin), `sin ${angle}`);
    t.is(cosine(-angle), cosine(angle));
    t.is(sine(-angle), -sine(angle));
  }
  t.is(cosine(0), 1);
  t.true(Object.is(sine(-0), -0));
  t.is(sine(1e-300), 1e-300);
  t.throws(() => cosine(1e6), { message: /half a million quarters/u });
});

test('cosine, sine: every bit is that of the runs before, those of V8 11.3', (t) => {
  const values = Float64Array.from({ length: 40_000 }, (_, index) => {
    const share = (index >> 1) / 20_000;
    const angle = share * share * share * 823_549;
    return index % 2 === 0 ? cosine(angle) : sine(angle);
  });
  const hash = createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');
  t.is(hash, 'de281b922cd3db9d17235af7c7933ed162e4fb6e2cff002b02411b166bb904dd');
});
