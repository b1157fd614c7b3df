import type { Address } from '@troupe/core';
import type { JournalRecord } from '@troupe/journal';

/** What an agent has said to a lead that takes over. */
export interface Held {
  /** Which attempt its machine is in; -1: in none yet. */
  readonly attempt: number;
  /** The last decision that it passed on, as `step/attempt`, and whether all there have carried it out. */
  readonly decided: string;
  readonly applied: boolean;
  /** Nodes that have joined no attempt. */
  readonly joined: readonly string[];
  readonly records: readonly JournalRecord[];
  /** Where experts sit; absent: where they sat in the beginning. */
  readonly groups_LE?: Int32Array;
}

/** Where a lead goes on that takes over. */
export interface Takeover {
  /** The last decision of the run, which binds; null: nobody knows of one. */
  readonly record: JournalRecord | null;
  /** The last step that was decided. */
  readonly step: number;
  /** The newest attempt that anybody is in. */
  readonly attempt: number;
  /** Agents that may not have carried the decision out: they are told again. */
  readonly pending: ReadonlySet<Address>;
  /** Of all records that are known, by step. */
  readonly records: ReadonlyMap<number, JournalRecord>;
  /** Steps that were skipped one after the other, up to the last. */
  readonly skipped: number;
  /** The newest checkpoint that a later update went well after; 0: none. */
  readonly proven: number;
  readonly saved: number;
  readonly groups_LE?: Int32Array;
}
