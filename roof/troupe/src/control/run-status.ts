import type { RelayoutRecord } from '../relayout/relayout.ts';
import type { RunLook } from '../run/run-view.ts';

/** What a running run is doing. Fields may be added, never changed. */
export interface RunStatus {
  readonly state: 'starting' | 'running' | 'stopping';
  readonly name: string;
  /** Of the lead: the process that launched it. */
  readonly pid: number;
  readonly host: string;
  /** ISO 8601. */
  readonly since: string;
  readonly seconds: number;
  /** Last committed step; the step of the checkpoint that it goes on from, or 0, before there is one. */
  readonly step: number;
  /** Last step of this run. */
  readonly of: number;
  /** Nats a token; null before the first step, and where it is no number. */
  readonly loss: number | null;
  readonly evalLoss: number | null;
  /** Of the last step. */
  readonly tokensPerSecond: number | null;
  readonly stepSeconds: number | null;
  /** Share of the last step in which a device ran kernels, mean over workers. */
  readonly kernelShare: number | null;
  readonly dropRate: number | null;
  /** By the mean of the newest steps; null before the first. */
  readonly secondsLeft: number | null;
  /** What takes long before or between steps, in words; null: nothing does. */
  readonly task: string | null;
  /** Since the last step was committed, or since the start. */
  readonly openSeconds: number;
  readonly checkpoint: { readonly step: number; readonly path: string; readonly secondsAgo: number } | null;
  /** Of this launch. */
  readonly losses: number;
  readonly recoveries: number;
  readonly lastFault: string | null;
  readonly nodes: RunLook['nodes'];
  /** Sentences. */
  readonly waits: readonly string[];
  /** Shards of the model's state, and those of them that a second worker holds too. */
  readonly copies: RunLook['copies'];
  readonly experts: RunLook['experts'];
  /** What it is in, in words; null before it is known. */
  readonly layout: string | null;
  /** The newest sixteen of this run folder, the newest last; one that is under way is `open`. */
  readonly relayouts: readonly RelayoutRecord[];
}
