/** A program of somebody who embeds Troupe: compiled, never run, with the types of the one package `troupe` and nothing else. */
import {
  fileStorage,
  latestCheckpoint,
  loadTokenizer,
  loadTopology,
  MemoryStorage,
  openRun,
  openSimulator,
  prng,
  readHuggingFace,
  silentLogger,
  startCluster,
  tfjsExpert,
  TroupeError,
  UserCodeError,
  writeHuggingFace,
  type ActorView,
  type Cluster,
  type ClusterOptions,
  type ExpertRule,
  type GateRule,
  type RunEvent,
  type StepEvent,
  type TokenSource,
} from 'troupe';
import { launch, type LaunchOptions } from 'troupe/launch';

const gate: GateRule = {
  name: 'first',
  choose: (_logits, { tokens, topK, experts }) =>
    Int32Array.from({ length: tokens * topK }, (_, index) => index % experts),
};

const expert: ExpertRule = { name: 'same', forward: (call) => [call], backward: (call) => [call] };

export const layer = tfjsExpert({
  name: 'layer',
  module: import.meta.url,
  parameters: ({ dim, hidden }) => ({ up: { shape: [hidden, dim] }, down: { shape: [dim, hidden] } }),
  create:
    (tf) =>
    (x, { up, down }) =>
      tf.matMul(tf.mul(tf.relu(tf.matMul(x, up, false, true)), 2), down, false, true),
});

/** Sequences that come from somewhere else, such as a database. */
export const remote = (fetchBatch: (step: number, first: number) => Promise<Int32Array>): TokenSource => ({
  trainBatch: async (step, first, count) => {
    const ids_T = await fetchBatch(step, first);
    const targets_T = ids_T.map((_, index) => ids_T[index + 1] ?? -1);
    return {
      ids_T,
      targets_T,
      firstSeen_T: new Int32Array(ids_T.length),
      valid_T: new Uint8Array(ids_T.length).fill(1, 0, count),
    };
  },
  evalBatch: () => {
    throw new Error('no held-out sequences');
  },
});

async function* documents(): AsyncGenerator<string> {
  yield 'a text';
}

export async function program(): Promise<number> {
  const topology = loadTopology('tiny', { set: ['train.steps=3'] });
  const storage = new MemoryStorage();
  const options: ClusterOptions = {
    stopAfter: 3,
    gate,
    expert,
    documents: documents(),
    checkpoints: { storage, folder: 'run', keep: 2, tokenizer: null },
    logger: silentLogger,
    sink: (event: RunEvent) => event.event,
    observe: ({ address, stateAfter }) => `${address} ${stateAfter}`,
  };
  const cluster: Cluster = await startCluster(topology, options);
  const stop = cluster.actors().map((actor: ActorView) => actor.subscribe(({ event }) => event.type));
  const losses: number[] = [];
  const see = ({ loss }: StepEvent): unknown => losses.push(loss);
  for await (const step of cluster.steps()) see(step);
  for (const each of stop) each();
  const { error } = await cluster.result;
  if (error instanceof UserCodeError) throw error.cause;
  if (error instanceof TroupeError) throw error;
  const { checkpoint } = await latestCheckpoint(storage, 'run');
  const source = checkpoint;
  if (source !== null)
    await writeHuggingFace(fileStorage('.'), 'exported', topology.model, (name) =>
      source.read(name, 'weights'),
    );
  const { config } = await readHuggingFace(fileStorage('.'), 'exported');
  const run = await openRun('runs/tiny', { set: ['eval.every=1'] });
  const tokenizer = loadTokenizer(
    JSON.parse(new TextDecoder().decode((await run.checkpoint.tokenizer()) ?? undefined)),
  );
  const simulator = await openSimulator(topology);
  const { traceHash } = await simulator.run({ seed: 1, steps: 1, faults: 'swarm' });
  return (
    losses.length +
    config.layers +
    tokenizer.vocabSize +
    traceHash.length +
    prng({ seed: 1, purpose: 'x' }).uniform(0)
  );
}

export async function launched(): Promise<number> {
  const options: LaunchOptions = {
    checkpoints: null,
    report: (event) => event.event,
    logLevel: 'silent',
    peakFlops: null,
  };
  return (await (await launch(loadTopology('tiny'), options)).result).exitCode;
}
