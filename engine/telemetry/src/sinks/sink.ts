import type { Storage } from '@troupe/core';
import type { RunEvent } from '../run-event.ts';

/** Where sinks write, and the time that some of them note. */
export interface SinkPlace {
  readonly storage: Storage;
  /** Of the run, inside the storage; it exists. */
  readonly folder: string;
  /** Wall-clock time: milliseconds since 1970. */
  readonly nowMs: () => number;
}

/** A file of metrics that is open. */
export interface Sink {
  /** Of its file, inside the storage. */
  readonly path: string;
  /** @throws {TroupeError} what the storage says, such as TROUPE_STORAGE_FULL */
  write(event: RunEvent): void;
  close(): Promise<void>;
}

/**
 * Opens a sink in the folder of a run. A run that goes on adds to what earlier ones wrote there, or begins a file beside it; it never changes
 * what is there already.
 */
export type OpenSink = (place: SinkPlace) => Promise<Sink>;

export const pathIn = ({ folder }: SinkPlace, name: string): string =>
  folder === '' ? name : `${folder}/${name}`;
