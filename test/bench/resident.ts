import { readFileSync } from 'node:fs';
import { parameterCounts } from '@troupe/spec';
import { planTopology, resolveTopology, type ResolvedTopology, type TopologyInput } from '@troupe/topology';
import { openSimulator } from 'troupe';
import { launch } from 'troupe/launch';

const MEBIBYTE = 2 ** 20;

/** A process of a run: what plan says, what its device allocates, and what is resident of it. */
export interface ResidentRow {
  readonly mixture: string;
  readonly node: string;
  readonly plannedMiB: number;
  readonly allocatedMiB: number;
  /** Of the process in the middle of training, less that of one whose model is tiny. */
  readonly residentMiB: number;
}

export interface ResidentTable {
  readonly parameters: number;
  readonly rows: readonly ResidentRow[];
}

const mixtures: Readonly<Record<string, Partial<TopologyInput>>> = {
  f32: {},
  bf16: { train: { precision: 'bf16' } },
  'f32, offload': { parallel: { offload: 'optimizer' } },
  'bf16, offload': { parallel: { offload: 'optimizer' }, train: { precision: 'bf16' } },
};

/** 65 million parameters, of which few tokens use little beside; `small`: as many as show that it runs. */
function topologyOf(size: 'small' | 'full' | 'empty', over: Partial<TopologyInput>): ResolvedTopology {
  const dModel = size === 'full' ? 512 : 32;
  return resolveTopology({
    model: {
      vocab: size === 'full' ? 8192 : 300,
      layers: 4,
      dModel,
      heads: 8,
      seqLen: 64,
      ffn: { kind: 'swiglu', dFf: 2 * dModel },
      moe: { every: 2, experts: 16, topK: 2 },
    },
    data: { synthetic: 'zipf', holdout: 0 },
    checkpoint: { every: 0 },
    ...over,
    train: { batch: 2, grains: 2, steps: 1000, ...over.train },
  });
}

/** Resident bytes of a process. */
function residentOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/u.exec(status)?.[1] ?? 0) * 1024;
}

/**
 * Trains some steps in processes of their own; the least that was resident of each in the second half of them. In the first V8's heap grows
 * to what it keeps (its young generation from 1 to 32 MiB), in a tiny process over more steps than in one that is given much memory at once.
 */
async function residents(topology: ResolvedTopology, steps: number): Promise<readonly number[]> {
  const least: number[] = [];
  const run = await launch(topology, {
    stopAfter: steps,
    checkpoints: null,
    report: (event) => {
      if (event.event !== 'step' || event.step <= steps / 2) return;
      for (const [rank, pid] of run.workerPids.entries())
        least[rank] = Math.min(least[rank] ?? Number.POSITIVE_INFINITY, residentOf(pid));
    },
    logLevel: 'silent',
    peakFlops: null,
  });
  const { error } = await run.result;
  if (error !== null) throw error;
  return least;
}

/** Sets plan, allocations and resident memory of processes side by side. */
export async function benchResident({ size }: { readonly size: 'small' | 'full' }): Promise<ResidentTable> {
  const rows: ResidentRow[] = [];
  const [steps, emptySteps] = size === 'full' ? [20, 150] : [4, 4];
  for (const [mixture, over] of Object.entries(mixtures)) {
    const topology = topologyOf(size, over);
    const simulator = await openSimulator(topology, { shapesOnly: true });
    const { memory } = await simulator.run({ seed: 1, steps: 2, faults: [] });
    const planned = planTopology(topology).memory;
    const hosts = planned.reduce((sum, { own }) => sum + own.host, 0);
    const [own, empty] = [
      await residents(topology, steps),
      await residents(topologyOf('empty', over), emptySteps),
    ];
    memory.forEach(({ node, bytes }, rank) => {
      rows.push({
        mixture,
        node,
        plannedMiB: (planned[rank]?.own.device ?? hosts) / MEBIBYTE,
        allocatedMiB: bytes / MEBIBYTE,
        residentMiB: ((own[rank] ?? 0) - (empty[rank] ?? 0)) / MEBIBYTE,
      });
    });
  }
  return { parameters: parameterCounts(topologyOf(size, {}).model).total, rows };
}

export function formatResident({ parameters, rows }: ResidentTable): string {
  return [
    `A model of ${(parameters / 1e6).toFixed(1)} M parameters, one device. Planned and allocated: bytes of arrays of the device, or of the host. Resident: VmRSS of the process in training, the least of the second half of 20 steps, less that of a process whose model is tiny (of 150 steps, so that its heap has grown as far); beside the arrays it holds scratch memory of kernels, and frames on their way or kept by malloc for the next ones (on a device whose optimizer is on a host only those below 1.5 MiB).`,
    '',
    '| mixture | process | planned MiB | allocated MiB | resident MiB | of planned |',
    '|---|---|---|---|---|---|',
    ...rows.map(({ mixture, node, plannedMiB, allocatedMiB, residentMiB }) => {
      const figures = [plannedMiB, allocatedMiB, residentMiB].map((each) => each.toFixed(1)).join(' | ');
      return `| ${mixture} | ${node} | ${figures} | ${(residentMiB / plannedMiB).toFixed(3)} |`;
    }),
  ].join('\n');
}
