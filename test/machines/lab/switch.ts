import { spawn } from 'node:child_process';
import { builtTool } from './native-tool.ts';
import { systemEnvironment, type Namespaces } from './namespaces.ts';
import { spoken } from './spoken.ts';

/** Starts a switch in a room, which ends with the room, and makes a card for each machine. */
export async function openSwitch(room: Namespaces, delayMs: number, cards: readonly string[]): Promise<void> {
  const tool = await builtTool('switch');
  const delayUs = Math.round(delayMs * 1000);
  const [file = '', ...args] = room.entered([tool, `${delayUs}`, ...cards], ['net', 'pid']);
  const child = spawn(file, args, { env: systemEnvironment, stdio: ['ignore', 'pipe', 'inherit'] });
  await spoken(child.stdout, 'ready');
  // The room keeps it alive, not this process.
  child.unref();
  child.stdout.destroy();
}
