import { InvalidArgumentError, Option, type Command } from 'commander';
import { collect, decimal, integer, named, quantity, verb } from '../verb.ts';
import type { CompareFlags } from '../scaling/compare.ts';
import type { FitFlags } from '../scaling/fit.ts';
import type { OptimalFlags } from '../scaling/optimal.ts';
import type { PlotFlags } from '../scaling/plot.ts';
import type { PredictFlags } from '../scaling/predict.ts';

/** A granularity divides the width of an FFN, which is a multiple of 64. */
function granularity(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(Math.log2(value)) || value < 1 || value > 1024)
    throw new InvalidArgumentError('expected a power of two, 1 to 1024.');
  return value;
}

/** Flags by which each of them finds its law. */
const withLaw = (command: Command): Command =>
  command
    .option(
      '--law <name|file>',
      'coefficients: granular-e64, granular-e64-printed, granular-e16, joint, or a file of `fit --out` (default: nearest to --experts)',
      named,
    )
    .option(
      '--experts <E>',
      'parameters of the experts of a layer over those of a dense FFN (default: as the law)',
      integer(1),
    );

function registerPredict(scaling: Command): void {
  withLaw(
    verb(
      scaling,
      'predict',
      'Say which loss a law expects of a model trained on so many tokens.',
      'npx troupe scaling predict --active 1B --tokens 29B --granularity 16',
    ),
  )
    .requiredOption(
      '--active <n>',
      'parameters that a token meets, without embedding and routers: 1e9, 100M',
      quantity,
    )
    .requiredOption('--tokens <n>', 'tokens of training', quantity)
    .option(
      '--granularity <G>',
      'experts are a G-th of a dense FFN wide, and a token meets G of them',
      granularity,
      1,
    )
    .action(async (options: PredictFlags) => (await import('../scaling/predict.ts')).predict(options));
}

function registerOptimal(scaling: Command): void {
  withLaw(
    verb(
      scaling,
      'optimal',
      'Find the model, its granularity and its tokens that a budget is best spent on, and write a topology of it.',
      'npx troupe scaling optimal --flops 1e18 --write budget.yaml',
    ),
  )
    .option('--flops <n>', 'FLOPs of training to spend', quantity)
    .option(
      '--active <n>',
      'instead: active parameters; finds the budget that they are the best use of',
      quantity,
    )
    .option('--granularity <G>', 'look at this granularity alone', granularity)
    .option('--router-flops <n>', 'FLOPs of a router weight and token', decimal(0), 14)
    .option('--memory <n>', 'with --law joint: most parameters in all', quantity)
    .option(
      '--inference-tokens <n>',
      'with --law joint: tokens of inference that the budget pays too',
      quantity,
    )
    .option('--write <file>', 'write a topology of the best, rounded to legal sizes')
    .option('--batch-tokens <n>', 'with --write: tokens of a step', integer(1), 524_288)
    .option('--seq-len <n>', 'with --write: tokens of a sequence', integer(1), 256)
    .option('--force', 'with --write: overwrite a file that exists')
    .action(async (options: OptimalFlags) => (await import('../scaling/optimal.ts')).optimal(options));
}

function registerFit(scaling: Command): void {
  verb(
    scaling,
    'fit <runs>',
    'Fit laws to runs: a JSON Lines file with paramsActive, paramsTotal, tokens, granularity, expansion and loss in each line.',
    'npx troupe scaling fit runs.jsonl --out mine.json\n  npx troupe scaling optimal --law mine.json --flops 1e15',
  )
    .option('--out <file>', 'write the coefficients, for --law')
    .option('--name <name>', 'name of the coefficients', named, 'fitted')
    .option('--experts <E>', 'runs with this expansion alone', integer(2))
    .option('--router <kind>', 'runs with this router, and dense ones: token-choice, expert-choice', named)
    .option('--bootstrap <n>', 'fits to 80 % of the runs, for intervals; 0: none', integer(0), 100)
    .option('--seed <n>', 'decides which runs those see', integer(0), 1)
    .option('--delta <n>', 'difference from which a run counts in proportion, nats', decimal(1e-9), 0.1)
    .option('--weight-decay <n>', 'pull of the coefficients to 0', decimal(0), 5e-4)
    .option('--log-loss', 'compare the logarithms of losses')
    .action(async (runs: string, options: FitFlags) =>
      (await import('../scaling/fit.ts')).fit(runs, options),
    );
}

function registerPlot(scaling: Command): void {
  withLaw(
    verb(
      scaling,
      'plot',
      'Draw what a law says as an SVG picture.',
      'npx troupe scaling plot --kind loss --out loss.svg',
    ),
  )
    .addOption(
      new Option(
        '--kind <kind>',
        'loss: against FLOPs, for granularities and dense; iso-flop: against active parameters, a curve for each budget; granularity: the best one by budget',
      )
        .choices(['loss', 'iso-flop', 'granularity'])
        .default('loss'),
    )
    .requiredOption('--out <file>', 'picture to write')
    .option(
      '--flops <n>',
      'with iso-flop: a budget, may be repeated (default: 1e18 to 1e22)',
      (text, earlier: readonly string[]) => collect(String(quantity(text)), earlier),
      [],
    )
    .action(async (options: PlotFlags) => (await import('../scaling/plot.ts')).plot(options));
}

function registerCompare(scaling: Command): void {
  verb(
    scaling,
    'compare <runs>',
    'Compare granularities that were trained, with each other, with their noise and with a law: at equal tokens, FLOPs and seconds.',
    'npx troupe scaling compare runs.jsonl --out .',
  )
    .option(
      '--law <name|file>',
      'coefficients: a name, or a file of `fit --out` (default: nearest to the expansion of the runs)',
      named,
    )
    .addOption(
      new Option('--loss <which>', 'the loss to compare').choices(['train', 'held-out']).default('train'),
    )
    .option('--out <folder>', 'draw loss-by-flops.svg, loss-by-seconds.svg and gain.svg there', named)
    .action(async (runs: string, options: CompareFlags) =>
      (await import('../scaling/compare.ts')).compare(runs, options),
    );
}

export function registerScaling(program: Command): void {
  const scaling = program
    .command('scaling')
    .description('Scaling laws: from a budget to a granularity and a topology, and from runs to a law.')
    .helpCommand(false);
  registerPredict(scaling);
  registerOptimal(scaling);
  registerFit(scaling);
  registerPlot(scaling);
  registerCompare(scaling);
}
