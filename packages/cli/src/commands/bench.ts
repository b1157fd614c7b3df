import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { Ended, UsageError } from '../errors.ts';
import { verb, type CommonOptions } from '../verb.ts';

/** Benches belong to the repository: they race rivals that an installed package does not carry. */
const mainFile = new URL('../../../../test/dist/bench/main.js', import.meta.url);

async function bench(names: readonly string[], options: CommonOptions): Promise<void> {
  const path = fileURLToPath(mainFile);
  if (!existsSync(path))
    throw new UsageError('benches live in the repository: clone it, run `npm ci`, then `npm run bench`');
  const child = spawn(process.execPath, [path, ...names, ...(options.json === true ? ['--json'] : [])], {
    stdio: 'inherit',
  });
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1)));
  });
  if (exitCode !== 0) throw new Ended(exitCode);
}

export function registerBench(program: Command): void {
  verb(
    program,
    'bench [names...]',
    "Run the repository's benches (kernels, step, roofline, wire; default all).",
    'npx troupe bench kernels',
  ).action(bench);
}
