import type { OnHost, RoutePlanCall } from '@troupe/kernel-set';
import { KernelRangeError } from '../errors.ts';
import { checkChoices } from './gate.ts';
import type { Kernel } from './kernel.ts';

/** Sorts choices by (rank, expert, token) and lists, for each rank, the distinct tokens it needs. Integers only, so exact everywhere. */
export const routePlan: Kernel<RoutePlanCall> = {
  check(call, check) {
    const { tokens, experts, topK, ranks, grainStarts } = call;
    check.sizes({ tokens });
    check.size('experts', experts, 1);
    check.size('topK', topK, 1);
    check.size('ranks', ranks, 1);
    check.ints('rankOf_E', call.rankOf_E, experts);
    check.ints('choices_TK', call.choices_TK, tokens * topK);
    check.starts('grainStarts', grainStarts, tokens);
    check.ints('counts_EG', call.counts_EG, experts * (grainStarts.length - 1));
    check.ints('position_TK', call.position_TK, tokens * topK);
    check.ints('slots_N', call.slots_N, tokens * topK);
    check.ints('choiceOfRow_N', call.choiceOfRow_N, tokens * topK);
    check.ints('rankTokens', call.rankTokens, ranks * tokens);
    check.ints('numTokens_R', call.numTokens_R, ranks);
    check.ints('numRows_R', call.numRows_R, ranks);
  },
  run(call) {
    const { tokens, experts, topK, ranks, rankOf_E, choices_TK, grainStarts, counts_EG } = call;
    checkChoices('route.plan', choices_TK, tokens * topK, experts);
    checkRanks(rankOf_E, experts, ranks);
    const numGrains = grainStarts.length - 1;
    const ordered = Array.from({ length: experts }, (_, expert) => expert).sort(
      (a, b) => rankOf_E[a]! - rankOf_E[b]! || a - b,
    );
    /** Of each expert, in the order of rows. */
    const placeOf = new Int32Array(experts);
    for (const [place, expert] of ordered.entries()) placeOf[expert] = place;

    counts_EG.fill(0, 0, experts * numGrains);
    const countOf = new Int32Array(experts);
    const lastToken = new Int32Array(experts).fill(-1);
    for (let grain = 0; grain < numGrains; grain++) {
      for (let t = grainStarts[grain]!; t < grainStarts[grain + 1]!; t++) {
        for (let k = 0; k < topK; k++) {
          const expert = choices_TK[t * topK + k]!;
          if (expert < 0) continue;
          if (lastToken[expert] === t) {
            throw new KernelRangeError(
              `route.plan: token ${t} chose expert ${expert} twice, expected distinct experts`,
            );
          }
          lastToken[expert] = t;
          counts_EG[placeOf[expert]! * numGrains + grain]! += 1;
          countOf[expert]! += 1;
        }
      }
    }

    const nextRow = new Int32Array(experts);
    call.numRows_R.fill(0, 0, ranks);
    let first = 0;
    for (const expert of ordered) {
      nextRow[expert] = first;
      first += countOf[expert]!;
      call.numRows_R[rankOf_E[expert]!]! += countOf[expert]!;
    }

    call.numTokens_R.fill(0, 0, ranks);
    const lastSlot = new Int32Array(ranks);
    const lastOfRank = new Int32Array(ranks).fill(-1);
    for (let t = 0; t < tokens; t++) {
      for (let k = 0; k < topK; k++) {
        const choice = t * topK + k;
        const expert = choices_TK[choice]!;
        if (expert < 0) {
          call.position_TK[choice] = -1;
          continue;
        }
        const rank = rankOf_E[expert]!;
        if (lastOfRank[rank] !== t) {
          lastOfRank[rank] = t;
          lastSlot[rank] = call.numTokens_R[rank]!;
          call.rankTokens[rank * tokens + lastSlot[rank]] = t;
          call.numTokens_R[rank]! += 1;
        }
        const row = nextRow[expert]!++;
        call.position_TK[choice] = row;
        call.slots_N[row] = lastSlot[rank]!;
        call.choiceOfRow_N[row] = choice;
      }
    }
  },
};

function checkRanks(rankOf_E: OnHost<RoutePlanCall>['rankOf_E'], experts: number, ranks: number): void {
  for (let expert = 0; expert < experts; expert++) {
    const rank = rankOf_E[expert]!;
    if (rank < 0 || rank >= ranks)
      throw new KernelRangeError(`route.plan: rankOf_E[${expert}] is ${rank}, expected 0 to ${ranks - 1}`);
  }
}
