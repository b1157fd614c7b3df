import type { Command } from 'commander';
import type { Likeness } from 'troupe';
import { print, printJson } from '../output.ts';
import { bytes, count } from '../run/numbers.ts';
import { factor, named, verb, type CommonOptions } from '../verb.ts';

interface MergeCommandOptions extends CommonOptions {
  readonly out: string;
  readonly rescale?: number;
  readonly force?: boolean;
}

const likenessLines = (likeness: readonly Likeness[]): readonly string[] => [
  'cosine of the weights that were averaged:',
  ...likeness.map(
    ({ kind, numParameters, cosine }) =>
      `  ${kind.padEnd(15)} ${(cosine === null ? '-' : cosine.toFixed(6)).padStart(9)}  ${count(numParameters).padStart(6)} parameters`,
  ),
];

async function merge(first: string, second: string, options: MergeCommandOptions): Promise<void> {
  const [{ mergeModels, openRun, runOfPath }, { OutputFolder }] = await Promise.all([
    import('troupe'),
    import('../output-folder.ts'),
  ]);
  const out = new OutputFolder('--out', options.out);
  // Each tensor is hashed as it is handed out, so it need not be read a second time for that.
  const open = async (path: string) => {
    const { folder, checkpoint } = runOfPath(path);
    return openRun(folder, { verify: 'lazy', ...(checkpoint === null ? {} : { checkpoint }) });
  };
  try {
    const a = await open(first);
    try {
      const b = await open(second);
      try {
        const { rescale, force } = options;
        const merged = await mergeModels(a, b, {
          out: out.path,
          ...(rescale === undefined ? {} : { rescale }),
          ...(force === undefined ? {} : { force }),
        });
        if (options.json === true) printJson({ event: 'merge', ...merged });
        else
          print(
            `wrote ${merged.checkpoint}: ${merged.experts} experts a layer, ${count(merged.numParameters)} parameters, ${bytes(merged.sizeBytes)}`,
            ...likenessLines(merged.likeness),
            ...merged.notes,
            `next: npx troupe eval ${out.path}`,
            `or train it on: npx troupe launch ${out.path}/topology.yaml --from ${out.path}`,
          );
      } finally {
        await b.checkpoint.close();
      }
    } finally {
      await a.checkpoint.close();
    }
  } catch (error) {
    out.release();
    throw error;
  }
}

export function registerMerge(program: Command): void {
  verb(
    program,
    'merge <a> <b>',
    'Make one model of two of one shape that come from one checkpoint: the mean of what all tokens use, the experts of both.',
    'npx troupe merge runs/a runs/b --out models/both --rescale 2',
  )
    .requiredOption('--out <checkpoint>', 'folder for the checkpoint and its topology; must not exist', named)
    .option(
      '--rescale <factor>',
      'multiply the combine weights: 2 gives back what twice as many experts take from each probability; default 1',
      factor,
    )
    .option(
      '--force',
      'merge models that come from no common checkpoint: one knows that they do all the same',
    )
    .action(merge);
}
