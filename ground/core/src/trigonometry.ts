/**
 * Cosine and sine made of sums and products alone, so that they have the same last bit on every engine: the standard fixes none for `Math.cos`
 * and `Math.sin`. Ported from fdlibm, as engines had them; error below one unit in the last place.
 *
 * @see Sun Microsystems, fdlibm 5.3, k_sin.c, k_cos.c, e_rem_pio2.c (1993, free to use and modify)
 */
import { assert } from './errors.ts';

/** Angles up to here are reduced without loss: 2^19 quarters of a turn. */
const MOST = 823_549;

const number = new Float64Array(1);
const words = new Int32Array(number.buffer);
/** Which half holds sign and exponent, by the byte order of the processor. */
const HIGH = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;

/** Sign, exponent and the first 20 bits of the fraction. */
function highWord(x: number): number {
  number[0] = x;
  return words[HIGH] ?? 0;
}

/** The number whose first half this is, with zeros behind. */
function fromHighWord(high: number): number {
  number[0] = 0;
  words[HIGH] = high;
  return number[0];
}

/** An angle between -π/4 and π/4 as a sum, and how many quarters of a turn were taken off. */
interface Reduced {
  readonly quarters: number;
  readonly angle: number;
  /** What rounding took of it; null: it is exact, since none was taken off. */
  readonly tail: number | null;
}

const QUARTERS_A_RADIAN = 6.36619772367581382433e-1;
/** π/2 in parts of 33 bits, so that products with a number of quarters are exact; and with each what is left behind it. */
const QUARTER_1 = 1.57079632673412561417;
const BEHIND_1 = 6.07710050650619224932e-11;
const QUARTER_2 = 6.0771005063039659766e-11;
const BEHIND_2 = 2.02226624879595063154e-21;
const QUARTER_3 = 2.0222662487111664558e-21;
const BEHIND_3 = 8.47842766036889956997e-32;

/** Bits that a difference may lose before the second, and the third, part of π/2 is needed. */
const LOST_BITS_1 = 16;
const LOST_BITS_2 = 49;

const exponentOf = (x: number): number => (highWord(x) >> 20) & 0x7ff;

/** Takes quarters of a turn off an angle ≥ 0. */
function reduced(x: number): Reduced {
  const quarters = Math.trunc(x * QUARTERS_A_RADIAN + 0.5);
  const exponent = exponentOf(x);
  const first = x - quarters * QUARTER_1;
  let left = first;
  let off = quarters * BEHIND_1;
  if (exponent - exponentOf(left - off) > LOST_BITS_1) {
    off = quarters * QUARTER_2;
    left = first - off;
    off = quarters * BEHIND_2 - (first - left - off);
    if (exponent - exponentOf(left - off) > LOST_BITS_2) {
      const second = left;
      off = quarters * QUARTER_3;
      left = second - off;
      off = quarters * BEHIND_3 - (second - left - off);
    }
  }
  const angle = left - off;
  return { quarters, angle, tail: left - angle - off };
}

/** sin(x + tail) for |x| ≤ π/4. */
function sineNearZero(x: number, tail: number | null): number {
  const z = x * x;
  const v = z * x;
  const r =
    8.33333333332248946124e-3 +
    z *
      (-1.98412698298579493134e-4 +
        z * (2.75573137070700676789e-6 + z * (-2.50507602534068634195e-8 + z * 1.58969099521155010221e-10)));
  if (tail === null) return x + v * (-1.66666666666666324348e-1 + z * r);
  return x - (z * (0.5 * tail - v * r) - tail - v * -1.66666666666666324348e-1);
}

/** cos(x + tail) for |x| ≤ π/4. */
function cosineNearZero(x: number, tail: number): number {
  const high = highWord(x) & 0x7fffffff;
  const z = x * x;
  const r =
    z *
    (4.16666666666666019037e-2 +
      z *
        (-1.38888888888741095749e-3 +
          z *
            (2.48015872894767294178e-5 +
              z *
                (-2.75573143513906633035e-7 +
                  z * (2.0875723212981748279e-9 + z * -1.13596475577881948265e-11)))));
  if (high < 0x3fd33333) return 1 - (0.5 * z - (z * r - x * tail));
  // About a quarter of x, exactly, so that 1 less it is exact.
  const taken = high > 0x3fe90000 ? 0.28125 : fromHighWord(high - 0x00200000);
  return 1 - taken - (0.5 * z - taken - (z * r - x * tail));
}

const QUARTER_TURN_HALF = 0x3fe921fb;

/** The sine of an angle so many quarters of a turn further. */
function turned(quarters: number, { angle, tail }: Pick<Reduced, 'angle' | 'tail'>): number {
  const size = quarters % 2 === 0 ? sineNearZero(angle, tail) : cosineNearZero(angle, tail ?? 0);
  return quarters % 4 < 2 ? size : -size;
}

function parts(x: number): Reduced {
  const size = Math.abs(x);
  assert(size <= MOST, 'an angle is at most half a million quarters of a turn');
  return highWord(size) <= QUARTER_TURN_HALF ? { quarters: 0, angle: size, tail: null } : reduced(size);
}

/** @param x - radians, |x| ≤ 823,549 */
export function cosine(x: number): number {
  const found = parts(x);
  return turned(found.quarters + 1, found);
}

/** @param x - radians, |x| ≤ 823,549 */
export function sine(x: number): number {
  const found = parts(x);
  const size = turned(found.quarters, found);
  return x < 0 || Object.is(x, -0) ? -size : size;
}
