import { readFileSync } from 'node:fs';

const KIBIBYTE = 1024;

/** The processes below one, itself included; those that ended meanwhile are left out. Linux only. */
function processesOf(pid: number): readonly number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter((each) => each !== '');
    return [pid, ...children.flatMap((child) => processesOf(Number(child)))];
  } catch {
    return [];
  }
}

/** A figure of /proc/PID/status in bytes; 0 when the process is gone. */
function memoryOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`${field}:\\s+(\\d+)`, 'u').exec(status)?.[1] ?? 0) * KIBIBYTE;
  } catch {
    return 0;
  }
}

/** Resident memory of a process and all below it, now. */
export function residentOf(pid: number): { readonly bytes: number; readonly numProcesses: number } {
  const pids = processesOf(pid);
  return {
    bytes: pids.reduce((sum, each) => sum + memoryOf(each, 'VmRSS'), 0),
    numProcesses: pids.length,
  };
}

/** Linux counts processor time in hundredths of a second for programs, on every machine. */
const TICKS_PER_SECOND = 100;

/** Processor time that a process and all below it have used, user and system, those of them that ended included. */
export function processorSecondsOf(pid: number): number {
  const ticksOf = (each: number): number => {
    try {
      // The name in brackets may hold anything; utime, stime, cutime and cstime are fields 14 to 17.
      const fields = readFileSync(`/proc/${each}/stat`, 'utf8')
        .replace(/^.*\) /su, '')
        .split(' ');
      return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    } catch {
      return 0;
    }
  };
  return processesOf(pid).reduce((sum, each) => sum + ticksOf(each), 0) / TICKS_PER_SECOND;
}

/**
 * Peak memory of a process and all below it: the sum of what the kernel keeps as each one's high-water mark (VmHWM), so
 * pages that two of them share count twice. Marks go with their process, so they are looked at often.
 */
export class PeakMemory {
  readonly #pid: number;
  readonly #marks = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.look(), 100);
  }

  look(): void {
    for (const pid of processesOf(this.#pid)) {
      const mark = memoryOf(pid, 'VmHWM');
      if (mark > 0) this.#marks.set(pid, mark);
    }
  }

  /** Ends the looking. */
  stop(): { readonly bytes: number; readonly numProcesses: number } {
    clearInterval(this.#timer);
    const marks = [...this.#marks.values()];
    return { bytes: marks.reduce((sum, each) => sum + each, 0), numProcesses: marks.length };
  }
}
