import { createHash } from 'node:crypto';
import { inlineHasher, latestCheckpoint, type CheckpointReader } from '@troupe/checkpoint';
import { assert } from '@troupe/core';
import type { MemoryStorage } from '@troupe/sim';
import type { Fault } from '@troupe/sim/faults';
import type { ResolvedTopology } from '@troupe/topology';
import { LossPolicy } from '../relayout/loss-policy.ts';
import { ReportedSteps } from '../run/reported-steps.ts';
import type { Simulation } from './simulation.ts';
import { faultsIn } from './faults-left.ts';
import type { LayoutStart } from './simulate-layout.ts';
import { CHECKPOINT_FOLDER } from './simulated-cluster.ts';
import type { SimulationOptions } from './simulation-options.ts';

const sum = (a: Simulation['traffic'], b: Simulation['traffic']): Simulation['traffic'] => ({
  control: {
    messages: a.control.messages + b.control.messages,
    bytes: a.control.bytes + b.control.bytes,
  },
  data: { messages: a.data.messages + b.data.messages, bytes: a.data.bytes + b.data.bytes },
});

/** Two layouts of a run, one after the other, as one simulation. */
function joined(before: Simulation, after: Simulation): Simulation {
  const later = before.virtualMs;
  return {
    ...after,
    events: [...before.events, ...after.events],
    traceHash: createHash('sha256').update(before.traceHash).update(after.traceHash).digest('hex'),
    trace: [...before.trace, ...after.trace.map((line) => ({ ...line, atMs: line.atMs + later }))],
    virtualMs: later + after.virtualMs,
    numEvents: before.numEvents + after.numEvents,
    struck: [...before.struck, ...after.struck.map((each) => ({ ...each, atMs: each.atMs + later }))],
    traffic: sum(before.traffic, after.traffic),
  };
}

/** A simulated run through all of its layouts. */
export class SimulatedStory {
  readonly policy: LossPolicy;
  readonly #given: SimulationOptions;
  /** What every layout before has reported. */
  readonly #reported = new ReportedSteps();
  /** Faults that have not struck. */
  #faults: readonly Fault[];
  /** Those of the present layout, with what they were planned as. */
  #planned: ReadonlyMap<Fault, Fault>;
  #resumeFrom: CheckpointReader | null = null;
  #told: Simulation | null = null;

  constructor(topology: ResolvedTopology, given: SimulationOptions) {
    this.#given = given;
    this.#faults = given.faults ?? topology.faults;
    this.#planned = new Map(this.#faults.map((fault) => [fault, fault]));
    this.policy = new LossPolicy(topology, Number.POSITIVE_INFINITY);
  }

  /** Virtual time of the layouts before. */
  get virtualMs(): number {
    return this.#told?.virtualMs ?? 0;
  }

  /** Callbacks hear of the present layout as of a part of the whole. */
  get options(): SimulationOptions {
    const { observe, progress, ...rest } = this.#given;
    const before = this.#told;
    if (before === null) return this.#given;
    const { virtualMs: later, struck, numEvents } = before;
    return {
      ...rest,
      ...(observe === undefined ? {} : { observe: (turn, atMs) => observe(turn, atMs + later) }),
      ...(progress === undefined
        ? {}
        : {
            progress: (now) =>
              progress({
                virtualMs: now.virtualMs + later,
                step: now.step,
                numEvents: now.numEvents + numEvents,
                struck: [...struck, ...now.struck],
              }),
          }),
    };
  }

  add(part: Simulation): void {
    for (const event of part.events) this.#reported.note(event);
    const struck = new Set(part.struck.map(({ fault }) => this.#planned.get(fault)));
    this.#faults = this.#faults.filter((fault) => !struck.has(fault));
    this.#told = this.#told === null ? part : joined(this.#told, part);
  }

  /** What the next layout begins with: the newest checkpoint on the disk of the lead, else what the one before began with. */
  async startOf(disk: MemoryStorage): Promise<LayoutStart> {
    const { checkpoint } = await latestCheckpoint(disk, CHECKPOINT_FOLDER, {
      verify: 'full',
      hasher: inlineHasher(),
    });
    this.#resumeFrom = checkpoint ?? this.#resumeFrom;
    const { topology, places } = this.policy;
    this.#planned = faultsIn(this.#faults, { topology, places, fromMs: this.virtualMs });
    return {
      faults: [...this.#planned.keys()],
      disk,
      resumeFrom: this.#resumeFrom,
      reported: this.#reported,
    };
  }

  told(): Simulation {
    assert(this.#told !== null, 'a story has a layout');
    return this.#told;
  }
}
