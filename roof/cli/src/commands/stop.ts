import type { Command } from 'commander';
import { print, printJson } from '../output.ts';
import { verb, type CommonOptions } from '../verb.ts';

interface StopOptions extends CommonOptions {
  readonly now?: boolean;
}

async function stop(folder: string, { now = false, json }: StopOptions): Promise<void> {
  const [{ findRun }, { readRunAtRest }, { awaitEnd }, { restLines, endWords }, { UnaskedError }] =
    await Promise.all([
      import('../operate/found-run.ts'),
      import('troupe/control'),
      import('../operate/await-end.ts'),
      import('../operate/rest-lines.ts'),
      import('../operate/unasked-error.ts'),
    ]);
  const found = await findRun(folder);
  if (found.kind === 'unasked') throw new UnaskedError(folder, found.process, found.why);
  const killed = found.kind === 'at rest' ? found.killed : null;
  if (found.kind === 'running') {
    const { client, place } = found;
    await client.stop(now);
    if (json !== true)
      print(now ? 'told to end at once' : 'told to finish its step, write a checkpoint and end');
    await awaitEnd(client, place.process);
  }
  const rest = await readRunAtRest(folder);
  if (json === true)
    printJson({
      event: 'stopped',
      folder,
      ran: found.kind === 'running',
      ...rest,
      ended: endWords(rest, killed),
    });
  else print(...restLines(folder, rest, killed));
}

export function registerStop(program: Command): void {
  verb(
    program,
    'stop <run>',
    'End a running run as Ctrl-C does: it finishes its step and writes a checkpoint; this waits until it has ended.',
    'npx troupe stop runs/quickstart',
  )
    .option('--now', 'end at once, without a checkpoint')
    .action(stop);
}
