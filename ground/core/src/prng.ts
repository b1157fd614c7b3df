import { assert } from './errors.ts';

/**
 * What a random draw belongs to. A draw is a function of this key and of nothing else: never of a rank, a
 * thread, or of how many draws came before, so any layout draws the same numbers.
 */
export interface DrawKey {
  readonly seed: number;
  /** Why the draw is made, e.g. `data.order`, `init`, `sample`. */
  readonly purpose: string;
  readonly step?: number;
  readonly layer?: number;
  readonly sequence?: number;
  readonly position?: number;
}

/** A stream of draws that belongs to one key: `draw(i)` needs no earlier draw. */
export interface Prng {
  /** 32 uniform bits of draw number `index` (0 ≤ index < 2^32). */
  bits(index: number): number;
  /** Uniform in [0, 1), 32 bits of resolution. */
  uniform(index: number): number;
  /** Uniform integer in [0, bound), 1 ≤ bound ≤ 2^32, free of modulo bias beyond 2^-32. */
  integer(index: number, bound: number): number;
}

const PHILOX_M0 = 0xd2511f53;
const PHILOX_M1 = 0xcd9e8d57;
const PHILOX_W0 = 0x9e3779b9;
const PHILOX_W1 = 0xbb67ae85;

/** High and low 32 bits of the product of two unsigned 32-bit integers. */
function mulHiLo(a: number, b: number): [hi: number, lo: number] {
  const aHi = a >>> 16;
  const aLo = a & 0xffff;
  const bHi = b >>> 16;
  const bLo = b & 0xffff;
  const low = aLo * bLo;
  const mid = aHi * bLo + (low >>> 16);
  const mid2 = aLo * bHi + (mid & 0xffff);
  const hi = aHi * bHi + Math.floor(mid / 0x10000) + (mid2 >>> 16);
  return [hi >>> 0, Math.imul(a, b) >>> 0];
}

/**
 * Philox-4x32-10, the counter-based generator: 128 bits of counter and 64 of key in, 128 random bits out.
 *
 * The native fill kernel computes the same function, so that a parameter drawn by C++ or by JavaScript is the same.
 *
 * @see Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [hi0, lo0] = mulHiLo(PHILOX_M0, c0 >>> 0);
    const [hi1, lo1] = mulHiLo(PHILOX_M1, c2 >>> 0);
    c0 = (hi1 ^ c1 ^ k0) >>> 0;
    c1 = lo1;
    c2 = (hi0 ^ c3 ^ k1) >>> 0;
    c3 = lo0;
    k0 = (k0 + PHILOX_W0) >>> 0;
    k1 = (k1 + PHILOX_W1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** FNV-1a over UTF-16 units, 32 bits: turns a purpose or a tensor's name into part of a key. */
export function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return hash >>> 0;
}

/** The 64-bit Philox key of a draw: seed and purpose. Two purposes never share a stream by accident of order. */
export function philoxKey(seed: number, purpose: string): readonly [number, number] {
  assert(Number.isSafeInteger(seed) && seed >= 0, 'a seed is a non-negative safe integer', { seed });
  const high = Math.floor(seed / 0x100000000);
  return [seed >>> 0, (hashName(purpose) ^ Math.imul(high, 0x9e3779b1)) >>> 0];
}

/**
 * The stream of one key. Counter words: draw index / 4, step, layer and position mixed, sequence.
 */
export function prng(drawKey: DrawKey): Prng {
  const key = philoxKey(drawKey.seed, drawKey.purpose);
  const step = (drawKey.step ?? 0) >>> 0;
  const place =
    (Math.imul((drawKey.layer ?? 0) + 1, 0x85ebca6b) ^ Math.imul((drawKey.position ?? 0) + 1, 0xc2b2ae35)) >>>
    0;
  const sequence = (drawKey.sequence ?? 0) >>> 0;
  let block = -1;
  let words: [number, number, number, number] = [0, 0, 0, 0];
  const bits = (index: number): number => {
    const wanted = Math.floor(index / 4);
    if (wanted !== block) {
      words = philox4x32([wanted >>> 0, step, place, sequence], key);
      block = wanted;
    }
    return words[index & 3] ?? 0;
  };
  return {
    bits,
    uniform: (index) => bits(index) / 0x100000000,
    integer: (index, bound) => Math.floor((bits(index) / 0x100000000) * bound),
  };
}
