import { LauncherError } from '../errors.ts';
import { slurmNodes } from './slurm-node-list.ts';

/** Variables of a process, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a person says of a process; each stands above the environment. */
export interface SaidPlace {
  /** Position of this machine, from 0. */
  readonly rank?: number;
  /** Machines of the run. */
  readonly size?: number;
  /** Host of machine 0, as the others reach it. */
  readonly lead?: string;
}

/** Where a process of a run stands among the machines. */
export interface MachinePlace {
  /** Position of this machine, from 0. */
  readonly rank: number;
  /** Machines of the run. */
  readonly size: number;
  /** Host of machine 0, as the others reach it. */
  readonly lead: string;
  /** False for the further tasks of a machine, which leave at once: an agent serves all devices of its machine. */
  readonly isAgent: boolean;
  /** How all this was found, a line for people. */
  readonly says: string;
}

/** What one system says; it need not say everything. */
interface Facts {
  readonly source: string;
  /** Whether a further task of the machine reads this. */
  readonly isFurther?: boolean;
  readonly rank?: Fact<number> | undefined;
  readonly size?: Fact<number> | undefined;
  readonly lead?: Fact<string> | undefined;
}

/** A value, and the variable or flag that holds it. */
interface Fact<T> {
  readonly value: T;
  readonly from: string;
}

/**
 * Finds which machine of a run this process is on, from what the system that started it left in the environment.
 *
 * Slurm, Kubernetes, Open MPI, PyTorch's launchers and SkyPilot are read, all that are there. Whatever two of them say must be the same,
 * and together they must say everything; otherwise it is an error with both values or with what is missing. Nothing is ever guessed: a
 * process that takes itself for the only one trains alone, in silence. `SLURM_LAUNCH_NODE_IPADDR` is not read: it is where srun ran.
 *
 * @throws {LauncherError} TROUPE_LAUNCHER
 */
export function rankFromEnvironment(env: Environment, said: SaidPlace = {}): MachinePlace {
  const systems = readers.map((read) => read(env)).filter((each) => each !== null);
  const rank = agreed('rank', said, systems);
  const size = agreed('size', said, systems);
  const lead = agreed('lead', said, systems);
  if (rank.value >= size.value)
    throw new LauncherError(
      `${rank.from} says machine ${rank.value}, and ${size.from} only ${size.value} machines, the first of which is 0`,
    );
  const further = systems.find(({ isFurther }) => isFurther === true);
  const how = [...new Set([rank.from, size.from, lead.from])].join(', ');
  return {
    rank: rank.value,
    size: size.value,
    lead: lead.value,
    isAgent: further === undefined,
    says: `machine ${rank.value} of ${size.value}, lead on ${lead.value} (by ${how})`,
  };
}

/** The flag that gives a fact, and what it is in words. */
const words = {
  rank: { flag: '--machine', means: 'which machine this is' },
  size: { flag: '--of', means: 'how many machines there are' },
  lead: { flag: '--lead', means: 'the host of the lead' },
} as const;

type FactName = keyof typeof words;
type FactOf<Name extends FactName> = Fact<Required<SaidPlace>[Name]>;

function agreed<Name extends FactName>(name: Name, said: SaidPlace, systems: readonly Facts[]): FactOf<Name> {
  const { flag, means } = words[name];
  const value = said[name];
  if (value !== undefined) return { value, from: flag } as FactOf<Name>;
  const found = systems.map((each) => each[name]).filter((each) => each !== undefined);
  const [first] = found;
  if (first === undefined) {
    const read =
      systems.map(({ source }) => source).join(' and ') ||
      'the environment (Slurm, Kubernetes, Open MPI, PyTorch and SkyPilot are known)';
    throw new LauncherError(`${read} does not say ${means}; say it with ${flag}`);
  }
  const other = found.find((each) => each.value !== first.value);
  if (other !== undefined)
    throw new LauncherError(
      `${first.from} says ${first.value}, and ${other.from} says ${other.value}, of ${means}; say which is right with ${flag}`,
    );
  return first as FactOf<Name>;
}

/** A whole number ≥ `least` in a variable; undefined where it is not set. */
function numberIn(env: Environment, name: string, least: number): Fact<number> | undefined {
  const text = env[name];
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/u.test(text) || Number(text) < least)
    throw new LauncherError(`${name} is '${text}', expected a whole number ≥ ${least}`);
  return { value: Number(text), from: name };
}

function textIn(env: Environment, name: string): Fact<string> | undefined {
  const text = env[name];
  if (text === undefined) return undefined;
  if (text.trim() === '') throw new LauncherError(`${name} is empty, expected the name or address of a host`);
  return { value: text.trim(), from: name };
}

const isFurther = (env: Environment, name: string): boolean => (numberIn(env, name, 0)?.value ?? 0) > 0;

/** A step of Slurm; outside one, in the batch script, each process would take itself for machine 0. */
function fromSlurm(env: Environment): Facts | null {
  if (env['SLURM_JOB_ID'] === undefined) return null;
  if (env['SLURM_STEP_ID'] === undefined || env['SLURM_STEP_NODELIST'] === undefined)
    throw new LauncherError(
      'this is a job of Slurm, but no step of it (no SLURM_STEP_ID); start it with srun, one task a node',
    );
  const nodes = slurmNodes(env['SLURM_STEP_NODELIST'], 'SLURM_STEP_NODELIST');
  const size = numberIn(env, 'SLURM_STEP_NUM_NODES', 1);
  if (size !== undefined && size.value !== nodes.length)
    throw new LauncherError(
      `SLURM_STEP_NODELIST names ${nodes.length} nodes, and SLURM_STEP_NUM_NODES says ${size.value}`,
    );
  return {
    source: 'Slurm',
    isFurther: isFurther(env, 'SLURM_LOCALID'),
    // The number of the node; SLURM_PROCID counts tasks.
    rank: numberIn(env, 'SLURM_NODEID', 0),
    size: { value: nodes.length, from: 'SLURM_STEP_NODELIST' },
    lead: { value: nodes[0] ?? '', from: 'SLURM_STEP_NODELIST' },
  };
}

/** A pod of an Indexed Job: it knows its index alone. */
function fromKubernetes(env: Environment): Facts | null {
  const rank = numberIn(env, 'JOB_COMPLETION_INDEX', 0);
  return rank === undefined ? null : { source: 'Kubernetes', rank };
}

/** Open MPI numbers processes, not machines; with one process on each that is the same. */
function fromOpenMpi(env: Environment): Facts | null {
  const rank = numberIn(env, 'OMPI_COMM_WORLD_RANK', 0);
  if (rank === undefined) return null;
  const perMachine = numberIn(env, 'OMPI_COMM_WORLD_LOCAL_SIZE', 1)?.value ?? 1;
  if (perMachine > 1)
    throw new LauncherError(
      `mpirun started ${perMachine} processes on this machine (OMPI_COMM_WORLD_LOCAL_SIZE), which hides how many machines there are; start one on each: mpirun --map-by ppr:1:node`,
    );
  return { source: 'Open MPI', rank, size: numberIn(env, 'OMPI_COMM_WORLD_SIZE', 1) };
}

/** Variables for torchrun itself, as Kubeflow sets them on a pod. */
function fromPet(env: Environment): Facts | null {
  const rank = numberIn(env, 'PET_NODE_RANK', 0);
  const lead = textIn(env, 'PET_MASTER_ADDR');
  const nodes = env['PET_NNODES'];
  if (rank === undefined && lead === undefined && nodes === undefined) return null;
  // Kubeflow writes a range for elastic jobs, whose ends may be one number.
  const [, least, most] = /^(\d+):(\d+)$/u.exec(nodes ?? '') ?? [];
  if (least !== most)
    throw new LauncherError(`PET_NNODES is '${nodes}', a range; a run needs one number of machines`);
  const size =
    least === undefined ? numberIn(env, 'PET_NNODES', 1) : { value: Number(least), from: 'PET_NNODES' };
  return { source: 'PET_*', rank, size, lead };
}

/** A process of torchrun, which says its machine's number too, or one of a system that sets these three for one process a machine. */
function fromTorch(env: Environment): Facts | null {
  const rank = numberIn(env, 'RANK', 0);
  const size = numberIn(env, 'WORLD_SIZE', 1);
  const lead = textIn(env, 'MASTER_ADDR');
  if (rank === undefined && size === undefined)
    return lead === undefined ? null : { source: 'MASTER_ADDR', lead };
  const group = { rank: numberIn(env, 'GROUP_RANK', 0), size: numberIn(env, 'GROUP_WORLD_SIZE', 1) };
  const perMachine = numberIn(env, 'LOCAL_WORLD_SIZE', 1)?.value ?? 1;
  if (perMachine > 1 && (group.rank === undefined || group.size === undefined))
    throw new LauncherError(
      `LOCAL_WORLD_SIZE says ${perMachine} processes on this machine, and RANK counts processes; start one on each, or set GROUP_RANK and GROUP_WORLD_SIZE to count machines`,
    );
  return {
    source: 'RANK and WORLD_SIZE',
    isFurther: isFurther(env, 'LOCAL_RANK'),
    rank: group.rank ?? rank,
    size: group.size ?? size,
    lead,
  };
}

function fromSkyPilot(env: Environment): Facts | null {
  const rank = numberIn(env, 'SKYPILOT_NODE_RANK', 0);
  if (rank === undefined) return null;
  const addresses = (env['SKYPILOT_NODE_IPS'] ?? '')
    .split('\n')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  const size = numberIn(env, 'SKYPILOT_NUM_NODES', 1);
  const [lead] = addresses;
  if (lead !== undefined && size !== undefined && size.value !== addresses.length)
    throw new LauncherError(
      `SKYPILOT_NODE_IPS names ${addresses.length} machines, and SKYPILOT_NUM_NODES says ${size.value}`,
    );
  return {
    source: 'SkyPilot',
    rank,
    size: size ?? (lead === undefined ? undefined : { value: addresses.length, from: 'SKYPILOT_NODE_IPS' }),
    lead: lead === undefined ? undefined : { value: lead, from: 'SKYPILOT_NODE_IPS' },
  };
}

const readers = [fromSlurm, fromKubernetes, fromOpenMpi, fromPet, fromTorch, fromSkyPilot];
