import { assert, TroupeError } from '@troupe/core';
import { pruneCheckpoints, publishParts, type WrittenPart } from '@troupe/checkpoint';
import { checkpointBase, checkpointsKept, checkpointTensors } from './checkpoint-base.ts';
import type { Draft } from './checkpoint-draft.ts';
import type { StoreEventOf } from './events.ts';
import { hashingOf, type StoreOptions } from './options.ts';

/** A checkpoint of which every machine writes its part. */
export class PartsDraft implements Draft {
  readonly #options: StoreOptions;
  readonly #begin: (event: StoreEventOf<'checkpoint.begin'>) => void;
  readonly #parts = new Map<number, WrittenPart>();
  #failure: TroupeError | null = null;
  #opened: StoreEventOf<'checkpoint.begin'> | null = null;

  /** @param begin - tells the machines */
  constructor(options: StoreOptions, begin: (event: StoreEventOf<'checkpoint.begin'>) => void) {
    this.#options = options;
    this.#begin = begin;
  }

  open(event: StoreEventOf<'checkpoint.begin'>): void {
    this.#opened = event;
    this.#begin(event);
  }

  take({ body: { machine, ...part } }: StoreEventOf<'part.written'>): void {
    this.#parts.set(machine, part);
  }

  lose({ body: { machine, code, message, retryable } }: StoreEventOf<'part.failed'>): void {
    this.#failure ??= new TroupeError(code, `machine m${machine}: ${message}`, { retryable });
  }

  /** STO-6: the manifest is written when every part lasts, in the order of the machines. */
  async finish(): Promise<string> {
    if (this.#failure !== null) throw this.#failure;
    assert(this.#opened !== null, 'a checkpoint is begun before it is finished');
    const { job, storage, folder, tokenizer } = this.#options;
    const parts = [...this.#parts].toSorted(([a], [b]) => a - b).map(([, part]) => part);
    const more = { ...(tokenizer === null ? {} : { tokenizer }), ...hashingOf(this.#options) };
    const base = checkpointBase(this.#options, this.#opened);
    return (await publishParts(storage, folder, base, checkpointTensors(job), parts, more)).folder;
  }

  async prune(): Promise<void> {
    assert(this.#opened !== null, 'a checkpoint is begun before it is finished');
    const { storage, folder } = this.#options;
    const keeps = checkpointsKept(this.#options, this.#opened);
    if (keeps !== null) await pruneCheckpoints(storage, folder, keeps, hashingOf(this.#options));
  }

  /** Machines throw their parts away themselves. */
  async discard(): Promise<void> {}
}
