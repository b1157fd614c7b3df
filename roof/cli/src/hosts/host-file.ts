import { isSshHost } from 'troupe/launch';
import { UsageError } from '../errors.ts';

/** A machine as `machines` of a topology names it. */
export interface ListedMachine {
  readonly host: string;
  readonly devices: readonly string[];
}

/** Slots of one host; more are a slip of the finger. */
const MOST_SLOTS = 4096;

function machineOf(line: string): ListedMachine | string {
  const [host = '', slots, ...rest] = line.split(/\s+/u);
  if (!isSshHost(host)) return `'${host}' is no name that ssh takes`;
  if (host.includes('@')) return `'${host}' has a user; ~/.ssh/config is the place for one`;
  const [, count] = /^slots=(\d{1,9})$/u.exec(slots ?? '') ?? [];
  if (count === undefined || rest.length > 0) return `found '${line}', expected 'HOST slots=N'`;
  const number = Number(count);
  if (number < 1 || number > MOST_SLOTS) return `${slots} is not from 1 to ${MOST_SLOTS}`;
  return { host, devices: Array.from({ length: number }, (_, index) => `cpu:${index}`) };
}

/**
 * Machines of a hostfile as DeepSpeed and MPI have it: `gpu-1 slots=4` a line, `#` begins a comment; a slot is a device.
 *
 * @param name - of the file, for people
 * @throws {UsageError} that names file and line
 */
export function machinesOfHostfile(text: string, name: string): readonly ListedMachine[] {
  const lineOf = new Map<string, number>();
  const machines = text.split(/\r?\n/u).flatMap((whole, index): readonly ListedMachine[] => {
    const line = whole.replace(/#.*$/u, '').trim();
    if (line === '') return [];
    const found = machineOf(line);
    if (typeof found === 'string') throw new UsageError(`${name}:${index + 1}: ${found}`);
    const earlier = lineOf.get(found.host);
    if (earlier !== undefined)
      throw new UsageError(
        `${name}:${index + 1}: ${found.host} is in line ${earlier} already; give it all its slots there`,
      );
    lineOf.set(found.host, index + 1);
    return [found];
  });
  if (machines.length === 0) throw new UsageError(`${name} names no host; a line is 'HOST slots=N'`);
  return machines;
}
