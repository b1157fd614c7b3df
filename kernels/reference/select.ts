import { dropPolicies, type OnHost, type RouteSelectCall } from '@troupe/kernel-set';
import { checkChoices, countValid } from './gate.ts';
import type { Kernel } from './kernel.ts';
import { checkDraws, RoutingWords } from './routing-draws.ts';

/** Rows of a group, and levels of a key, have so many bits. */
const ROW_LIMIT = 2 ** 24;

/** Rows that an expert of a group keeps at most. */
function capacityOf(call: OnHost<RouteSelectCall>, numValid: number): number {
  const { experts, topK, factorMillionths, minCapacity } = call;
  if (factorMillionths === 0) return numValid;
  const asked = BigInt(numValid) * BigInt(topK) * BigInt(Math.abs(factorMillionths));
  const even = BigInt(experts) * 1_000_000n;
  return Math.min(numValid, Math.max(minCapacity, Number((asked + even - 1n) / even)));
}

/** Each expert keeps the candidates of largest key in a group: random, the earliest, or the most probable. */
export const routeSelect: Kernel<RouteSelectCall> = {
  check(call, check) {
    const { tokens, experts, topK, policy, factorMillionths, minCapacity } = call;
    check.sizes({ tokens, minCapacity });
    if (tokens > ROW_LIMIT) check.fail('tokens', String(tokens), `at most ${ROW_LIMIT}`);
    check.size('experts', experts, 1);
    check.size('topK', topK, 1);
    if (topK > 256) check.fail('topK', String(topK), 'at most 256');
    check.oneOf('policy', policy, dropPolicies);
    check.size('|factorMillionths|', Math.abs(factorMillionths));
    check.floats('probs_TE', call.probs_TE, tokens * experts);
    check.ints('choices_TK', call.choices_TK, tokens * topK);
    if (call.valid_T !== undefined) check.bytes('valid_T', call.valid_T, tokens);
    check.starts('groupStarts', call.groupStarts, tokens);
    check.ints('kept_TK', call.kept_TK, tokens * topK);
    check.ints('numDropped', call.numDropped, 1);
    checkDraws(call, check);
  },
  run(call) {
    const { tokens, experts, topK, choices_TK, valid_T, groupStarts, kept_TK, numDropped } = call;
    checkChoices('route.select', choices_TK, tokens * topK, experts);
    const keyOf = keysOf(call);
    for (let place = 0; place < tokens * topK; place++) kept_TK[place] = choices_TK[place]!;
    for (let group = 0; group + 1 < groupStarts.length; group++) {
      const [first, last] = [groupStarts[group]!, groupStarts[group + 1]!];
      const capacity = capacityOf(call, countValid(valid_T, first, last));
      const placesOf: number[][] = Array.from({ length: experts }, () => []);
      for (let place = first * topK; place < last * topK; place++)
        if (choices_TK[place]! >= 0) placesOf[choices_TK[place]!]!.push(place);
      for (const places of placesOf) {
        if (places.length <= capacity) continue;
        const byKey = places.map((place) => ({ place, key: keyOf(place, first) }));
        byKey.sort((a, b) => (a.key < b.key ? 1 : -1));
        for (const { place } of byKey.slice(capacity)) kept_TK[place] = -1;
        numDropped[0]! += places.length - capacity;
      }
    }
  },
};

/** The key of a place: t·K + its rank among the token's choices, in a group that begins at row `first`. */
function keysOf(call: OnHost<RouteSelectCall>): (place: number, first: number) => bigint {
  const { experts, topK, policy, probs_TE, choices_TK } = call;
  const words = new RoutingWords(call, topK);
  const [float] = [new Float32Array(1)];
  const bits = new Uint32Array(float.buffer);
  return (place, first) => {
    const token = Math.floor(place / topK);
    const rank = place % topK;
    const row = token - first;
    if (policy === 'probability') {
      const p = probs_TE[token * experts + choices_TK[place]!]!;
      float[0] = Number.isNaN(p) ? 0 : p;
      return (BigInt(bits[0]!) << 32n) | BigInt(0xffffffff - row);
    }
    const level = policy === 'position' && topK > 2 ? 0 : rank;
    const word = policy === 'random' ? words.of(token, rank) : 0;
    return (BigInt(255 - level) << 56n) | (BigInt(word) << 24n) | BigInt(ROW_LIMIT - 1 - row);
  };
}
