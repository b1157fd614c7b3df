import { setTimeout as after } from 'node:timers/promises';
import { findControl, writerOf } from 'troupe/control';

/** Between two looks at the files. */
const LOOK_MS = 250;

/** A process runs this folder, as far as can be seen from here. */
const isRun = (folder: string): boolean =>
  ['running', 'elsewhere'].includes(findControl(folder).kind) || writerOf(folder) !== null;

/** Shows what is new again and again, and a last time once nobody runs the folder any more. */
export async function followLogs(folder: string, show: () => void): Promise<void> {
  for (let runs = true; runs;) {
    runs = isRun(folder);
    await after(LOOK_MS);
    show();
  }
}
