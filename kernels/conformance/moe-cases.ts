/** Random cases of routing and of the expert FFN. */
import { activations, hiddenInputs, routerScores, type Device, type RowsPart } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import {
  lossOutput,
  opCases,
  output,
  overflowOutput,
  sizes,
  targetOutput,
  type CaseTable,
} from './built-case.ts';
import { bytesOf, floatsOf, int64sOf, intsBy, intsOf } from './device-values.ts';
import type { Draw } from './draw.ts';

const routerShape = fc.record({
  tokens: sizes(0, 20),
  // Bodies may choose otherwise of many experts.
  experts: fc.oneof({ weight: 5, arbitrary: sizes(1, 20) }, fc.integer({ min: 120, max: 300 })),
  choices: fc.oneof({ weight: 5, arbitrary: sizes(1, 4) }, fc.integer({ min: 5, max: 40 })),
  renormalise: fc.boolean(),
  padding: fc.boolean(),
  ties: fc.boolean(),
  groups: sizes(1, 3),
  global: fc.boolean(),
  scores: fc.constantFrom(...routerScores),
  expertGroups: sizes(1, 4),
  topGroups: sizes(1, 4),
  biased: fc.boolean(),
  scaled: fc.boolean(),
});

type RouterShape = typeof routerShape extends fc.Arbitrary<infer S> ? S : never;

/**
 * Sums of a score and a bias, and of two of those, are equal or far apart where they come from few numbers; else one rounding would decide
 * a choice. Sigmoids of x and -x add up to 1, so logits are not symmetric.
 */
const coarse = (logit: number): number => Math.round(logit * 4) / 4 + 0.0625;
const coarseBias = (bias: number): number => Math.round(bias * 64) / 64;

/** Gate forward and its buffers. */
function router(device: Device, draw: Draw, shape: RouterShape) {
  const { tokens, renormalise, scores, expertGroups, biased, scaled } = shape;
  const experts = Math.ceil(shape.experts / expertGroups) * expertGroups;
  const topGroups = Math.min(shape.topGroups, expertGroups);
  const topK = Math.min(shape.choices, (experts / expertGroups) * topGroups);
  const byKey = scores === 'sigmoid' || expertGroups > 1 || biased;
  const logits = draw.values(tokens * experts, 3);
  const logits_TE = floatsOf(
    device,
    byKey ? logits.map(coarse) : shape.ties ? logits.map(Math.round) : logits,
  );
  const bias = biased ? { bias_E: floatsOf(device, draw.values(experts, 0.2).map(coarseBias)) } : {};
  const chosenBy = { expertGroups, topGroups, ...bias };
  const valid = Array.from({ length: tokens }, () => (draw.chance() ? 1 : 0));
  const padding = shape.padding ? { valid_T: bytesOf(device, valid) } : {};
  const router = {
    tokens,
    experts,
    topK,
    renormalise,
    scores,
    ...(scaled ? { scale: 2.5 } : {}),
    logits_TE,
    ...padding,
    probs_TE: device.floats(tokens * experts),
    choices_TK: device.ints(tokens * topK),
    weights_TK: draw.floats(device, tokens * topK),
  };
  const isValid = (t: number): boolean => !shape.padding || valid[t] !== 0;
  return { router, chosenBy, isValid, groupStarts: draw.starts(device, tokens, shape.groups) };
}

/** Distinct experts of each token in random order; some choices dropped, and sometimes every row to one expert. */
export function drawChoices(draw: Draw, tokens: number, experts: number, topK: number): Int32Array {
  const choices_TK = new Int32Array(tokens * topK).fill(-1);
  const collapsed = draw.unit() < 0.2;
  for (let t = 0; t < tokens; t++) {
    const order = draw.shuffle(Array.from({ length: experts }, (_, e) => e));
    for (let k = 0; k < topK; k++) {
      if (collapsed) choices_TK[t * topK + k] = k === 0 ? experts - 1 : -1;
      else if (draw.unit() < 0.8) choices_TK[t * topK + k] = order[k]!;
    }
  }
  return choices_TK;
}

const combineShape = fc.record({
  tokens: sizes(0, 20),
  topK: sizes(1, 4),
  dim: sizes(1, 50),
  cuts: sizes(1, 4),
  weights: fc.boolean(),
  base: fc.constantFrom('zero', 'own', 'out'),
});

/** Rows cut into parts that arrive in any order, and who reads which. */
function returnedRows(
  device: Device,
  draw: Draw,
  { tokens, topK, dim, cuts }: { tokens: number; topK: number; dim: number; cuts: number },
) {
  const rows = tokens * topK;
  const starts = draw.bounds(rows, cuts);
  const parts: RowsPart[] = draw.shuffle(
    Array.from({ length: cuts }, (_, i) => {
      const count = starts[i + 1]! - starts[i]!;
      return { firstRow: starts[i]!, rows: count, data: draw.floats(device, count * dim) };
    }),
  );
  const order = draw.shuffle(Array.from({ length: rows }, (_, i) => i));
  const position_TK = intsBy(device, rows, (i) => (draw.unit() < 0.2 ? -1 : order[i]!));
  return { parts, position_TK };
}

const expertShape = fc.record({
  experts: sizes(1, 5),
  dim: sizes(1, 40),
  hidden: sizes(1, 40),
  activation: fc.constantFrom(...activations),
  sources: sizes(0, 3),
  accumulate: fc.boolean(),
  gap: sizes(0, 5),
  lean: fc.boolean(),
  collapsed: fc.boolean(),
});

type ExpertShape = typeof expertShape extends fc.Arbitrary<infer S> ? S : never;

/** Weights and sources of a group of experts; counts from 0 to a few rows, or all to the last expert. */
function expertGroup(
  device: Device,
  draw: Draw,
  { experts, dim, hidden, activation, sources, gap, lean, collapsed }: ExpertShape,
) {
  const size = (hiddenInputs(activation) + 1) * hidden * dim;
  const expertStride = size + gap;
  const length = experts === 0 ? 0 : (experts - 1) * expertStride + size;
  let total = 0;
  const from = Array.from({ length: sources }, () => {
    const numGrains = draw.integer(0, 4);
    const counts = Array.from({ length: experts * numGrains }, (_, i) => {
      if (collapsed) return Math.floor(i / numGrains) === experts - 1 ? 7 : 0;
      return draw.chance() ? 0 : draw.integer(0, 9);
    });
    const rows = counts.reduce((a, b) => a + b, 0);
    total += rows;
    const tokens = lean ? rows : rows + draw.integer(0, 3);
    return {
      x_UD: draw.floats(device, tokens * dim),
      ...(lean ? {} : { slots_N: intsBy(device, rows, () => draw.integer(0, tokens)) }),
      counts_EG: intsOf(device, counts),
      numGrains,
      rows,
      tokens,
    };
  });
  const weights = draw.floats(device, length, 0.5);
  return { group: { experts, dim, hidden, activation, weights, expertStride }, from, total, length };
}

const backwardShape = fc.record({ group: expertShape, weighted: fc.boolean() });

/** A backward pass over such a group. */
function backwardGroup(
  device: Device,
  draw: Draw,
  { group: shape, weighted }: typeof backwardShape extends fc.Arbitrary<infer S> ? S : never,
) {
  const { group, from, total, length } = expertGroup(device, draw, shape);
  // Drawn, not computed, and away from relu's corner, where one rounding would decide the gradient.
  const width = total * hiddenInputs(shape.activation) * shape.hidden;
  const saved = draw.floats(device, width, 2, 0.01);
  const weightSum = draw.target(device, length);
  const inputs = from.map((source) => ({
    ...source,
    dOut_UD: draw.floats(device, source.tokens * shape.dim),
    ...(weighted ? { rowWeights_N: draw.floats(device, source.rows) } : {}),
  }));
  const sources = inputs.map((source) => ({
    ...source,
    dx_ND: draw.floats(device, source.rows * shape.dim),
  }));
  const outputs = {
    dx: sources.map(({ dx_ND }, i) => output(`dx_ND of source ${i}`, 'gradient' as const, dx_ND)),
    weights: [targetOutput('weightSum', weightSum), overflowOutput(weightSum)],
  };
  return {
    group: { ...group, saved },
    inputs,
    sources,
    outputs,
    target: { weightSum },
    dSaved: device.floats(width),
  };
}

export const moeCases = {
  'gate.forward': opCases(
    fc.record({ router: routerShape, given: fc.boolean() }),
    (device, draw, { router: shape, given }) => {
      const { router: fields, chosenBy, isValid } = router(device, draw, shape);
      const { tokens, experts, topK, probs_TE } = fields;
      const choices_TK = given ? intsOf(device, drawChoices(draw, tokens, experts, topK)) : fields.choices_TK;
      // The contract leaves the probabilities of padding open.
      const read = (on: Device) =>
        Array.from(on.read(probs_TE)).filter((_, i) => isValid(Math.floor(i / experts)));
      return {
        calls: [{ op: 'gate.forward', ...fields, ...chosenBy, choices_TK, choicesGiven: given }],
        outputs: [
          output('choices_TK', 'exact', choices_TK),
          { name: 'probs_TE', kind: 'forward', read },
          output('weights_TK', 'forward', fields.weights_TK),
        ],
      };
    },
  ),

  'balance.forward': opCases(routerShape, (device, draw, shape) => {
    const {
      router: { renormalise, ...fields },
      chosenBy,
      groupStarts,
    } = router(device, draw, shape);
    const { weights_TK, ...routed } = fields;
    const fractions_BE = draw.floats(device, (groupStarts.length - 1) * fields.experts);
    const lossSums = int64sOf(device, [3n << 36n, 0n, 3n << 36n, 0n]);
    const counts_E = intsBy(device, fields.experts, () => 2);
    const probSums_E = int64sOf(
      device,
      Array.from({ length: 2 * fields.experts }, (_, word) => (word % 2 === 0 ? 1n << 36n : 0n)),
    );
    return {
      calls: [
        { op: 'gate.forward', ...routed, ...chosenBy, renormalise, weights_TK, choicesGiven: false },
        { op: 'balance.forward', ...routed, groupStarts, fractions_BE, lossSums, counts_E, probSums_E },
      ],
      outputs: [
        output('fractions_BE', 'forward', fractions_BE),
        lossOutput('lossSums', lossSums),
        output('counts_E', 'exact', counts_E),
        lossOutput('probSums_E', probSums_E),
      ],
    };
  }),

  'gate.backward': opCases(
    fc.record({ router: routerShape, given: fc.boolean() }),
    (device, draw, { router: shape, given }) => {
      const { router: fields, chosenBy, groupStarts } = router(device, draw, shape);
      const { tokens, experts, topK } = fields;
      const choices_TK = given ? intsOf(device, drawChoices(draw, tokens, experts, topK)) : fields.choices_TK;
      const fractions = draw.floats(device, (shape.global ? 1 : groupStarts.length - 1) * experts);
      const dLogits_TE = draw.floats(device, tokens * experts);
      const dWeights_TK = draw.floats(device, tokens * topK);
      const scales = { auxScale: 0.3, zScale: 0.05 };
      return {
        calls: [
          { op: 'gate.forward', ...fields, ...chosenBy, choices_TK, choicesGiven: given },
          {
            op: 'gate.backward',
            ...fields,
            choices_TK,
            dWeights_TK,
            groupStarts,
            fractions,
            fractionsGlobal: shape.global,
            ...scales,
            dLogits_TE,
          },
        ],
        outputs: [output('dLogits_TE', 'gradient', dLogits_TE)],
      };
    },
  ),

  'route.plan': opCases(
    fc.record({
      tokens: sizes(0, 25),
      experts: sizes(1, 12),
      ranks: sizes(1, 4),
      choices: sizes(1, 4),
      grains: sizes(1, 4),
    }),
    (device, draw, { tokens, experts, ranks, choices, grains }) => {
      const topK = Math.min(choices, experts);
      const drawn = drawChoices(draw, tokens, experts, topK);
      const plan = {
        counts_EG: intsBy(device, experts * grains, () => -7),
        position_TK: device.ints(tokens * topK),
        slots_N: device.ints(tokens * topK),
        choiceOfRow_N: device.ints(tokens * topK),
        rankTokens: device.ints(ranks * tokens),
        numTokens_R: intsBy(device, ranks, () => -7),
        numRows_R: intsBy(device, ranks, () => -7),
      };
      const rows = drawn.filter((choice) => choice >= 0).length;
      const lists = (on: Device) =>
        Array.from(on.read(plan.numTokens_R), (count, r) =>
          Array.from(on.read(plan.rankTokens.subarray(r * tokens, r * tokens + count))),
        ).flat();
      return {
        calls: [
          {
            op: 'route.plan',
            tokens,
            experts,
            topK,
            ranks,
            rankOf_E: intsBy(device, experts, () => draw.integer(0, ranks)),
            choices_TK: intsOf(device, drawn),
            grainStarts: draw.starts(device, tokens, grains),
            ...plan,
          },
        ],
        outputs: [
          output('counts_EG', 'exact', plan.counts_EG),
          output('position_TK', 'exact', plan.position_TK),
          output('slots_N', 'exact', plan.slots_N.subarray(0, rows)),
          output('choiceOfRow_N', 'exact', plan.choiceOfRow_N.subarray(0, rows)),
          output('numTokens_R', 'exact', plan.numTokens_R),
          output('numRows_R', 'exact', plan.numRows_R),
          { name: 'rankTokens', kind: 'exact', read: lists },
        ],
      };
    },
  ),

  gather: opCases(
    fc.record({ rows: sizes(0, 30), dim: sizes(1, 50), from: sizes(1, 12) }),
    (device, draw, { rows, dim, from }) => {
      const out = draw.floats(device, rows * dim);
      const index = intsBy(device, rows, () => draw.integer(0, from));
      return {
        calls: [{ op: 'gather', rows, dim, x: draw.floats(device, from * dim), index, out }],
        outputs: [output('out', 'exact', out)],
      };
    },
  ),

  'gather.scalars': opCases(
    fc.record({ count: sizes(0, 30), from: sizes(1, 12) }),
    (device, draw, { count, from }) => {
      const out = draw.floats(device, count);
      const index = intsBy(device, count, () => draw.integer(0, from));
      return {
        calls: [{ op: 'gather.scalars', count, values: draw.floats(device, from), index, out }],
        outputs: [output('out', 'exact', out)],
      };
    },
  ),

  combine: opCases(combineShape, (device, draw, shape) => {
    const { tokens, topK, dim } = shape;
    const { parts, position_TK } = returnedRows(device, draw, shape);
    const out_TD = draw.floats(device, tokens * dim);
    const weights = shape.weights ? { weights_TK: draw.floats(device, tokens * topK) } : {};
    const base =
      shape.base === 'zero'
        ? {}
        : { base_TD: shape.base === 'out' ? out_TD : draw.floats(device, tokens * dim) };
    return {
      calls: [{ op: 'combine', tokens, topK, dim, parts, position_TK, ...weights, ...base, out_TD }],
      outputs: [output('out_TD', 'forward', out_TD)],
    };
  }),

  'combine.backward.weights': opCases(combineShape, (device, draw, shape) => {
    const { tokens, topK, dim } = shape;
    const { parts, position_TK } = returnedRows(device, draw, shape);
    const dWeights_TK = draw.floats(device, tokens * topK);
    const dOut_TD = draw.floats(device, tokens * dim);
    return {
      calls: [
        { op: 'combine.backward.weights', tokens, topK, dim, parts, position_TK, dOut_TD, dWeights_TK },
      ],
      outputs: [output('dWeights_TK', 'gradient', dWeights_TK)],
    };
  }),

  'experts.forward': opCases(
    fc.record({ group: expertShape, training: fc.boolean() }),
    (device, draw, { group: shape, training }) => {
      const { group, from, total } = expertGroup(device, draw, shape);
      const sources = from.map((source) => ({
        ...source,
        y_ND: draw.floats(device, source.rows * shape.dim),
      }));
      const saved = device.floats(total * hiddenInputs(shape.activation) * shape.hidden);
      return {
        calls: [
          {
            op: 'experts.forward',
            ...group,
            sources,
            accumulate: shape.accumulate,
            ...(training ? { saved } : {}),
          },
        ],
        outputs: [
          ...sources.map(({ y_ND }, i) => output(`y_ND of source ${i}`, 'forward' as const, y_ND)),
          output('saved', 'forward', saved),
        ],
      };
    },
  ),

  'experts.backward': opCases(backwardShape, (device, draw, shape) => {
    const { group, sources, outputs, target } = backwardGroup(device, draw, shape);
    return {
      calls: [{ op: 'experts.backward', ...group, sources, accumulate: shape.group.accumulate, ...target }],
      outputs: [...outputs.dx, ...outputs.weights],
    };
  }),

  'experts.backward.input': opCases(backwardShape, (device, draw, shape) => {
    const { group, sources, outputs, dSaved } = backwardGroup(device, draw, shape);
    return {
      calls: [
        { op: 'experts.backward.input', ...group, sources, accumulate: shape.group.accumulate, dSaved },
      ],
      outputs: [...outputs.dx, output('dSaved', 'gradient', dSaved)],
    };
  }),

  'experts.backward.weight': opCases(backwardShape, (device, draw, shape) => {
    const { group, inputs, sources, outputs, target, dSaved } = backwardGroup(device, draw, shape);
    return {
      calls: [
        { op: 'experts.backward.input', ...group, sources, dSaved },
        {
          op: 'experts.backward.weight',
          ...group,
          sources: inputs,
          dSaved,
          ...target,
        },
      ],
      outputs: outputs.weights,
    };
  }),
} satisfies Partial<CaseTable>;
