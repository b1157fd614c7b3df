import { Option, type Command } from 'commander';
import { print, printJson } from '../output.ts';
import { integer, named, verb, type CommonOptions } from '../verb.ts';

/** Names of `--as`, and what Transformers calls each. */
const kinds = { mixtral: 'mixtral', olmoe: 'olmoe', 'qwen3-moe': 'qwen3_moe' } as const;

interface ExportCommandOptions extends CommonOptions {
  readonly out: string;
  readonly as?: keyof typeof kinds;
  readonly layout: 'per-expert' | 'fused';
  readonly fileMib?: number;
  readonly checkpoint?: string;
}

async function exportRun(path: string, options: ExportCommandOptions): Promise<void> {
  const [{ exportHuggingFace, openRun, runOfPath }, { OutputFolder }] = await Promise.all([
    import('troupe'),
    import('../output-folder.ts'),
  ]);
  const { folder, checkpoint: named } = runOfPath(path);
  const asked = options.checkpoint ?? named;
  // Each tensor is hashed as it is handed out, so it need not be read a second time for that.
  const run = await openRun(folder, { verify: 'lazy', ...(asked === null ? {} : { checkpoint: asked }) });
  try {
    const out = new OutputFolder('--out', options.out);
    try {
      const { kind, hasTokenizer, notes } = await exportHuggingFace(run, out.path, {
        ...(options.as === undefined ? {} : { as: kinds[options.as] }),
        ...(options.fileMib === undefined ? {} : { maxFileBytes: options.fileMib * 2 ** 20 }),
        layout: options.layout,
      });
      const { step } = run.checkpoint.manifest;
      if (options.json === true)
        printJson({ event: 'export', folder: out.path, step, as: kind, tokenizer: hasTokenizer, notes });
      else
        print(
          `wrote ${out.path}: ${kind}, step ${step}`,
          ...notes,
          ...(hasTokenizer ? [] : ['the checkpoint has no tokenizer, so the folder has none']),
        );
    } catch (error) {
      out.release();
      throw error;
    }
  } finally {
    await run.checkpoint.close();
  }
}

export function registerExport(program: Command): void {
  verb(
    program,
    'export <run>',
    'Write a checkpoint as a folder that Hugging Face Transformers loads.',
    'npx troupe export runs/my-mixtral --out hf/my-mixtral --as mixtral',
  )
    .requiredOption('--out <folder>', 'folder to write; must not exist', named)
    .addOption(
      new Option(
        '--as <architecture>',
        'what Transformers reads it as, refused by name where it does not fit; default: the one that fits',
      ).choices(Object.keys(kinds)),
    )
    .addOption(
      new Option('--layout <layout>', 'experts one by one, or those of a layer in two tensors')
        .choices(['per-expert', 'fused'])
        .default('per-expert'),
    )
    .option('--file-mib <n>', 'largest weight file; default 256', integer(1))
    .option('--checkpoint <name>', 'an older checkpoint, e.g. step-000100')
    .action(exportRun);
}
