import { philoxKey } from '@troupe/core';
import type { Device, DropPolicy } from '@troupe/kernel-set';
import { gumbel } from '../reference/noise.ts';
import { RoutingWords } from '../reference/routing-draws.ts';
import { compute, type ConformanceBody, type Test } from './body.ts';
import { bytesOf, floatsOf, intsBy, intsOf } from './device-values.ts';
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

interface Selection {
  readonly choices: readonly number[];
  readonly experts: number;
  readonly topK?: number;
  readonly seqLen: number;
  readonly groups?: number;
  readonly factor: number;
  readonly least?: number;
  readonly policy?: DropPolicy;
  readonly valid?: readonly number[];
}

/** What experts keep of these choices; draws of seed 1, `moe.rts/L0`, step 0, from sequence 0 on. */
async function select(device: Device, of: Selection): Promise<{ kept: number[]; dropped: number }> {
  const { choices, experts, topK = 1, seqLen, groups = 1, factor, least = 0, policy = 'random', valid } = of;
  const tokens = choices.length / topK;
  const [kept_TK, numDropped] = [device.ints(choices.length), device.ints(1)];
  await compute(device, [
    {
      op: 'route.select',
      tokens,
      experts,
      topK,
      policy,
      factorMillionths: Math.round(factor * 1e6),
      minCapacity: least,
      probs_TE: device.floats(tokens * experts),
      choices_TK: intsOf(device, choices),
      ...(valid === undefined ? {} : { valid_T: bytesOf(device, valid) }),
      groupStarts: intsBy(device, groups + 1, (group) => (group * tokens) / groups),
      kept_TK,
      numDropped,
      key: philoxKey(1, 'moe.rts/L0'),
      step: 0,
      firstSequence: 0,
      seqLen,
    },
  ]);
  return { kept: Array.from(device.read(kept_TK)), dropped: device.read(numDropped)[0]! };
}

const rowsOf = (kept: readonly number[]): number[] => kept.flatMap((e, row) => (e < 0 ? [] : [row]));

/** Of pairs. */
function correlation(xs: readonly number[], ys: readonly number[]): number {
  const mean = (of: readonly number[]): number => of.reduce((sum, x) => sum + x, 0) / of.length;
  const [mx, my] = [mean(xs), mean(ys)];
  const [dx, dy] = [xs.map((x) => x - mx), ys.map((y) => y - my)];
  const dot = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  return dot(dx, dy) / Math.sqrt(dot(dx, dx) * dot(dy, dy));
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

  test(`${body.name} route.select: the worked example keeps rows 0, 1, 3, 5, and padding changes nothing`, async (t) => {
    const device = await body.open();
    const words = new RoutingWords(
      { key: philoxKey(1, 'moe.rts/L0'), step: 0, firstSequence: 0, seqLen: 6 },
      1,
    );
    const drawn = Array.from({ length: 6 }, (_, row) => words.of(row, 0).toString(16));
    t.deepEqual(drawn, ['e852365f', '97197ae5', '1463e1b5', '369f8a0f', '204cfb6a', '21b0e4ad']);
    const six = { choices: [0, 0, 0, 0, 0, 0], experts: 2, seqLen: 6, factor: 1, least: 4 };
    const found = await select(device, six);
    t.deepEqual(rowsOf(found.kept), [0, 1, 3, 5]);
    t.is(found.dropped, 2);
    const padded = [0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1];
    const valid = padded.map((choice) => (choice < 0 ? 0 : 1));
    t.deepEqual(rowsOf((await select(device, { ...six, choices: padded, valid })).kept), [0, 1, 3, 5]);
    t.deepEqual(rowsOf((await select(device, { ...six, policy: 'position' })).kept), [0, 1, 2, 3]);
    await device.close();
  });

  test(`${body.name} route.select: capacity is counted in integers, 110 of 1,000 tokens over 10 experts at 1.1`, async (t) => {
    const device = await body.open();
    t.is((1000 / 10) * 1.1 > 110, true, 'what float64 makes of it');
    const all = { choices: Array.from({ length: 1000 }, () => 3), experts: 10, seqLen: 100 };
    t.is(rowsOf((await select(device, { ...all, factor: 1.1 })).kept).length, 110);
    t.is(rowsOf((await select(device, { ...all, factor: -1.1 })).kept).length, 110);
    t.is(rowsOf((await select(device, { ...all, factor: 0.01, least: 4 })).kept).length, 4);
    t.is((await select(device, { ...all, factor: 0 })).dropped, 0);
    await device.close();
  });

  test(`${body.name} route.select: first choices of top-2 stay before second ones; nothing happens without overflow`, async (t) => {
    const device = await body.open();
    const top2 = { choices: [0, 1, 0, 1, 1, 0, 1, 0], experts: 2, topK: 2, seqLen: 4 };
    for (const policy of ['random', 'position'] as const) {
      const { kept, dropped } = await select(device, { ...top2, factor: 0.5, policy });
      t.deepEqual([kept, dropped], [[0, -1, 0, -1, 1, -1, 1, -1], 4], policy);
      t.deepEqual(await select(device, { ...top2, factor: 1, policy }), { kept: top2.choices, dropped: 0 });
    }
    await device.close();
  });

  test(`${body.name} route.select: every token survives with C/count whatever its position; in order, late ones never do`, async (t) => {
    const device = await body.open();
    const [count, groups] = [385, device.info.layoutFree ? 4000 : 200];
    const all = {
      choices: Array.from({ length: count * groups }, () => 0),
      experts: 1,
      seqLen: count,
      groups,
      factor: 0.332467,
    };
    const share = async (policy: DropPolicy) => {
      const { kept } = await select(device, { ...all, policy });
      const survived = kept.map((e) => (e < 0 ? 0 : 1));
      const positions = kept.map((_, row) => row % count);
      const late = survived.filter((_, row) => row % count >= count / 2);
      return {
        kept: rowsOf(kept).length / kept.length,
        correlation: correlation(positions, survived),
        late: late.filter((each) => each === 1).length / late.length,
      };
    };
    const [random, inOrder] = [await share('random'), await share('position')];
    t.log(random, inOrder);
    t.is(random.kept, 128 / 385);
    t.true(Math.abs(random.kept - 0.3325) < 0.0001);
    t.true(Math.abs(random.correlation) < 0.02, `${random.correlation}`);
    t.true(Math.abs(random.late - 128 / 385) < 0.01, `${random.late}`);
    t.is(inOrder.kept, 128 / 385);
    t.true(inOrder.correlation < -0.8, `${inOrder.correlation}`);
    t.is(inOrder.late, 0);
    await device.close();
  });

  test(`${body.name} gate.sample: the worked example, and second choices as often as their odds say`, async (t) => {
    const device = await body.open();
    const draws = { key: philoxKey(1, 'moe.gumbel/L0'), step: 0, firstSequence: 0, seqLen: 512 };
    const words = new RoutingWords(draws, 4);
    const bits = [0, 1, 2, 3].map((expert) => words.of(0, expert));
    t.deepEqual(
      bits.map((word) => word.toString(16).padStart(8, '0')),
      ['0d8adf1f', 'c13480ac', '61ccf285', '4f4c7776'],
    );
    const noisy = bits.map((word, expert) => [2, 1, 0, -1][expert]! + gumbel(word));
    const written = [2.26789, 0.03848, -1.15867];
    t.true(
      written.every((value, i) => Math.abs(noisy[i + 1]! - value) < 1e-5),
      noisy.join(),
    );
    t.true(Math.abs(gumbel(0) + 2.81154) < 1e-5 && Math.abs(gumbel(0xffffffff) - 16.63553) < 1e-5);
    const tokens = device.info.layoutFree ? 65_536 : 8192;
    const choices_TK = device.ints(2 * tokens);
    const logits = Array.from({ length: 4 * tokens }, (_, i) => 2 - (i % 4));
    await compute(device, [
      {
        op: 'gate.sample',
        tokens,
        experts: 4,
        topK: 2,
        logits_TE: floatsOf(device, logits),
        choices_TK,
        ...draws,
      },
    ]);
    const choices = Array.from(device.read(choices_TK));
    t.deepEqual(choices.slice(0, 2), [0, 1]);
    const share = [1, 2, 3].map((e) => choices.filter((each) => each === e).length / tokens);
    t.log(share);
    for (const [i, expected] of [0.66524, 0.24473, 0.09003].entries())
      t.true(
        Math.abs(share[i]! - expected) < 4 * Math.sqrt((expected * (1 - expected)) / tokens),
        share.join(),
      );
    t.true(choices.every((e, i) => i % 2 === 1 || e === 0));
    await device.close();
  });

  test(`${body.name} jitter: factors fill 1 ± width evenly, and width 0 changes nothing`, async (t) => {
    const device = await body.open();
    const [rows, dim] = [256, 32];
    const [x, out] = [
      floatsOf(
        device,
        Array.from({ length: rows * dim }, () => 1),
      ),
      device.floats(rows * dim),
    ];
    const draws = { key: philoxKey(1, 'moe.jitter/L0'), step: 5, firstSequence: 2, seqLen: 64 };
    await compute(device, [{ op: 'jitter', rows, dim, x, out, width: 0.01, ...draws }]);
    const factors = Array.from(device.read(out));
    t.true(factors.every((factor) => factor > 0.99 && factor < 1.01));
    const mean = factors.reduce((sum, factor) => sum + factor, 0) / factors.length;
    t.true(Math.abs(mean - 1) < 4 * (0.01 / Math.sqrt(3 * factors.length)), `${mean}`);
    t.true(Math.min(...factors) < 0.9901 && Math.max(...factors) > 1.0099);
    await compute(device, [{ op: 'jitter', rows, dim, x, out, width: 0, ...draws }]);
    t.true(Array.from(device.read(out)).every((value) => value === 1));
    await device.close();
  });
}
