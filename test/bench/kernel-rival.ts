import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import type { Precision } from './bench-job.ts';
import { NUM_THREADS, peerScript, pythonEnvironment, tunedAllocator } from './python-engines.ts';
import type { Python } from './python.ts';

/** Its threads spin for some milliseconds after their last work, and would do so during ours. */
const SPIN_MS = 30;

/** PyTorch in a process of its own that times one operation whenever it is asked to. */
export interface KernelRival {
  /** @returns milliseconds of one run of an operation of `peers/kernel_ops.py` */
  readonly time: (operation: string) => Promise<number>;
  readonly close: () => void;
}

export function openKernelRival(python: Python, precision: Precision): KernelRival {
  const child = spawn(
    python.path,
    [peerScript('kernel_ops'), `--precision=${precision}`, `--threads=${NUM_THREADS}`],
    {
      env: { ...process.env, ...pythonEnvironment, ...tunedAllocator },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    time: async (operation) => {
      child.stdin.write(`${operation}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new RangeError(`peers/kernel_ops.py ended at ${operation}`);
      await setTimeout(SPIN_MS);
      return Number(value);
    },
    close: () => child.stdin.end(),
  };
}
