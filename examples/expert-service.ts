/**
 * One actor alone: the experts of a trained layer as a service over ZeroMQ, which another process asks: `node examples/dist/expert-service.js`.
 *
 * The service is a process of its own, with one expert actor and no trainer, stage or gate. It is the actor of a run over the same kernels,
 * so its outputs are those of training, bit for bit.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  connectExperts,
  fileStorage,
  latestCheckpoint,
  loadTopology,
  serveExperts,
  startCluster,
  type ServiceEndpoints,
} from 'troupe';
import type { ExampleOptions } from './quickstart-embedding.ts';

const SERVE = 'serve-experts';
const LAYER = 1;

/** The process that serves: it says where, and ends when its parent is gone. */
async function serve(folder: string): Promise<void> {
  const { checkpoint } = await latestCheckpoint(fileStorage(folder), 'run');
  if (checkpoint === null) throw new Error(`${folder} holds no checkpoint`);
  const { model } = loadTopology('tiny');
  const service = await serveExperts({
    model,
    layer: LAYER,
    weights: (name) => checkpoint.read(name, 'weights'),
  });
  await checkpoint.close();
  process.once('disconnect', () => void service.close());
  process.send?.(service.endpoints);
  const broken = await service.ended;
  if (broken !== null) throw broken;
}

/** Trains, and leaves a checkpoint in `folder`. */
async function train(folder: string, steps: number): Promise<void> {
  const checkpoints = { storage: fileStorage(folder), folder: 'run', keep: 1, tokenizer: null };
  const cluster = await startCluster(loadTopology('tiny'), { stopAfter: steps, checkpoints });
  const { error } = await cluster.result;
  if (error !== null) throw error;
}

async function ask(
  endpoints: ServiceEndpoints,
  print: (line: string) => void,
  inspect: (x_ND: Float32Array, experts_N: Int32Array, y_ND: Float32Array) => Promise<void>,
): Promise<void> {
  const { dim, experts } = endpoints;
  const client = await connectExperts({ endpoints });
  try {
    const experts_N = Int32Array.from({ length: 2 * experts }, (_, row) => row % experts);
    const x_ND = Float32Array.from({ length: experts_N.length * dim }, (_, i) => Math.sin(i));
    const y_ND = await client.forward(x_ND, experts_N);
    experts_N.forEach((expert, row) =>
      print(`row ${row} by expert ${expert}: ${y_ND.subarray(row * dim, row * dim + 3).join(', ')}, …`),
    );
    await inspect(x_ND, experts_N, y_ND);
  } finally {
    await client.close();
  }
}

/** @param inspect - sees the folder of the checkpoint, and rows with their experts and outputs */
export async function main({
  steps = 2,
  print = console.log,
  inspect = () => Promise.resolve(),
}: Pick<ExampleOptions, 'steps' | 'print'> & {
  readonly inspect?: (
    folder: string,
    x_ND: Float32Array,
    experts_N: Int32Array,
    y_ND: Float32Array,
  ) => Promise<void>;
} = {}): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-experts-'));
  let child: ChildProcess | null = null;
  try {
    await train(folder, steps);
    child = fork(fileURLToPath(import.meta.url), [SERVE, folder]);
    const forked = child;
    const ended = new Promise<number | null>((resolve) => forked.once('exit', (code) => resolve(code)));
    const endpoints = await Promise.race([
      new Promise<ServiceEndpoints>((resolve) =>
        forked.once('message', (message) => resolve(message as ServiceEndpoints)),
      ),
      ended.then((code): never => {
        throw new Error(`the service ended with ${code}`);
      }),
    ]);
    print(`process ${forked.pid} serves ${endpoints.experts} experts at ${endpoints.control}`);
    await ask(endpoints, print, (x_ND, experts_N, y_ND) => inspect(folder, x_ND, experts_N, y_ND));
    forked.disconnect();
    print(`the service left with exit code ${await ended}`);
  } finally {
    // A service ends with the connection to its parent.
    if (child?.connected === true) child.disconnect();
    await rm(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , mode, folder] = process.argv;
  await (mode === SERVE && folder !== undefined ? serve(folder) : main());
}
