import type { Address } from '@troupe/core';
import { compareRecords, recordOf, type JournalRecord } from '@troupe/journal';
import { addresses } from '@troupe/topology/layout';
import type { TrainerContext } from './context.ts';
import type { TrainerEvent } from './events.ts';
import type { Held, Takeover } from './takeover.ts';

/** Records as texts; what is none is left out: it was never one of a decision that somebody carries out. */
export const recordsOf = (texts: readonly string[]): readonly JournalRecord[] =>
  texts.map(recordOf).filter((record) => typeof record !== 'string');

/**
 * From what the journal and the agents hold to where the run goes on.
 *
 * TKO-3: the newest decision binds, whoever has its record, also when the journal is empty. A decision whose attempt somebody has left was
 * carried out by all before (TRN-4); else it is said again to those who have not.
 */
export function planTakeover(
  first: { readonly step: number },
  journal: readonly JournalRecord[],
  held: ReadonlyMap<Address, Held>,
): Takeover {
  const all = [...journal, ...[...held.values()].flatMap(({ records }) => records)].toSorted(compareRecords);
  const record = all.at(-1) ?? null;
  const attempt = Math.max(1, record?.attempt ?? 1, ...[...held.values()].map((each) => each.attempt));
  const newest = [...held.values()].find((each) => each.attempt === attempt);
  const seated = newest?.groups_LE === undefined ? {} : { groups_LE: newest.groups_LE };
  const step = record?.step ?? first.step;
  const before = all.filter((each) => each.step <= step);
  const records = new Map(before.map((each) => [each.step, each]));
  return {
    record,
    step,
    attempt,
    pending: record === null || record.attempt < attempt ? new Set() : pendingOf(record, held),
    records,
    skipped: skippedUpTo(step, records),
    proven: before.findLast(({ decision }) => decision.apply)?.checkpoint?.step ?? 0,
    saved: record?.checkpoint?.step ?? first.step,
    ...seated,
  };
}

function pendingOf({ step, attempt }: JournalRecord, held: ReadonlyMap<Address, Held>): ReadonlySet<Address> {
  const hasCarriedOut = ({ decided, applied }: Held): boolean => applied && decided === `${step}/${attempt}`;
  return new Set(
    [...held].flatMap(([agent, each]) => (each.attempt === attempt && !hasCarriedOut(each) ? [agent] : [])),
  );
}

function skippedUpTo(step: number, records: ReadonlyMap<number, JournalRecord>): number {
  let skipped = 0;
  while (records.get(step - skipped)?.decision.apply === false) skipped++;
  return skipped;
}

/** What an agent says, its records read. */
export const heldIn = ({ body, tensors }: Extract<TrainerEvent, { readonly type: 'agent.holds' }>): Held => ({
  ...body,
  records: recordsOf(body.records),
  ...tensors,
});

/** What a trainer is in that has heard of all machines: it has decided what the newest record says, and has yet to have it carried out. */
export function takenUp(context: TrainerContext): Partial<TrainerContext> {
  const { recorded, held, layout, down } = context;
  const taken = planTakeover(context, recorded, held);
  const joined = new Set([...held.values()].flatMap((each) => each.joined));
  const nodes = [...layout.nodes()].filter((node) => down.has(node) || joined.has(layout.nodeOf(node)));
  const machines = Array.from({ length: layout.machines.count }, (_, machine) => machine);
  return {
    taken,
    step: taken.step,
    attempt: taken.attempt,
    broken: true,
    lostUnsent: new Set(nodes),
    machinesUnsent: new Set(machines.filter((machine) => !taken.pending.has(addresses.agent(machine)))),
    saved: Math.max(context.saved, taken.saved),
    proven: taken.proven,
    skipped: taken.skipped,
    dealt: taken.step,
    // Whether it was evaluated nobody knows.
    ...(taken.record === null ? {} : { evaluated: taken.step - 1 }),
  };
}
