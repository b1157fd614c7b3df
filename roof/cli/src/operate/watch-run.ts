import { isRunning, type ControlClient, type ProcessIdentity, type RunStatus } from 'troupe/control';
import { print, printJson } from '../output.ts';
import { Screen } from './screen.ts';
import { topLine, topScreen } from './top-screen.ts';

export interface WatchOptions {
  readonly everyMs: number;
  readonly form: 'screen' | 'lines' | 'json';
}

/**
 * Shows a run until it ends, or until who watches has seen enough.
 *
 * @returns whether the run ended
 * @throws {TroupeError} TROUPE_CONTROL_UNREACHABLE for a run that lives and does not answer
 */
export async function watchRun(
  client: ControlClient,
  process: ProcessIdentity,
  { everyMs, form }: WatchOptions,
): Promise<boolean> {
  const screen = form === 'screen' ? new Screen() : null;
  let hasEnded = false;
  const ended = client.ended.then(() => (hasEnded = true));
  try {
    for (;;) {
      const status = await client.status().catch((error: unknown) => {
        if (hasEnded || isRunning(process) === false) return null;
        throw error;
      });
      if (status === null) return true;
      show(status, screen, form);
      let timer: NodeJS.Timeout | undefined;
      const due = new Promise((resolve) => (timer = setTimeout(resolve, everyMs)));
      await Promise.race([due, ended, ...(screen === null ? [] : [screen.quit])]);
      clearTimeout(timer);
      if (hasEnded) return true;
      if (screen?.hasQuit === true) return false;
    }
  } finally {
    screen?.close();
    client.close();
  }
}

function show(status: RunStatus, screen: Screen | null, form: WatchOptions['form']): void {
  if (screen !== null) screen.draw(topScreen(status, screen.size));
  else if (form === 'json') printJson({ event: 'status', running: true, ...status });
  else print(topLine(status));
}
