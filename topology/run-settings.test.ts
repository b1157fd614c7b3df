import test from 'ava';
import { planTopology } from './plan/plan.ts';
import { resolveTopology } from './resolve.ts';
import type { ResolvedTopology } from './resolved.ts';
import { decidesNumbers, type RunSetting, type RunTable } from './run-settings.ts';
import { diffTrajectory } from './trajectory.ts';

/** What of a plan a setting of a run can change. */
type Figure = 'parameters' | 'work' | 'own memory' | 'papers’ memory' | 'traffic' | 'pipeline';

interface Decision {
  /** Another value, with what else it takes, over the topology below. */
  readonly set: readonly string[];
  /** Of a topology that has it already, where the one below has not what it is about. */
  readonly over?: readonly string[];
  /** What it changes. `work` is what MFU and an export are told of the model. */
  readonly changes: readonly Figure[];
}

const all: readonly Figure[] = ['own memory', 'papers’ memory', 'traffic', 'pipeline'];
const staged = ['parallel.pp=2', 'parallel.dp=4', 'parallel.ep=2', 'train.microbatches=4'];
const tensor = ['parallel.tp=2', 'parallel.dp=4', 'parallel.ep=2'];

/** A setting that is added to the schema does not compile until it is here, and the test below holds the plan to it. */
const decisions: RunTable<Decision> = {
  'parallel.dp': { set: ['parallel.dp=4', 'parallel.ep=2', 'parallel.pp=2'], changes: all },
  'parallel.ep': { set: ['parallel.ep=4'], changes: ['own memory', 'papers’ memory', 'traffic'] },
  'parallel.pp': { set: ['parallel.pp=2', 'parallel.dp=4', 'parallel.ep=2'], changes: all },
  'parallel.tp': { set: tensor, changes: ['own memory', 'papers’ memory', 'traffic'] },
  'parallel.zero': { set: ['parallel.zero=0'], changes: ['own memory', 'papers’ memory', 'traffic'] },
  'parallel.offload': {
    set: ['parallel.offload=optimizer'],
    over: ['parallel.zero=2'],
    changes: ['own memory', 'papers’ memory', 'traffic'],
  },
  'parallel.pipeline': {
    set: ['parallel.pipeline=gpipe'],
    over: staged,
    changes: ['own memory', 'pipeline'],
  },
  'parallel.chunks': {
    set: ['parallel.chunks=3'],
    over: [...staged, 'parallel.pipeline=interleaved'],
    changes: ['own memory', 'papers’ memory', 'traffic', 'pipeline'],
  },
  'parallel.stages': {
    set: ['parallel.stages=[2,4]'],
    over: staged,
    changes: ['own memory', 'papers’ memory', 'traffic', 'pipeline'],
  },
  'parallel.rankOrder': { set: ['parallel.rankOrder=edp-inner'], changes: ['traffic'] },
  'parallel.expertsSliced': {
    set: ['parallel.expertsSliced=false'],
    over: tensor,
    changes: ['own memory', 'papers’ memory', 'traffic'],
  },
  'parallel.experts': { set: ['parallel.experts=balanced'], changes: [] },
  'parallel.rebalanceEvery': { set: ['parallel.rebalanceEvery=7'], changes: [] },
  'train.steps': { set: ['train.steps=9'], changes: [] },
  'train.scheduleFrom': { set: ['train.scheduleFrom=1'], changes: [] },
  'train.batch': { set: ['train.batch=128'], changes: ['own memory', 'traffic', 'pipeline', 'work'] },
  'train.grains': { set: ['train.grains=32'], changes: ['own memory'] },
  'train.microbatches': { set: ['train.microbatches=2'], changes: ['own memory'] },
  'train.recompute': { set: ['train.recompute=layer'], changes: ['own memory', 'pipeline'] },
  'train.optimizer': { set: ['train.optimizer.lr=0.01'], changes: [] },
  'train.precision': { set: ['train.precision=bf16'], changes: ['own memory', 'traffic'] },
  'train.tensorSegments': { set: ['train.tensorSegments=2'], changes: ['own memory', 'traffic'] },
  'train.maxSkipped': { set: ['train.maxSkipped=3'], changes: [] },
  'train.labelSmoothing': { set: ['train.labelSmoothing=0.1'], changes: ['own memory'] },
  'train.seed': { set: ['train.seed=7'], changes: [] },
  'wire.dtype': { set: ['wire.dtype=bf16'], changes: ['own memory', 'traffic'] },
  'wire.security': { set: ['wire.security=none'], changes: [] },
  'wire.port': { set: ['wire.port=4000'], changes: [] },
  'wire.interface': { set: ['wire.interface=eth0'], changes: [] },
  'wire.fanout': { set: ['wire.fanout=2'], changes: ['traffic'] },
  'wire.chunkBytes': { set: ['wire.chunkBytes=1024'], changes: ['own memory'] },
};

// @ts-expect-error Property 'parallel.unheardOf' is missing
const noDecision: Readonly<Record<RunSetting | 'parallel.unheardOf', unknown>> = decisions;

const resolved = (set: readonly string[]): ResolvedTopology =>
  resolveTopology(
    {
      name: 'settings',
      model: {
        vocab: 512,
        layers: 6,
        dModel: 64,
        heads: 4,
        seqLen: 32,
        ffn: { dFf: 128 },
        moe: { every: 2, experts: 8 },
      },
      data: { synthetic: 'zipf' },
      train: { batch: 64, grains: 64 },
      parallel: { dp: 8, ep: 2 },
      // Two machines, so that it shows which way links go.
      machines: [0, 1].map((machine) => ({
        host: `h${machine}`,
        devices: ['cpu:0', 'cpu:1', 'cpu:2', 'cpu:3'],
      })),
    },
    { set },
  );

function figures(topology: ResolvedTopology): Readonly<Record<Figure, string>> {
  const { parameters, flopsPerToken, flopsPerStep, memory, traffic, pipeline } = planTopology(topology);
  return {
    parameters: JSON.stringify(parameters),
    work: JSON.stringify([flopsPerToken, flopsPerStep]),
    'own memory': JSON.stringify(memory.map(({ own }) => own)),
    'papers’ memory': JSON.stringify(memory.map(({ papers }) => papers)),
    traffic: JSON.stringify(traffic),
    pipeline: JSON.stringify({ ...pipeline, kind: null, chunks: null, microbatches: null }),
  };
}

for (const [setting, { set, over = [], changes }] of Object.entries(decisions) as [RunSetting, Decision][]) {
  test(`run settings: ${setting} changes ${changes.join(', ') || 'nothing'} of a plan`, (t) => {
    const [before, after] = [resolved(over), resolved([...over, ...set])];
    const [a, b] = [figures(before), figures(after)];
    const changed = (Object.keys(a) as Figure[]).filter((figure) => a[figure] !== b[figure]);
    t.deepEqual(changed.toSorted(), changes.toSorted());
  });

  test(`run settings: ${setting} ${decidesNumbers[setting] ? 'stays' : 'may change'} on resume`, (t) => {
    const others = new Set(set.map((each) => each.split('=')[0]?.split('.').slice(0, 2).join('.') ?? ''));
    const before = resolved(over);
    const found = diffTrajectory(before, resolved([...over, ...set])).map(({ key }) =>
      key.split('.').slice(0, 2).join('.'),
    );
    t.deepEqual(
      [...new Set(found)].toSorted(),
      [...others]
        .filter((key) => (decidesNumbers as Readonly<Record<string, boolean>>)[key] === true)
        .toSorted(),
    );
  });
}

test('run settings: a table without one of them does not compile', (t) => {
  t.is(Object.keys(noDecision).length, Object.keys(decidesNumbers).length);
});
