// A thread of the tokenizer's process that ends it when an order exceeds its time or memory, or when the asking process is gone
// while the library keeps the main thread busy. It counts its own ticks and needs no clock.
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

const TICK_MS = 50;
/** [0] seconds left for the order, 0 when there is none; [1] megabytes that the process may have. */
const limits = workerData as Int32Array;
const parent = process.ppid;

function end(reason: string): never {
  if (reason !== '') writeSync(2, `\n${reason}\n`);
  process.kill(process.pid, 'SIGKILL');
  throw new Error('ended');
}

for (;;) {
  Atomics.wait(limits, 0, 0);
  let ticks = 0;
  for (let seconds = Atomics.load(limits, 0); seconds > 0; seconds = Atomics.load(limits, 0)) {
    if (Atomics.wait(limits, 0, seconds, TICK_MS) !== 'timed-out') break;
    ticks++;
    if (process.ppid !== parent) end('');
    if (ticks * TICK_MS > seconds * 1000) end(`it took longer than ${seconds} s`);
    const megabytes = limits[1] ?? 0;
    if (process.memoryUsage.rss() / 2 ** 20 > megabytes) end(`it needed more than ${megabytes} MB`);
  }
}
