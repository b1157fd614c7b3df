import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { print, printJson } from '../output.ts';
import { verb, type CommonOptions } from '../verb.ts';

interface InitOptions extends CommonOptions {
  readonly preset: string;
  readonly force?: boolean;
}

async function init(file: string, options: InitOptions): Promise<void> {
  const { commentedTopology } = await import('@troupe/topology');
  const text = commentedTopology(options.preset);
  try {
    writeFileSync(file, text, { flag: options.force === true ? 'w' : 'wx' });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'EEXIST')
      throw new UsageError(`'${file}' exists; pass --force to overwrite it, or name another file`);
    throw new UsageError(
      `cannot write '${file}' (${code}); name a file in a folder that exists and is writable`,
    );
  }
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
