import { assert, deserializeError } from '@troupe/core';
import type { StoreEvent, StoreEventOf, StoreSelf } from './events.ts';
import type { StoreEffects } from './machine.ts';
import type { SnapshotSource } from './snapshot-source.ts';

type ReadingEffects = Pick<
  StoreEffects,
  | 'readSlice'
  | 'answerSlice'
  | 'refuseSlice'
  | 'findSnapshot'
  | 'answerSnapshot'
  | 'refuseSnapshot'
  | 'release'
>;

/** Questions that the disk is answering, by a number that comes back with the answer as `microbatch`. */
class Questions<Q> {
  readonly #open = new Map<number, Q>();
  #last = 0;

  put(question: Q): number {
    this.#open.set(++this.#last, question);
    return this.#last;
  }

  take({ microbatch }: Pick<StoreEvent, 'microbatch'>): Q {
    const found = this.#open.get(microbatch);
    assert(found, 'an answer belongs to a question', { microbatch });
    this.#open.delete(microbatch);
    return found;
  }
}

/** Slices of a snapshot, for shards that begin or go back. */
export function readingEffects(self: StoreSelf, snapshots: SnapshotSource): ReadingEffects {
  const reads = new Questions<StoreEventOf<'slices.read'>>();
  const searches = new Questions<StoreEventOf<'snapshot.find'>>();
  return {
    readSlice: (event) => {
      const place = { microbatch: reads.put(event) };
      self.settle(snapshots.readSlice(event.body), 'slice.ready', 'slice.failed', place);
    },
    answerSlice: (event) => {
      const question = reads.take(event);
      const { attempt, body } = question;
      self.reply(question, 'slices.found', { attempt, tensors: event.tensors, body: { from: body.from } });
    },
    refuseSlice: (event) => {
      assert(event.error, 'a failed read carries its error');
      self.refuse(reads.take(event), deserializeError(event.error));
    },
    findSnapshot: (event) => {
      const place = { microbatch: searches.put(event) };
      self.settle(snapshots.find(event.step), 'snapshot.opened', 'snapshot.unreadable', place);
    },
    answerSnapshot: (event) => {
      const question = searches.take(event);
      const { step, body } = event;
      self.reply(question, 'snapshot.found', { attempt: question.attempt, step, body });
    },
    refuseSnapshot: (event) => {
      assert(event.error, 'a failed search carries its error');
      self.refuse(searches.take(event), deserializeError(event.error));
    },
    release: () => {
      snapshots
        .release()
        .catch((error: unknown) => self.logger.warn('snapshot not closed', { reason: String(error) }));
    },
  };
}
