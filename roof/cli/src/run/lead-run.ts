import { Rendezvous, type LeadAddress, type RunKey } from 'troupe/dial';
import { exitCodeOf, exitCodes, systemClock } from 'troupe/launch';
import { launch } from '../commands/launch.ts';
import { resume } from '../commands/resume.ts';
import { Ended } from '../errors.ts';
import { dialSetting, type AgentOptions } from './agent-options.ts';
import { goesOn } from './run-of-job.ts';

export interface LeadOptions {
  readonly lead: LeadAddress;
  readonly key: RunKey;
  readonly machines: number;
  /** How the run has ended before; null: it has not. */
  readonly ended: number | null;
  readonly notice: (text: string) => void;
}

/**
 * Leads a run whose other machines dial this one, and tells them how it ended.
 *
 * @throws {Ended} with its exit code
 */
export async function leadRun(
  file: string,
  options: AgentOptions,
  { ended, notice, ...meeting }: LeadOptions,
): Promise<void> {
  const rendezvous = await Rendezvous.open({ ...meeting, clock: systemClock(), notice });
  let exitCode: number = exitCodes.ok;
  try {
    if (ended === null) await run(file, options, rendezvous);
    else if (ended !== exitCodes.ok) throw new Ended(ended);
    if (ended !== null) notice(`the run in ${options.runDir} has ended with ${ended}`);
  } catch (error) {
    exitCode = error instanceof Ended ? error.exitCode : exitCodeOf(error);
    throw error;
  } finally {
    await rendezvous.end(exitCode);
  }
}

async function run(file: string, options: AgentOptions, rendezvous: Rendezvous): Promise<void> {
  const set = [...options.set, dialSetting];
  if (options.runDir !== undefined && (await goesOn(options.runDir)))
    await resume(options.runDir, { ...options, set }, rendezvous);
  else await launch(file, { ...options, set, checkpoint: true }, rendezvous);
}
