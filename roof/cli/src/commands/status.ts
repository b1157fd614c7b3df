import type { Command } from 'commander';
import { print, printJson } from '../output.ts';
import { verb, type CommonOptions } from '../verb.ts';

async function status(folder: string, { json }: CommonOptions): Promise<void> {
  const [{ findRun }, { readRunAtRest }, { statusLines }, { restLines, endWords }] = await Promise.all([
    import('../operate/found-run.ts'),
    import('troupe/control'),
    import('../operate/status-lines.ts'),
    import('../operate/rest-lines.ts'),
  ]);
  const found = await findRun(folder);
  if (found.kind === 'running') {
    try {
      const running = await found.client.status();
      if (json === true) printJson({ event: 'status', folder, running: true, ...running });
      else print(...statusLines(running));
    } finally {
      found.client.close();
    }
    return;
  }
  const rest = await readRunAtRest(folder);
  if (found.kind === 'unasked') {
    const { process, why } = found;
    const { step, loss, checkpoint, at } = rest;
    const { pid, host } = process;
    if (json === true)
      printJson({ event: 'status', folder, running: true, pid, host, step, loss, checkpoint, at });
    else
      print(
        `${folder}: process ${pid} on ${host} runs it; ${why}`,
        `last step    ${step ?? 'none'}`,
        `checkpoint   ${checkpoint ?? 'none'}`,
      );
    return;
  }
  if (json === true)
    printJson({ event: 'status', folder, running: false, ...rest, ended: endWords(rest, found.killed) });
  else print(...restLines(folder, rest, found.killed));
}

export function registerStatus(program: Command): void {
  verb(
    program,
    'status <run>',
    'How a run is: step, loss, time left, workers and what their actors do, losses, checkpoint; of one that does not run, how it ended.',
    'npx troupe status runs/quickstart',
  ).action(status);
}
