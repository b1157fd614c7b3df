import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Surroundings } from './program.ts';
import { stagesOf } from './stages.ts';

export interface SetupOptions extends Surroundings {
  readonly folder: string;
  /** Do every step again. */
  readonly force?: boolean;
}

/**
 * Builds a TensorFlow that `loadDevice` finds: @tensorflow/tfjs-node from npm, libtensorflow from PyPI, the binding by the C++ compiler.
 *
 * A step that is done leaves its key in the folder; a run that was cut short goes on after the last one that is.
 *
 * @throws {TensorflowSetupError} TROUPE_TENSORFLOW_SETUP: which step, why, and what to do
 */
export async function setupTensorflow({
  folder,
  force = false,
  ...surroundings
}: SetupOptions): Promise<void> {
  const stages = stagesOf(folder);
  mkdirSync(folder, { recursive: true });
  let again = force;
  for (const [index, { name, says, key, run }] of stages.entries()) {
    const mark = join(folder, `${name}.done`);
    const isDone = !again && existsSync(mark) && readFileSync(mark, 'utf8') === key;
    surroundings.print(`[${index + 1}/${stages.length}] ${says}${isDone ? ': done before' : ''}`);
    if (isDone) continue;
    // What comes after a step was built on it.
    again = again || name === 'packages';
    rmSync(mark, { force: true });
    await run(surroundings);
    writeFileSync(mark, key);
  }
}
