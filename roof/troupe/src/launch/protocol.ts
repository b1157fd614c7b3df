import type { CurveKeys, Endpoints, Listen } from '@troupe/transport';
import type { LogLevel } from '../ports/logger.ts';
import type { RunChoices } from '../job.ts';
import type { RunDataChoice } from '../run-data.ts';
import type { ProfilePlan } from '../profile/recorder.ts';
import type { AgentPlace } from './homes.ts';
import type { ResolvedTopology } from '@troupe/topology';

/** Where a node listens. */
export interface NodeEndpoints extends Endpoints {
  readonly node: string;
}

/** Keys of a machine, and the public ones of all nodes: those of the transport, as they travel. */
export interface RunKeys {
  readonly public: string;
  readonly secret: string;
  readonly nodes: readonly (readonly [node: string, key: string])[];
}

/** What all processes of a run over several machines know it by. */
export interface RunSeal {
  readonly run: string;
  /** Null: none, on loopback. */
  readonly keys: RunKeys | null;
}

/** As the transport takes it. */
export const sealed = ({ run, keys }: RunSeal): { readonly run: string; readonly curve?: CurveKeys } => ({
  run,
  ...(keys === null
    ? {}
    : { curve: { public: keys.public, secret: keys.secret, nodes: new Map(keys.nodes) } }),
});

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
  /** Where everybody listens now: some have moved. */
  | { readonly type: 'endpoints'; readonly endpoints: readonly NodeEndpoints[] }
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
export interface WorkerArguments {
  /** Of a worker, or behind those of all workers that of a host. */
  readonly rank: number;
  /** `worker/0`, `host/0`. */
  readonly node: string;
  /** Life number of the worker; one above 1 joins a run that goes on. */
  readonly incarnation: number;
  readonly listen: Listen;
  /** Null: all processes are of this machine, over its own sockets. */
  readonly seal: RunSeal | null;
  /** For how long another node may not be reached before that is told, milliseconds; absent: 30 s. */
  readonly linkMs?: number;
  /** Where the agents of the run are. */
  readonly agents: AgentPlace;
  readonly logLevel: LogLevel;
  /** Absent: nothing is recorded. */
  readonly profile?: ProfilePlan;
}
