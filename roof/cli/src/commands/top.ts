import type { Command } from 'commander';
import { endWithReader, print } from '../output.ts';
import { decimal, verb, type CommonOptions } from '../verb.ts';

interface TopOptions extends CommonOptions {
  /** Seconds. */
  readonly every: number;
}

async function top(folder: string, { every, json }: TopOptions): Promise<void> {
  const [{ findRun }, { readRunAtRest }, { watchRun }, { restLines }, { UnaskedError }, { UsageError }] =
    await Promise.all([
      import('../operate/found-run.ts'),
      import('troupe/control'),
      import('../operate/watch-run.ts'),
      import('../operate/rest-lines.ts'),
      import('../operate/unasked-error.ts'),
      import('../errors.ts'),
    ]);
  // Faster than heartbeats and answers nothing is new.
  if (every < 0.2) throw new UsageError(`--every ${every}: expected at least 0.2 seconds`);
  const found = await findRun(folder);
  if (found.kind === 'unasked') throw new UnaskedError(folder, found.process, found.why);
  if (found.kind === 'running') {
    endWithReader();
    const hasEnded = await watchRun(found.client, found.place.process, {
      everyMs: 1000 * every,
      form: json === true ? 'json' : process.stdout.isTTY ? 'screen' : 'lines',
    });
    if (!hasEnded || json === true) return;
  }
  const killed = found.kind === 'at rest' ? found.killed : null;
  print(...restLines(folder, await readRunAtRest(folder), killed));
}

export function registerTop(program: Command): void {
  verb(
    program,
    'top <run>',
    'Watch a running run: workers and what their actors do, who waits, the load of every expert; q quits. Without a terminal a line again and again.',
    'npx troupe top runs/quickstart',
  )
    .option('--every <seconds>', 'how often to look', decimal(0), 1)
    .action(top);
}
