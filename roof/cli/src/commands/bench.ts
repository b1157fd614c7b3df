import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { counted } from '@troupe/core';
import type { Command } from 'commander';
import { Ended, UsageError } from '../errors.ts';
import { exitOf } from '../fork-command.ts';
import { OutputFile } from '../output-file.ts';
import { print, printError, printJson } from '../output.ts';
import { collect, integer, verb, type CommonOptions } from '../verb.ts';

interface BenchOptions extends CommonOptions {
  readonly calibrate?: string;
  readonly out?: string;
  readonly steps?: number;
  readonly set: readonly string[];
}

/** Benches belong to the repository: they race rivals that an installed package does not carry. */
const mainFile = new URL('../../../../test/dist/bench/main.js', import.meta.url);

const CALIBRATION_FILE = 'troupe-calibration.json';
/** Recorded steps of each run. */
const CALIBRATED_STEPS = 4;

/** Measures this machine for `simulate --calibration`. */
async function calibrateTo(
  file: string,
  { out = CALIBRATION_FILE, steps = CALIBRATED_STEPS, set, json }: BenchOptions,
): Promise<void> {
  const output = new OutputFile('--out', out);
  const { calibrate } = await import('../calibrate/calibrate.ts');
  const found = await calibrate({ file, set }, steps, ({ workers, threads, exchange }) =>
    printError(
      exchange
        ? `measuring what ${workers} replicas of ${file} say to each other …`
        : `measuring ${workers} × ${counted(threads, 'thread')} of ${file} …`,
    ),
  );
  output.write(`${JSON.stringify(found, null, 2)}\n`);
  if (json === true) {
    printJson({ event: 'calibration', path: out, ...found });
    return;
  }
  for (const { workers, threads, flopsPerMs, bytesPerMs, turnMs, slowness } of found.setups)
    print(
      `${workers} × ${counted(threads, 'thread')}: peak ${(flopsPerMs / 1e6).toFixed(0)} GFLOP/s, ${(bytesPerMs / 1e6).toFixed(1)} GB/s a worker; experts.backward takes ${(slowness['experts.backward'] ?? Number.NaN).toFixed(2)} times the roofline's time; a turn ${(1000 * turnMs).toFixed(0)} µs`,
    );
  if (found.insideBytesPerMs !== undefined)
    print(`links between workers: ${(found.insideBytesPerMs / 1e6).toFixed(2)} GB/s`);
  print(`written to ${out}`, `next: npx troupe simulate ${file} --calibration ${out}`);
}

/** A test holds them equal to those of the repository's `test/bench`, which an installed command does not have. */
export const benchNames = [
  'kernels',
  'moe',
  'small-experts',
  'granularity',
  'step',
  'roofline',
  'wire',
  'scaling',
  'simulated',
  'prediction',
  'events',
  'memory',
  'resident',
  'layouts',
  'capacity',
] as const;

/** @throws {UsageError} TROUPE_USAGE unless exactly one bench is named */
function checkNames(names: readonly string[]): void {
  const unknown = names.find((name) => !(benchNames as readonly string[]).includes(name));
  if (names.length === 1 && unknown === undefined) return;
  const found =
    names.length === 0
      ? 'no bench is named'
      : unknown === undefined
        ? 'one bench runs at a time'
        : `there is no bench '${unknown}'`;
  throw new UsageError(
    `${found}; name one of ${benchNames.join(', ')}, or pass --calibrate TOPOLOGY. Flags of a bench: npm run bench -- --help`,
  );
}

async function bench(names: readonly string[], options: BenchOptions): Promise<void> {
  if (options.calibrate !== undefined) {
    if (names.length > 0)
      throw new UsageError(
        `--calibrate runs no bench; leave ${names.join(' ')} out, or leave --calibrate out`,
      );
    await calibrateTo(options.calibrate, options);
    return;
  }
  checkNames(names);
  const { out, steps, set, json } = options;
  const stray = Object.entries({ out, steps, set: set[0], json }).find(([, value]) => value !== undefined);
  if (stray !== undefined)
    throw new UsageError(`--${stray[0]} goes with --calibrate; a bench takes none of it`);
  const path = fileURLToPath(mainFile);
  if (!existsSync(path))
    throw new UsageError('benches live in the repository: clone it, run `npm ci`, then `npm run bench`');
  const child = spawn(process.execPath, [path, ...names], {
    stdio: 'inherit',
  });
  const exitCode = await exitOf(child);
  if (exitCode !== 0) throw new Ended(exitCode);
}

export function registerBench(program: Command): void {
  verb(
    program,
    'bench [names...]',
    "Run one of the repository's benches (kernels, step, simulated, scaling, …), or calibrate the simulator.",
    'npx troupe bench kernels\n  npx troupe bench --calibrate quickstart --out calibration.json',
  )
    .option(
      '--calibrate <topology>',
      'measure what its workers cost on this machine, for `simulate --calibration`',
    )
    .option('--out <file>', `with --calibrate: where it goes (default ${CALIBRATION_FILE})`)
    .option('--set <key=value>', 'with --calibrate: override one key, may be repeated', collect, [])
    .option(
      '--steps <n>',
      `with --calibrate: recorded steps of each run (default ${CALIBRATED_STEPS})`,
      integer(1),
    )
    .action(bench);
}
