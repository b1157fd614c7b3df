import type { KernelCall } from '@troupe/kernel-set';
import { compute } from './body.ts';
import type { FixtureCheck } from './fixture-check.ts';
import { routerBuffers } from './router-fixtures.ts';

/** Two groups of twelve tokens that lie at one position each; an expert is one matrix. */
const expertChoice: FixtureCheck = async (f, device, expect) => {
  const [groups = 0, sequences = 0, experts = 0] = f.tensor('logits').shape;
  const [, dim = 0] = f.tensor('weight').shape;
  const chosen = f.tensor('index').shape[2]!;
  const [tokens, topK, positions] = [groups * sequences, experts, groups];
  const router = { ...routerBuffers(device, tokens, experts, topK), logits_TE: f.floats('logits') };
  const given = { ...router, renormalise: false, choicesGiven: true };
  const parts = { seqLen: 1, partSequences: sequences, groupSequences: sequences, firstSequence: 0 };
  const scores = { tokens, experts, ...parts, probs_TE: router.probs_TE };
  const [keys, numValid] = [device.int64s(positions * experts * chosen), device.ints(positions)];
  const thresholds = device.int64s(positions * experts);
  const shape = { positions, experts, groupSequences: sequences, chosen, thresholds };
  const y = device.floats(experts * tokens * dim);
  const rows = experts * tokens;
  await compute(device, [
    { op: 'gate.forward', ...given, choicesGiven: false },
    { op: 'choice.candidates', ...scores, take: chosen, keys, numValid },
    { op: 'choice.thresholds', ...shape, take: chosen, sources: [{ keys, numValid }] },
    { op: 'choice.take', ...scores, thresholds, choices_TE: router.choices_TK },
    { op: 'gate.forward', ...given },
    ...Array.from({ length: experts }, (_, e): KernelCall => ({
      op: 'linear.forward',
      rows: tokens,
      inDim: dim,
      outDim: dim,
      x: { data: f.floats('x') },
      weight: f.put(f.values('weight').subarray(e * dim * dim, (e + 1) * dim * dim)),
      out: { data: y, offset: e * tokens * dim },
    })),
  ]);
  const choices = device.read(router.choices_TK);
  const weights = device.read(router.weights_TK);
  const index = f.values('index');
  const taken = Array.from(index, (sequence, i) => {
    const [group, expert] = [Math.floor(i / (experts * chosen)), Math.floor(i / chosen) % experts];
    return (group * sequences + sequence) * experts + expert;
  });
  const isTaken = new Set(taken);
  const expected = Array.from(choices, (_, i) => (isTaken.has(i) ? i % experts : -1));
  expect('index', 'forward', choices, expected);
  const taking = taken.map((i) => weights[i]!);
  expect('gate_weight', 'forward', taking, f.values('gate_weight'));

  const position_TK = device.ints(rows);
  device.write(
    position_TK,
    expected.map((expert, i) => (expert < 0 ? -1 : expert * tokens + Math.floor(i / experts))),
  );
  const combine = { tokens, topK, dim, parts: [{ firstRow: 0, rows, data: y }], position_TK };
  const [out_TD, dWeights_TK] = [device.floats(tokens * dim), device.floats(rows)];
  await compute(device, [
    { op: 'combine', ...combine, weights_TK: router.weights_TK, out_TD },
    { op: 'combine.backward.weights', ...combine, dOut_TD: f.floats('grad_out'), dWeights_TK },
  ]);
  expect('out', 'forward', device.read(out_TD), f.values('out'));
  // The weights are a result of their own, with a gradient that adds to that through the output.
  const dWeights = Float64Array.from(device.read(dWeights_TK));
  taken.forEach((i, at) => (dWeights[i]! += f.values('grad_gate_weight')[at]!));
  device.write(dWeights_TK, dWeights);
  const noAux = { fractions: device.floats(experts), fractionsGlobal: true, auxScale: 0, zScale: 0 };
  await compute(device, [
    { op: 'gate.backward', ...given, ...noAux, dWeights_TK, groupStarts: f.grains(tokens, 1) },
  ]);
  expect('grad_logits', 'gradient', device.read(router.dLogits_TE), f.values('grad_logits'));
};

export const choiceFixtures: Readonly<Record<string, FixtureCheck>> = { expert_choice: expertChoice };
