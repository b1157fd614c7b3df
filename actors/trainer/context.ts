import type { Address } from '@troupe/core';
import type { JournalRecord } from '@troupe/journal';
import type { Layout } from '@troupe/topology/layout';
import type { Agents } from '../crew.ts';
import type { Pending } from '../pending.ts';
import type { Schedule } from './schedule.ts';
import type { Held, Takeover } from './takeover.ts';
import type { Votes } from '../votes.ts';

export interface TrainerContext {
  /** Step that is open or, between steps, the last one committed. */
  readonly step: number;
  /** Attempts of the whole run so far: it never falls, and what carries a lower one counts no more. */
  readonly attempt: number;
  /** The open step was not finite and has been begun once more. */
  readonly replayed: boolean;
  /** What has not come yet in the present phase: kinds of answers, and who gives them (`answerOf`). */
  readonly awaited: Pending<string>;
  /** Agents whose feeders have yet to count a step that others have counted. */
  readonly uncounted: ReadonlyMap<number, Pending<Address>>;
  readonly feeding: Pending<Address>;
  /** Workers and hosts that are lost and not back yet. */
  readonly down: ReadonlySet<number>;
  /** Machines whose agent is. */
  readonly downMachines: ReadonlySet<number>;
  /** Something was lost: the run must be brought back to the last commit before anything opens. */
  readonly broken: boolean;
  /** What shards, and copies of shards, hold when an attempt has been abandoned. */
  readonly versions: ReadonlyMap<Address, number>;
  /** A stop was asked for: the open step is finished first. */
  readonly stopping: boolean;
  /** Step that the newest checkpoint holds, and the last one evaluated. */
  readonly saved: number;
  readonly evaluated: number;
  /** Who answers for the actors of each machine. */
  readonly agents: Agents;
  readonly store: Address;
  readonly stopAfter: number;
  /** The newest checkpoint that a later update went well after, so that it is from before a blow-up; 0: none. */
  readonly proven: number;
  /** Steps that were skipped one after the other, up to the last one committed; so many of them end the run (0: none do). */
  readonly skipped: number;
  readonly maxSkipped: number;
  /** Decisions are put on a disk before they are sent. */
  readonly records: boolean;
  /** Workers that were lost while the decision was on its way there, also those that are back. */
  readonly lostUnsent: ReadonlySet<number>;
  /** Machines that were. */
  readonly machinesUnsent: ReadonlySet<number>;
  /** Another lead was before this one. */
  readonly takesOver: boolean;
  /** What its journal held, and what agents have said that they hold. */
  readonly recorded: readonly JournalRecord[];
  readonly held: ReadonlyMap<Address, Held>;
  /** Where it takes the run up, until it has; null: it has, or began it. */
  readonly taken: Takeover | null;
  readonly schedule: Schedule;
  /** Step after which experts were last dealt by load, or looked at. */
  readonly dealt: number;
  /** Votes of the present attempt. */
  readonly votes: Votes;
  /** Who holds which parameters. */
  readonly layout: Layout;
  readonly restartsFromBeginning: boolean;
  /** No steps: questions are answered until a stop is asked for. */
  readonly serves: boolean;
}

export type TrainerInput = Pick<
  TrainerContext,
  | 'step'
  | 'agents'
  | 'store'
  | 'stopAfter'
  | 'maxSkipped'
  | 'records'
  | 'takesOver'
  | 'schedule'
  | 'layout'
  | 'restartsFromBeginning'
  | 'serves'
>;
