/** The routers, balance losses and MoE blocks of PyTorch, Transformers and DeepSpeed. */
import { LOSS_QUANTUM_LOG2, type Device, type ExactSum, type Floats } from '@troupe/kernel-set';
import { wideNumber } from '@troupe/core';
import { compute } from './body.ts';
import { keptChoices } from './capacity-fixtures.ts';
import { bytesOf, intsOf } from './device-values.ts';
import type { FixtureCheck } from './fixture-check.ts';
import type { Fixture } from './fixtures.ts';

/** What a router of softmax scores reads and writes besides its logits. */
export function routerBuffers(device: Device, tokens: number, experts: number, topK: number) {
  return {
    tokens,
    experts,
    topK,
    probs_TE: device.floats(tokens * experts),
    choices_TK: device.ints(tokens * topK),
    weights_TK: device.floats(tokens * topK),
    dLogits_TE: device.floats(tokens * experts),
  };
}

function topK(renormalise: boolean): FixtureCheck {
  return async (f, device, expect) => {
    const router = { ...routerBuffers(device, 24, 8, 2), logits_TE: f.floats('logits'), renormalise };
    const aux = { fractions: device.floats(8), fractionsGlobal: true, auxScale: 0, zScale: 0 };
    await compute(device, [
      { op: 'gate.forward', ...router, choicesGiven: false },
      {
        op: 'gate.backward',
        ...router,
        ...aux,
        groupStarts: f.grains(24, 1),
        dWeights_TK: f.floats('grad_weight'),
      },
    ]);
    expect('index', 'forward', device.read(router.choices_TK), f.values('index'));
    expect('weight', 'forward', device.read(router.weights_TK), f.values('weight'));
    expect('grad_logits', 'gradient', device.read(router.dLogits_TE), f.values('grad_logits'));
  };
}

/** DeepSeek-V3: 8 experts in 4 groups, of which 2 are kept; choices by score + bias, weights by the score. */
const groupLimited: FixtureCheck = async (f, device, expect) => {
  const router = {
    ...routerBuffers(device, 24, 8, 3),
    logits_TE: f.floats('logits'),
    renormalise: true,
    scores: 'sigmoid',
    scale: 2.5,
  } as const;
  const chosenBy = { expertGroups: 4, topGroups: 2, bias_E: f.floats('bias') };
  const aux = { fractions: device.floats(8), fractionsGlobal: true, auxScale: 0, zScale: 0 };
  const groupStarts = f.grains(24, 1);
  await compute(device, [
    { op: 'gate.forward', ...router, ...chosenBy, choicesGiven: false },
    { op: 'gate.backward', ...router, ...aux, groupStarts, dWeights_TK: f.floats('grad_weight') },
  ]);
  expect('index', 'forward', device.read(router.choices_TK), f.values('index'));
  expect('weight', 'forward', device.read(router.weights_TK), f.values('weight'));
  expect('grad_logits', 'gradient', device.read(router.dLogits_TE), f.values('grad_logits'));
};

/** A bias is an f32 on bodies of float64 too, so it is compared to a thousandth of its step. */
const millionths = (values: ArrayLike<number>): Float64Array =>
  Float64Array.from(values, (value) => Math.round(value * 1e6));

/** Four steps of loss-free balancing; what is counted is the load of each expert in a step. */
const biasUpdate: FixtureCheck = async (f, device, expect) => {
  const experts = 8;
  const bias = f.floats('bias');
  for (let step = 0; step < 4; step++) {
    const load = Array.from(f.values('load').slice(step * experts, (step + 1) * experts));
    const choices = load.flatMap((count, expert) => Array.from({ length: count }, () => expert));
    const sum = { values: device.int64s(experts), overflow: device.ints(1) };
    const choices_TK = intsOf(device, choices);
    await compute(device, [
      { op: 'bias.count', tokens: choices.length, experts, topK: 1, choices_TK, sum },
      { op: 'bias.step', bias, out: bias, sum: sum.values, rate: 0.001 },
    ]);
    const name = `bias_after_${step + 1}`;
    expect(name, 'forward', millionths(device.read(bias)), millionths(f.values(name)));
  }
};

/** `scale` is what the fixture's loss is in units of ours: E·Σ f·p summed over groups, Σ f = 1. */
function balance(shape: {
  tokens: number;
  topK: number;
  groups: number;
  scale: number;
  masked?: boolean;
}): FixtureCheck {
  return async (f, device, expect) => {
    const { tokens, topK, groups, scale } = shape;
    const experts = 8;
    const router = {
      ...routerBuffers(device, tokens, experts, topK),
      logits_TE: f.floats('logits'),
      renormalise: false,
    };
    const mask = (): number[] => Array.from({ length: tokens }, (_, t) => f.values('mask')[t % 24]!);
    const padding = shape.masked === true ? { valid_T: bytesOf(device, mask()) } : {};
    const fractions = device.floats(groups * experts);
    const lossSums = device.int64s(4);
    const groupStarts = f.grains(tokens, groups);
    const statistics = {
      groupStarts,
      fractions_BE: fractions,
      lossSums,
      counts_E: device.ints(experts),
      probSums_E: device.int64s(2 * experts),
    };
    const aux = { groupStarts, fractions, fractionsGlobal: false, auxScale: scale, zScale: 0 };
    await compute(device, [
      { op: 'gate.forward', ...router, ...padding, choicesGiven: false },
      { op: 'balance.forward', ...router, ...padding, ...statistics },
      { op: 'gate.backward', ...router, ...padding, ...aux, dWeights_TK: device.floats(tokens * topK) },
    ]);
    expect(
      'loss',
      'forward',
      [wideNumber(device.read(lossSums), LOSS_QUANTUM_LOG2) * scale],
      f.values('loss'),
    );
    expect('grad_logits', 'gradient', device.read(router.dLogits_TE), f.values('grad_logits'));
  };
}

const zLoss: FixtureCheck = async (f, device, expect) => {
  const [tokens, experts] = [24, 8];
  const router = {
    ...routerBuffers(device, tokens, experts, 1),
    logits_TE: f.floats('logits'),
    renormalise: false,
  };
  const fractions = device.floats(experts);
  const lossSums = device.int64s(4);
  const groupStarts = f.grains(tokens, 1);
  const statistics = {
    groupStarts,
    fractions_BE: fractions,
    lossSums,
    counts_E: device.ints(experts),
    probSums_E: device.int64s(2 * experts),
  };
  const aux = { groupStarts, fractions, fractionsGlobal: false, auxScale: 0, zScale: 1 / tokens };
  await compute(device, [
    { op: 'gate.forward', ...router, choicesGiven: false },
    { op: 'balance.forward', ...router, ...statistics },
    { op: 'gate.backward', ...router, ...aux, dWeights_TK: device.floats(tokens) },
  ]);
  expect(
    'loss',
    'forward',
    [wideNumber(device.read(lossSums), LOSS_QUANTUM_LOG2, 1) / tokens],
    f.values('loss'),
  );
  expect('grad_logits', 'gradient', device.read(router.dLogits_TE), f.values('grad_logits'));
};

interface MoeShape {
  readonly tokens: number;
  readonly experts: number;
  readonly topK: number;
  readonly dim: number;
  readonly hidden: number;
  readonly activation: 'swiglu' | 'relu';
}

/** A whole MoE block, forward and backward, from the kernels it is made of; two expert-parallel ranks. */
async function moeBlock(
  f: Fixture,
  device: Device,
  shape: MoeShape,
  weights: Floats,
  given: ArrayLike<number> | undefined,
) {
  const { tokens, experts, topK, dim, hidden, activation } = shape;
  const ranks = 2;
  const perRank = experts / ranks;
  const grainStarts = f.grains(tokens, 2);
  const x_TD = f.floats('x');
  const gate = f.floats('gate');
  const logits_TE = device.floats(tokens * experts);
  const router = { ...routerBuffers(device, tokens, experts, topK), logits_TE, renormalise: true };
  if (given !== undefined) device.write(router.choices_TK, given);
  const plan = {
    rankOf_E: device.upload(
      Int32Array.from({ length: experts }, (_, expert) => Math.floor(expert / perRank)),
    ),
    counts_EG: device.ints(experts * 2),
    position_TK: device.ints(tokens * topK),
    slots_N: device.ints(tokens * topK),
    choiceOfRow_N: device.ints(tokens * topK),
    rankTokens: device.ints(ranks * tokens),
    numTokens_R: device.ints(ranks),
    numRows_R: device.ints(ranks),
  };
  const routed = { tokens, topK, dim, position_TK: plan.position_TK };
  await compute(device, [
    {
      op: 'linear.forward',
      rows: tokens,
      inDim: dim,
      outDim: experts,
      x: { data: x_TD },
      weight: gate,
      out: { data: logits_TE },
    },
    { op: 'gate.forward', ...router, choicesGiven: given !== undefined },
    { op: 'route.plan', tokens, experts, topK, ranks, choices_TK: router.choices_TK, grainStarts, ...plan },
  ]);
  const dOut_TD = f.floats('grad_out');
  const expertStride = weights.length / experts;
  const weightSums: ExactSum[] = [];
  const outputs: { firstRow: number; rows: number; data: Floats }[] = [];
  const gradients: { firstRow: number; rows: number; data: Floats }[] = [];
  let firstRow = 0;
  for (let rank = 0; rank < ranks; rank++) {
    const [rows, distinct] = [device.read(plan.numRows_R)[rank]!, device.read(plan.numTokens_R)[rank]!];
    const index = plan.rankTokens.subarray(rank * tokens, rank * tokens + distinct);
    const [x_UD, dOut_UD] = [device.floats(distinct * dim), device.floats(distinct * dim)];
    const [y_ND, dx_ND, rowWeights_N] = [
      device.floats(rows * dim),
      device.floats(rows * dim),
      device.floats(rows),
    ];
    const weightSum = f.emptySum(perRank * expertStride);
    const group = {
      experts: perRank,
      dim,
      hidden,
      activation,
      expertStride,
      weights: weights.subarray(rank * perRank * expertStride, (rank + 1) * perRank * expertStride),
      saved: device.floats(rows * 2 * hidden),
    };
    const source = {
      x_UD,
      slots_N: plan.slots_N.subarray(firstRow, firstRow + rows),
      counts_EG: plan.counts_EG.subarray(rank * perRank * 2, (rank + 1) * perRank * 2),
      numGrains: 2,
    };
    const choices = plan.choiceOfRow_N.subarray(firstRow, firstRow + rows);
    await compute(device, [
      { op: 'gather', rows: distinct, dim, x: x_TD, index, out: x_UD },
      { op: 'gather', rows: distinct, dim, x: dOut_TD, index, out: dOut_UD },
      { op: 'gather.scalars', count: rows, values: router.weights_TK, index: choices, out: rowWeights_N },
      { op: 'experts.forward', ...group, sources: [{ ...source, y_ND }] },
      { op: 'experts.backward', ...group, sources: [{ ...source, dOut_UD, rowWeights_N, dx_ND }], weightSum },
    ]);
    outputs.push({ firstRow, rows, data: y_ND });
    gradients.push({ firstRow, rows, data: dx_ND });
    weightSums.push(weightSum);
    firstRow += rows;
  }
  const [out_TD, dx_TD, dWeights_TK] = [
    device.floats(tokens * dim),
    device.floats(tokens * dim),
    device.floats(tokens * topK),
  ];
  const gateSum = f.emptySum(experts * dim);
  const noAux = {
    groupStarts: f.grains(tokens, 1),
    fractions: device.floats(experts),
    fractionsGlobal: true,
    auxScale: 0,
    zScale: 0,
  };
  const gateMap = { rows: tokens, inDim: dim, outDim: experts, dOut: { data: router.dLogits_TE } };
  await compute(device, [
    { op: 'combine', ...routed, parts: outputs, weights_TK: router.weights_TK, out_TD },
    { op: 'combine.backward.weights', ...routed, parts: outputs, dOut_TD, dWeights_TK },
    { op: 'gate.backward', ...router, ...noAux, dWeights_TK },
    { op: 'combine', ...routed, parts: gradients, out_TD: dx_TD },
    { op: 'linear.backward.input', ...gateMap, weight: gate, dx: { data: dx_TD }, accumulate: true },
    { op: 'linear.backward.weight', ...gateMap, x: { data: x_TD }, grainStarts, weightSum: gateSum },
  ]);
  const dWeights = [...(await f.read(weightSums[0]!)), ...(await f.read(weightSums[1]!))];
  return { out_TD, dx_TD, dGate: await f.read(gateSum), dWeights };
}

/** Lays out [E, a] and [E, b] as one block an expert. */
const interleave = (experts: number, first: ArrayLike<number>, second: ArrayLike<number>): number[] =>
  Array.from({ length: experts }, (_, e) => {
    const [a, b] = [first.length / experts, second.length / experts];
    return [...Array.from(first).slice(e * a, (e + 1) * a), ...Array.from(second).slice(e * b, (e + 1) * b)];
  }).flat();

const mixtral: FixtureCheck = async (f, device, expect) => {
  const shape = { tokens: 16, experts: 6, topK: 2, dim: 12, hidden: 16, activation: 'swiglu' } as const;
  const weights = f.put(interleave(6, f.values('gate_up'), f.values('down')));
  const found = await moeBlock(f, device, shape, weights, undefined);
  expect('out', 'forward', device.read(found.out_TD), f.values('out'));
  expect('grad_x', 'gradient', device.read(found.dx_TD), f.values('grad_x'));
  expect('grad_gate', 'gradient', found.dGate, f.values('grad_gate'));
  expect(
    'grad_weights',
    'gradient',
    found.dWeights,
    interleave(6, f.values('grad_gate_up'), f.values('grad_down')),
  );
};

/** Switch drops what is over capacity: the choices are the fixture's, -1 where the block dropped. */
const switchBlock: FixtureCheck = async (f, device, expect) => {
  const shape = { tokens: 24, experts: 4, topK: 1, dim: 8, hidden: 12, activation: 'relu' } as const;
  const weights = f.put(interleave(4, f.values('wi'), f.values('wo')));
  const used = new Map<string, number>();
  const choices = f.values('expert').map((expert, t) => {
    const slot = `${Math.floor(t / 12)}/${expert}`;
    used.set(slot, (used.get(slot) ?? 0) + 1);
    return used.get(slot)! > 3 ? -1 : expert;
  });
  const found = await moeBlock(f, device, shape, weights, choices);
  expect('out', 'forward', device.read(found.out_TD), f.values('out'));
  expect('grad_x', 'gradient', device.read(found.dx_TD), f.values('grad_x'));
  expect('grad_gate', 'gradient', found.dGate, f.values('grad_gate'));
  expect('grad_weights', 'gradient', found.dWeights, interleave(4, f.values('grad_wi'), f.values('grad_wo')));
};

export const routerFixtures: Readonly<Record<string, FixtureCheck>> = {
  gate_topk: topK(false),
  gate_topk_renorm: topK(true),
  gate_group_limited: groupLimited,
  bias_update: biasUpdate,
  load_balance_switch: balance({ tokens: 24, topK: 1, groups: 2, scale: 1 / 2 }),
  load_balance_topk: balance({ tokens: 48, topK: 2, groups: 1, scale: 2 }),
  load_balance_topk_masked: balance({ tokens: 48, topK: 2, groups: 1, scale: 2, masked: true }),
  z_loss: zLoss,
  gshard_top2: keptChoices(2, 'position'),
  topk_capacity_probs: keptChoices(3, 'probability'),
  topk_capacity_position: keptChoices(3, 'position'),
  moe_layer: mixtral,
  moe_switch: switchBlock,
};
