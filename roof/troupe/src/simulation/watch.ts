import { messages } from '@troupe/actors';
import { inlineHasher, openCheckpoint } from '@troupe/checkpoint';
import { readJournal } from '@troupe/journal';
import type { Fault } from '@troupe/sim/faults';
import type { Storage } from '@troupe/core';
import type { Turn } from '@troupe/runtime';
import {
  answersOnce,
  boundsHold,
  bucketsAnswered,
  bucketsCredited,
  bytesIntact,
  Checkers,
  copiesKept,
  decisionsRecorded,
  defaultLink,
  gradientsOnce,
  liveness,
  lossCurve,
  manifestsComplete,
  nothingStale,
  oneAttempt,
  oneOwner,
  rowsConserved,
  seatsAgree,
  versionsAgree,
  type Checker,
  type CreditedGroup,
  type NeededCopy,
  type ReferenceStep,
  type TurnSeen,
} from '@troupe/sim';
import { createPlacement, Layout, type ResolvedTopology } from '@troupe/topology';
import { BUCKET_ROOMS } from '@troupe/topology/layout';
import { mailboxCapacityOf } from '../job-system.ts';

export interface WatchOptions {
  /** The run without faults; absent: losses are not compared. */
  readonly reference?: readonly ReferenceStep[];
  /** False: devices compute nothing, so there are no bytes to change on their way. */
  readonly hasBytes: boolean;
  /** False: tensors hold nothing, so rows cannot be counted. */
  readonly countsRows: boolean;
  /** Bytes of the journal that a loss of power now would leave; absent: the run keeps none. */
  readonly journal?: () => Uint8Array | null;
}

/** Stages whose counts are of rows of their own, with their layers of experts: of tensor peers, which count the same, one. */
const countingStages = (layout: Layout): ReadonlyMap<string, readonly number[]> =>
  new Map(
    [...layout.stageWorkers()].flatMap((worker) => {
      const { pp, tp } = layout.at(worker);
      return tp > 0 ? [] : [[layout.stageOf(worker), layout.moeLayersOf(pp)] as const];
    }),
  );

/** How many tensor peers send a row: each of them to its part of the experts, or one alone. */
const rowCopies = ({ mesh, options }: Layout): number => (options.expertsSliced ? mesh.tp : 1);

/** What copies keep, by the shards that alone hold the same. */
const neededCopies = (layout: Layout): ReadonlyMap<string, NeededCopy> =>
  new Map(
    [...layout.workers()].flatMap((keeper) =>
      layout.wardsOf(keeper).map(({ group, worker }) => {
        const { from, to } = layout.ownedBy(group, worker);
        const copy = { ward: layout.wardOf(group, worker), size: to - from };
        return [layout.shardOf(group, worker), copy] as const;
      }),
    ),
  );

/** How often every element is added at each level of its exchange, by group: whoever holds a group, its exchange has one form. */
function timesAdded(layout: Layout): Readonly<Record<string, readonly number[]>> {
  const groups = [...layout.workers()].flatMap((worker) => layout.groupsOf(worker));
  return Object.fromEntries(
    groups.map((group) => [
      group.name,
      group.exchange.map(({ size }, level) => {
        if (layout.hasCourier(group)) return size * layout.dealing.microbatches;
        return level === 0 ? size : size - 1;
      }),
    ]),
  );
}

/** What belongs to an attempt, and what says that one is over; the trainer and the store, which have fences of their own, live on no worker. */
const attemptKinds = {
  hears: 'attempt.abandon' satisfies keyof typeof messages,
  fenced: Object.entries(messages).flatMap(([kind, { fenced }]) => (fenced ? [kind] : [])),
};

/** What couriers lend, by their addresses. */
const creditedGroups = (layout: Layout): ReadonlyMap<string, CreditedGroup> =>
  new Map(
    [...layout.workers()].flatMap((worker) =>
      layout.groupsOf(worker).flatMap((group) => {
        const courier = layout.courierOf(group, worker);
        return courier === null
          ? []
          : [[courier, { segments: group.segments, rooms: BUCKET_ROOMS }] as const];
      }),
    ),
  );

const NEWLINE = 0x0a;

/** Whether a journal holds the decision of a step: mostly in its last line, since nothing is decided before the last decision is carried out. */
function holdsDecision(bytes: Uint8Array | null, step: number, attempt: number): boolean {
  if (bytes === null) return false;
  const last = bytes.lastIndexOf(NEWLINE, bytes.byteLength - 2) + 1;
  return [bytes.subarray(last), bytes].some((part) =>
    readJournal('journal', part).records.some((each) => each.step === step && each.attempt === attempt),
  );
}

/** The checkers of a run of this topology. */
export function checkersOf(topology: ResolvedTopology, options: WatchOptions): Checkers {
  const layout = new Layout(topology);
  const all: Checker[] = [
    oneOwner(),
    nothingStale(),
    answersOnce(),
    oneAttempt(attemptKinds),
    gradientsOnce(timesAdded(layout)),
    bucketsAnswered(),
    bucketsCredited(creditedGroups(layout)),
    copiesKept(neededCopies(layout)),
    versionsAgree(),
    seatsAgree(),
    boundsHold({ mailbox: mailboxCapacityOf(topology) }),
    manifestsComplete(),
    liveness({ silenceMs: defaultLink.silenceMs }),
  ];
  const experts = topology.model.moe?.experts ?? 0;
  const { journal } = options;
  if (journal !== undefined) {
    const lasts = (step: number, attempt: number): boolean => holdsDecision(journal(), step, attempt);
    all.push(decisionsRecorded({ sends: 'commit.decide' satisfies keyof typeof messages, lasts }));
  }
  if (options.hasBytes) all.push(bytesIntact());
  if (options.countsRows)
    all.push(rowsConserved({ stages: countingStages(layout), experts, copies: rowCopies(layout) }));
  if (options.reference !== undefined) all.push(lossCurve(options.reference));
  return new Checkers(all);
}

/** A turn as checkers see it. */
export const turnSeen = (turn: Turn, atMs: number, life: number): TurnSeen => {
  const { event } = turn;
  return {
    type: 'turn',
    atMs,
    life,
    node: turn.node,
    incarnation: turn.incarnation,
    address: turn.address,
    kind: event.type,
    from: event.from,
    step: event.step,
    attempt: event.attempt,
    version: event.version,
    layer: event.layer,
    microbatch: event.microbatch,
    body: event.body,
    tensors: event.tensors,
    outcome: turn.outcome,
    stateBefore: turn.stateBefore,
    stateAfter: turn.stateAfter,
    mailboxSize: turn.mailboxSize,
  };
};

/** What is wrong with a checkpoint on a disk, in a sentence; null when it can be loaded whole. */
export async function damageOf(storage: Storage, path: string): Promise<string | null> {
  try {
    const reader = await openCheckpoint(storage, path, { verify: 'full', hasher: inlineHasher() });
    await reader.close();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Nodes and actors that a fault touches, by name. */
export function touchedBy(fault: Fault, topology: ResolvedTopology): readonly string[] {
  const { nodes, actors } = createPlacement(topology);
  const names = fault.target.split(',').flatMap((target) => {
    const [role, index] = target.split('/');
    // Nothing outlives the agent of its machine.
    if (role !== 'machine' && role !== 'disk' && !/^agent\/\d+$/u.test(target)) return [target];
    return nodes.filter(({ machineIndex }) => machineIndex === Number(index)).map(({ id }) => id as string);
  });
  // People know a machine by its host.
  const hosts = fault.target.split(',').flatMap((target) => {
    const [, index] = /^(?:machine|agent|disk)\/(\d+)$/u.exec(target) ?? [];
    return index === undefined ? [] : (topology.machines[Number(index)]?.host ?? []);
  });
  return [
    ...names,
    ...hosts,
    ...actors.filter(({ node }) => names.includes(node)).map(({ address }) => address as string),
  ];
}
