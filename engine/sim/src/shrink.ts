import type { Fault } from './faults.ts';

/** A failing run, as small as it is known to be. */
export interface FailingCase {
  readonly faults: readonly Fault[];
  /** Step after which it ends. */
  readonly steps: number;
  /** Overrides of the topology that make the cluster smaller. */
  readonly set: readonly string[];
}

export interface ShrinkOptions {
  /** True when this case still fails in the same way. */
  readonly fails: (candidate: FailingCase) => Promise<boolean>;
  /** Overrides to try, the most effective first. */
  readonly overrides: readonly string[];
  /** Most runs. Default 200. */
  readonly most?: number;
  readonly progress?: (smallest: FailingCase, numRuns: number) => void;
}

/** Simpler forms of a fault: shorter, both ways, without a second visit to a state. */
function simpler(fault: Fault): readonly Fault[] {
  const forms: Fault[] = [];
  const { oneWay: _oneWay, ...bothWays } = fault;
  if (fault.oneWay !== undefined) forms.push(bothWays);
  if (fault.forMs !== undefined && fault.forMs > 1)
    forms.push({ ...fault, forMs: Math.ceil(fault.forMs / 2) });
  if (fault.restartAfterMs !== undefined && fault.restartAfterMs > 0)
    forms.push({ ...fault, restartAfterMs: 0 });
  if (fault.factor !== undefined && fault.factor > 2)
    forms.push({ ...fault, factor: Math.ceil(fault.factor / 2) });
  if (fault.atStep !== undefined && fault.atStep > 1) forms.push({ ...fault, atStep: 1 });
  if (fault.when?.times !== undefined && fault.when.times > 1)
    forms.push({ ...fault, when: { ...fault.when, times: 1 } });
  return forms;
}

/** Cases one move smaller than this one, the largest moves first. */
function* smaller(from: FailingCase, overrides: readonly string[]): Generator<FailingCase> {
  const { faults, steps, set } = from;
  // Halves of the faults, then each one alone.
  for (let size = Math.ceil(faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let first = 0; first < faults.length; first += size)
      yield { ...from, faults: [...faults.slice(0, first), ...faults.slice(first + size)] };
  }
  for (const fewer of [1, Math.ceil(steps / 2), steps - 1])
    if (fewer >= 1 && fewer < steps) yield { ...from, steps: fewer };
  for (const override of overrides)
    if (!set.some((each) => each.split('=')[0] === override.split('=')[0]))
      yield { ...from, set: [...set, override] };
  for (const [index, fault] of faults.entries())
    for (const form of simpler(fault))
      yield { ...from, faults: faults.map((each, at) => (at === index ? form : each)) };
}

/**
 * Reduces a failing case to one of which no single move makes a smaller one that fails.
 *
 * @see Zeller and Hildebrandt 2002, "Simplifying and isolating failure-inducing input"
 */
export async function shrink(start: FailingCase, options: ShrinkOptions): Promise<FailingCase> {
  const { fails, overrides, most = 200, progress } = options;
  let smallest = start;
  let numRuns = 0;
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false;
    for (const candidate of smaller(smallest, overrides)) {
      if (numRuns >= most) return smallest;
      numRuns++;
      const isFailing = await fails(candidate);
      if (isFailing) smallest = candidate;
      progress?.(smallest, numRuns);
      if (!isFailing) continue;
      isSmaller = true;
      break;
    }
  }
  return smallest;
}
