import { onHost, type RoutePlanCall } from '@troupe/kernel-set';
import { hollow } from './hollow-array.ts';
import { visitedRows } from './visited-rows.ts';

/** Rows that each expert gets of some tokens, all layers alike. */
export type ExpertLoad = ArrayLike<number>;

/** What a plan of rows says, of one shape of call: the same for every gate of a cluster. */
interface RowPlan {
  readonly counts_EG: Int32Array;
  readonly numTokens_R: Int32Array;
  readonly numRows_R: Int32Array;
}

/** Shares `total` as evenly as whole numbers allow, the first ones getting more. */
const share = (total: number, parts: number, index: number): number =>
  Math.floor(total / parts) + (index < total % parts ? 1 : 0);

/** `total` rows in the proportions of a load; what rounding leaves goes to the largest remainders, ties to the lower expert. */
function inProportion(load: ExpertLoad, total: number): Int32Array {
  const whole = Array.from(load).reduce((sum, each) => sum + each, 0);
  const exact = Array.from(load, (each) => (whole === 0 ? total / load.length : (each * total) / whole));
  const rows_E = Int32Array.from(exact, Math.floor);
  const left = total - rows_E.reduce((sum, each) => sum + each, 0);
  const byRemainder = exact
    .map((each, expert) => ({ expert, remainder: each - Math.floor(each) }))
    .toSorted((a, b) => b.remainder - a.remainder || a.expert - b.expert);
  for (const { expert } of byRemainder.slice(0, left)) rows_E[expert]! += 1;
  return rows_E;
}

/** Distinct tokens behind so many of the rows, when every token draws its choices from the load. */
function distinctTokens(tokens: number, topK: number, rows: number): number {
  const visited = Math.round(tokens * (1 - (1 - rows / (tokens * topK)) ** topK));
  return Math.min(rows, Math.max(visited, Math.ceil(rows / topK)));
}

type PlanShape = Pick<RoutePlanCall, 'tokens' | 'experts' | 'topK' | 'meanChoices' | 'ranks'> & {
  readonly rankOf_E: ArrayLike<number>;
  readonly grains: number;
};

function planOf(
  { tokens, experts, topK, meanChoices, ranks, rankOf_E, grains }: PlanShape,
  load: ExpertLoad | null,
): RowPlan {
  const total = Math.round(tokens * (meanChoices ?? topK));
  const order = Array.from({ length: experts }, (_, expert) => expert).toSorted(
    (a, b) => (rankOf_E[a] ?? 0) - (rankOf_E[b] ?? 0) || a - b,
  );
  const loaded = load === null ? null : inProportion(load, total);
  const counts_EG = new Int32Array(experts * grains);
  const [held, numRows_R] = [new Int32Array(ranks), new Int32Array(ranks)];
  for (const [place, expert] of order.entries()) {
    const rows = loaded === null ? share(total, experts, place) : (loaded[expert] ?? 0);
    for (let grain = 0; grain < grains; grain++)
      counts_EG[place * grains + grain] = share(rows, grains, grain);
    const rank = rankOf_E[expert] ?? 0;
    numRows_R[rank]! += rows;
    held[rank]! += 1;
  }
  /** Tokens of a rank that has `perRank` of the experts. Where experts choose, each takes a token or not, whoever else does. */
  const visited = (perRank: number, rows: number): number =>
    meanChoices === undefined
      ? visitedRows({ tokens, experts, perRank, topK })
      : Math.min(rows, Math.round(tokens * (1 - (1 - meanChoices / experts) ** perRank)));
  const numTokens_R = numRows_R.map((rows, rank) =>
    load === null ? visited(held[rank] ?? 0, rows) : distinctTokens(tokens, topK, rows),
  );
  return { counts_EG, numTokens_R, numRows_R };
}

/** Plans rows without looking at a choice: every expert gets as many as the next, or as many as a load says. */
export class RoutedRows {
  readonly #load: ExpertLoad | null;
  readonly #known = new Map<string, RowPlan>();

  constructor(load: ExpertLoad | null = null) {
    this.#load = load;
  }

  /** Writes what a plan says of counts; which rows are whose nobody asks. */
  plan(call: RoutePlanCall): void {
    const { tokens, experts, topK, meanChoices, ranks, counts_EG } = call;
    const rankOf_E = onHost(call.rankOf_E);
    const grains = counts_EG.length / experts;
    const key = [tokens, experts, topK, meanChoices, ranks, grains, rankOf_E.join()].join('/');
    let made = this.#known.get(key);
    if (made === undefined) {
      made = planOf({ ...call, grains, rankOf_E }, this.#load);
      this.#known.set(key, made);
    }
    for (const name of ['counts_EG', 'numTokens_R', 'numRows_R'] as const) {
      const empty = hollow(call[name]);
      if (empty === null) onHost(call[name]).set(made[name]);
      else empty.hold(made[name]);
    }
  }
}
