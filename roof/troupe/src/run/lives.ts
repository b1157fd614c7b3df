import type { NodeId } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import { createMemoryNetwork } from '@troupe/transport';
import type { SystemOptions } from '@troupe/runtime';
import type { Codec } from '@troupe/wire';
import type { Use } from '../job.ts';
import { systemClock } from '../ports/clock.ts';
import type { ExitHandler } from './processes.ts';

/** What one life of a node runs on. */
export interface LifePorts extends Pick<SystemOptions, 'clock' | 'transport' | 'schedule'> {
  /** What this life sees of the device of its worker. Default: the device itself. */
  readonly device?: (device: Device) => Device;
}

/** Where lives of nodes are that share this process: its own memory, or a simulated world. */
export interface Lives {
  /** Begins a life of a node; a higher incarnation replaces a lower one. */
  open(node: NodeId, incarnation: number): LifePorts;
  /** Calls back when a new process of a node can begin its next life; never, when its machine is gone for good. */
  boot(node: NodeId, run: () => void): void;
  /** Tells of every process that ended without being asked to. */
  onExit(handler: ExitHandler): void;
  /** A lost lead can begin another life here. Default false. */
  readonly restartsLead?: boolean;
  /** The lead has a machine of its own, with the store: any other one may be lost for good. Default false: both are with the first agent. */
  readonly leadIsApart?: boolean;
  /** Whether whoever started a node that is away knows that it has ended. Default: nobody knows. */
  readonly endWasSeen?: (node: NodeId) => boolean;
  /** How messages become packets. Default: as between machines. */
  readonly codec?: Codec;
  /** What of a topology can run here. */
  readonly use: Use;
}

/** Lives on this process's own clock and event loop; nothing ends a part of a process. */
export function localLives(): Lives {
  const clock = systemClock();
  const network = createMemoryNetwork({ clock });
  return {
    open: (node, incarnation) => ({
      clock,
      transport: network.connect(node, incarnation),
      schedule: (run) => void setImmediate(run),
    }),
    use: 'launch',
    boot: (_node, run) => void setImmediate(run),
    onExit: () => {},
  };
}
