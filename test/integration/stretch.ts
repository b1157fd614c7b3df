import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { openCheckpoint } from '@troupe/checkpoint';
import type { RunEvent } from '@troupe/telemetry';
import { fileStorage, launch, startCluster, type ResolvedTopology } from 'troupe';

/** What must not depend on the layout, as text. */
export const curve = (events: readonly RunEvent[]): string =>
  events
    .flatMap((event) => {
      if (event.event === 'step') return [`${event.step} ${event.loss} ${event.auxLoss} ${event.gradNorm}`];
      return event.event === 'eval' ? [`eval ${event.step} ${event.loss}`] : [];
    })
    .join('\n');

/** A part of a run. */
export interface Stretch {
  readonly folder: string;
  readonly over: 'memory' | 'ZeroMQ';
  readonly stopAfter: number;
  /** Number of the checkpoint in `folder` to go on from. */
  readonly from?: number;
}

/** Trains to `stopAfter`, leaves a checkpoint there, and gives what was reported. */
export async function stretch(
  t: ExecutionContext,
  topology: ResolvedTopology,
  { folder, over, stopAfter, from }: Stretch,
): Promise<readonly RunEvent[]> {
  const storage = fileStorage(folder);
  const resumeFrom =
    from === undefined
      ? {}
      : { resumeFrom: await openCheckpoint(storage, `run/step-${String(from).padStart(6, '0')}`) };
  const events: RunEvent[] = [];
  if (over === 'memory') {
    const cluster = await startCluster(topology, {
      stopAfter,
      checkpoints: { storage, folder: 'run', keep: 100, tokenizer: null },
      ...resumeFrom,
    });
    for await (const event of cluster.events()) events.push(event);
    t.is((await cluster.result).error, null);
  } else {
    const run = await launch(topology, {
      stopAfter,
      checkpoints: { storage, folder: 'run' },
      report: (event) => events.push(event),
      logLevel: 'silent',
      peakFlops: null,
      ...resumeFrom,
    });
    t.is((await run.result).error, null);
    t.true(topology.parallel.world === 1 || run.sent().bytes > 0);
  }
  return events;
}

/** A folder that goes with the test. */
export async function newFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-layouts-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
