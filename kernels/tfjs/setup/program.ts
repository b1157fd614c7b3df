/** Programs that the set-up runs, and how it tells a person what went wrong with them. */
import { spawn, spawnSync } from 'node:child_process';
import { TroupeError } from '@troupe/core';

/** A step of the set-up cannot be done here; the message says which, why, and what to do. */
export class TensorflowSetupError extends TroupeError {
  override readonly name = 'TensorflowSetupError';
  constructor(stage: string, message: string, cause?: unknown) {
    super('TROUPE_TENSORFLOW_SETUP', `${stage}: ${message}`, { details: { stage }, cause });
  }
}

export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly print: (line: string) => void;
}

interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Over the surroundings' own. */
  readonly env?: NodeJS.ProcessEnv;
  /** Called twice a second while it runs. */
  readonly watch?: () => void;
}

/** Lines of a failed program that are shown. */
const SHOWN_LINES = 12;
const WATCH_MS = 500;

/** The first of `candidates` that answers to `--version`, or null. */
export function findProgram(
  candidates: readonly (readonly string[])[],
  { env }: Surroundings,
): readonly string[] | null {
  const answers = ([command = '', ...args]: readonly string[]): boolean =>
    spawnSync(command, [...args, '--version'], { env, encoding: 'utf8' }).status === 0;
  return candidates.find(answers) ?? null;
}

/** Runs a program to its end. @returns everything it printed. @throws {Error} with the last lines of that when it fails */
export async function runProgram(program: Program, { env }: Surroundings): Promise<string> {
  const child = spawn(program.command, program.args, {
    cwd: program.cwd,
    env: { ...env, ...program.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  const keep = (chunk: Buffer): void => void (printed += chunk.toString());
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const watching = program.watch && setInterval(program.watch, WATCH_MS);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code === 0) return printed;
    const tail = printed.trimEnd().split('\n').slice(-SHOWN_LINES).join('\n');
    throw new Error(`${program.command} ended with ${code ?? 'a signal'}:\n${tail}`);
  } finally {
    clearInterval(watching);
  }
}
