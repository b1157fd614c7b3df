import test from 'ava';
import { activationBytes, f32Memory, lonelyElements, mixedPrecisionMemory, visitShare } from './index.ts';
import type { MemoryLayout, ModelConfig } from './index.ts';

const layout = (over: Partial<MemoryLayout>): MemoryLayout => ({
  dense: 0,
  expert: 0,
  dp: 1,
  ep: 1,
  tp: 1,
  zero: 0,
  offload: 'none',
  ...over,
});

const z = { dense: 1e9, expert: 8e9, ep: 8, dp: 16 };

// Figures of arXiv:2109.10465 and DeepSpeed's documentation, bytes of one rank.
const checks: readonly (readonly [string, Partial<MemoryLayout>, number, number])[] = [
  ['E+D, 1B dense and 8B experts', z, 32.0e9, 0],
  ['E+Z stage 2', { ...z, zero: 2 }, 11.875e9, 0],
  ['E+Z-Off', { ...z, zero: 2, offload: 'optimizer' }, 4.0e9, 14 * (1e9 / 16 + 8e9 / 16)],
  ['E+Z stage 1', { ...z, zero: 1 }, 4e9 + 12e9 / 16 + 4e9 + (12 * 8e9) / 16, 0],
  ['E+Z stage 3', { ...z, zero: 3 }, 16 * (1e9 / 16 + 8e9 / 16), 0],
  ['400B experts over 512', { expert: 400e9, ep: 512, dp: 512 }, 12.5e9, 0],
  [
    '3.5T experts over 512, offloaded',
    { expert: 3.5e12, ep: 512, dp: 512, offload: 'optimizer' },
    13.671875e9,
    (14 * 3.5e12) / 512,
  ],
  [
    '400B experts over 64, offloaded',
    { expert: 400e9, ep: 64, dp: 64, offload: 'optimizer' },
    12.5e9,
    (14 * 400e9) / 64,
  ],
  ['15B dense, offloaded', { dense: 15e9, offload: 'optimizer' }, 30e9, 14 * 15e9],
  ['1.4B dense', { dense: 1.4e9 }, 22.4e9, 0],
  ['E+D+M, experts sliced', { ...z, tp: 4 }, 8e9, 0],
  ['E+D+M, experts whole', { ...z, tp: 4, expertsSliced: false }, 4e9 + 16e9, 0],
  ['E+Z+M', { ...z, tp: 4, zero: 2 }, 11.875e9 / 4, 0],
];

for (const [name, over, device, host] of checks) {
  test(`mixedPrecisionMemory: ${name}`, (t) => {
    const bytes = mixedPrecisionMemory(layout(over));
    t.true(Math.abs(bytes.device - device) < 1, `${bytes.device}`);
    t.true(Math.abs(bytes.host - host) < 1, `${bytes.host}`);
  });
}

test('mixedPrecisionMemory: 3.5T parameters need 766 GB of host memory per node of 8', (t) => {
  const { host } = mixedPrecisionMemory(layout({ expert: 3.5e12, ep: 512, dp: 512, offload: 'optimizer' }));
  t.is(Math.round((host * 8) / 1e9), 766);
});

test('f32Memory: 24 bytes a parameter replicated, moments and buddies sharded from stage 1', (t) => {
  const whole = f32Memory(layout({ dense: 1000, dp: 4 }), { activations: 0, buddies: true, microbatches: 1 });
  t.is(whole.device, 24_000);
  const sharded = f32Memory(layout({ dense: 1000, expert: 800, dp: 4, ep: 2, zero: 1 }), {
    activations: 50,
    buddies: true,
    microbatches: 2,
  });
  t.deepEqual(sharded, {
    weights: 8 * 1400,
    gradients: 8 * 1400,
    moments: 8 * 450,
    buddies: 20 * 450,
    activations: 50,
    host: 0,
    device: 16 * 1400 + 28 * 450 + 50,
  });
  t.is(
    f32Memory(layout({ dense: 1000, dp: 4, zero: 1 }), { activations: 0, buddies: false, microbatches: 1 })
      .buddies,
    0,
  );
  const off = f32Memory(layout({ dense: 1000, dp: 4, zero: 1, offload: 'optimizer' }), {
    activations: 0,
    buddies: false,
    microbatches: 1,
  });
  t.is(off.host, 2000);
  t.is(off.device, 16_000);
});

test('f32Memory: gradients that one call finishes and weights of a rank that is alone take 4 bytes', (t) => {
  const of = (changes: Parameters<typeof layout>[0], microbatches: number) =>
    f32Memory(layout({ dense: 1000, expert: 800, ...changes }), {
      activations: 0,
      buddies: false,
      microbatches,
    });
  t.is(of({ dp: 1 }, 1).device, 16 * 1800);
  t.is(of({ dp: 1 }, 2).device, 20 * 1800);
  // Experts that one rank holds have no peers, dense parameters have.
  t.is(of({ dp: 2, ep: 2 }, 1).gradients, 8 * 1000 + 4 * 400);
  t.is(of({ dp: 4, ep: 2 }, 1).gradients, 8 * 1400);
});

test('activationBytes: counts each kept value of a dense and an MoE layer', (t) => {
  const model: ModelConfig = {
    vocab: 300,
    layers: 2,
    dModel: 8,
    heads: 2,
    kvHeads: 1,
    headDim: 4,
    seqLen: 4,
    norm: { kind: 'rms', eps: 1e-5 },
    qkNorm: 'none',
    rope: { theta: 1e4 },
    tiedHead: false,
    init: { scale: 1, embedding: 1 },
    ffn: { activation: 'swiglu', dFf: 16 },
    moe: {
      every: 2,
      experts: 4,
      topK: 2,
      dExpert: 8,
      sharedExperts: 1,
      router: { kind: 'token-choice', scores: 'softmax' },
      capacity: 0,
      renormalise: true,
      choice: 'learned',
      balance: { auxLoss: 0, zLoss: 0, scope: 'sequence', layers: 'each', bias: 0 },
    },
  };
  const attention = 4 * 8 + (8 + 4 + 4) + 8;
  t.is(activationBytes(model, 1, [0]), 4 * (attention + 2 * 16));
  t.is(activationBytes(model, 3, [1]), 3 * 4 * (attention + 2 * 4 + 2 * (16 + 16) + 16));
  // The first norm's output and the pre-activations at two bytes.
  t.is(activationBytes(model, 1, [0], 'bf16'), 4 * attention - 2 * 8 + 2 * 2 * 16);
});

test('visitShare: equals the share found by enumerating pairs of experts', (t) => {
  let visited = 0;
  let pairs = 0;
  for (let a = 0; a < 6; a++) {
    for (let b = a + 1; b < 6; b++) {
      pairs++;
      if (a < 2) visited++;
    }
  }
  t.true(Math.abs(visitShare(6, 2, 2) - visited / pairs) < 1e-15);
  t.is(visitShare(8, 8, 2), 1);
  t.is(visitShare(8, 2, 1), 0.25);
});

test('lonelyElements: what no other rank holds', (t) => {
  const of = (changes: Parameters<typeof layout>[0]) =>
    lonelyElements(layout({ dense: 1000, expert: 800, ...changes }));
  t.deepEqual(of({ zero: 1 }), { dense: 0, expert: 0 }, 'one rank has nobody to keep it');
  t.deepEqual(of({ dp: 4, ep: 2, zero: 1 }), { dense: 250, expert: 200 });
  t.deepEqual(of({ dp: 4, ep: 2, zero: 0 }), { dense: 0, expert: 0 });
  t.deepEqual(of({ dp: 4, ep: 4, zero: 0 }), { dense: 0, expert: 200 }, 'experts with edp 1');
});
