import { dropless, hasExperts, type CapacityConfig, type RouterConfig } from '@troupe/spec';
import { dataKinds } from './data-kinds.ts';
import { divisors, greatestCommonDivisor } from './nearest.ts';
import { MAX_WORLD } from './schema-fields.ts';
import { TOPOLOGY_VERSION, type TopologyValues } from './schema.ts';

/** Ids of the byte tokenizer: 256 bytes and the end of a document. */
export const BYTES_VOCAB = 257;

/** Logits of a tied head are sums of dModel products with the embedding: at 1 the first loss would be several times ln(vocab). */
const defaultEmbedding = ({ tiedHead, dModel }: TopologyValues['model']): number =>
  tiedHead ? 1 / Math.sqrt(dModel) : 1;

const defaultHeadDim = ({ mla, dModel, heads }: TopologyValues['model']): number =>
  mla === null ? Math.floor(dModel / heads) : mla.nopeDim + mla.ropeDim;

/** Width of an expert; whole where the rules hold. */
export const expertWidth = (
  dFf: number,
  { granularity, dExpert }: Pick<NonNullable<TopologyValues['model']['moe']>, 'granularity' | 'dExpert'>,
): number => dExpert ?? dFf / granularity;

/** Layers that have experts. */
export const layersWithExperts = (
  model: Pick<TopologyValues['model'], 'layers' | 'moe' | 'encoder'>,
): readonly number[] =>
  Array.from({ length: model.layers }, (_, layer) => layer).filter((layer) => hasExperts(model, layer));

type WrittenMoe = NonNullable<TopologyValues['model']['moe']>;

/** A number alone is the factor of training; that of evaluation is twice as much unless it is written. */
function fillCapacity(written: WrittenMoe['capacity']): CapacityConfig {
  const capacity = typeof written === 'number' ? { ...dropless, train: written } : written;
  const ofEvaluation = typeof written === 'number' ? undefined : written.eval;
  return { ...capacity, eval: ofEvaluation ?? 2 * capacity.train };
}

const whereNoneIsSaid = ({ kind }: Pick<RouterConfig, 'kind'>): RouterConfig['generate'] =>
  kind === 'expert-choice' ? 'thresholds' : 'refuse';

/** Thresholds are learned where they will be needed. */
const fillRouter = (router: WrittenMoe['router']) => ({
  ...router,
  generate: router.generate ?? whereNoneIsSaid(router),
});

function fillModel(model: TopologyValues['model']) {
  const { moe, encoder } = model;
  return {
    ...model,
    encoder: encoder === null ? null : { layers: encoder.layers, seqLen: encoder.seqLen ?? model.seqLen },
    moe:
      moe === null ? null : { ...moe, router: fillRouter(moe.router), capacity: fillCapacity(moe.capacity) },
    kvHeads: model.kvHeads ?? model.heads,
    headDim: model.headDim ?? defaultHeadDim(model),
    init: { ...model.init, embedding: model.init.embedding ?? defaultEmbedding(model) },
    ffn: { ...model.ffn, dFf: model.ffn.dFf ?? 4 * model.dModel },
  };
}

/** Of all pairs, in both directions. */
const translation: NonNullable<TopologyValues['data']['tasks']>[number] = {
  kind: 'translation',
  weight: 1,
  evaluate: true,
  temperature: 1,
};

function fillData(data: TopologyValues['data'], vocab: number) {
  const { tokenizer, holdout, ship, ...rest } = data;
  const from = dataKinds.some((kind) => rest[kind] !== undefined)
    ? rest
    : { ...rest, source: 'wordnet' as const };
  const tasks = rest.parallel === undefined ? {} : { tasks: rest.tasks ?? [translation] };
  const field = rest.jsonl === undefined ? {} : { field: rest.field ?? 'text' };
  // Synthetic tokens may be fewer than a tokenizer can have; then none reads this.
  const ids = tokenizer.vocab ?? (tokenizer.kind === 'bytes' ? BYTES_VOCAB : Math.max(BYTES_VOCAB, vocab));
  return { ...from, ...field, ...tasks, tokenizer: { ...tokenizer, vocab: ids }, holdout, ship };
}

/** Share of the steps in which wsd decays, as in arXiv:2405.18392. */
const DEFAULT_DECAY = 0.2;

/** Defaults of what one optimizer alone has: a manifest of any other is the one that it always was. */
function fillOptimizer(optimizer: TopologyValues['train']['optimizer']) {
  const { kind, momentum, nesterov, stepScale, relativeStep } = optimizer;
  switch (kind) {
    case 'adamw':
      return {};
    case 'sgd':
      return { momentum: momentum ?? 0.9, nesterov: nesterov ?? false };
    case 'adafactor':
      return { relativeStep: relativeStep ?? false };
    case 'muon':
      break;
  }
  return {
    momentum: momentum ?? 0.95,
    nesterov: nesterov ?? true,
    stepScale: stepScale ?? ('adamw' as const),
  };
}

function fillTrain(train: TopologyValues['train']) {
  const grains = train.grains ?? divisors(train.batch).findLast((each) => each <= 8) ?? 1;
  const { optimizer } = train;
  const lrMin = optimizer.lrMin ?? optimizer.lr / 10;
  // Only wsd has one: a manifest of any other schedule is the one that it always was.
  const decay = optimizer.schedule === 'wsd' ? { decay: optimizer.decay ?? DEFAULT_DECAY } : {};
  return { ...train, grains, optimizer: { ...optimizer, lrMin, ...decay, ...fillOptimizer(optimizer) } };
}

type WrittenMachines = NonNullable<TopologyValues['machines']>;

const devicesIn = (machines: WrittenMachines): number =>
  Array.isArray(machines)
    ? machines.reduce((sum, { devices }) => sum + devices.length, 0)
    : machines.count * machines.devices.length;

/** Machines keep the form in which they are written: those of a launcher have no names to write down. */
function fillMachines(machines: WrittenMachines, device: TopologyValues['device']) {
  if (Array.isArray(machines))
    return machines.map((machine) => ({ ...machine, body: machine.body ?? device }));
  const { body = device, min = machines.count, spares = 0 } = machines;
  return { ...machines, body, min, spares };
}

/** Replaces -1: the first free axis takes the devices that the others leave. */
function fillParallel(values: TopologyValues) {
  const { parallel, machines, model } = values;
  const axes = (['dp', 'pp', 'tp'] as const).map((name) => [name, parallel[name]] as const);
  const free = axes.find(([, size]) => size === -1)?.[0] ?? null;
  const fixed = axes.reduce((product, [, size]) => product * (size === -1 ? 1 : size), 1);
  const devices = machines === undefined ? fixed : devicesIn(machines);
  const left = Math.max(1, Math.floor(devices / fixed));
  const size = (name: 'dp' | 'pp' | 'tp'): number =>
    parallel[name] === -1 ? (name === free ? left : 1) : parallel[name];
  const dp = size('dp');
  const ep = parallel.ep === -1 ? greatestCommonDivisor(dp, model.moe?.experts ?? 1) : parallel.ep;
  const chunks = parallel.chunks ?? (parallel.pipeline === 'interleaved' ? 2 : 1);
  return { ...parallel, dp, ep, pp: size('pp'), tp: size('tp'), chunks };
}

/** Every key of a topology with its value, defaults that follow from other keys included. */
export type FilledTopology = ReturnType<typeof fillDefaults>;

/**
 * Fills the defaults that follow from other keys. Judges nothing: `rules.ts` does, on the result.
 *
 * The default of `grains` never looks at the layout, so that a changed layout keeps the numbers.
 */
export function fillDefaults(values: TopologyValues, fallbackName: string) {
  const name = values.name ?? fallbackName;
  const parallel = fillParallel(values);
  const world = Math.min(MAX_WORLD, parallel.dp * parallel.pp * parallel.tp);
  const machines = values.machines ?? [
    { host: 'localhost', devices: Array.from({ length: world }, (_, index) => `cpu:${index}`) },
  ];
  return {
    troupe: TOPOLOGY_VERSION as 1,
    name,
    model: fillModel(values.model),
    data: fillData(values.data, values.model.vocab),
    train: fillTrain(values.train),
    parallel,
    machines: fillMachines(machines, values.device),
    // A manifest of a run on this machine is the one that it always was.
    ...(values.launcher === undefined ? {} : { launcher: values.launcher }),
    device: values.device,
    placement: values.placement,
    checkpoint: { ...values.checkpoint, dir: values.checkpoint.dir ?? `runs/${name}` },
    metrics: values.metrics,
    wire: values.wire,
    links: values.links,
    faults: values.faults,
    recovery: values.recovery,
    eval: values.eval,
  };
}
