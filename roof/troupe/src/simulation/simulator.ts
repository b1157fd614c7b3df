import { roleStates, type TokenBatch } from '@troupe/actors';
import { OptionError } from '@troupe/core';
import type { Fault } from '@troupe/sim/faults';
import type { SyncDevice } from '@troupe/kernel-set';
import { loadDevice, openReferenceDevice } from '@troupe/kernels';
import type { ModelConfig } from '@troupe/spec';
import { drawFaults, openHollowDevice, passiveDevice, type ReferenceStep } from '@troupe/sim';
import { createPlacement, Layout, type ResolvedTopology } from '@troupe/topology';
import { dataRank } from '@troupe/topology/layout';
import type { Calibration } from '../calibration.ts';
import { openTopologyData } from '../data.ts';
import { mustFit } from '../machine-memory.ts';
import { openOwnDevice } from '../own-device.ts';
import {
  callback,
  checkOptions,
  checkTopology,
  listOf,
  required,
  rule,
  wholeNumber,
  type OptionRules,
} from '../option-rules.ts';
import { referenceOf, simulate } from '../simulate.ts';
import type { Simulation } from './simulation.ts';
import { dealtBy, isRecordedLoad, meanLoad, type RecordedLoad } from './recorded-load.ts';
import { simulatedRules, type SimulationOptions } from './simulation-options.ts';
import { trainingRules, type ClusterOptions } from '../cluster-options.ts';

/** One run of a topology: all that decides it. */
export interface SimulationCase {
  readonly seed: number;
  /** Step after which it ends. */
  readonly steps: number;
  /** `swarm`: drawn from the seed. */
  readonly faults: readonly Fault[] | 'swarm';
}

export interface SimulatorOptions {
  /** Own sequences instead of the topology's `data`. */
  readonly tokens?: NonNullable<ClusterOptions['tokens']>;
  /** Default: native kernels where they are, else the reference. */
  readonly openDevice?: (dp: number) => Promise<SyncDevice>;
  /** No arithmetic: sizes and modelled times only. */
  readonly shapesOnly?: boolean;
  /** Rows of every expert, as a run counted them, for {@link shapesOnly}. Default: every expert gets as many as the next. */
  readonly load?: RecordedLoad;
  /**
   * Replicas that compute; the others take part without: their passes add nothing, so the run trains on the sequences of these alone, with the
   * messages and modelled times of all. Expert-parallel groups are wholly one or the other. Default: all.
   */
  readonly real?: readonly number[];
  /** What this machine was measured to cost. Times only; never numbers. */
  readonly calibration?: Calibration;
}

type More = Omit<SimulationOptions, 'seed' | 'openDevice' | 'tokens' | 'faults' | 'stopAfter'>;

const caseRules: OptionRules<SimulationCase> = {
  seed: required(wholeNumber(0, 'a seed')),
  steps: required(wholeNumber(1, 'the step after which it ends')),
  faults: required(
    rule("a list of faults, or 'swarm'", (value) => value === 'swarm' || Array.isArray(value)),
  ),
};

const simulatorRules: OptionRules<SimulatorOptions> = {
  ...simulatedRules,
  tokens: trainingRules.tokens,
  openDevice: callback,
  load: rule('counts of rows by layer and expert, such as a LoadRecorder gives', isRecordedLoad),
  real: listOf(wholeNumber(0, 'a replica'), 'a list of replicas'),
};

/** States to strike in; those of a feeder and of the supervisor say nothing of where a run stands, and here no machine writes parts. */
const { feeder: _feeder, supervisor: _supervisor, part: _part, ...strikingStates } = roleStates;

/** Runs many simulations of one topology: its data and its run without faults are made once. */
export class Simulator {
  readonly topology: ResolvedTopology;
  readonly #shapesOnly: boolean;
  readonly #isMixed: boolean;
  readonly #fixed: Pick<SimulationOptions, 'openDevice' | 'tokens' | 'calibration'>;
  /** The longest run without faults so far. */
  #reference: readonly ReferenceStep[] = [];

  /** Use {@link openSimulator}. */
  constructor(
    topology: ResolvedTopology,
    {
      shapesOnly = false,
      real,
      load: _load,
      ...fixed
    }: SimulatorOptions & Required<Pick<SimulatorOptions, 'tokens' | 'openDevice'>>,
  ) {
    this.#shapesOnly = shapesOnly;
    this.#isMixed = real !== undefined;
    this.topology = topology;
    this.#fixed = fixed;
  }

  /** The faults of a case, drawn where its seed draws them. */
  faultsOf({ seed, steps, faults }: SimulationCase): readonly Fault[] {
    if (faults !== 'swarm') return faults;
    const { workers, agents, actors } = createPlacement(this.topology);
    return drawFaults({
      seed,
      steps,
      numWorkers: workers.length,
      numMachines: agents.length,
      actors: actors.filter(({ node }) => node.startsWith('worker')).map(({ address }) => address),
      disks: this.topology.checkpoint.every > 0,
      watched: { actors: actors.map(({ address }) => address), states: strikingStates },
    });
  }

  /**
   * Runs a case; one with faults is held against the run without.
   *
   * @throws {OptionError} TROUPE_OPTION
   */
  async run(one: SimulationCase, more: More = {}): Promise<Simulation> {
    checkOptions('Simulator.run', one, caseRules);
    const faults = this.faultsOf(one);
    const reference =
      faults.length === 0 || this.#shapesOnly ? undefined : await this.#referenceOf(one.steps);
    return this.#simulate({ ...one, faults }, { ...(reference === undefined ? {} : { reference }), ...more });
  }

  async #referenceOf(steps: number): Promise<readonly ReferenceStep[]> {
    if (this.#reference.length < steps) {
      const clean = await this.#simulate({ seed: 0, steps, faults: [] }, {});
      this.#reference = referenceOf(clean.events);
    }
    return this.#reference;
  }

  #simulate(one: SimulationCase & { readonly faults: readonly Fault[] }, more: More): Promise<Simulation> {
    return simulate(this.topology, {
      checkpoints: !this.#shapesOnly,
      shapesOnly: this.#shapesOnly,
      routesEvenly: this.#isMixed,
      ...more,
      seed: one.seed,
      stopAfter: one.steps,
      faults: one.faults,
      ...this.#fixed,
    });
  }
}

/** What an encoder reads beside sequences without contents: every row sees its whole window, and every token of the decoder too. */
const hollowSource = (count: number, length: number, tokens: number): NonNullable<TokenBatch['source']> => ({
  ids_T: new Int32Array(count * length),
  firstSeen_T: new Int32Array(count * length),
  endSeen_T: new Int32Array(count * length).fill(length),
  valid_T: new Uint8Array(count * length).fill(1),
  crossFirst_T: new Int32Array(tokens),
  crossEnd_T: new Int32Array(tokens).fill(length),
});

/** Sequences without contents, every position valid; all of one size are the same arrays. */
function hollowTokens({ seqLen, encoder }: ModelConfig): NonNullable<ClusterOptions['tokens']> {
  const bySize = new Map<number, TokenBatch>();
  const batch = (count: number): TokenBatch => {
    const known = bySize.get(count);
    if (known !== undefined) return known;
    const length = count * seqLen;
    const made = {
      ids_T: new Int32Array(length),
      targets_T: new Int32Array(length),
      firstSeen_T: new Int32Array(length),
      valid_T: new Uint8Array(length).fill(1),
      ...(encoder === null ? {} : { source: hollowSource(count, encoder.seqLen, length) }),
    };
    bySize.set(count, made);
    return made;
  };
  return {
    numEvalSequences: 0,
    trainBatch: (_step, _first, count) => batch(count),
    evalBatch: (_first, count) => batch(count),
  };
}

/** @throws {OptionError} TROUPE_OPTION for a replica that is not there, or an expert-parallel group of which only a part computes */
function realReplicas(topology: ResolvedTopology, real: readonly number[]): ReadonlySet<number> {
  const { dp, ep } = topology.parallel;
  const computes = new Set(real);
  const missing = real.find((each) => each >= dp);
  if (real.length === 0 || missing !== undefined)
    throw new OptionError('openSimulator', [
      `real names ${missing === undefined ? 'no replica' : `replica ${missing}`}, expected some of 0 to ${dp - 1}`,
    ]);
  const { mesh, choiceGroups } = new Layout(topology);
  for (const replica of [...computes].toSorted((a, b) => a - b)) {
    const members = [...mesh.peers('ep', replica)];
    const count = members.filter((each) => computes.has(each)).length;
    if (count < ep)
      throw new OptionError('openSimulator', [
        `replicas ${members.join(', ')} share their experts (ep ${ep}), so all of them compute or none`,
      ]);
    const shares = choiceGroups?.sharesOf(dataRank(replica)) ?? [];
    const absent = shares.flatMap(({ peers }) => peers).find(({ rank }) => !computes.has(rank));
    if (absent !== undefined)
      throw new OptionError('openSimulator', [
        `replicas ${replica} and ${absent.rank} have sequences of one choice group (groupSequences ${choiceGroups?.groupSequences}), so both compute or none`,
      ]);
  }
  return computes;
}

/** A device whose kernels run inside the call. TensorFlow.js has none, so the reference stands in for it. */
async function openSyncDevice(topology: ResolvedTopology): Promise<SyncDevice> {
  const device = await loadDevice({ body: topology.device, threads: 1 });
  if ('run' in device) return device as SyncDevice;
  await device.close();
  return openReferenceDevice({ dtype: 'f32' });
}

/**
 * Reads a topology's data once, for any number of simulations.
 *
 * @throws {OptionError} TROUPE_OPTION with every option that is not what it has to be
 * @throws {TroupeError} what is wrong with the data or the devices
 */
export async function openSimulator(
  topology: ResolvedTopology,
  options: SimulatorOptions = {},
): Promise<Simulator> {
  checkTopology('openSimulator', topology);
  checkOptions('openSimulator', options, simulatorRules);
  if (options.shapesOnly === true) {
    const load_E = options.load === undefined ? null : meanLoad(options.load, topology);
    const device = openHollowDevice(load_E);
    const hollow = hollowTokens(topology.model);
    return new Simulator(load_E === null ? topology : dealtBy(load_E, topology), {
      ...options,
      tokens: options.tokens ?? hollow,
      openDevice: async () => device,
    });
  }
  // Own devices hold what they hold.
  if (options.openDevice === undefined) mustFit(topology, 'simulate');
  const tokens = options.tokens ?? (await openTopologyData(topology)).batches;
  const open = options.openDevice ?? (() => openSyncDevice(topology));
  const { real } = options;
  if (real === undefined) return new Simulator(topology, { ...options, tokens, openDevice: open });
  const computes = realReplicas(topology, real);
  const openDevice = async (dp: number): Promise<SyncDevice> => {
    const device = await openOwnDevice(open, dp);
    return computes.has(dp) ? device : passiveDevice(device);
  };
  return new Simulator(topology, { ...options, tokens, openDevice });
}
