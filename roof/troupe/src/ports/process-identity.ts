import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** What tells a process from every other one, also from a later one with the same id. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** The numbering that `pid` belongs to: of this boot, and of this container. */
  readonly space: string;
  /** When it started, as the system says it; null where the system does not say. */
  readonly start: string | null;
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

function processSpace(): string {
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Not Linux: one numbering a machine.
  }
  return namespace;
}

const bootId = (): string => textOf('/proc/sys/kernel/random/boot_id') ?? '';

/** When a process started; null when no process has that id, or only an exited one that its parent has not reaped yet. */
export function startOf(pid: number): string | null {
  const stat = textOf(`/proc/${pid}/stat`);
  if (stat !== null) {
    // `pid (name) state …`: the name may hold anything; the start is the 22nd field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : `${bootId()} ${fields[19]}`;
  }
  if (textOf('/proc/self/stat') !== null) return null;
  try {
    const found = execFileSync('ps', ['-o', 'lstart=', '-p', `${pid}`], { encoding: 'utf8' }).trim();
    return found === '' ? null : found;
  } catch {
    return null;
  }
}

export const ownIdentity = (): ProcessIdentity => ({
  pid: process.pid,
  host: hostname(),
  space: processSpace(),
  start: startOf(process.pid),
});

/** Whether a process still runs; `unknown` for one of another machine or container, which cannot be seen from here. */
export function isRunning(process: ProcessIdentity): boolean | 'unknown' {
  if (process.host !== hostname() || process.space !== processSpace()) return 'unknown';
  return startOf(process.pid) === process.start;
}
