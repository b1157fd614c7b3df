/** The capacity rules of DeepSpeed: which choices are kept, and what they weigh. */
import type { DropPolicy } from '@troupe/kernel-set';
import { compute } from './body.ts';
import type { FixtureCheck } from './fixture-check.ts';

/** Choices in falling order of the logits, of which every expert keeps what the policy says; a fixture's factor is 0.75, its least capacity 1. */
export function keptChoices(topK: number, policy: DropPolicy): FixtureCheck {
  return async (f, device, expect) => {
    const [tokens = 0, experts = 0, capacity = 0] = f.tensor('dispatch').shape;
    const dispatched = f.values('dispatch');
    const combined = f.values('combine');
    const [kept, expected] = [new Set<number>(), new Float64Array(tokens * experts)];
    for (let at = 0; at < tokens * experts; at++) {
      for (let slot = at * capacity; slot < (at + 1) * capacity; slot++) {
        if (dispatched[slot] !== 0) kept.add(at);
        expected[at]! += combined[slot]!;
      }
    }
    const shape = { tokens, experts, topK };
    const probs_TE = device.floats(tokens * experts);
    const choices_TK = device.ints(tokens * topK);
    const kept_TK = device.ints(tokens * topK);
    const weights_TK = device.floats(tokens * topK);
    const numDropped = device.ints(1);
    const routed = { ...shape, probs_TE, renormalise: true, weights_TK };
    await compute(device, [
      { op: 'gate.forward', ...routed, logits_TE: f.floats('logits'), choices_TK, choicesGiven: false },
      {
        op: 'route.select',
        ...shape,
        policy,
        factorMillionths: 750_000,
        minCapacity: 1,
        probs_TE,
        choices_TK,
        groupStarts: f.grains(tokens, 1),
        kept_TK,
        numDropped,
        key: [0, 0],
        step: 0,
        firstSequence: 0,
        seqLen: tokens,
      },
      { op: 'gate.weigh', ...routed, choices_TK: kept_TK },
    ]);
    const [isKept, weights] = [new Float64Array(tokens * experts), new Float64Array(tokens * experts)];
    device.read(kept_TK).forEach((expert, place) => {
      if (expert < 0) return;
      const at = Math.floor(place / topK) * experts + expert;
      isKept[at] = 1;
      weights[at] = device.read(weights_TK)[place]!;
    });
    const expectedKept = isKept.map((_, at) => (kept.has(at) ? 1 : 0));
    expect('dispatch', 'forward', isKept, expectedKept);
    expect('dropped', 'forward', device.read(numDropped), [tokens * topK - kept.size]);
    expect('combine', 'forward', weights, expected);
  };
}
