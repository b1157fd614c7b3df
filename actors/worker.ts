import { withoutQueue, type Device, type KernelCall } from '@troupe/kernel-set';
import type { Behaviour, FieldsArgument, Self, Shapes } from '@troupe/runtime';
import {
  ExpertSeats,
  tensorRank,
  type Coordinates,
  type GroupName,
  type ParameterGroup,
  type WorkerRank,
  type TensorRank,
} from '@troupe/topology/layout';
import { firstSeats, type Job } from './job.ts';
import type { messages } from './messages.ts';
import { hearingOrder } from './roster.ts';

/** An actor as far as it computes. */
export type Computing<Own extends Shapes> = Pick<Self<Shapes, Own>, 'queue' | 'submit'>;

/** An actor as far as it passes on that an attempt is over. */
export type Hearing = Pick<Self<Pick<typeof messages, 'attempt.abandon'>>, 'address' | 'tell'>;

/** Counts the time inside kernels of a device. */
export class KernelMeter {
  #ms = 0;

  /** The device, with its kernel time counted. */
  on(device: Device): Device {
    return {
      ...withoutQueue(device),
      submit: (calls, done) =>
        device.submit(calls, (completion) => {
          this.#ms += completion.kernelMs;
          done(completion);
        }),
    };
  }

  /** Milliseconds since it was last asked. */
  take(): number {
    const ms = this.#ms;
    this.#ms = 0;
    return ms;
  }
}

/**
 * One process with one device, of a rank or the host of a machine, as far as its actors have it in common: who it is, its device, and the attempt that it is in. Nothing here
 * changes in a step but the attempt.
 */
export class Worker {
  readonly rank: WorkerRank;
  readonly job: Job;
  readonly device: Device;
  readonly meter = new KernelMeter();
  /** Layers whose gates or experts it has. */
  readonly layers: readonly number[];
  /** The parameter groups that its stage and experts compute with. */
  readonly groups: readonly ParameterGroup[];
  #attempt: number;
  #seats: ExpertSeats | null = null;

  /** @param life - `joins`: it takes the place of a lost one, its shards hold nothing yet */
  constructor(job: Job, rank: WorkerRank, device: Device, { joins }: { readonly joins: boolean }) {
    const { layout } = job;
    this.job = job;
    this.rank = rank;
    this.device = this.meter.on(device);
    this.layers = layout.layersOf(rank);
    this.groups = layout.isHost(rank) ? [] : layout.groupsOf(rank);
    this.#attempt = joins ? Number.POSITIVE_INFINITY : 0;
  }

  /** Its place in the mesh; a host has none. */
  get at(): Coordinates {
    return this.job.layout.at(this.rank);
  }

  /** Its place on the tensor axis; a worker without a stage has no peers. */
  get peer(): TensorRank {
    return this.job.layout.hasStage(this.rank) ? this.at.tp : tensorRank(0);
  }

  /**
   * REC-1: the attempt that all actors of this worker are in. The first of them to hear of a new one raises it for all, so from then on no
   * actor here takes anything up that belongs to an abandoned attempt, and what the device still has of it is behind it in the queue.
   * A worker that joins a run knows none yet and takes nothing.
   */
  enter(attempt: number): void {
    this.#attempt = this.joins ? attempt : Math.max(this.#attempt, attempt);
  }

  /** Where experts sit in this attempt: each worker has its own word of it, since a layout is shared. */
  get seats(): ExpertSeats {
    this.#seats ??= firstSeats(this.job);
    return this.#seats;
  }

  /**
   * One of the actors hears that an attempt is over: REC-1, it is over for all; REC-2, the first of them tells the others, shards last.
   *
   * @param groups_LE - where experts sit from now on; absent: where they do
   */
  abandon(self: Hearing, attempt: number, groups_LE?: Int32Array): void {
    this.enter(attempt);
    if (groups_LE !== undefined && attempt >= this.#attempt && !this.seats.equals(groups_LE))
      this.#seats = new ExpertSeats(this.job.layout, Int32Array.from(groups_LE));
    const [first, ...others] = hearingOrder(this.job.layout, this.rank);
    if (self.address !== first) return;
    const tensors = groups_LE === undefined ? {} : { groups_LE };
    for (const to of others) self.tell(to, 'attempt.abandon', { attempt, tensors });
  }

  get joins(): boolean {
    return this.#attempt === Number.POSITIVE_INFINITY;
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
    // A chunk that ends here begins the next one with what the device has made: that is read.
    const isOnDevice = this.isAlone && this.job.layout.pipeline.chunks === 1;
    if (isOnDevice) self.queue(this.device, calls, done, ...fields);
    else self.submit(this.device, calls, done, ...fields);
  }

  /** The fence of an actor of this worker: events of `kinds` from an abandoned attempt are dropped. */
  fence(kinds: ReadonlySet<string>): Pick<Behaviour, 'epoch' | 'fenced'> {
    return { epoch: () => ({ step: 0, attempt: this.#attempt }), fenced: kinds };
  }

  group(name: GroupName): ParameterGroup {
    return this.job.layout.groupOf(this.rank, name);
  }
}
