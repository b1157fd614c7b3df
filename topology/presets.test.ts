import {
  denseUnits,
  moeLayers,
  parameterCounts,
  trainingFlopsPerToken,
  type ModelConfig,
} from '@troupe/spec';
import test from 'ava';
import { loadTopology } from './load.ts';
import { planTopology } from './plan/plan.ts';
import { presetNames } from './read.ts';
import { refuseUnbuilt } from './unbuilt.ts';

const modelOf = (preset: string): ModelConfig => loadTopology(preset).model;

const billions = (count: number): string => (count / 1e9).toFixed(1);

/** As published, in billions: all, and active a token. */
const published: Readonly<Record<string, readonly [string, string]>> = {
  'deepseek-moe-16b': ['16.4', '2.8'],
  'olmoe-1b-7b': ['6.9', '1.3'],
  'mixtral-8x7b': ['46.7', '12.9'],
};

for (const [preset, counts] of Object.entries(published))
  test(`presets: ${preset} has the parameters that were published`, (t) => {
    const { total, active } = parameterCounts(modelOf(preset));
    t.deepEqual([billions(total), billions(active)], [...counts]);
    t.deepEqual(refuseUnbuilt(loadTopology(preset)), []);
  });

test('presets: deepseek-v3 has the 671 billion parameters that were published, 37 of them active', (t) => {
  const { total, active, lookup } = parameterCounts(modelOf('deepseek-v3'));
  t.is(Math.round(total / 1e9), 671);
  // Its publisher counts the head, and not the table of which a token takes a row: 36.6 in the notes on its weights.
  t.is(billions(active - lookup), '36.6');
  t.is(Math.round((active - lookup) / 1e9), 37);
  t.is(billions(active), '37.6');
});

for (const [experts, count] of Object.entries({ 32: '5.3', 64: '10.1', 128: '19.8' }))
  test(`presets: z-code-10b with ${experts} experts has the ${count} billion parameters that were published`, (t) => {
    const topology = loadTopology('z-code-10b', { set: [`model.moe.experts=${experts}`] });
    t.is(billions(parameterCounts(topology.model).total), count);
    t.is(moeLayers(topology.model).length, 18);
    const { memory, fits } = planTopology(topology);
    t.is(memory.length, 64);
    t.true(fits, 'in 40 GB a device');
    t.true(
      memory.every(({ own }) => own.host > 0),
      'the optimizer is on hosts',
    );
    t.deepEqual(refuseUnbuilt(topology, 'shapes'), []);
  });

test('presets: the tensors of a latent mixer are those of its checkpoint', (t) => {
  const attention = denseUnits(modelOf('deepseek-v3'))
    .flatMap(({ parameters }) => parameters)
    .filter(({ name }) => name.startsWith('model.layers.60.self_attn.'))
    .map(({ name, shape }) => [name.replace('model.layers.60.self_attn.', ''), ...shape]);
  t.deepEqual(attention, [
    ['q_a_proj.weight', 1536, 7168],
    ['kv_a_proj_with_mqa.weight', 512 + 64, 7168],
    ['q_a_layernorm.weight', 1536],
    ['kv_a_layernorm.weight', 512],
    ['q_b_proj.weight', 128 * (128 + 64), 1536],
    ['kv_b_proj.weight', 128 * (128 + 128), 512],
    ['o_proj.weight', 7168, 128 * 128],
  ]);
});

test('presets: a token of deepseek-v3 takes six operations an active weight, and its scores', (t) => {
  const model = modelOf('deepseek-v3');
  const { activeMatmul } = parameterCounts(model);
  const scores = 6 * 61 * 128 * (192 + 128) * 4096;
  t.is(trainingFlopsPerToken(model), 6 * activeMatmul + scores);
});

test('presets: deepseek-v3 is planned, and a launch refuses by name what is not built', (t) => {
  const topology = loadTopology('deepseek-v3');
  const { unbuilt, memory, flopsPerToken } = planTopology(topology);
  t.deepEqual(unbuilt.map(({ key }) => key).sort(), ['model.mla']);
  for (const use of ['launch', 'simulate', 'shapes'] as const)
    t.true(refuseUnbuilt(topology, use).some(({ key }) => key === 'model.mla'));
  t.is(memory.length, 16);
  t.true(memory.reduce((sum, { own }) => sum + own.device, 0) > 16 * 671e9);
  t.is(flopsPerToken, trainingFlopsPerToken(topology.model));
});

/** d, blocks, heads of arXiv:2402.07871, table 4, with expansion 64. */
const grid = {
  '3m': [256, 4, 4],
  '7m': [384, 4, 6],
  '13m': [512, 4, 8],
  '25m': [512, 8, 8],
  '49m': [640, 10, 10],
  '85m': [768, 12, 12],
} as const;

/** Parameters of blocks, without routers and norms, as the paper counts them: all, and those that a token uses. */
function paperCounts(model: ModelConfig): readonly [number, number] {
  const { expert } = parameterCounts(model);
  const attention = denseUnits(model)
    .filter(({ id }) => id.endsWith('/qkv') || id.endsWith('/out'))
    .reduce((sum, { size }) => sum + size, 0);
  const { experts = 1, topK = 1 } = model.moe ?? {};
  return [attention + expert, attention + (expert * topK) / experts];
}

for (const [size, [d, blocks, heads]] of Object.entries(grid))
  test(`presets: granular-${size} has d²(8E + 4) a block, 12 d² of them active, whatever the granularity`, (t) => {
    const model = modelOf(`granular-${size}`);
    t.like(model, { dModel: d, layers: blocks, heads, headDim: 64, seqLen: 256, init: { scale: 0.1 } });
    for (const G of [1, 2, 4, 8, 16]) {
      const set = [`model.moe.granularity=${G}`, `model.moe.experts=${64 * G}`, `model.moe.topK=${G}`];
      const other = loadTopology(`granular-${size}`, { set }).model;
      t.deepEqual(paperCounts(other), [d * d * (8 * 64 + 4) * blocks, 12 * d * d * blocks]);
    }
  });

test('presets: granular-3m has 135,266,304 parameters, 3,145,728 of them active', (t) => {
  t.deepEqual(paperCounts(modelOf('granular-3m')), [135_266_304, 3_145_728]);
});

/** Presets that are planned, and not launched: for latent attention, and for CUDA devices of several machines. */
const planned = ['deepseek-v3', 'z-code-10b'];

test('presets: all resolve, and are launched where what they need is built', (t) => {
  t.true(presetNames().length >= 12);
  for (const preset of presetNames()) {
    const refused = refuseUnbuilt(loadTopology(preset)).map(({ key }) => key);
    t.is(refused.length > 0, planned.includes(preset), `${preset}: ${refused.join(', ')}`);
  }
});
