import type { RoutePlanCall } from '@troupe/kernel-set';
import { KernelRangeError } from '../errors.ts';
import { checkChoices } from './gate.ts';
import type { Kernel } from './kernel.ts';

/** Sorts choices by (expert, token) and lists, for each rank, the distinct tokens it needs. Integers only, so exact everywhere. */
export const routePlan: Kernel<RoutePlanCall> = {
  check(call, check) {
    const { tokens, experts, topK, ranks, grainStarts } = call;
    check.sizes({ tokens });
    check.size('experts', experts, 1);
    check.size('topK', topK, 1);
    check.size('ranks', ranks, 1);
    if (experts % ranks !== 0) check.fail('ranks', String(ranks), `a divisor of experts, ${experts}`);
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
    const { tokens, experts, topK, ranks, choices_TK, grainStarts, counts_EG } = call;
    checkChoices('route.plan', choices_TK, tokens * topK, experts);
    const numGrains = grainStarts.length - 1;
    const perRank = experts / ranks;

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
          counts_EG[expert * numGrains + grain]! += 1;
          countOf[expert]! += 1;
        }
      }
    }

    const nextRow = new Int32Array(experts);
    call.numRows_R.fill(0, 0, ranks);
    for (let e = 0, row = 0; e < experts; e++) {
      nextRow[e] = row;
      row += countOf[e]!;
      call.numRows_R[Math.floor(e / perRank)]! += countOf[e]!;
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
        const rank = Math.floor(expert / perRank);
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
