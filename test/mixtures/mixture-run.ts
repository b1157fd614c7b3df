import { inlineHasher } from '@troupe/checkpoint';
import { openReferenceDevice } from '@troupe/kernels';
import { refuseUnbuilt } from '@troupe/topology';
import {
  memoryStorage,
  openCheckpoint,
  simulate,
  startCluster,
  type CheckpointReader,
  type ClusterOptions,
  type GateRule,
  type RunEvent,
} from 'troupe';
import { isExact, isLegal, undivided, type Mixture } from './mixture.ts';
import { mixtureTokens, STEPS, topologyOf } from './mixture-topology.ts';

/** What a mixture computed: all that no layout may change. */
export interface MixtureNumbers {
  /** Of {@link lossesOf}. */
  readonly losses: readonly number[];
  /** How often experts went to other groups. */
  readonly moves: number;
  /** After a step: a moment of step 1 is its gradient, times what no layout changes. */
  readonly after: (step: number) => CheckpointReader;
}

/** What of a mixture does not run so far, in words; empty: all does. */
export const refusedOf = (mixture: Mixture): readonly string[] =>
  refuseUnbuilt(topologyOf(mixture)).map(({ key, value }) => `${key} ${JSON.stringify(value)}`);

/** A mixture with what runs so far in place of what does not; itself where all of it runs. */
export function builtPart(mixture: Mixture): Mixture {
  const refused = new Set(refuseUnbuilt(topologyOf(mixture)).map(({ key }) => key));
  const instead: Readonly<Record<string, Partial<Mixture>>> = {
    'train.recompute': { recompute: 'none' },
    'train.tensorSegments': { segments: 1 },
    'parallel.tp': { tp: 1 },
    'parallel.zero': { zero: 1 },
    'parallel.offload': { offload: 'none' },
    'parallel.pipeline': { pipeline: '1f1b' },
    'parallel.experts': { experts: 'contiguous' },
  };
  const built = [...refused].reduce((each, key) => ({ ...each, ...instead[key] }), mixture);
  return isLegal(built) ? built : { ...built, microbatches: 1 };
}

/** What a run is given beside its topology. Default: the tokens of mixtures, and the model's own router. */
export interface Given {
  readonly name: string;
  readonly tokens?: NonNullable<ClusterOptions['tokens']>;
  readonly gate?: GateRule;
}

/** Trains in this process. */
async function runMixture(mixture: Mixture, given: Given): Promise<MixtureNumbers> {
  const topology = topologyOf(mixture);
  const storage = memoryStorage();
  const cluster = await startCluster(topology, {
    tokens: given.tokens ?? mixtureTokens(topology.model),
    ...(given.gate === undefined ? {} : { gate: given.gate }),
    openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    checkpoints: { storage, folder: 'run', keep: STEPS, tokenizer: null, hasher: inlineHasher() },
  });
  const events: RunEvent[] = [];
  for await (const event of cluster.events()) events.push(event);
  const { error } = await cluster.result;
  if (error !== null) throw error;
  const readers = new Map(
    await Promise.all(
      [1, STEPS].map(async (step) => {
        const folder = `run/step-${String(step).padStart(6, '0')}`;
        const reader = await openCheckpoint(storage, folder, { hasher: inlineHasher(), verify: 'lazy' });
        return [step, reader] as const;
      }),
    ),
  );
  return {
    losses: lossesOf(events),
    moves: events.filter(({ event }) => event === 'experts').length,
    after: (step) => {
      const reader = readers.get(step);
      if (reader === undefined) throw new Error(`no checkpoint of step ${step}`);
      return reader;
    },
  };
}

/** Losses in a simulated cluster, on its own links. */
async function simulatedLosses(mixture: Mixture): Promise<readonly number[]> {
  const topology = topologyOf(mixture);
  const { events, result, violation } = await simulate(topology, {
    seed: 3,
    tokens: mixtureTokens(topology.model),
    openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
  });
  if (violation !== null) throw new Error(violation.text);
  if (result.error !== null) throw result.error;
  return lossesOf(events);
}

/** Losses and balance losses of every step, then the held-out loss. */
const lossesOf = (events: readonly RunEvent[]): readonly number[] =>
  events.flatMap((event) => {
    if (event.event === 'step') return [event.loss, event.auxLoss];
    return event.event === 'eval' ? [event.loss] : [];
  });

const known = new Map<string, Promise<MixtureNumbers>>();

/** What one process computes of the same model; trained once. */
function numbersAlone(mixture: Mixture, given: Given): Promise<MixtureNumbers> {
  const alone = { ...mixture, ...undivided };
  const key = JSON.stringify([given.name, alone]);
  const found = known.get(key) ?? runMixture(alone, given);
  known.set(key, found);
  return found;
}

/** A hash of every tensor of a checkpoint, by name and kind. */
const hashesOf = ({ manifest }: CheckpointReader): ReadonlyMap<string, string> =>
  new Map(manifest.tensors.map(({ name, group, sha256 }) => [`${name} ${group}`, sha256]));

/** Tensors of two checkpoints that differ in some bit, or that one of them lacks. */
function differing(a: CheckpointReader, b: CheckpointReader, step: number): readonly string[] {
  const [left, right] = [hashesOf(a), hashesOf(b)];
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((key) => left.get(key) !== right.get(key))
    .map((key) => `${key} after step ${step}`);
}

const largest = (values: Float32Array): number =>
  values.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, each) => sum + each * each, 0));
const minus = (a: Float32Array, b: Float32Array): Float32Array =>
  a.map((each, index) => each - (b[index] ?? 0));

/**
 * What is further from one process than tensor ranks without segments may be: losses 1e-5, a gradient 1e-5 of its tensor's largest value,
 * parameters after all steps a hundredth of what training moved them. In bf16 an operand whose last bit differs may be rounded the other way, by
 * 2^-8 of itself: there losses 1e-3, gradients 1e-2 (0.006 was seen), parameters a fifth (0.16 was seen).
 */
async function far(
  found: MixtureNumbers,
  expected: MixtureNumbers,
  { precision }: Pick<Mixture, 'precision'>,
): Promise<readonly string[]> {
  const [mostLoss, most, mostMoved] = precision === 'bf16' ? [1e-3, 1e-2, 2e-1] : [1e-5, 1e-5, 1e-2];
  const wrong = found.losses.flatMap((loss, index) => {
    const wanted = expected.losses[index] ?? Number.NaN;
    return Math.abs(loss - wanted) <= mostLoss * Math.abs(wanted)
      ? []
      : [`loss ${index}: ${loss} for ${wanted}`];
  });
  // A buffer has no moment to read a gradient from, and goes by whole steps, of which one choice that differs turns one around.
  for (const { name } of expected.after(1).manifest.tensors.filter(({ group }) => group === 'adam-m')) {
    const [gradient, same] = await Promise.all(
      [found, expected].map((each) => each.after(1).read(name, 'adam-m')),
    );
    const off = largest(minus(gradient!, same!)) / largest(same!);
    if (off > most) wrong.push(`gradient of ${name}: ${off}`);
    const [ours, theirs] = await Promise.all(
      [found, expected].map((each) => each.after(STEPS).read(name, 'weights')),
    );
    const moved = norm(minus(theirs!, await expected.after(1).read(name, 'weights')));
    const apart = norm(minus(ours!, theirs!)) / moved;
    if (apart > mostMoved) wrong.push(`${name} after ${STEPS} steps: ${apart}`);
  }
  return wrong;
}

/** Losses that differ in some bit. */
function otherLosses(found: readonly number[], expected: readonly number[]): readonly string[] {
  if (found.length !== expected.length) return [`${found.length} losses for ${expected.length}`];
  return found.flatMap((loss, index) =>
    Object.is(loss, expected[index]) ? [] : [`loss ${index}: ${loss} for ${expected[index]}`],
  );
}

/** Where a simulated cluster has other losses than the same cluster in this process. */
export async function simulatedDifferences(mixture: Mixture): Promise<readonly string[]> {
  const { losses } = await runMixture(mixture, { name: '' });
  return otherLosses(await simulatedLosses(mixture), losses).map((text) => `simulated: ${text}`);
}

/** How often experts go to other groups. */
export const movesIn = async (mixture: Mixture): Promise<number> =>
  (await runMixture(mixture, { name: '' })).moves;

/** Where a mixture's numbers are not those of one process; empty: nowhere. */
export async function differences(mixture: Mixture, given: Given = { name: '' }): Promise<readonly string[]> {
  const [found, expected] = [await runMixture(mixture, given), await numbersAlone(mixture, given)];
  if (!isExact(mixture)) return far(found, expected, mixture);
  return [
    ...otherLosses(found.losses, expected.losses),
    ...differing(found.after(1), expected.after(1), 1),
    ...differing(found.after(STEPS), expected.after(STEPS), STEPS),
  ];
}
