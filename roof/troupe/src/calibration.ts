import { TroupeError } from '@troupe/core';
import type { DeviceSpeed } from '@troupe/sim';
import type { ResolvedMachine } from '@troupe/topology';

/** What one worker costs on a machine with `workers` of them at work, each on `threads` threads. */
export interface CalibratedSetup {
  readonly threads: number;
  readonly workers: number;
  /** Peak of one device, floating-point operations a millisecond, and bandwidth, bytes a millisecond. */
  readonly flopsPerMs: number;
  readonly bytesPerMs: number;
  /** By operation: its measured time over that of the roofline. */
  readonly slowness: Readonly<Record<string, number>>;
  /** Event-loop time of a worker for one turn of an actor, milliseconds: coding, sockets and gaps between lists are in it. */
  readonly turnMs: number;
}

/** Figures of one machine, written by `troupe bench --calibrate` and read by `simulate`. */
export interface Calibration {
  readonly version: 1;
  /** For people: what was measured where and when. */
  readonly machine: string;
  readonly job: string;
  readonly date: string;
  readonly setups: readonly CalibratedSetup[];
  /** What links between workers of the machine carry, bytes a millisecond; absent: what the topology says (`links.inside`). */
  readonly insideBytesPerMs?: number;
}

/** A file that is no calibration, or lacks what a topology needs. */
export class CalibrationError extends TroupeError {
  constructor(message: string) {
    super('TROUPE_CALIBRATION', message);
  }
}

const isRate = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0;
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/** @throws {CalibrationError} TROUPE_CALIBRATION when `value` is not what `bench --calibrate` writes */
export function parseCalibration(value: unknown, path: string): Calibration {
  const isSetup = (setup: unknown): boolean =>
    isRecord(setup) &&
    ['threads', 'workers', 'flopsPerMs', 'bytesPerMs'].every((key) => isRate(setup[key])) &&
    typeof setup['turnMs'] === 'number' &&
    setup['turnMs'] >= 0 &&
    isRecord(setup['slowness']) &&
    Object.values(setup['slowness']).every(isRate);
  if (isRecord(value) && value['version'] === 1) {
    const setups: unknown = value['setups'];
    const { insideBytesPerMs } = value;
    const hasRate = insideBytesPerMs === undefined || isRate(insideBytesPerMs);
    if (hasRate && Array.isArray(setups) && setups.length > 0 && setups.every(isSetup))
      return value as unknown as Calibration;
  }
  throw new CalibrationError(
    `'${path}' is no calibration of this version; write one with \`npx troupe bench --calibrate FILE --out ${path}\``,
  );
}

/** The setup that a machine of a topology is, as nearly as it was measured: the same threads, the nearest number of workers. */
function setupOf({ setups }: Calibration, { devices, host }: ResolvedMachine): CalibratedSetup {
  const threads = devices[0]?.threads ?? 1;
  const known = setups
    .filter((setup) => setup.threads === threads)
    .toSorted((a, b) => Math.abs(a.workers - devices.length) - Math.abs(b.workers - devices.length));
  const [nearest] = known;
  if (nearest !== undefined) return nearest;
  const measured = setups.map((setup) => setup.threads).join(', ');
  throw new CalibrationError(
    `the calibration has devices with this many threads: ${measured}; those of ${host} have ${threads}`,
  );
}

/** Speed of the devices of a machine, and the price of a turn on it. */
export function calibrated(
  calibration: Calibration,
  machine: ResolvedMachine,
): { readonly speed: DeviceSpeed; readonly turnMs: number } {
  const { flopsPerMs, bytesPerMs, slowness, turnMs } = setupOf(calibration, machine);
  return {
    turnMs,
    speed: {
      flopsPerMs,
      bytesPerMs,
      slowness,
      launchMs: 0,
      callMs: 0,
      memoryBytes: machine.speed?.memoryBytes ?? Number.POSITIVE_INFINITY,
    },
  };
}
