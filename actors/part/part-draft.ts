import { beginPart, type PartWriter, type WrittenPart } from '@troupe/checkpoint';
import type { SlicePiece } from '../store/slice-pieces.ts';
import type { PartOptions } from './options.ts';

/** The part that is being written. Pieces may come before it is told to begin; they wait for its writer. */
export class PartDraft {
  readonly #options: PartOptions;
  /** Settled when nothing of an earlier part is written or removed any more. */
  readonly #before: Promise<void>;
  readonly #start: (writer: Promise<PartWriter>) => void;
  readonly #writer: Promise<PartWriter>;
  #isStarted = false;
  readonly #puts: Promise<unknown>[] = [];

  constructor(options: PartOptions, before: Promise<void>) {
    this.#options = options;
    this.#before = before;
    let start: (writer: Promise<PartWriter>) => void = () => {};
    this.#writer = new Promise<PartWriter>((resolve) => (start = resolve));
    this.#start = start;
    // A folder that cannot be begun is told when the part ends.
    this.#writer.catch(() => {});
  }

  open(of: { readonly step: number; readonly attempt: number }): void {
    const { storage, folder, machine, life, hasher } = this.#options;
    const begin = (): Promise<PartWriter> =>
      beginPart(storage, folder, { ...of, machine, life }, hasher === undefined ? {} : { hasher });
    this.#isStarted = true;
    this.#start(this.#before.then(begin));
  }

  /** Adds pieces, whose buffers stay as they are until the checkpoint is written. */
  put(pieces: readonly SlicePiece[]): void {
    const put = this.#writer.then((writer) =>
      Promise.all(pieces.map(({ name, group, place, values }) => writer.put(name, group, place, values))),
    );
    put.catch(() => {});
    this.#puts.push(put);
  }

  async finish(): Promise<WrittenPart> {
    const writer = await this.#writer;
    try {
      await Promise.all(this.#puts);
      return await writer.finish();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  /** Throws it away; never rejects, since what is left is removed when the next part begins. */
  async discard(): Promise<void> {
    if (!this.#isStarted) return this.#before;
    try {
      const writer = await this.#writer;
      await Promise.allSettled(this.#puts);
      await writer.abort();
    } catch {
      // Whoever writes the next part hears of it.
    }
  }
}
