import { assert, type Logger } from '@troupe/core';
import {
  CheckpointDamagedError,
  checkpointFolders,
  openCheckpoint,
  type CheckpointReader,
  type TensorGroup,
} from '@troupe/checkpoint';
import { isByElement, savedTensors, type SavedTensor, type StateTensor } from '@troupe/spec';
import { firstSource } from '../job.ts';
import type { StoreEventOf } from './events.ts';
import { hashingOf, type StoreOptions } from './options.ts';

type SliceState = Readonly<Record<'weights' | 'first' | 'second', Float32Array>>;

/** Which step the run goes back to. */
type Found = Pick<StoreEventOf<'snapshot.opened'>, 'step' | 'body'>;

/** What slices are read from: what the run began with, or the checkpoint that it went back to. */
export class SnapshotSource {
  readonly #options: StoreOptions;
  readonly #logger: Logger;
  readonly #hasState: boolean;
  readonly #tensors: ReadonlyMap<string, SavedTensor>;
  /** Checkpoints of this run. Others in its folder may be of a run that went another way from an earlier step. */
  readonly #written = new Set<string>();
  #source: CheckpointReader | null;

  constructor(options: StoreOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.#source = options.resumeFrom;
    const { model, optimizer } = options.job;
    this.#hasState = firstSource(options.job) !== 'weights';
    this.#tensors = new Map(savedTensors(model, optimizer.kind).map((tensor) => [tensor.name, tensor]));
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

  /** Weights and the optimizer's state of a slice; that is zero where the source has weights alone. */
  async readSlice(slice: StoreEventOf<'slices.read'>['body']): Promise<{ readonly tensors: SliceState }> {
    const from = this.#source;
    assert(from, 'slices are read only of a snapshot');
    const tensor = this.#tensors.get(slice.name);
    assert(tensor, 'shards ask for tensors of the model', { name: slice.name });
    const isFresh = from === this.#options.resumeFrom && !this.#hasState;
    const read = (state: StateTensor | null): Float32Array | Promise<Float32Array> => {
      const place = state === null ? null : stateSlice(state, tensor, slice);
      if (state === null || place === null) return new Float32Array(0);
      return isFresh ? new Float32Array(place.length) : readRows(from, state.name, place);
    };
    const [first, second] = tensor.state;
    const weights = await readRows(from, 'weights', slice);
    return { tensors: { weights, first: await read(first), second: await read(second) } };
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

/** Where the state of a piece lies; null: it comes with the first piece of the tensor. */
function stateSlice(
  state: StateTensor,
  tensor: SavedTensor,
  slice: StoreEventOf<'slices.read'>['body'],
): StoreEventOf<'slices.read'>['body'] | null {
  if (isByElement(state, tensor)) return slice;
  if (slice.offset > 0) return null;
  const { name, from } = slice;
  return { name, from, offset: 0, length: state.shape.reduce((product, each) => product * each, 1) };
}

/** A piece of a tensor as it lies in a shard: one run of the tensor, or its rows one after the other. */
async function readRows(
  from: CheckpointReader,
  group: TensorGroup,
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
