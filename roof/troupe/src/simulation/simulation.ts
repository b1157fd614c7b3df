import type { Lane } from '@troupe/core';
import type { ActorSystem } from '@troupe/runtime';
import type { StruckFault, TraceLine, Violation } from '@troupe/sim';
import type { RunEvent } from '@troupe/telemetry';
import type { RunResult } from '../run-result.ts';

/** A simulated run, as it ended. */
export interface Simulation {
  readonly result: RunResult;
  readonly events: readonly RunEvent[];
  /** Hash of everything that happened. */
  readonly traceHash: string;
  readonly trace: readonly TraceLine[];
  readonly virtualMs: number;
  readonly numEvents: number;
  /** Faults in the order in which they struck. */
  readonly struck: readonly StruckFault[];
  /** Packets that arrived, by lane. */
  readonly traffic: Readonly<Record<Lane, { readonly messages: number; readonly bytes: number }>>;
  /** Bytes that the present life of every worker has allocated on its device. */
  readonly memory: readonly { readonly node: string; readonly bytes: number }[];
  /** What a checker found first; null: everything held. */
  readonly violation: Violation | null;
  /** States of all actors at the end. */
  readonly actors: readonly ReturnType<ActorSystem['statuses']>[number][];
}
