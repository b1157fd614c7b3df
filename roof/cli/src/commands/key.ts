import { Argument, type Command } from 'commander';
import { print, printJson } from '../output.ts';
import { verb, type CommonOptions } from '../verb.ts';

async function key(_action: 'new', file: string, options: CommonOptions): Promise<void> {
  const { makeRunKey } = await import('troupe/dial');
  makeRunKey(file);
  if (options.json === true) printJson({ event: 'key', file });
  else
    print(
      `${file} holds a new key, which only you can read; give the same file to all machines of a run: TROUPE_KEY_FILE=${file}`,
    );
}

export function registerKey(program: Command): void {
  verb(
    program,
    'key',
    'Make the key by which the machines of a run know each other, where something else than troupe starts them.',
    'npx troupe key new ~/run.key',
  )
    .addArgument(new Argument('<action>', 'what to do').choices(['new']))
    .argument('<file>', 'a file that does not exist yet')
    .action(key);
}
