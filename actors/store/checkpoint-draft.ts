import { assert, type HostFloats } from '@troupe/core';
import {
  beginCheckpoint,
  lineageOf,
  pruneCheckpoints,
  type CheckpointTensor,
  type CheckpointWriter,
  type TensorGroup,
} from '@troupe/checkpoint';
import { isByElement, savedTensors, statesOf, type SavedTensor, type StateArray } from '@troupe/spec';
import type { StoreEventOf } from './events.ts';
import { hashingOf, type StoreOptions } from './options.ts';

/** Every tensor of a model and what is kept beside it, by global names: the units of a checkpoint, whatever the layout. */
const checkpointTensors = (tensors: readonly SavedTensor[]): readonly CheckpointTensor[] =>
  tensors.flatMap((tensor) => [
    { name: tensor.name, shape: tensor.shape, dtype: 'f32' as const, group: 'weights' as const },
    ...statesOf(tensor).map(({ name, shape }) => ({
      name: tensor.name,
      shape,
      dtype: 'f32' as const,
      group: name,
    })),
  ]);

/** By layer with experts, for the manifest. */
const rowsOf = (groups_LE: Int32Array, experts: number): readonly (readonly number[])[] =>
  Array.from({ length: groups_LE.length / experts }, (_, layer) => [
    ...groups_LE.subarray(layer * experts, (layer + 1) * experts),
  ]);

/** The checkpoint that is being written. Pieces may come before it is told to begin; they wait for its writer. */
export class CheckpointDraft {
  readonly #options: StoreOptions;
  #isStarted = false;
  readonly #start: (writer: Promise<CheckpointWriter>) => void;
  readonly #writer: Promise<CheckpointWriter>;
  readonly #puts: Promise<unknown>[] = [];
  readonly #tensors: ReadonlyMap<string, SavedTensor>;
  /** Checkpoints that may be left when this one is there; null: as many as there are. */
  #keeps: number | null;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#keeps = options.keep;
    const { model, optimizer } = options.job;
    this.#tensors = new Map(savedTensors(model, optimizer.kind).map((tensor) => [tensor.name, tensor]));
    let start: (writer: Promise<CheckpointWriter>) => void = () => {};
    this.#writer = new Promise<CheckpointWriter>((resolve) => (start = resolve));
    this.#start = start;
    // A folder that cannot be begun is told when the checkpoint ends; until then nobody may be waiting.
    this.#writer.catch(() => {});
  }

  /** Begins the folder that `checkpoint.begin` asks for. */
  open({ step, body, tensors: { groups_LE } }: StoreEventOf<'checkpoint.begin'>): void {
    const { job, keep, storage, folder, resumeFrom, tokenizer } = this.#options;
    const base = {
      step,
      topology: this.#options.topology,
      trajectory: {
        adamClock: body.adamClock,
        ...(groups_LE === undefined ? {} : { experts: rowsOf(groups_LE, job.model.moe?.experts ?? 1) }),
      },
      dataCursor: { step },
      rngKeys: { seed: job.seed },
      corpusSha256: this.#options.corpusSha256,
      ...(resumeFrom === null ? {} : { parents: lineageOf(resumeFrom.manifest) }),
    };
    const more = { ...(tokenizer === null ? {} : { tokenizer }), ...hashingOf(this.#options) };
    const writer = beginCheckpoint(
      storage,
      folder,
      base,
      checkpointTensors([...this.#tensors.values()]),
      more,
    );
    this.#isStarted = true;
    // Nobody knows yet whether the next step will find the parameters of this one blown up; then the one before is wanted.
    const most = body.isLast ? keep : Math.max(2, keep);
    this.#keeps = body.prunes ? most : null;
    this.#start(writer);
  }

  /** Adds a piece. Its buffers stay as they are until the trainer has heard of this checkpoint, so waiting for the writer is safe. */
  put({ body, tensors }: StoreEventOf<'snapshot.slice'>): void {
    const tensor = this.#tensors.get(body.name);
    assert(tensor, 'shards send tensors of the model', { name: body.name });
    const put = this.#writer.then((writer) =>
      Promise.all([
        putRows(writer, 'weights', body, asFloat32(tensors.weights)),
        ...[tensors.first, tensors.second].map((values, array) => {
          const state = tensor.state[array as StateArray];
          if (state === null || values.length === 0) return undefined;
          const place = isByElement(state, tensor) ? body : { name: body.name, offset: 0 };
          return putRows(writer, state.name, place, asFloat32(values));
        }),
      ]),
    );
    put.catch(() => {});
    this.#puts.push(put);
  }

  /** Writes the manifest once every piece is there; returns the checkpoint's path. */
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

  /** Removes what became too many by this checkpoint. */
  async prune(): Promise<void> {
    const { storage, folder } = this.#options;
    if (this.#keeps !== null) await pruneCheckpoints(storage, folder, this.#keeps, hashingOf(this.#options));
  }

  /** Throws away what lacks pieces; nothing of it was visible. */
  async discard(): Promise<Readonly<Record<string, never>>> {
    if (!this.#isStarted) return {};
    const writer = await this.#writer;
    await Promise.allSettled(this.#puts);
    await writer.abort();
    return {};
  }
}

/** Puts a piece where it lies in its tensor: in one run, or row by row. */
async function putRows(
  writer: CheckpointWriter,
  group: TensorGroup,
  { name, offset, rowLength, rowStride }: StoreEventOf<'snapshot.slice'>['body'],
  values: Float32Array,
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

/** Checkpoints hold f32; the float64 oracle's values are rounded once. */
const asFloat32 = (values: HostFloats): Float32Array =>
  values instanceof Float32Array ? values : Float32Array.from(values);
