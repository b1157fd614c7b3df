import { VERSION } from '@troupe/core';
import { numbersFingerprint, type ResolvedTopology } from '@troupe/topology';
import type { Endpoints } from '@troupe/transport';
import type { LogLevel } from '../ports/logger.ts';
import type { RunKeys } from '../launch/protocol.ts';
import type { RunChoices } from '../job.ts';
import type { RunDataChoice } from '../run-data.ts';
import type { CorpusPiece } from './offered-corpus.ts';
import type { MachineKernels } from './machine-kernels.ts';
import type { MarkedDisk } from './shared-disk.ts';

/** Raised with every change of the lines below. */
const PROTOCOL = 3;

/** What has to be the same in all processes of a run, since it decides what they say and what they compute. */
export interface Build {
  readonly protocol: number;
  readonly troupe: string;
  readonly node: string;
  readonly v8: string;
  /** Hash of the numbers of this run that V8 computes: learning rates, bias corrections, frequencies. */
  readonly numbers: string;
}

/** Of this process. A topology that another protocol brought is not read. */
export const ownBuild = (topology: ResolvedTopology, protocol = PROTOCOL): Build => ({
  protocol: PROTOCOL,
  troupe: VERSION,
  node: process.versions.node,
  v8: process.versions.v8,
  numbers: protocol === PROTOCOL ? numbersFingerprint(topology).slice(0, 16) : '',
});

/** One process of a run: its node, and how often it has begun. */
export interface Life {
  readonly node: string;
  readonly incarnation: number;
}

/** Where a life of a node listens. */
export interface Listening extends Life {
  readonly endpoints: Endpoints;
}

/** Comes first: which machine an agent speaks for, and what it needs to listen. The only line with a secret. */
export interface AgentBegin {
  readonly type: 'begin';
  readonly build: Build;
  /** Name of this run, by which its processes know each other. */
  readonly run: string;
  readonly machine: number;
  /** What the launcher calls the machine. */
  readonly host: string;
  readonly incarnation: number;
  /** Life of each worker and host of the machine to begin with. */
  readonly lives: readonly Life[];
  readonly topology: ResolvedTopology;
  /** Of this machine; null: none, on loopback. */
  readonly keys: RunKeys | null;
  /** True where all machines of the run are this very one. */
  readonly isOnLoopback: boolean;
  /** First TCP port of the machine's processes, two each; null: any free ones. */
  readonly port: number | null;
  readonly logLevel: LogLevel;
  /** Of the lead's checkpoints; null: no part of any is written by machines. */
  readonly disk: MarkedDisk | null;
}

/** Lead → agent. */
export type LeadLine =
  | AgentBegin
  /** What the run is, and where everybody listens: actors can be mounted. */
  | {
      readonly type: 'configure';
      readonly choices: RunChoices;
      readonly data: RunDataChoice;
      readonly places: readonly Listening[];
    }
  /** Some have moved; those who are not named have not. */
  | { readonly type: 'places'; readonly places: readonly Listening[] }
  /** Begins the next life of a worker, once what is left of the one before has ended. */
  | ({ readonly type: 'worker.begin' } & Life)
  /** What a machine has asked for of the packed corpus. */
  | { readonly type: 'corpus.piece'; readonly piece: CorpusPiece }
  /** The run is over. */
  | { readonly type: 'leave' };

/** What an agent says of its machine. */
export interface MachineReport {
  readonly hostname: string;
  /** Of the installation; null: it has none that can be read. */
  readonly machineId: string | null;
  readonly pid: number;
  readonly cores: number;
  /** Bytes that its processes can share. */
  readonly memoryBytes: number;
}

/** Agent → lead. */
export type AgentLine =
  | ({
      readonly type: 'here';
      readonly build: Build;
      /** Null: of another build, or without a device. */
      readonly kernels: MachineKernels | null;
      /** The lead's mark was found. */
      readonly seesDisk: boolean;
    } & MachineReport)
  | ({ readonly type: 'listening'; readonly pid: number } & Listening)
  | ({ readonly type: 'ready'; readonly device: string; readonly reason: string } & Life)
  | { readonly type: 'evaluating'; readonly sequence: number }
  /** Asks for a piece of the packed corpus from a byte on; -1: for word of it. */
  | { readonly type: 'corpus.wanted'; readonly from: number }
  /** A line that a process of the machine has printed. */
  | { readonly type: 'printed'; readonly node: string; readonly text: string }
  /** A worker ended without being asked to. */
  | ({ readonly type: 'lost'; readonly reason: string } & Life)
  | ({
      readonly type: 'failed';
      readonly code: string;
      readonly message: string;
      readonly retryable: boolean;
    } & Life)
  /** What the processes of the machine have sent; the last line of an agent. */
  | { readonly type: 'left'; readonly bytesSent: number; readonly messagesSent: number };

/** In which both builds differ, with both values; null: in nothing. */
export function buildDifference(lead: Build, agent: Build): string | null {
  const keys = ['protocol', 'troupe', 'node', 'v8', 'numbers'] as const;
  const differing = keys.filter((key) => lead[key] !== agent[key] && agent[key] !== '');
  if (differing.length === 0) return null;
  return differing.map((key) => `${key} is ${agent[key]} there and ${lead[key]} with the lead`).join('; ');
}
