import { constants } from 'node:buffer';
import { totalmem } from 'node:os';
import { parameterCounts } from '@troupe/spec';
import {
  createPlacement,
  formatBytes,
  planMemory,
  type DeviceMemory,
  type ResolvedTopology,
} from '@troupe/topology';
import { MachineMemoryError } from './errors.ts';

/** Memory that the processes of a run can share. */
export interface MachineMemory {
  readonly bytes: number;
  /** The limit of a control group (a container, a batch system), not the machine's own. */
  readonly isLimit: boolean;
}

/** @param limit - of the control group, as Node reports it: 0, or more than the machine has, when there is no limit */
export const memoryOf = (total: number, limit: number): MachineMemory =>
  limit > 0 && limit < total ? { bytes: limit, isLimit: true } : { bytes: total, isLimit: false };

export const machineMemory = (): MachineMemory => memoryOf(totalmem(), process.constrainedMemory());

/** What is about to be done with a topology, and what helps when there is no room for it. */
const uses = {
  launch: {
    where: (workers: number) => `${workers} worker processes`,
    hint: 'use a smaller model, batch or parallel.dp',
  },
  embed: {
    where: (workers: number) => `${workers} replicas in this process`,
    hint: 'use a smaller model, batch or parallel.dp',
  },
  simulate: {
    where: (workers: number) => `${workers} replicas in this process`,
    hint: 'simulate it without arithmetic: --shapes-only',
  },
} as const;

/** Elements of the longest array of a device: all that it holds of the parameters lies in one. */
const longest = ({ own }: DeviceMemory, isAlone: boolean): number => own.weights / (isAlone ? 4 : 8);

/**
 * Refuses a topology that this machine has no room for, before anything of it is allocated: what `plan` knows (weights, gradients, moments,
 * activations at even load) against the memory of the machine or its control group.
 *
 * @throws {MachineMemoryError} TROUPE_MACHINE_MEMORY with both figures
 */
export function mustFit(topology: ResolvedTopology, use: keyof typeof uses, machine = machineMemory()): void {
  const memory = planMemory(topology, createPlacement(topology));
  const needed = memory.reduce((sum, { own }) => sum + own.device + own.host, 0);
  const { where, hint } = uses[use];
  refuse(needed, machine, `in ${where(memory.length)} (\`troupe plan\` shows where it goes)`, hint);
  const elements = Math.max(...memory.map((each) => longest(each, topology.parallel.dp === 1)));
  if (elements > constants.MAX_LENGTH)
    throw new MachineMemoryError(
      `a worker would hold ${elements} parameters in one array, and one has at most ${constants.MAX_LENGTH} elements in Node ${process.version}`,
      hint,
      { elements, elementsMax: constants.MAX_LENGTH },
    );
}

/**
 * The same for the weights of a model alone, which is what evaluation and generation hold.
 *
 * @throws {MachineMemoryError} TROUPE_MACHINE_MEMORY
 */
export function weightsMustFit({ model }: ResolvedTopology, machine = machineMemory()): void {
  refuse(
    4 * parameterCounts(model).total,
    machine,
    'for its weights alone',
    'use a machine with more memory',
  );
}

function refuse(needed: number, machine: MachineMemory, what: string, hint: string): void {
  if (needed <= machine.bytes) return;
  const limit = machine.isLimit ? ' (the limit of its control group)' : '';
  throw new MachineMemoryError(
    `this topology needs about ${formatBytes(needed)} of memory ${what}; this machine has ${formatBytes(machine.bytes)}${limit}`,
    hint,
    { neededBytes: needed, machineBytes: machine.bytes },
  );
}
