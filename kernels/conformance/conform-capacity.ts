import type { Device } from '@troupe/kernel-set';
import { compute, type ConformanceBody, type Test } from './body.ts';
import { floatsOf, intsOf } from './device-values.ts';
import { Draw } from './draw.ts';

/** Weights of choices over probabilities, [T, E] and [T, K]. */
async function weigh(
  device: Device,
  of: { probs: number[]; experts: number; topK: number; choices: number[]; divisor?: number[] },
): Promise<number[]> {
  const { probs, experts, topK, choices, divisor } = of;
  const weights_TK = device.floats(choices.length);
  await compute(device, [
    {
      op: 'gate.weigh',
      tokens: choices.length / topK,
      experts,
      topK,
      renormalise: true,
      probs_TE: floatsOf(device, probs),
      choices_TK: intsOf(device, choices),
      ...(divisor === undefined ? {} : { divisor_TK: intsOf(device, divisor) }),
      weights_TK,
    },
  ]);
  return Array.from(device.read(weights_TK));
}

/** What lies between a router's choices and the plan of rows. */
export function conformCapacity(test: Test, body: ConformanceBody): void {
  test(`${body.name} gate.weigh: divides by what is kept or by what was chosen; a token without choices weighs 0`, async (t) => {
    const device = await body.open();
    const of = {
      probs: [0.5, 0.25, 0.25, 0.5, 0.25, 0.25],
      experts: 3,
      topK: 2,
      choices: [0, -1, -1, -1],
      divisor: [0, 2, 1, 0],
    };
    const { divisor: _, ...kept } = of;
    t.deepEqual(await weigh(device, kept), [1, 0, 0, 0]);
    const byChosen = await weigh(device, of);
    t.true(Math.abs(byChosen[0]! - 2 / 3) < 1e-7);
    t.deepEqual(byChosen.slice(1), [0, 0, 0]);
    await device.close();
  });

  test(`${body.name} gate.weigh: the weights of gate.forward, bit for bit where bodies promise bits`, async (t) => {
    const device = await body.open();
    const [tokens, experts, topK] = [37, 19, 4];
    const draw = new Draw(5);
    const [forward, weighed] = [device.floats(tokens * topK), device.floats(tokens * topK)];
    const shape = { tokens, experts, topK, renormalise: true };
    const scores = { probs_TE: device.floats(tokens * experts), choices_TK: device.ints(tokens * topK) };
    const logits_TE = draw.floats(device, tokens * experts, 3);
    await compute(device, [
      { op: 'gate.forward', ...shape, ...scores, logits_TE, choicesGiven: false, weights_TK: forward },
      { op: 'gate.weigh', ...shape, ...scores, weights_TK: weighed },
    ]);
    const [expected, found] = [Array.from(device.read(forward)), Array.from(device.read(weighed))];
    if (device.info.layoutFree) t.deepEqual(found, expected);
    else t.true(found.every((weight, i) => Math.abs(weight - expected[i]!) < 1e-6));
    await device.close();
  });
}
