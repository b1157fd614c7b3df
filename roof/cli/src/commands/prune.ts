import { Option, type Command } from 'commander';
import type { PrunedModel } from 'troupe';
import { UsageError } from '../errors.ts';
import { print, printError, printJson } from '../output.ts';
import { bytes, count } from '../run/numbers.ts';
import { collect, integer, named, verb, type CommonOptions } from '../verb.ts';

interface PruneCommandOptions extends CommonOptions {
  readonly out: string;
  readonly keep: number;
  readonly by: 'utilisation' | 'random';
  readonly seed?: number;
  readonly keepOptimizer?: boolean;
  readonly batches?: number;
  readonly set: readonly string[];
  readonly dataChanged?: boolean;
  readonly threads?: number;
}

const warn = (message: string): void => printError(`troupe: warning: ${message}`);

/** What decides which experts stay: a draw, or the choices of held-out tokens. */
async function measureOf(path: string, options: PruneCommandOptions) {
  const { by, seed } = options;
  if (by === 'random') return { seed: seed ?? 1 };
  if (seed !== undefined) throw new UsageError('--seed goes with --by random; utilisation draws nothing');
  const { withHeldOut } = await import('../held-out.ts');
  return withHeldOut(path, { ...options, warn }, async (evaluate) => (await evaluate()).choices);
}

function printPruned(pruned: PrunedModel, path: string, options: PruneCommandOptions): void {
  const { out, keepOptimizer = false } = options;
  const { checkpoint, kept, numParameters, numParametersBefore, sizeBytes, notes } = pruned;
  if (options.json === true) {
    printJson({ event: 'prune', by: options.by, ...pruned });
    return;
  }
  const share = ((100 * numParameters) / numParametersBefore).toFixed(1);
  print(
    `wrote ${checkpoint}: ${options.keep} experts a layer, ${count(numParameters)} of ${count(numParametersBefore)} parameters (${share}%), ${bytes(sizeBytes)}`,
    ...kept.map(({ layer, experts }) => `  L${layer} keeps ${experts.join(', ')}`),
    ...notes,
    `next: npx troupe eval ${out} --beside ${path}`,
    keepOptimizer
      ? `or train it on: npx troupe resume ${out}`
      : `or train it on: npx troupe launch ${out}/topology.yaml --from ${out}`,
  );
}

async function prune(path: string, options: PruneCommandOptions): Promise<void> {
  const [{ mustBePrunable, openRun, pruneModel, runOfPath }, { OutputFolder }] = await Promise.all([
    import('troupe'),
    import('../output-folder.ts'),
  ]);
  const { keep, keepOptimizer = false } = options;
  const { folder, checkpoint } = runOfPath(path);
  const run = await openRun(folder, { verify: 'lazy', ...(checkpoint === null ? {} : { checkpoint }) });
  try {
    mustBePrunable(run, keep, keepOptimizer);
    const out = new OutputFolder('--out', options.out);
    try {
      const by = await measureOf(path, options);
      printPruned(await pruneModel(run, { out: out.path, keep, by, keepOptimizer }), path, options);
    } catch (error) {
      out.release();
      throw error;
    }
  } finally {
    await run.checkpoint.close();
  }
}

export function registerPrune(program: Command): void {
  verb(
    program,
    'prune <run>',
    'Make a smaller model of a run or checkpoint: some experts of each layer, with their rows of the router.',
    'npx troupe prune runs/a --keep 8 --by utilisation --out models/half',
  )
    .requiredOption('--out <checkpoint>', 'folder for the checkpoint and its topology; must not exist', named)
    .requiredOption('--keep <n>', 'experts of each layer that stay', integer(1))
    .addOption(
      new Option('--by <measure>', 'which stay: those that held-out tokens choose most, or by lot')
        .choices(['utilisation', 'random'])
        .default('utilisation'),
    )
    .option('--seed <n>', 'of the lot; default 1', integer(0))
    .option(
      '--keep-optimizer',
      'take along what the optimizer keeps, and the step, so that the run can be resumed',
    )
    .option(
      '--batches <n>',
      'batches of held-out sequences that are counted; default: eval.batches of the topology',
      integer(1),
    )
    .option(
      '--set <key=value>',
      'name data that moved, to count on: data.text=PATH; may be repeated',
      collect,
      [],
    )
    .option('--data-changed', 'count on another corpus than the one of the checkpoint')
    .option('--threads <n>', 'threads of the device', integer(1))
    .action(prune);
}
