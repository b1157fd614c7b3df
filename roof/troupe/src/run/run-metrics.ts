import type { Storage } from '@troupe/core';
import type { RunEvent } from '@troupe/telemetry';
import { openMetrics, sinkNames, type Metrics, type SinkName } from '@troupe/telemetry/sinks';
import type { ResolvedTopology } from '@troupe/topology';
import { listOf, objectWith, oneOf, options, required, rule } from '../option-rules.ts';

/** Where files of metrics go, such as `{ storage: fileStorage('runs'), folder: 'mine' }`. */
export interface MetricsChoice {
  readonly storage: Storage;
  /** It is made when it is not there. A run that goes on adds to what it finds. */
  readonly folder: string;
  /** Default: `jsonl`, and what the topology names under `metrics`. */
  readonly sinks?: readonly SinkName[];
}

export const metricsRule = options({
  storage: required(objectWith('a storage, such as fileStorage gives', 'grow', 'makeFolder')),
  folder: required(rule('a path inside the storage', (value) => typeof value === 'string')),
  sinks: listOf(oneOf(...sinkNames), `a list of ${sinkNames.join(', ')}`),
});

/** The metrics of a run, and what has become of files that could not be written. */
export class RunMetrics {
  readonly #problems: string[] = [];
  #metrics: Metrics | null = null;
  #handler: ((problem: string) => void) | null = null;

  /** @throws {TroupeError} what the storage says of the folder */
  async open(topology: ResolvedTopology, choice: MetricsChoice): Promise<void> {
    const { storage, folder, sinks = ['jsonl', ...topology.metrics] } = choice;
    await storage.makeFolder(folder);
    this.#metrics = await openMetrics(sinks, {
      storage,
      folder,
      nowMs: () => Date.now(),
      failed: (path, error) => {
        const problem = `no more metrics in ${path}: ${error instanceof Error ? error.message : String(error)}`;
        if (this.#handler === null) this.#problems.push(problem);
        else this.#handler(problem);
      },
    });
  }

  write(event: RunEvent): void {
    this.#metrics?.write(event);
  }

  /** Sets who hears of files that cannot be written; of those before it, now. */
  onProblem(handler: (problem: string) => void): void {
    this.#handler = handler;
    for (const problem of this.#problems.splice(0)) handler(problem);
  }

  async close(): Promise<void> {
    await this.#metrics?.close();
  }
}

/** Opens the metrics that a program asks for; null: none. */
export async function openRunMetrics(
  topology: ResolvedTopology,
  choice: MetricsChoice | undefined,
): Promise<RunMetrics | null> {
  if (choice === undefined) return null;
  const metrics = new RunMetrics();
  await metrics.open(topology, choice);
  return metrics;
}
