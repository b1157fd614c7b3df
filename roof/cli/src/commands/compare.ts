import { Option, type Command } from 'commander';
import type { CompareFlags } from '../compare/compare-flags.ts';
import { verb } from '../verb.ts';

export function registerCompare(program: Command): void {
  verb(
    program,
    'compare <runs...>',
    'Say how fast runs learn: losses over updates, tokens and FLOPs, and the updates that one needs for what another ends with. A file of rows of `sweep` instead of folders: means of seeds and their spread, by task and language.',
    'npx troupe compare runs/moe runs/dense --out curves.svg',
  )
    .addOption(
      new Option(
        '--loss <loss>',
        'train: mean of the last 20th of the steps; held-out (default: held-out if all runs were evaluated)',
      ).choices(['train', 'held-out']),
    )
    .option('--out <file>', 'write the curves as one SVG picture')
    .action(async (runs: readonly string[], options: CompareFlags) =>
      (await import('../compare/compare.ts')).compare(runs, options),
    );
}
