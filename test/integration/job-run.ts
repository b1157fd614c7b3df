import {
  mountAgent,
  mountLead,
  mountWorker,
  messageKinds,
  messages,
  workerActors,
  type Job,
} from '@troupe/actors';
import { assert, silentLogger, type Address, type NodeId } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import { ActorSystem, Directory } from '@troupe/runtime';
import { MemoryStorage } from '@troupe/sim';
import { leadNode, type Layout, type ResolvedTopology } from '@troupe/topology';
import { createMemoryNetwork } from '@troupe/transport';
import { createCodec, type Message } from '@troupe/wire';
import { systemClock } from 'troupe';
import { tinyTokens } from './tiny-cluster.ts';

const clock = systemClock();
const codec = createCodec({ kinds: messageKinds });

/** A job of a topology over a layout that no topology file can ask for so far. */
export function jobOver(layout: Layout, { train, model, wire }: ResolvedTopology): Job {
  const deadline = 600_000;
  const { betas, eps, weightDecay, clip, lr } = train.optimizer;
  return {
    model,
    layout,
    precision: train.precision,
    rowFormat: wire.dtype,
    recompute: train.recompute,
    steps: train.steps,
    stopAfter: train.steps,
    seed: train.seed,
    optimizer: { kind: 'adamw', beta1: betas[0], beta2: betas[1], eps, weightDecay, clip },
    learningRate: () => lr,
    // An evaluation at the end waits until the last weights are everywhere.
    evaluateEvery: 0,
    evaluationSequences: tinyTokens.numEvalSequences,
    checkpointEvery: -1,
    first: { step: 0, adamClock: 0 },
    deadlines: {
      stepMs: deadline,
      loadMs: deadline,
      checkpointMs: deadline,
      joinMs: deadline,
      recoveryMs: deadline,
    },
    maxSkipped: 1,
    restartsFromBeginning: true,
  };
}

export interface JobRun {
  /** Of every step, then of the evaluation. */
  readonly losses: readonly number[];
  readonly workers: readonly ReturnType<typeof mountWorker>[];
}

/** Mounts a job's actors in this process, each where its layout says, and runs them to the end. */
export async function runJob(
  job: Job,
  openDevice: () => Promise<Device>,
  /** Sees every message that leaves a node. */
  { sent = () => {} }: { readonly sent?: (message: Message) => void } = {},
): Promise<JobRun> {
  const { layout } = job;
  const rooms = Array.from(layout.workers(), (worker) => ({ node: layout.nodeOf(worker), worker }));
  const network = createMemoryNetwork({ clock });
  const homes = new Map<Address, NodeId>(
    rooms.flatMap(({ worker, node }) => workerActors(job, worker).map((name) => [name, node] as const)),
  );
  const directory = (): Directory => new Directory((name) => homes.get(name) ?? leadNode);
  const systems: ActorSystem[] = [];
  const devices = await Promise.all(rooms.map(openDevice));
  return new Promise((resolve, reject) => {
    const begin = (node: NodeId): ActorSystem => {
      const system = new ActorSystem({
        node,
        transport: network.connect(node, 1),
        messages,
        codec: {
          ...codec,
          encodeMessage: (message, life) => (sent(message), codec.encodeMessage(message, life)),
        },
        clock,
        logger: silentLogger,
        directory: directory(),
        schedule: (run) => void setImmediate(run),
        onFailure: reject,
        onStuck: reject,
      });
      systems.push(system);
      return system;
    };
    const losses: number[] = [];
    const workers: ReturnType<typeof mountWorker>[] = [];
    const lead = begin(leadNode);
    const nodes = rooms.map((room) => ({ ...room, system: begin(room.node) }));
    const store = {
      storage: new MemoryStorage(),
      folder: '',
      keep: 1,
      topology: {},
      tokenizer: null,
      corpusSha256: null,
      resumeFrom: null,
    };
    for (let machine = 0; machine < layout.machines.count; machine++)
      mountAgent(lead, job, { machine, ...(machine === 0 ? { store } : {}) });
    mountLead(lead, job, {
      trainer: {
        report: (event) => {
          if (event.event === 'step' || event.event === 'eval') losses.push(event.loss);
        },
        finished: () => {
          for (const system of systems) system.stop();
          resolve({ losses, workers });
        },
        peakFlops: null,
        flopsPerToken: 1,
      },
      supervisor: {
        failed: ({ message }) => reject(new Error(message)),
        heartbeatMs: 60_000,
        silenceMs: 600_000,
        position: () => 'in a test',
        limit: { intensity: 0, periodMs: 1 },
        restartsAgents: false,
        restart: () => assert(false, 'nothing is lost'),
      },
    });
    nodes.forEach(({ worker, system }, index) => {
      const device = devices[index];
      assert(device, 'every process has a device', { worker });
      workers.push(mountWorker(system, job, { worker, device, tokens: tinyTokens }));
    });
    for (const system of systems) system.listen();
  });
}
