import { NotBuiltError } from '@troupe/core';
import type { WaitingEvent } from '@troupe/telemetry';
import type { ResolvedTopology } from '@troupe/topology';
import { LauncherError } from '../errors.ts';
import type { Launcher } from '../machines/launcher.ts';
import { localLauncher } from '../machines/local-launcher.ts';
import { MachineProcesses } from '../machines/machine-processes.ts';
import { ForkedProcesses } from './forked-processes.ts';
import type { LaunchOptions } from './launch-options.ts';
import type { LaunchedOptions, LaunchedProcesses } from './launched-processes.ts';

/** What starts agents, when nobody says it. */
function launcherOf({ launcher }: ResolvedTopology): Launcher {
  if (launcher?.kind === 'local') return localLauncher();
  throw new LauncherError(
    `launcher ${launcher?.kind ?? 'none'} is started by npx troupe launch; a program that does it itself names it in the option launcher`,
  );
}

/**
 * The processes of a run: of this machine, or of those that the topology's launcher reaches.
 *
 * @throws {LauncherError} TROUPE_LAUNCHER when nothing says how to reach them
 * @throws {NotBuiltError} TROUPE_NOT_BUILT for a profile of several machines
 */
export function openProcesses(
  topology: ResolvedTopology,
  { spare, profile, launcher }: LaunchOptions,
  launched: LaunchedOptions,
  waiting: (event: WaitingEvent) => void,
): LaunchedProcesses {
  if (topology.launcher === null)
    return new ForkedProcesses(topology, {
      ...launched,
      ...(spare === undefined ? {} : { spare }),
      ...(profile === undefined ? {} : { profile }),
    });
  if (profile !== undefined)
    throw new NotBuiltError(
      'a profile of several machines',
      'profile a run of this machine, without launcher',
    );
  return new MachineProcesses(topology, {
    ...launched,
    launcher: launcher ?? launcherOf(topology),
    waiting,
  });
}
