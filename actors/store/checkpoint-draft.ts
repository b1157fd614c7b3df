import { beginCheckpoint, pruneCheckpoints, type CheckpointWriter } from '@troupe/checkpoint';
import { checkpointBase, checkpointsKept, checkpointTensors } from './checkpoint-base.ts';
import type { StoreEventOf } from './events.ts';
import { hashingOf, type StoreOptions } from './options.ts';
import { slicePieces, type SlicePiece } from './slice-pieces.ts';

/** A checkpoint in the making, of pieces that shards send or of parts that machines write. */
export interface Draft {
  /** Begins what `checkpoint.begin` asks for. */
  open(event: StoreEventOf<'checkpoint.begin'>): void;
  /** Makes it a checkpoint once everything is there; returns its path. */
  finish(): Promise<string>;
  /** Removes what became too many by this checkpoint. */
  prune(): Promise<void>;
  /** Throws away what lacks something; nothing of it was visible. */
  discard(): Promise<void>;
}

/** The checkpoint that is being written. Pieces may come before it is told to begin; they wait for its writer. */
export class CheckpointDraft implements Draft {
  readonly #options: StoreOptions;
  #isStarted = false;
  readonly #start: (writer: Promise<CheckpointWriter>) => void;
  readonly #writer: Promise<CheckpointWriter>;
  readonly #puts: Promise<unknown>[] = [];
  readonly #piecesOf: ReturnType<typeof slicePieces>;
  /** Checkpoints that may be left when this one is there; null: as many as there are. */
  #keeps: number | null;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#keeps = options.keep;
    this.#piecesOf = slicePieces(options.job);
    let start: (writer: Promise<CheckpointWriter>) => void = () => {};
    this.#writer = new Promise<CheckpointWriter>((resolve) => (start = resolve));
    this.#start = start;
    // A folder that cannot be begun is told when the checkpoint ends; until then nobody may be waiting.
    this.#writer.catch(() => {});
  }

  open(event: StoreEventOf<'checkpoint.begin'>): void {
    const { job, storage, folder, tokenizer } = this.#options;
    const more = { ...(tokenizer === null ? {} : { tokenizer }), ...hashingOf(this.#options) };
    const base = checkpointBase(this.#options, event);
    const writer = beginCheckpoint(storage, folder, base, checkpointTensors(job), more);
    this.#isStarted = true;
    this.#keeps = checkpointsKept(this.#options, event);
    this.#start(writer);
  }

  /** Adds a piece. Its buffers stay as they are until the trainer has heard of this checkpoint, so waiting for the writer is safe. */
  put(event: StoreEventOf<'snapshot.slice'>): void {
    const pieces = this.#piecesOf(event);
    const put = this.#writer.then((writer) => Promise.all(pieces.map((piece) => putRows(writer, piece))));
    put.catch(() => {});
    this.#puts.push(put);
  }

  async finish(): Promise<string> {
    const writer = await this.#writer;
    const outcomes = await Promise.allSettled(this.#puts);
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) {
      await writer.abort();
      throw failure.reason;
    }
    return (await writer.finish()).folder;
  }

  async prune(): Promise<void> {
    const { storage, folder } = this.#options;
    if (this.#keeps !== null) await pruneCheckpoints(storage, folder, this.#keeps, hashingOf(this.#options));
  }

  async discard(): Promise<void> {
    if (!this.#isStarted) return;
    const writer = await this.#writer;
    await Promise.allSettled(this.#puts);
    await writer.abort();
  }
}

/** Puts a piece where it lies in its tensor: in one run, or row by row. */
async function putRows(
  writer: CheckpointWriter,
  { name, group, place: { offset, rowLength, rowStride }, values }: SlicePiece,
): Promise<void> {
  if (rowLength === undefined || rowStride === undefined) {
    await writer.put(name, group, offset, values);
    return;
  }
  const puts = Array.from({ length: values.length / rowLength }, (_, row) =>
    writer.put(
      name,
      group,
      offset + row * rowStride,
      values.subarray(row * rowLength, (row + 1) * rowLength),
    ),
  );
  await Promise.all(puts);
}
