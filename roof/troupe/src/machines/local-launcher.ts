import { fileURLToPath } from 'node:url';
import type { Launcher } from './launcher.ts';

/** Starts agents as processes of this machine: several of them on one host, as if each were a machine. */
export const localLauncher = (): Launcher => ({
  name: 'local',
  isOneHost: true,
  // The command is the agent itself.
  isAgentsEnd: () => true,
  command: () => ({
    file: process.execPath,
    args: [fileURLToPath(new URL('./agent-main.js', import.meta.url))],
  }),
});
