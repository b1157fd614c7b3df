import type { ProgramSystem } from '@troupe/actors';
import { trainingRules, type ClusterOptions } from '../cluster-options.ts';
import type { Device, SyncDevice } from '@troupe/kernel-set';
import type { Fault } from '@troupe/sim/faults';
import type { Turn } from '@troupe/runtime';
import type {
  DeviceSpeed,
  DiskModel,
  DiskPlant,
  LinkModel,
  NetworkOptions,
  ReferenceStep,
  StruckFault,
} from '@troupe/sim';
import type { Calibration } from '../calibration.ts';
import {
  all,
  callback,
  checkOptions,
  flag,
  listOf,
  member,
  objectWith,
  oneOf,
  options,
  positive,
  required,
  rule,
  wholeNumber,
  type OptionRule,
  type OptionRules,
} from '../option-rules.ts';

export interface SimulationOptions
  extends Pick<NetworkOptions, 'alter'>, Pick<ClusterOptions, 'stopAfter' | 'gate' | 'expert' | 'tokens'> {
  /** Of the network's draws; the model's own seed is the topology's. */
  readonly seed: number;
  /** A body whose kernels run inside the call, one a replica. */
  readonly openDevice: (dp: number) => Promise<SyncDevice>;
  /** The devices hold nothing ({@link openHollowDevice}): bytes are not copied, rows and losses not judged. Default false. */
  readonly shapesOnly?: boolean;
  /** Some devices route without looking at logits, so rows are not held against what gates counted. Default false. */
  readonly routesEvenly?: boolean;
  /** What this machine was measured to cost, in place of what the topology says of devices. */
  readonly calibration?: Calibration;
  /** Of every device, over what the topology says. */
  readonly speed?: Partial<DeviceSpeed>;
  /** Of every link, over what the topology says. */
  readonly link?: Partial<LinkModel>;
  readonly disk?: Partial<DiskModel>;
  /** Writes checkpoints to the simulated disk of the first machine. Default false. */
  readonly checkpoints?: boolean;
  /** Default: the topology's. */
  readonly faults?: readonly Fault[];
  /** The same run without faults: losses must equal its, bit for bit. */
  readonly reference?: readonly ReferenceStep[];
  /** Keeps every line of the trace, to look for a divergence. Default false. */
  readonly keepsTrace?: boolean;
  /** Sees every turn, with virtual time. */
  readonly observe?: (turn: Turn, atMs: number) => void;
  /** Called about every 256 events. */
  readonly progress?: (progress: SimulationProgress) => void;
  /** True: the run is over after this turn. */
  readonly until?: (turn: Turn) => boolean;
  /** Virtual time after which a run that has not ended is given up, milliseconds. Default an hour. */
  readonly budgetMs?: number;
  /** A bug to be found, for tests of the checkers. */
  readonly plant?: Plant;
}

/** What a test breaks on purpose. */
export interface Plant {
  readonly network?: NetworkOptions['plant'];
  readonly disk?: DiskPlant;
  /** Wraps the arithmetic of a device; `isSlow` tells whether a fault slows it now. */
  readonly device?: (body: SyncDevice, isSlow: () => boolean) => SyncDevice;
  /** Wraps the simulated device that actors get. */
  readonly memory?: (device: Device) => Device;
  readonly mailboxCapacity?: number;
  /** Gets the system of every node before it has actors. */
  readonly system?: (system: ProgramSystem) => void;
}

export interface SimulationProgress {
  readonly virtualMs: number;
  readonly step: number;
  readonly numEvents: number;
  readonly struck: readonly StruckFault[];
}

const amount = (unit: string): OptionRule =>
  rule(`a number of at least 0 (${unit})`, (value) => typeof value === 'number' && value >= 0);

const figures = (
  units: Readonly<Record<string, string>>,
  more: Readonly<Record<string, OptionRule>> = {},
): OptionRule =>
  options({
    ...Object.fromEntries(Object.entries(units).map(([name, unit]) => [name, amount(unit)])),
    ...more,
  });

/** Options of one run and of a simulator for many. */
export const simulatedRules = {
  shapesOnly: flag,
  calibration: all(
    objectWith('a calibration, such as parseCalibration gives'),
    member('setups', listOf(objectWith('a setup'), 'a list of setups')),
  ),
} satisfies Partial<OptionRules<SimulationOptions>>;

const rules: OptionRules<SimulationOptions> = {
  ...trainingRules,
  ...simulatedRules,
  seed: required(wholeNumber(0, 'a seed')),
  openDevice: required(callback),
  routesEvenly: flag,
  speed: figures(
    {
      flopsPerMs: 'operations a millisecond',
      bytesPerMs: 'bytes a millisecond',
      launchMs: 'milliseconds',
      callMs: 'milliseconds',
      memoryBytes: 'bytes',
    },
    { slowness: objectWith('factors by operation') },
  ),
  link: figures(
    {
      latencyMs: 'milliseconds',
      jitterMs: 'milliseconds',
      bytesPerMs: 'bytes a millisecond',
      loss: 'a probability',
      retransmitMs: 'milliseconds',
      silenceMs: 'milliseconds',
    },
    {
      jitter: oneOf('uniform', 'exponential'),
      windowBytes: figures({ control: 'bytes', data: 'bytes' }),
    },
  ),
  disk: figures({
    latencyMs: 'milliseconds',
    bytesPerMs: 'bytes a millisecond',
    syncMs: 'milliseconds',
    capacityBytes: 'bytes',
  }),
  checkpoints: flag,
  faults: listOf(objectWith('a fault'), 'a list of faults'),
  reference: listOf(objectWith('a step'), 'a list of steps, such as referenceOf gives'),
  keepsTrace: flag,
  observe: callback,
  progress: callback,
  until: callback,
  budgetMs: positive('milliseconds of virtual time'),
  plant: objectWith('a plant'),
  alter: callback,
};

/** @throws {OptionError} TROUPE_OPTION with everything that is wrong */
export const checkSimulationOptions = (given: SimulationOptions): void =>
  checkOptions('simulate', given, rules);
