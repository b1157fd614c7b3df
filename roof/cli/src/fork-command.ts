import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/**
 * This command once more, in a process that leaves with this one, however that ends: {@link leaveWithParent}.
 *
 * @param options - `stderr`: an open file for what it says there; default: where this command says it
 */
export function forkCommand(
  args: readonly string[],
  { stderr = 'inherit' }: { readonly stderr?: number | 'inherit' } = {},
): ChildProcessByStdio<null, Readable, null> {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  // The fourth channel says when its parent is gone.
  return spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', stderr, 'ipc'],
  }) as ChildProcessByStdio<null, Readable, null>;
}

/**
 * This command once more, in a session of its own: it stays when this process, and its terminal, are gone.
 *
 * @param options - `log`: an open file for everything that it prints; `env`: over this process's own
 */
export function detachCommand(
  args: readonly string[],
  { log, env }: { readonly log: number; readonly env: Readonly<Record<string, string>> },
): ChildProcess {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  return spawn(process.execPath, [...process.execArgv, main, ...args], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  });
}

/** Ends this process when the one that forked it is gone; nothing for a process that nobody forked. */
export function leaveWithParent(): void {
  if (!process.connected) return;
  // As anybody would ask: a run stops its workers.
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  // Listening for the end of the parent keeps no process alive that has nothing else to do.
  process.channel?.unref();
}

const passedOn = ['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Waits for a child that does this command's work, passing on the signals that ask to end; a terminal's Ctrl-C it hears itself.
 *
 * @returns its exit code, 128 + the signal that ended it
 */
export async function exitOf(child: ChildProcess): Promise<number> {
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  const hear = (): void => {};
  for (const signal of passedOn) process.on(signal, pass);
  process.on('SIGINT', hear);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) =>
        resolve(code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 0)),
      );
    });
  } finally {
    for (const signal of passedOn) process.off(signal, pass);
    process.off('SIGINT', hear);
  }
}
