import { InvalidArgumentError, type Command } from 'commander';
import { verb } from '../verb.ts';
import type { OnlyFlag } from '../sweep/opened-sweep.ts';
import type { SweepFlags } from '../sweep/sweep.ts';

/** `router=token-choice,expert-choice` */
function onlyFlag(text: string, earlier: readonly OnlyFlag[]): readonly OnlyFlag[] {
  const [, axis, values] = /^([A-Za-z][\w.]*)=(.+)$/u.exec(text) ?? [];
  if (axis === undefined || values === undefined)
    throw new InvalidArgumentError(
      'expected an axis and values, such as router=token-choice or granularity=1,4.',
    );
  return [...earlier, { axis, values: values.split(',') }];
}

export function registerSweep(program: Command): void {
  verb(
    program,
    'sweep <file>',
    'Train a grid of models (sizes, tokens, granularities, routers, seeds) and record each as a line that `scaling fit` reads; cells that are done are skipped, interrupted ones go on.',
    'npx troupe sweep sweep.yaml\n  npx troupe sweep sweep.yaml --dry-run --measure\n  npx troupe scaling fit runs.jsonl',
  )
    .option('--dry-run', 'list the cells, their sizes and FLOPs and, as far as it is known, their time')
    .option('--measure', 'with --dry-run: train four steps of each model to know its time')
    .option(
      '--pace',
      'train 24 steps of each model whose cells are done, and write into their rows how long they take: when the machine did other things during the sweep',
    )
    .option(
      '--only <axis=values>',
      'cells with these values of an axis alone, may be repeated: router=token-choice, granularity=dense,1',
      onlyFlag,
      [],
    )
    .action(async (file: string, options: SweepFlags) =>
      (await import('../sweep/sweep.ts')).sweep(file, options),
    );
}
