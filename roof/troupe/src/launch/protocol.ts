import type { ListeningPlan } from './listening.ts';
import type { LogLevel } from '../ports/logger.ts';
import type { RunChoices } from '../job.ts';
import type { RunDataChoice } from '../run-data.ts';
import type { ProfilePlan } from '../profile/recorder.ts';
import type { ResolvedTopology } from '@troupe/topology';

/** Where a node listens; the transport's own type, spelt out because it crosses the process boundary as JSON. */
export interface NodeEndpoints {
  readonly node: string;
  readonly control: string;
  readonly data: string;
}

/** Agent → worker, over the pipe that forking made. */
export type AgentMessage =
  /** Comes first: which worker the process is. */
  | { readonly type: 'begin'; readonly worker: WorkerArguments }
  | {
      readonly type: 'configure';
      readonly topology: ResolvedTopology;
      readonly choices: RunChoices;
      readonly data: RunDataChoice;
      readonly endpoints: readonly NodeEndpoints[];
    }
  /** The run is over: say goodbye to the peers, tell what was sent, end. */
  | { readonly type: 'leave' };

/** Worker → agent. */
export type WorkerMessage =
  | { readonly type: 'listening'; readonly endpoints: NodeEndpoints }
  | { readonly type: 'ready'; readonly device: string; readonly reason: string }
  /** Held-out sequences up to this one have been handed out. */
  | { readonly type: 'evaluating'; readonly sequence: number }
  | { readonly type: 'left'; readonly bytesSent: number; readonly messagesSent: number }
  | { readonly type: 'failed'; readonly code: string; readonly message: string; readonly retryable: boolean };

/** What makes a process a worker of a run. */
export interface WorkerArguments extends ListeningPlan {
  /** Of a worker, or behind those of all workers that of a host. */
  readonly rank: number;
  /** `worker/0`, `host/0`. */
  readonly node: string;
  /** Life number of the worker; one above 1 joins a run that goes on. */
  readonly incarnation: number;
  readonly logLevel: LogLevel;
  /** Absent: nothing is recorded. */
  readonly profile?: ProfilePlan;
}
