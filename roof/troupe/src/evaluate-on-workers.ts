import type { CheckpointReader } from '@troupe/checkpoint';
import { assert } from '@troupe/core';
import type { DataStatistics } from '@troupe/data';
import type { RunEvent } from '@troupe/telemetry';
import type { ResolvedTopology } from '@troupe/topology';
import { launch } from './launch/launch.ts';

/** The held-out loss of a checkpoint. */
export interface Evaluation {
  readonly step: number;
  /** Cross entropy, nats a token. */
  readonly loss: number;
  readonly tokens: number;
  readonly statistics: DataStatistics;
}

/**
 * Measures the held-out loss of a checkpoint on worker processes: a run of the same actors that opens no step. The bits are those of one
 * device, whatever the layout.
 *
 * @param topology - of the checkpoint, divided as is wished
 * @throws {TroupeError} what is wrong with the topology, its data or its devices, and what ended the run
 */
export async function evaluateOnWorkers(
  topology: ResolvedTopology,
  options: {
    readonly checkpoint: CheckpointReader;
    readonly dataChanged?: boolean;
    /** Warnings and progress. */
    readonly report?: (event: RunEvent) => void;
  },
): Promise<Evaluation> {
  const { checkpoint, dataChanged = false, report = () => {} } = options;
  let found: Pick<Evaluation, 'step' | 'loss' | 'tokens'> | null = null;
  const run = await launch(topology, {
    purpose: 'evaluate',
    resumeFrom: checkpoint,
    checkpoints: null,
    dataChanged,
    report: (event) => {
      if (event.event === 'eval') found = { step: event.step, loss: event.loss, tokens: event.tokens };
      else report(event);
    },
    logLevel: 'silent',
    peakFlops: null,
  });
  const { error } = await run.result;
  if (error !== null) throw error;
  assert(found !== null, 'an evaluation that ended well has a loss');
  return { ...(found as Pick<Evaluation, 'step' | 'loss' | 'tokens'>), statistics: run.statistics() };
}
