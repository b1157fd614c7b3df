// Times the products on real shapes and prints GFLOP/s and the share of the measured peak.
//
//   node kernels/native/bench-products.mjs [threads] [isa] [repetitions]
//
// fine: 64 experts, 4,096 rows in all (20 to 120 each), D 256, F 128. coarse: 4,096 tokens to 16 experts top-2 (512 rows each), D 256,
// F 512; dense products and a head of 8,192 words with 8 grains. Each case runs in f32 and in bf16, interleaved, with gradients that are
// stored as f32 ("sums": added to exact sums instead).
import { createRequire } from 'node:module';

const threads = Number(process.argv[2] ?? 2);
const isa = process.argv[3] ?? 'auto';
const repetitions = Number(process.argv[4] ?? 15);
const addon = createRequire(import.meta.url)('./build/troupe_native.node');
const queue = new addon.NativeQueue(threads, isa);
const peaks = { f32: addon.measurePeak(threads, false), bf16: addon.measurePeak(threads, true) };

const floats = (length, scale = 0.1) => {
  const array = new Float32Array(addon.allocate(length * 4));
  const [, message] = queue.run([
    { op: 'fill', out: array, kind: 'uniform', scale, key: [1, length], firstIndex: 0 },
  ]);
  if (message) throw new Error(message);
  return array;
};
const halves = (length) => new Uint16Array(addon.allocate(length * 2));
const sum = (length) => ({
  values: new BigInt64Array(addon.allocate(length * 8)),
  overflow: new Int32Array(1),
});
const stored = (length) => ({ gradient: floats(length), overflow: new Int32Array(1) });

const cases = [];
/** The calls as they are, and in bf16, where pre-activations are stored as halves. */
const add = (name, flops, calls) => {
  const inBf16 = calls.map((call) => ({
    ...call,
    precision: 'bf16',
    ...('saved' in call ? { saved: halves(call.saved.length) } : {}),
  }));
  // Both directions of the experts share what the forward one saves.
  const saved = inBf16.find((call) => 'saved' in call)?.saved;
  if (saved) for (const call of inBf16) if ('saved' in call) call.saved = saved;
  cases.push({ name, flops, precision: 'f32', calls, samples: [] });
  cases.push({ name: `${name}, bf16`, flops, precision: 'bf16', calls: inBf16, samples: [] });
};

function experts(name, rowsOf, dim, hidden, activation, grains, numTokens) {
  const inputs = activation === 'swiglu' ? 2 : 1;
  const rows = rowsOf.reduce((a, b) => a + b, 0);
  const stride = (inputs + 1) * dim * hidden;
  const counts_EG = Int32Array.from(
    rowsOf.flatMap((n) =>
      Array.from(
        { length: grains },
        (_, g) => Math.floor(((g + 1) * n) / grains) - Math.floor((g * n) / grains),
      ),
    ),
  );
  const slots_N = Int32Array.from({ length: rows }, (_, i) => (i * 2_654_435_761) % numTokens);
  const common = {
    experts: rowsOf.length,
    dim,
    hidden,
    activation,
    weights: floats(rowsOf.length * stride),
    expertStride: stride,
    saved: floats(rows * inputs * hidden),
  };
  const source = { x_UD: floats(numTokens * dim), slots_N, counts_EG, numGrains: grains };
  const forward = { op: 'experts.forward', ...common, sources: [{ ...source, y_ND: floats(rows * dim) }] };
  const backward = {
    op: 'experts.backward',
    ...common,
    sources: [
      { ...source, dOut_UD: floats(numTokens * dim), rowWeights_N: floats(rows), dx_ND: floats(rows * dim) },
    ],
    weightSum: stored(rowsOf.length * stride),
  };
  const added = { ...backward, weightSum: sum(rowsOf.length * stride) };
  const flops = 2 * rows * dim * hidden * (inputs + 1);
  add(`${name} forward`, flops, [forward]);
  add(`${name} backward`, 2 * flops, [backward]);
  add(`${name} both`, 3 * flops, [forward, backward]);
  add(`${name} both, sums`, 3 * flops, [forward, added]);
}

const fine = [
  67, 48, 39, 91, 99, 95, 61, 108, 61, 112, 48, 93, 58, 20, 48, 83, 70, 111, 84, 39, 48, 68, 71, 20, 24, 41,
  56, 27, 20, 85, 24, 62, 44, 77, 111, 37, 29, 20, 57, 23, 98, 50, 108, 102, 73, 45, 52, 48, 67, 109, 73, 78,
  105, 98, 66, 53, 113, 46, 26, 49, 76, 88, 33, 61,
];
experts('fine, 1 grain, gelu-tanh', fine, 256, 128, 'gelu-tanh', 1, 4096);
experts('fine, 8 grains, swiglu', fine, 256, 128, 'swiglu', 8, 4096);
experts(
  'coarse, 8 grains, swiglu',
  Array.from({ length: 16 }, () => 512),
  256,
  512,
  'swiglu',
  8,
  4096,
);
experts(
  'coarse skewed',
  [4096, ...Array.from({ length: 15 }, (_, i) => 273 + (i === 0 ? 1 : 0))],
  256,
  512,
  'swiglu',
  8,
  4096,
);
experts('dense FFN', [4096], 256, 1024, 'swiglu', 8, 4096);

const [T, D] = [4096, 256];
const grainStarts = Int32Array.from({ length: 9 }, (_, g) => g * 512);
for (const N of [256, 768]) {
  const x = { data: floats(T * D) };
  const y = { data: floats(T * N) };
  const weight = floats(N * D);
  const shape = { rows: T, inDim: D, outDim: N };
  add(`linear forward ${D}→${N}`, 2 * T * D * N, [{ op: 'linear.forward', ...shape, x, weight, out: y }]);
  add(`linear input ${D}→${N}`, 2 * T * D * N, [
    { op: 'linear.backward.input', ...shape, dOut: y, weight, dx: x },
  ]);
  add(`linear weight ${D}→${N}`, 2 * T * D * N, [
    {
      op: 'linear.backward.weight',
      ...shape,
      dOut: { data: floats(T * N) },
      x: { data: floats(T * D) },
      grainStarts,
      weightSum: stored(N * D),
    },
  ]);
}
{
  const vocab = 8192;
  const targets_T = Int32Array.from({ length: T }, (_, t) => (t * 37) % vocab);
  const common = {
    op: 'head.loss',
    tokens: T,
    dim: D,
    vocab,
    x_TD: floats(T * D),
    head_VD: floats(vocab * D),
    targets_T,
    grainStarts,
    loss_T: floats(T),
    lossSum: new BigInt64Array(2),
  };
  add('head loss only', 2 * T * D * vocab, [common]);
  add('head with gradients', 6 * T * D * vocab, [
    { ...common, gradScale: 1 / T, dx_TD: floats(T * D), headSum: stored(vocab * D) },
  ]);
}

for (let i = 0; i < repetitions + 2; i++) {
  for (const c of cases) {
    const [code, message, ms] = queue.run(c.calls);
    if (code) throw new Error(message);
    if (i >= 2) c.samples.push(ms);
  }
}
console.log(
  `${queue.isa}, ${threads} threads, peak ${(peaks.f32 / 1e9).toFixed(0)} GFLOP/s f32, ${(peaks.bf16 / 1e9).toFixed(0)} bf16, copy ${(addon.measureBandwidth(threads) / 1e9).toFixed(1)} GB/s`,
);
for (const { name, flops, precision, samples } of cases) {
  samples.sort((a, b) => a - b);
  const median = samples[samples.length >> 1];
  const rate = flops / samples[0] / 1e6;
  console.log(
    `${name.padEnd(42)} min ${samples[0].toFixed(2).padStart(8)} ms  median ${median.toFixed(2).padStart(8)} ms  ${rate.toFixed(0).padStart(5)} GFLOP/s  ${((100e9 * rate) / peaks[precision]).toFixed(0).padStart(3)} %`,
  );
}
