import type { Checker, TurnSeen } from './checker.ts';

interface Range {
  readonly from: number;
  readonly to: number;
}

/** What one shard has added for one attempt at a step. */
interface Sum {
  readonly attempt: string;
  /** By level of the exchange. */
  readonly levels: Map<number, Range[]>;
  readonly seen: Set<string>;
}

/** A place where the ranges do not lie exactly `times` deep, in words; null when all do. One pass over their ends: a shard may have thousands. */
function uneven(ranges: readonly Range[], times: number): string | null {
  const begins = ranges.map(({ from }) => from).toSorted((a, b) => a - b);
  const ends = ranges.map(({ to }) => to).toSorted((a, b) => a - b);
  let begun = 0;
  let ended = 0;
  while (ended < ends.length) {
    const at = Math.min(begins[begun] ?? Infinity, ends[ended] ?? Infinity);
    while (begins[begun] === at) begun++;
    while (ends[ended] === at) ended++;
    const next = Math.min(begins[begun] ?? Infinity, ends[ended] ?? Infinity);
    const depth = begun - ended;
    if (next !== Infinity && depth !== times)
      return `elements ${at} to ${next} were added ${depth} times, expected ${times}`;
  }
  return null;
}

/**
 * Every holder's gradient is in a shard's sum exactly once when the shard votes: at level 0 the leaves of its whole group, its own among
 * them, and at each further level the sums of the others. In buckets they come once a microbatch.
 *
 * @param times - how often every element is added at each level, by the name of its parameter group
 */
export const gradientsOnce = (times: Readonly<Record<string, readonly number[]>>): Checker => {
  const sums = new Map<string, Sum>();
  const versions = new Map<string, number>();
  const add = (seen: TurnSeen): string | null => {
    const { address, step, attempt, stateBefore, body, from } = seen;
    const version = versions.get(address);
    // Otherwise it is set aside, and comes again.
    if (
      (stateBefore !== 'collecting' && stateBefore !== 'passing') ||
      (version !== undefined && step > version + 1)
    )
      return null;
    const name = `${step}/${attempt}`;
    let sum = sums.get(address);
    if (sum === undefined || sum.attempt !== name) {
      sum = { attempt: name, levels: new Map(), seen: new Set() };
      sums.set(address, sum);
    }
    const range = { from: Number(body['from']), to: Number(body['to']) };
    const level = Number(body['level']);
    const text = `${from} ${level} ${seen.microbatch} ${range.from}-${range.to}`;
    const ranges = sum.levels.get(level);
    if (ranges === undefined) sum.levels.set(level, [range]);
    else ranges.push(range);
    // What was set aside comes from the shard itself: its first sender is not known any more.
    if (from !== address && sum.seen.has(text))
      return `${address} adds elements ${range.from} to ${range.to} of ${from} twice in step ${step}, attempt ${attempt}`;
    sum.seen.add(text);
    return null;
  };
  return {
    name: 'gradients-once',
    looksAt: ['turn'],
    kinds: [
      'xstate.init',
      'parameters.initialised',
      'step.open',
      'weights.applied',
      'gradient.add',
      'norm.measured',
    ],
    see: (seen) => {
      if (seen.type !== 'turn' || seen.outcome !== 'handled' || !seen.address.startsWith('optimizer/'))
        return null;
      const { address, kind, stateBefore } = seen;
      if (kind === 'xstate.init' || kind === 'parameters.initialised') sums.delete(address);
      if (kind === 'step.open' && stateBefore === 'collecting') versions.set(address, seen.version);
      if (kind === 'weights.applied') versions.set(address, seen.step);
      if (kind === 'gradient.add') return add(seen);
      if (kind !== 'norm.measured') return null;
      const sum = sums.get(address);
      if (sum === undefined || sum.attempt !== `${seen.step}/${seen.attempt}`) return null;
      const [, group = ''] = address.split('/');
      sums.delete(address);
      for (const [level, expected] of (times[group] ?? []).entries()) {
        const found = uneven(sum.levels.get(level) ?? [], expected);
        if (found !== null)
          return `${address} votes in step ${seen.step}, attempt ${seen.attempt}: at level ${level} ${found}`;
      }
      return null;
    },
  };
};
