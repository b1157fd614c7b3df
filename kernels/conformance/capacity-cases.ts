/** Random cases of what lies between a router's choices and the plan of rows. */
import { routerScores } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import { dropPolicies, type Device, type RoutingDraws } from '@troupe/kernel-set';
import { gumbel } from '../reference/noise.ts';
import { RoutingWords } from '../reference/routing-draws.ts';
import { opCases, output, sizes, type CaseTable } from './built-case.ts';
import { bytesOf, floatsOf, intsOf } from './device-values.ts';
import type { Draw } from './draw.ts';
import { drawChoices } from './moe-cases.ts';

/** Some rows are padding. */
function padding(device: Device, draw: Draw, rows: number) {
  return bytesOf(
    device,
    Array.from({ length: rows }, () => (draw.unit() < 0.8 ? 1 : 0)),
  );
}

const drawsOf = (draw: Draw, seqLen: number): RoutingDraws => ({
  key: [draw.integer(0, 2 ** 31), draw.integer(0, 2 ** 31)],
  step: draw.integer(0, 1000),
  firstSequence: draw.integer(0, 1000),
  seqLen,
});

export const capacityCases = {
  jitter: opCases(
    fc.record({ rows: sizes(0, 40), dim: sizes(1, 70), seqLen: sizes(1, 20), inPlace: fc.boolean() }),
    (device, draw, { rows, dim, seqLen, inPlace }) => {
      const x = draw.floats(device, rows * dim);
      const out = inPlace ? x : draw.floats(device, rows * dim);
      return {
        calls: [{ op: 'jitter', rows, dim, x, out, width: 0.25, ...drawsOf(draw, seqLen) }],
        outputs: [output('out', 'forward', out)],
      };
    },
  ),

  'gate.sample': opCases(
    fc.record({
      tokens: sizes(0, 20),
      experts: sizes(1, 20),
      both: fc.boolean(),
      seqLen: sizes(1, 12),
      ties: fc.boolean(),
      padding: fc.boolean(),
    }),
    (device, draw, shape) => {
      const { tokens, experts, seqLen } = shape;
      const topK = shape.both && experts > 1 ? 2 : 1;
      const drawn = draw.values(tokens * experts, 3);
      const logits = shape.ties ? drawn.map(Math.round) : drawn;
      const choices_TK = device.ints(tokens * topK);
      const draws = drawsOf(draw, seqLen);
      const words = new RoutingWords(draws, experts);
      const call = {
        tokens,
        experts,
        topK,
        logits_TE: floatsOf(device, logits),
        ...(shape.padding ? { valid_T: padding(device, draw, tokens) } : {}),
        choices_TK,
        ...draws,
      };
      const chosen = (on: Device, place: number): number[] =>
        Array.from({ length: tokens }, (_, t) => on.read(choices_TK)[t * topK + place]!);
      // Where two noisy logits lie within a rounding of each other, either may win: the winner's value is compared.
      const values = (on: Device): number[] =>
        chosen(on, topK - 1).map((expert, t) =>
          expert < 0 ? -100 : logits[t * experts + expert]! + gumbel(words.of(t, expert)),
        );
      return {
        calls: [{ op: 'gate.sample', ...call }],
        outputs: [
          {
            name: 'first choices',
            kind: 'exact' as const,
            read: (on) => (topK === 2 ? chosen(on, 0) : []),
          },
          { name: 'noisy logits', kind: 'forward' as const, read: values },
          {
            name: 'distinct',
            kind: 'exact' as const,
            read: (on) =>
              chosen(on, 0).map((e, t) => (topK === 2 && e >= 0 && e === chosen(on, 1)[t] ? 1 : 0)),
          },
        ],
      };
    },
  ),

  'route.select': opCases(
    fc.record({
      tokens: sizes(0, 60),
      experts: sizes(1, 12),
      places: sizes(1, 4),
      groups: sizes(1, 3),
      seqLen: sizes(1, 20),
      policy: fc.constantFrom(...dropPolicies),
      factor: fc.constantFrom(0, 100_000, 500_000, -750_000, 1_000_000, 1_100_000, 1e12),
      least: sizes(0, 4),
      padding: fc.boolean(),
      inPlace: fc.boolean(),
    }),
    (device, draw, shape) => {
      const { tokens, experts, policy, seqLen } = shape;
      const topK = Math.min(shape.places, experts);
      const choices_TK = intsOf(device, drawChoices(draw, tokens, experts, topK));
      const kept_TK = shape.inPlace ? choices_TK : device.ints(tokens * topK);
      const numDropped = intsOf(device, [3]);
      // Few different probabilities, so that rows decide.
      const probs = Array.from({ length: tokens * experts }, () => draw.integer(0, 4) / 4);
      const call = {
        tokens,
        experts,
        topK,
        policy,
        factorMillionths: shape.factor,
        minCapacity: shape.least,
        probs_TE: floatsOf(device, probs),
        choices_TK,
        ...(shape.padding ? { valid_T: padding(device, draw, tokens) } : {}),
        groupStarts: draw.starts(device, tokens, shape.groups),
        kept_TK,
        numDropped,
        ...drawsOf(draw, seqLen),
      };
      return {
        calls: [{ op: 'route.select', ...call }],
        outputs: [output('kept_TK', 'exact', kept_TK), output('numDropped', 'exact', numDropped)],
      };
    },
  ),

  'gate.weigh': opCases(
    fc.record({
      tokens: sizes(0, 20),
      experts: sizes(1, 20),
      places: sizes(1, 20),
      renormalise: fc.boolean(),
      before: fc.boolean(),
      scores: fc.constantFrom(...routerScores),
      scale: fc.constantFrom(1, 2.5),
    }),
    (device, draw, { tokens, experts, places, renormalise, before, scores, scale }) => {
      const topK = Math.min(places, experts);
      const chosen = drawChoices(draw, tokens, experts, topK);
      const kept = chosen.map((expert) => (draw.chance() ? expert : -1));
      const weights_TK = draw.floats(device, tokens * topK);
      const call = {
        tokens,
        experts,
        topK,
        renormalise,
        scores,
        scale,
        probs_TE: floatsOf(device, draw.values(tokens * experts, 1, 0.01).map(Math.abs)),
        choices_TK: intsOf(device, kept),
        ...(before ? { divisor_TK: intsOf(device, chosen) } : {}),
        weights_TK,
      };
      return {
        calls: [{ op: 'gate.weigh', ...call }],
        outputs: [output('weights_TK', 'forward', weights_TK)],
      };
    },
  ),
} satisfies Partial<CaseTable>;
