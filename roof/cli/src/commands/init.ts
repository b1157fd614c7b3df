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

export function registerInit(program: Command): void {
  verb(
    program,
    'init [file]',
    'Write a commented topology file to start from (default topology.yaml).',
    'npx troupe init my.yaml --preset quickstart',
  )
    .option('--preset <name>', 'which preset to write', 'quickstart')
    .option('--force', 'overwrite a file that exists')
    .action((file: string | undefined, options: InitOptions) => init(file ?? 'topology.yaml', options));
}
