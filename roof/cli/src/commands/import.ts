import { existsSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { print, printJson } from '../output.ts';
import { count } from '../run/numbers.ts';
import { integer, verb, type CommonOptions } from '../verb.ts';

interface ImportCommandOptions extends CommonOptions {
  readonly out: string;
  readonly seqLen?: number;
}

async function importFolder(from: string, options: ImportCommandOptions): Promise<void> {
  if (!existsSync(from) || !statSync(from).isDirectory())
    throw new UsageError(
      `there is no folder '${from}'; name one with config.json and model.safetensors in it`,
    );
  const [{ importHuggingFace }, { OutputFolder }] = await Promise.all([
    import('troupe'),
    import('../output-folder.ts'),
  ]);
  const out = new OutputFolder('--out', options.out);
  try {
    const { seqLen } = options;
    const model = await importHuggingFace(from, out.path, seqLen === undefined ? {} : { seqLen });
    const { checkpoint, kind, layout, numParameters, sizeBytes, hasTokenizer, notes } = model;
    if (options.json === true) {
      printJson({
        event: 'import',
        checkpoint,
        as: kind,
        layout,
        parameters: numParameters,
        sizeBytes,
        notes,
      });
      return;
    }
    // Nobody writes a Switch Transformer, and whatever has an encoder reads tasks of the one who trains it.
    const isSwitch = kind === 'switch_transformers';
    print(
      `wrote ${checkpoint}: ${kind}, ${count(numParameters)} parameters (${layout} experts)`,
      ...notes,
      ...(hasTokenizer ? [] : ['the folder has no tokenizer.json, so the model has no text']),
      ...(isSwitch
        ? [
            `next: write data.parallel and data.tasks into ${out.path}/topology.yaml and train it on: npx troupe launch ${out.path}/topology.yaml --from ${out.path}`,
          ]
        : [
            `next: npx troupe ${hasTokenizer ? `generate ${out.path} --prompt "…"` : `export ${out.path} --out FOLDER`}`,
            `or train it on: npx troupe launch ${out.path}/topology.yaml${hasTokenizer ? ' --set data.text=FILE' : ''} --from ${out.path}`,
          ]),
    );
  } catch (error) {
    out.release();
    throw error;
  }
}

export function registerImport(program: Command): void {
  verb(
    program,
    'import <folder>',
    'Make a checkpoint of a Hugging Face folder: Mixtral, OLMoE, Qwen3-MoE or Switch, in safetensors.',
    'npx troupe import OLMoE-1B-7B --out models/olmoe --seq-len 1024',
  )
    .requiredOption(
      '--out <checkpoint>',
      'folder for the checkpoint and a topology of its model; must not exist',
    )
    .option(
      '--seq-len <n>',
      'positions of one sequence; default: max_position_embeddings of the model, of Switch 512',
      integer(1),
    )
    .action(importFolder);
}
