import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { setTimeout as after } from 'node:timers/promises';
import { TroupeError } from '@troupe/core';
import type { ControlClient, RelayoutAsk, RelayoutDiff, RelayoutRecord } from 'troupe/control';
import { exitCodes } from 'troupe/launch';
import { Ended, UsageError } from '../errors.ts';
import { print, printError, printJson } from '../output.ts';
import { describeRelayout } from '../run/relayout-words.ts';
import { findRun } from './found-run.ts';
import { relayoutDiffLines } from './relayout-diff-lines.ts';
import { UnaskedError } from './unasked-error.ts';

export interface RelayoutOptions {
  readonly json?: boolean;
  readonly dryRun?: boolean;
  /** One that is repeated is answered, and not done again. */
  readonly id?: string;
}

/** Between two looks at how it goes. */
const LOOK_MS = 500;

const asker = (): string => `${userInfo().username}@${hostname()}, process ${process.pid}`;

/** Looks again and again until it has ended. */
async function outcomeOf(client: ControlClient, begun: RelayoutRecord): Promise<RelayoutRecord> {
  let record = begun;
  while (record.state === 'open') {
    await Promise.race([client.ended, after(LOOK_MS)]);
    const { relayouts } = await client.status();
    const found = relayouts.find(({ id }) => id === begun.id);
    if (found === undefined)
      throw new TroupeError('TROUPE_RUN_ENDED', `the run knows nothing of ${begun.id} any more`);
    record = found;
  }
  return record;
}

/**
 * Asks a running run for another layout, and waits until it is in it; or says what would change.
 *
 * @throws {UsageError} it does not run · {TroupeError} why it refuses
 */
export async function askRelayout(
  folder: string,
  ask: RelayoutAsk,
  { json = false, dryRun = false, id = randomBytes(4).toString('hex') }: RelayoutOptions,
): Promise<void> {
  const found = await findRun(folder);
  if (found.kind === 'unasked') throw new UnaskedError(folder, found.process, found.why);
  if (found.kind === 'at rest')
    throw new UsageError(
      `${folder} does not run; go on in another layout with: npx troupe resume ${folder} --set parallel.…`,
    );
  const { client } = found;
  try {
    const answer = await client.relayout({ id, by: asker(), dryRun, ask });
    if (dryRun) {
      const diff = answer as RelayoutDiff;
      if (json) printJson({ event: 'diff', ...diff });
      else print(...relayoutDiffLines(diff));
      return;
    }
    const begun = answer as RelayoutRecord;
    if (!json && begun.state === 'open')
      print(`${begun.what} (${id}): from ${begun.from} to ${begun.to}; it saves, and goes on from there`);
    const ended = await outcomeOf(client, begun);
    if (json) printJson({ event: 'relayout', ...ended });
    else if (ended.state === 'done') print(describeRelayout(ended));
    else printError(describeRelayout(ended));
    if (ended.state !== 'done') throw new Ended(exitCodes.failed);
  } finally {
    client.close();
  }
}
