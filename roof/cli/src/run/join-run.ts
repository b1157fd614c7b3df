import { loadTopology, type ResolvedTopology } from '@troupe/topology';
import {
  parseLeadAddress,
  rankFromEnvironment,
  runDialedAgent,
  takeRunKey,
  type LeadAddress,
  type MachinePlace,
} from 'troupe/dial';
import { systemClock } from 'troupe/launch';
import { Ended, UsageError } from '../errors.ts';
import { printError } from '../output.ts';
import { dialSetting, type AgentOptions } from './agent-options.ts';
import { leadRun } from './lead-run.ts';
import { endedBefore } from './run-of-job.ts';

/**
 * Takes part in a run as the machine that this process was started on: machine 0 leads it, every other one dials machine 0.
 *
 * @throws {LauncherError | RunKeyError | DialRefusedError | LeadUnreachableError | Ended}
 */
export async function joinRun(file: string, options: AgentOptions): Promise<void> {
  // Before anything else could start a process that inherits the environment.
  const key = takeRunKey(process.env);
  const topology = loadTopology(file, { set: [...options.set, dialSetting] });
  const { place, lead } = placeOf(options);
  printError(`troupe agent: ${place.says}`);
  if (!place.isAgent) {
    printError('troupe agent: another process of this machine is its agent; this one has nothing to do');
    return;
  }
  mustHaveAll(topology, place);
  const ended = await endedBefore(options.runDir);
  const { rank: machine, size: of } = place;
  const notice = (text: string): void => printError(`troupe agent: ${text}`);
  if (machine === 0) {
    await leadRun(file, options, { lead, key, machines: of, ended, notice });
    return;
  }
  if (ended !== null) {
    notice(`the run in ${options.runDir} has ended with ${ended}`);
    if (ended !== 0) throw new Ended(ended);
    return;
  }
  const waitMs = 1000 * topology.recovery.waitSeconds;
  await runDialedAgent({ lead, machine, of, key, waitMs, clock: systemClock(), notice });
}

/** What a person says stands above the environment. */
function placeOf({ machine, of, lead }: AgentOptions): {
  readonly place: MachinePlace;
  readonly lead: LeadAddress;
} {
  const said = lead === undefined ? null : parseLeadAddress(lead);
  const place = rankFromEnvironment(process.env, {
    ...(machine === undefined ? {} : { rank: machine }),
    ...(of === undefined ? {} : { size: of }),
    ...(said === null ? {} : { lead: said.host }),
  });
  return { place, lead: said ?? parseLeadAddress(place.lead.includes(':') ? `[${place.lead}]` : place.lead) };
}

function mustHaveAll({ machines }: ResolvedTopology, { size }: MachinePlace): void {
  if (machines.length !== size)
    throw new UsageError(
      `the topology has ${machines.length} machines, and ${size} were started; set machines.count, or start as many`,
    );
}
