import { assert } from '@troupe/core';
import type { FilledTopology } from './fill.ts';
import { MAX_WORLD } from './schema-fields.ts';
import { speedPresets } from './speed-presets.ts';

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

/** Speed of a device, as far as it is known. */
export interface ResolvedSpeed {
  readonly flopsPerSecond: number;
  readonly memoryBytesPerSecond: number | null;
  readonly memoryBytes: number | null;
  /** Fixed time of one list of kernels. */
  readonly launchMs: number;
}

export interface ResolvedMachine {
  /** As the file names it; `m0`, `m1` … of machines that come from the launcher. */
  readonly host: string;
  readonly body: DeviceBody;
  readonly devices: readonly ResolvedDevice[];
  /** Of each of its devices; null: not said. */
  readonly speed: ResolvedSpeed | null;
}

const pattern = /^(cpu|cuda):(\d+)(?:\/threads=(\d+))?$/;

/** Reads `cpu:1/threads=2`. The schema has judged the text before. */
export function parseDevice(text: string): ResolvedDevice {
  const match = pattern.exec(text);
  assert(match !== null, 'the schema lets only legal devices through', { text });
  const kind = match[1] === 'cuda' ? 'cuda' : 'cpu';
  return { id: `${kind}:${match[2]}`, kind, index: Number(match[2]), threads: Number(match[3] ?? 1) };
}

type FilledMachines = FilledTopology['machines'];

/** Machines that come from the launcher. */
export type JoiningMachines = Exclude<FilledMachines, readonly unknown[]>;

/** True when a file says how many machines there are, instead of naming them. */
export const areJoining = (machines: FilledMachines): machines is JoiningMachines => !Array.isArray(machines);

/** `m0`: what a machine is called by its place, whatever its host. */
export const machineName = (index: number): string => `m${index}`;

/** No more than a topology may have: a larger number is a problem of the file, and not of whoever judges it. */
const numJoining = ({ count, devices }: JoiningMachines): number =>
  Math.min(count, Math.ceil(MAX_WORLD / devices.length));

export function resolveMachines(machines: FilledMachines): readonly ResolvedMachine[] {
  const resolve = (machine: JoiningMachines | Exclude<FilledMachines, JoiningMachines>[number]) => ({
    body: machine.body,
    devices: machine.devices.map(parseDevice),
    speed: machine.speed === undefined ? null : resolveSpeed(machine.speed),
  });
  if (!areJoining(machines)) return machines.map((machine) => ({ host: machine.host, ...resolve(machine) }));
  const alike = resolve(machines);
  return Array.from({ length: numJoining(machines) }, (_, index) => ({
    host: machineName(index),
    ...alike,
  }));
}

/** A GPU starts a list of kernels in about ten microseconds. */
const PRESET_LAUNCH_MS = 0.01;

function resolveSpeed(speed: NonNullable<JoiningMachines['speed']>): ResolvedSpeed {
  const figures = typeof speed === 'string' ? { ...speedPresets[speed], launchMs: PRESET_LAUNCH_MS } : speed;
  return {
    flopsPerSecond: figures.tflops * 1e12,
    memoryBytesPerSecond: figures.memoryGBps === undefined ? null : figures.memoryGBps * 1e9,
    memoryBytes: figures.memoryGB === undefined ? null : figures.memoryGB * 1e9,
    launchMs: figures.launchMs,
  };
}
