import { assert } from '@troupe/core';
import type { Launch } from '../launch/launch.ts';
import type { RelayoutRequest } from '../control/request.ts';
import { askWords } from './relayout-ask.ts';
import { diffRelayout, type RelayoutDiff } from './relayout-diff.ts';
import { proposeRelayout } from './propose.ts';
import type { RelayoutRecord } from './relayout.ts';

/**
 * Does what a request asks of a run, or says what it would change.
 *
 * @returns when it is begun, or when it had been asked before, what the run folder says of it
 * @throws {TroupeError} why it is refused; nothing was done then
 */
export async function askedRelayout(
  run: Launch,
  { id, by, dryRun, ask }: RelayoutRequest,
): Promise<RelayoutRecord | RelayoutDiff> {
  const known = run.relayouts.find((each) => each.id === id);
  if (known !== undefined && !dryRun) return known;
  const present = run.topology;
  const proposed = proposeRelayout(present, ask);
  if (dryRun) return diffRelayout(present, run.checkedRelayout(proposed));
  await new Promise<void>((resolve, reject) => {
    const ended = run.relayout(proposed, { id, kind: ask.kind, by, what: askWords(ask) }, resolve);
    // Also one that could not be recorded has an outcome.
    ended.then(() => resolve(), reject);
  });
  const record = run.relayouts.find((each) => each.id === id);
  assert(record, 'a relayout that was begun is recorded', { id });
  return record;
}
