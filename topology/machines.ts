import { assert } from '@troupe/core';
import type { FilledTopology } from './fill.ts';

export type DeviceBody = FilledTopology['device'];

/** One device of a machine: one worker process. */
export interface ResolvedDevice {
  /** `cpu:0`, `cuda:1`: without options. */
  readonly id: string;
  readonly kind: 'cpu' | 'cuda';
  readonly index: number;
  /** Kernel threads; 1 unless the file says otherwise. */
  readonly threads: number;
}

export interface ResolvedMachine {
  readonly host: string;
  readonly body: DeviceBody;
  readonly devices: readonly ResolvedDevice[];
}

const pattern = /^(cpu|cuda):(\d+)(?:\/threads=(\d+))?$/;

/** Reads `cpu:1/threads=2`. The schema has judged the text before. */
export function parseDevice(text: string): ResolvedDevice {
  const match = pattern.exec(text);
  assert(match !== null, 'the schema lets only legal devices through', { text });
  const kind = match[1] === 'cuda' ? 'cuda' : 'cpu';
  return { id: `${kind}:${match[2]}`, kind, index: Number(match[2]), threads: Number(match[3] ?? 1) };
}

export function resolveMachines(machines: FilledTopology['machines']): readonly ResolvedMachine[] {
  return machines.map((machine) => ({
    host: machine.host,
    body: machine.body,
    devices: machine.devices.map(parseDevice),
  }));
}

/** True for names of this machine's loopback. */
export const isLocalHost = (host: string): boolean =>
  ['localhost', '127.0.0.1', '::1'].includes(host.toLowerCase());

/** `localhost/cpu:0` of every device, in the order of ranks. */
export function deviceNames(machines: readonly ResolvedMachine[]): readonly string[] {
  return machines.flatMap((machine) => machine.devices.map((device) => `${machine.host}/${device.id}`));
}
