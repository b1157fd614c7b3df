/** By operation: how many times the roofline's time it takes, as a calibration found it. */
export type Slowness = Readonly<Record<string, number>>;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? 1) + (sorted[Math.ceil(middle)] ?? 1)) / 2;
}

/** The operations that are named like this one but for its last words: `experts.backward` for `experts.backward.input`. */
function kinOf(op: string, slowness: Slowness): readonly number[] {
  const words = op.split('.');
  for (let count = words.length - 1; count > 0; count--) {
    const name = words.slice(0, count).join('.');
    const found = Object.keys(slowness).filter((each) => each === name || each.startsWith(`${name}.`));
    if (found.length > 0) return found.map((each) => slowness[each] ?? 1);
  }
  return Object.values(slowness);
}

/** Of operations that no calibration met. */
const guesses = new WeakMap<Slowness, Map<string, number>>();

/**
 * Of an operation: what the calibration found. One that it did not meet, since a worker that stands alone has no use for it (halves of an
 * expert's backward pass, the head of tensor peers, sums of others), is as slow as its kin, or else as the median of all.
 */
export function slownessOf(op: string, slowness: Slowness): number {
  const found = slowness[op];
  if (found !== undefined) return found;
  let known = guesses.get(slowness);
  if (known === undefined) {
    known = new Map();
    guesses.set(slowness, known);
  }
  let guess = known.get(op);
  if (guess === undefined) {
    guess = median(kinOf(op, slowness));
    known.set(op, guess);
  }
  return guess;
}
