import { TroupeError } from '@troupe/core';
import type { RunEvent } from '../run-event.ts';
import type { Sink, SinkPlace } from './sink.ts';
import { sinks, type SinkName } from './table.ts';

export interface MetricsOptions extends SinkPlace {
  /** Told once of each file that cannot be written, or not any more. The run goes on without it. */
  readonly failed: (path: string, error: unknown) => void;
}

/** The sinks of a run, while it lasts. */
export class Metrics {
  /** Files of these sinks, inside the storage, also of those that have failed since. */
  readonly paths: readonly string[];
  readonly #open: Set<Sink>;
  readonly #failed: MetricsOptions['failed'];

  /** Use {@link openMetrics}. */
  constructor(open: readonly Sink[], failed: MetricsOptions['failed']) {
    this.paths = open.map(({ path }) => path);
    this.#open = new Set(open);
    this.#failed = failed;
  }

  write(event: RunEvent): void {
    for (const sink of this.#open) {
      try {
        sink.write(event);
      } catch (error) {
        void this.#close(sink);
        this.#failed(sink.path, error);
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((sink) => this.#close(sink)));
  }

  async #close(sink: Sink): Promise<void> {
    this.#open.delete(sink);
    // What was added is written; a file that cannot be closed takes nothing of it away.
    await sink.close().catch(() => {});
  }
}

/**
 * Opens sinks in the folder of a run.
 *
 * A full disk costs metrics, not the run: a sink that fails is left out from then on.
 */
export async function openMetrics(names: readonly SinkName[], options: MetricsOptions): Promise<Metrics> {
  const open: Sink[] = [];
  for (const name of new Set(names)) {
    try {
      open.push(await sinks[name](options));
    } catch (error) {
      const path = error instanceof TroupeError ? error.details['path'] : null;
      options.failed(typeof path === 'string' ? path : name, error);
    }
  }
  return new Metrics(open, options.failed);
}
