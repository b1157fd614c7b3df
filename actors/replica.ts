import { assert, type Address } from '@troupe/core';
import {
  withoutQueue,
  type Device,
  type Floats,
  type GradientTarget,
  type KernelCall,
} from '@troupe/kernel-set';
import {
  Activations,
  FlatGradients,
  FlatWeights,
  leavesOf,
  ropeTables,
  StageStatistics,
  type BalanceCoefficients,
  type Batch,
  type GradientKind,
  type GradientPlan,
  type StageContext,
} from '@troupe/model';
import type { Behaviour, FieldsArgument, Self, Shapes } from '@troupe/runtime';
import type { FlatLayout, Unit } from '@troupe/spec';
import {
  GroupExchange,
  type Coordinates,
  type ExpertGroupId,
  type GroupName,
  type ParameterGroup,
  type WorkerRank,
} from '@troupe/topology/layout';
import type { Job } from './job.ts';
import type { PassMode } from './messages.ts';

/**
 * One parameter group on one device: two buffers of weights by version parity, and the gradients.
 *
 * REP-1: version v lies in buffer v mod 2 and is not written between its commit and the commit of v + 2, so whoever reads
 * weights of an abandoned attempt still finds them. A worker that is alone has one buffer: nobody else can be at another version,
 * and its own attempts end before a commit.
 */
export class ParameterBuffers {
  readonly layout: FlatLayout;
  readonly weights: readonly [FlatWeights, FlatWeights];
  readonly gradients: FlatGradients;

  constructor(
    device: Device,
    layout: FlatLayout,
    options: { readonly isAlone: boolean; readonly gradients: GradientPlan },
  ) {
    this.layout = layout;
    const open = (): FlatWeights => new FlatWeights(layout, device.floats(layout.length));
    const first = open();
    this.weights = [first, options.isAlone ? first : open()];
    this.gradients = new FlatGradients(device, layout, options.gradients);
  }

  at(version: number): FlatWeights {
    return this.weights[(version % 2) as 0 | 1];
  }
}

/**
 * How a unit's gradient accumulates: *stored* if one call makes it, *begun* if only this device adds, else *added*. A tied embedding has two
 * calls; an own expert may make any number of them, and only ever adds.
 */
function gradientKind(job: Job, { reader, holders }: ParameterGroup): (unit: Unit) => GradientKind {
  const hasOwnCalls = reader === 'experts' && job.expert !== undefined;
  if (hasOwnCalls || holders.count > 1) return () => 'added';
  if (job.layout.dealing.microbatches > 1) return () => 'begun';
  return ({ id }) => (job.model.tiedHead && id === 'embed' ? 'begun' : 'stored');
}

/** An actor as far as it computes. */
export type Computing<Own extends Shapes> = Pick<Self<Shapes, Own>, 'queue' | 'submit'>;

/** What the expert actors of one layer read and give gradients to. */
export interface ExpertBuffers {
  /** Experts, and elements from one to the next. */
  readonly count: number;
  readonly stride: number;
  weights(version: number): Floats;
  gradient(microbatch: number): GradientTarget;
  /** First and last element in the group's flat buffer. */
  readonly from: number;
  readonly to: number;
}

/** What an expert actor stands on: a replica of a run, or a service that has nothing but its experts. */
export interface ExpertHost extends Pick<Replica, 'device' | 'expertBuffers' | 'chain' | 'fence'> {
  readonly job: Pick<Job, 'model' | 'precision' | 'expert' | 'first'>;
  /** Which experts of every layer. */
  readonly expertGroup: ExpertGroupId;
  /** Grains of what one source sends. */
  readonly numGrains: number;
  /** Who sends rows to the experts of a layer, in the order in which they are computed. */
  gatesFor(layer: number): readonly Address[];
}

/** By parity of the version, then whether the microbatch is the first of its step. */
type Contexts = readonly [ContextPair, ContextPair];
type ContextPair = readonly [StageContext, StageContext];

/**
 * Everything that the actors of one worker share because they stand on one device: its buffers. The actors own it by role (the stage its
 * activations, the optimizers the weights and gradients); this only holds them together.
 */
export class Replica {
  readonly worker: WorkerRank;
  readonly at: Coordinates;
  readonly job: Job;
  /** Layers with experts, of the stage. */
  readonly layers: readonly number[];
  /** The parameter groups that the worker has a shard of. */
  readonly groups: readonly ParameterGroup[];
  readonly device: Device;
  readonly dense: ParameterBuffers;
  readonly experts: ParameterBuffers | null;
  readonly statistics: StageStatistics;
  readonly evaluationStatistics: StageStatistics;
  /** Batch of the microbatch that is being computed. */
  batch: Batch | null = null;
  /** Gradient coefficients of the balance losses of the open step. */
  balance: BalanceCoefficients | null = null;
  /** Tokens of the global batch of the open step, padding not counted. */
  globalTokens = 0;
  /** Time inside kernels since the last measurement, milliseconds. */
  kernelMs = 0;
  /**
   * REC-1: the attempt that all actors of this worker are in. The first of them to hear of a new one raises it for all, so from then on no
   * actor here takes anything up that belongs to an abandoned attempt, and what the device still has of it is behind it in the queue.
   * A worker that joins a run knows none yet and takes nothing.
   */
  attempt: number;
  readonly #exchanges = new Map<GroupName, GroupExchange>();
  readonly #training: Contexts;
  readonly #evaluation: Contexts;

  /** @param joins - it takes the place of a lost one: its shards hold nothing yet */
  constructor(job: Job, worker: WorkerRank, device: Device, joins = false) {
    const { layout } = job;
    const { dealing } = layout;
    this.job = job;
    this.worker = worker;
    this.at = layout.at(worker);
    this.layers = layout.moeLayersOf(this.at.pp);
    this.groups = layout.groupsOf(worker);
    this.attempt = joins ? Number.POSITIVE_INFINITY : 0;
    this.device = this.#metered(device);
    const open = (name: GroupName): ParameterBuffers => {
      const group = this.group(name);
      return new ParameterBuffers(device, group.flat, {
        isAlone: this.isAlone,
        gradients: { kindOf: gradientKind(job, group), leavesOf: leavesOf(job.model, dealing.grains) },
      });
    };
    this.dense = open('dense');
    this.experts = this.layers.length === 0 ? null : open('expert');
    this.statistics = new StageStatistics(device, job.model);
    this.evaluationStatistics = new StageStatistics(device, job.model);
    const shape = {
      config: job.model,
      sequences: dealing.microbatchSequences,
      grains: dealing.microbatchGrains,
      precision: job.precision ?? 'f32',
    };
    const rope = ropeTables(device, job.model);
    const contexts = (training: boolean, statistics: StageStatistics): Contexts => {
      const act = new Activations(device, shape, { training, ranks: layout.mesh.ep });
      const context = (parity: 0 | 1, microbatch: number): StageContext => ({
        shape,
        weights: this.dense.weights[parity],
        gradients: training ? this.dense.gradients.of(microbatch) : null,
        act,
        rope,
        statistics,
      });
      return [
        [context(0, 0), context(0, 1)],
        [context(1, 0), context(1, 1)],
      ];
    };
    this.#training = contexts(true, this.statistics);
    this.#evaluation =
      job.evaluationSequences > 0 ? contexts(false, this.evaluationStatistics) : this.#training;
  }

  /** The device, with its kernel time counted. */
  #metered(device: Device): Device {
    return {
      ...withoutQueue(device),
      submit: (calls, done) =>
        device.submit(calls, (completion) => {
          this.kernelMs += completion.kernelMs;
          done(completion);
        }),
    };
  }

  /** Nobody else computes: what its actors make is read on this device, or after a list that they wait for. */
  get isAlone(): boolean {
    return this.job.layout.isAlone;
  }

  /**
   * REP-2: runs `calls` for one of the actors, whose `done` says that other actors may go on. Where all of them stand on this device, it
   * comes once the calls are queued: the device has the next list before it is through with this one. Else results are sent away, so they
   * must be there. Not for results that JavaScript reads.
   */
  chain<Own extends Shapes, K extends keyof Own & string>(
    self: Computing<Own>,
    calls: readonly KernelCall[],
    done: K,
    ...fields: FieldsArgument<Own[K]>
  ): void {
    if (this.isAlone) self.queue(this.device, calls, done, ...fields);
    else self.submit(this.device, calls, done, ...fields);
  }

  get joins(): boolean {
    return this.attempt === Number.POSITIVE_INFINITY;
  }

  /** The fence of an actor of this worker: events of `kinds` from an abandoned attempt are dropped. */
  fence(kinds: ReadonlySet<string>): Pick<Behaviour, 'epoch' | 'fenced'> {
    return {
      epoch: () => ({ step: 0, attempt: this.attempt }),
      fenced: kinds,
    };
  }

  context(version: number, pass: { readonly mode: PassMode; readonly microbatch: number }): StageContext {
    const contexts = pass.mode === 'train' ? this.#training : this.#evaluation;
    return contexts[(version % 2) as 0 | 1][pass.microbatch === 0 ? 0 : 1];
  }

  group(name: GroupName): ParameterGroup {
    return this.job.layout.groupOf(this.worker, name);
  }

  buffers(name: GroupName): ParameterBuffers {
    const buffers = name === 'dense' ? this.dense : this.experts;
    assert(buffers !== null, 'a model without experts has no expert parameters');
    return buffers;
  }

  /** With whom the shard of a group here exchanges gradients and weights. */
  exchange(name: GroupName): GroupExchange {
    const known = this.#exchanges.get(name) ?? new GroupExchange(this.group(name), this.worker);
    this.#exchanges.set(name, known);
    return known;
  }

  /** Which experts of every layer live here. */
  get expertGroup(): ExpertGroupId {
    return this.at.ep;
  }

  /** Grains of what one gate sends. */
  get numGrains(): number {
    return this.job.layout.dealing.microbatchGrains;
  }

  gatesFor(layer: number): readonly Address[] {
    return this.job.layout.gatesFor(layer, this.worker);
  }

  /** The part of the experts' group that belongs to one layer. */
  expertBuffers(layer: number): ExpertBuffers {
    const buffers = this.buffers('expert');
    const range = this.group('expert').rangeOf((unit) => unit.layer === layer);
    const units = buffers.layout.units.filter((unit) => unit.layer === layer);
    const [first, last] = [units[0], units.at(-1)];
    assert(range !== null && first !== undefined && last !== undefined, 'a layer has experts', { layer });
    const { from, to } = range;
    const views = buffers.weights.map((weights) => weights.data.subarray(from, to));
    return {
      count: units.length,
      stride: first.paddedSize,
      from,
      to,
      gradient: (microbatch) => buffers.gradients.of(microbatch).span(first.id, last.id),
      weights: (version) => views[version % 2] as Floats,
    };
  }
}
