import { assert, type Logger } from '@troupe/core';
import {
  CheckpointDamagedError,
  checkpointFolders,
  openCheckpoint,
  type CheckpointReader,
} from '@troupe/checkpoint';
import { firstSource } from '../job.ts';
import type { tensorGroups } from './checkpoint-draft.ts';
import type { StoreEventOf } from './events.ts';
import { hashingOf, type StoreOptions } from './options.ts';

type SliceState = Readonly<Record<'weights' | 'm' | 'v', Float32Array>>;

/** Which step the run goes back to. */
type Found = Pick<StoreEventOf<'snapshot.opened'>, 'step' | 'body'>;

/** What slices are read from: what the run began with, or the checkpoint that it went back to. */
export class SnapshotSource {
  readonly #options: StoreOptions;
  readonly #logger: Logger;
  readonly #hasMoments: boolean;
  /** Checkpoints of this run. Others in its folder may be of a run that went another way from an earlier step. */
  readonly #written = new Set<string>();
  #source: CheckpointReader | null;

  constructor(options: StoreOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.#source = options.resumeFrom;
    this.#hasMoments = firstSource(options.job) !== 'weights';
  }

  /** A checkpoint of this run is complete; `name` is its folder's. */
  noteWritten(name: string): void {
    this.#written.add(name);
  }

  /** Closes a snapshot that was opened here. */
  async release(): Promise<void> {
    const { resumeFrom } = this.#options;
    const opened = this.#source;
    this.#source = resumeFrom;
    if (opened !== resumeFrom) await opened?.close();
  }

  /** Opens the newest intact checkpoint up to `step`, or what the run began with. */
  async find(step: number): Promise<Found> {
    const { job, resumeFrom } = this.#options;
    await this.release();
    if (job.checkpointEvery >= 0) this.#source = (await this.#newestUpTo(step)) ?? resumeFrom;
    const source = this.#source;
    const exists = source !== null;
    if (source === null || source === resumeFrom)
      return { step: job.first.step, body: { exists, adamClock: job.first.adamClock } };
    const { adamClock } = source.manifest.trajectory as { adamClock: number };
    return { step: source.manifest.step, body: { exists, adamClock } };
  }

  /** Weights and moments of a slice; moments are zero where the source has weights alone. */
  async readSlice(slice: StoreEventOf<'slices.read'>['body']): Promise<{ readonly tensors: SliceState }> {
    const from = this.#source;
    assert(from, 'slices are read only of a snapshot');
    const { length } = slice;
    const read = (group: (typeof tensorGroups)[number]) => readRows(from, group, slice);
    const weights = await read('weights');
    if (from === this.#options.resumeFrom && !this.#hasMoments)
      return { tensors: { weights, m: new Float32Array(length), v: new Float32Array(length) } };
    return { tensors: { weights, m: await read('adam-m'), v: await read('adam-v') } };
  }

  async #newestUpTo(step: number): Promise<CheckpointReader | null> {
    const { storage, folder } = this.#options;
    const folders = (await storage.exists(folder)) ? checkpointFolders(await storage.list(folder)) : [];
    for (const { name } of folders.filter((each) => each.step <= step && this.#written.has(each.name))) {
      try {
        const path = folder === '' ? name : `${folder}/${name}`;
        return await openCheckpoint(storage, path, hashingOf(this.#options));
      } catch (error) {
        // A damaged one is no snapshot; the one before it repeats more steps, with the same numbers.
        if (!(error instanceof CheckpointDamagedError)) throw error;
        this.#logger.warn('checkpoint passed over', { name, reason: error.message });
      }
    }
    return null;
  }
}

/** A piece of a tensor as it lies in a shard: one run of the tensor, or its rows one after the other. */
async function readRows(
  from: CheckpointReader,
  group: (typeof tensorGroups)[number],
  { name, offset, length, rowLength, rowStride }: StoreEventOf<'slices.read'>['body'],
): Promise<Float32Array> {
  if (rowLength === undefined || rowStride === undefined) return await from.read(name, group, offset, length);
  const rows = length / rowLength;
  const found = await from.read(name, group, offset, (rows - 1) * rowStride + rowLength);
  const values = new Float32Array(length);
  for (let row = 0; row < rows; row++)
    values.set(found.subarray(row * rowStride, row * rowStride + rowLength), row * rowLength);
  return values;
}
