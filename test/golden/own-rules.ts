import { prng, type ExpertRule, type Floats, type GateRule, type Ints, type KernelCall } from 'troupe';

/** Top-k of the logits with noise that is keyed by the token's place. */
export const noisyGate: GateRule = {
  name: 'top-k with noise',
  choose: (logits_TE, { tokens, experts, topK, step, layer, firstToken }) => {
    const choices_TK = new Int32Array(tokens * topK);
    for (let token = 0; token < tokens; token++) {
      const noise = prng({ seed: 3, purpose: 'golden.gate', step, layer, position: firstToken + token });
      const scores = Array.from({ length: experts }, (_, expert) => ({
        expert,
        score: (logits_TE[token * experts + expert] ?? 0) + noise.uniform(expert),
      }));
      scores.sort((a, b) => b.score - a.score || a.expert - b.expert);
      choices_TK.set(
        scores.slice(0, topK).map(({ expert }) => expert),
        token * topK,
      );
    }
    return choices_TK;
  },
};

/** out_ND[row] = weight[row] · from_UD[slots[row]]. */
function spread(from_UD: Floats, slots_N: Ints, out_ND: Floats, dim: number, weights_N?: Floats): KernelCall {
  return {
    op: 'combine',
    tokens: out_ND.length / dim,
    topK: 1,
    dim,
    parts: [{ firstRow: 0, rows: from_UD.length / dim, data: from_UD }],
    position_TK: slots_N,
    ...(weights_N === undefined ? {} : { weights_TK: weights_N }),
    out_TD: out_ND,
  };
}

/** y = x + FFN(x). */
export const residualExpert: ExpertRule = {
  name: 'x + FFN(x)',
  forward: (call) => [
    ...call.sources.map(({ x_UD, slots_N, y_ND }) => spread(x_UD, slots_N, y_ND, call.dim)),
    { ...call, accumulate: true },
  ],
  backward: (call) => [
    ...call.sources.map(({ dOut_UD, slots_N, dx_ND, rowWeights_N }) =>
      spread(dOut_UD, slots_N, dx_ND, call.dim, rowWeights_N),
    ),
    { ...call, accumulate: true },
  ],
};
