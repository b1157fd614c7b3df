import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { OutputFile } from '../output-file.ts';
import { print, printJson } from '../output.ts';
import { verb, type CommonOptions } from '../verb.ts';

interface InitOptions extends CommonOptions {
  readonly preset: string;
  readonly force?: boolean;
}

async function init(file: string, options: InitOptions): Promise<void> {
  const taken = options.force === true ? null : 'pass --force to overwrite it, or name another file';
  const output = new OutputFile('topology', file, taken);
  const { commentedTopology, nearestName, presetNames } = await import('@troupe/topology');
  const { preset } = options;
  const known = presetNames();
  if (!known.includes(preset)) {
    const nearest = nearestName(preset, known);
    throw new UsageError(
      `--preset: there is no preset '${preset}', only ${known.join(', ')}${nearest === null ? '' : `; nearest: ${nearest}`}`,
    );
  }
  output.write(commentedTopology(preset));
  if (options.json === true) printJson({ event: 'init', file, preset: options.preset });
  else
    print(
      `wrote ${file} (preset ${options.preset})`,
      `next: npx troupe plan ${file}, then npx troupe launch ${file}`,
    );
}

/** Written out, so that help opens no folder; `help.test.ts` compares. */
const presets =
  'quickstart, tiny; multilingual (a translator); the grid of arXiv:2402.07871, granular-3m, granular-7m, granular-13m, granular-25m, granular-49m, granular-85m; known models, olmoe-1b-7b, mixtral-8x7b, deepseek-moe-16b, deepseek-v3 and z-code-10b (to plan)';

export function registerInit(program: Command): void {
  verb(
    program,
    'init [file]',
    'Write a commented topology file to start from (default topology.yaml).',
    'npx troupe init my.yaml --preset quickstart',
  )
    .option('--preset <name>', `which preset to write: ${presets}`, 'quickstart')
    .option('--force', 'overwrite a file that exists')
    .action((file: string | undefined, options: InitOptions) => init(file ?? 'topology.yaml', options));
}
