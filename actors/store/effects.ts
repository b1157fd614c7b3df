import { assert, deserializeError } from '@troupe/core';
import type { EffectsOf } from '@troupe/runtime';
import { addresses } from '@troupe/topology/layout';
import { CheckpointDraft } from './checkpoint-draft.ts';
import type { StoreEvent, StoreEventOf, StoreSelf } from './events.ts';
import type { storeActions, StoreContext } from './machine.ts';
import type { StoreOptions } from './options.ts';
import { SnapshotSource } from './snapshot-source.ts';

export function storeEffects(
  self: StoreSelf,
  options: StoreOptions,
): EffectsOf<typeof storeActions, StoreContext, StoreEvent> {
  const { folder } = options;
  const reads: StoreEventOf<'slices.read'>[] = [];
  const searches: StoreEventOf<'snapshot.find'>[] = [];
  const snapshots = new SnapshotSource(options, self.logger);
  let draft = new CheckpointDraft(options);

  const forget = (): void => void (draft = new CheckpointDraft(options));
  const finish = async (): Promise<{ readonly body: { readonly path: string } }> => {
    const path = await draft.finish();
    snapshots.noteWritten(folder === '' ? path : path.slice(folder.length + 1));
    await draft.prune();
    return { body: { path } };
  };
  /** The question that the disk's answer is to. */
  const asked = <Q>(questions: readonly Q[], { microbatch }: Pick<StoreEvent, 'microbatch'>): Q => {
    const found = questions[microbatch];
    assert(found, 'an answer belongs to a question', { microbatch });
    return found;
  };

  return {
    readSlice: (event) => {
      reads.push(event);
      self.settle(snapshots.readSlice(event.body), 'slice.ready', 'slice.failed', {
        microbatch: reads.length - 1,
      });
    },
    answerSlice: (event) => {
      const question = asked(reads, event);
      const { attempt, body } = question;
      self.reply(question, 'slices.found', { attempt, tensors: event.tensors, body: { from: body.from } });
    },
    refuseSlice: (event) => {
      assert(event.error, 'a failed read carries its error');
      self.refuse(asked(reads, event), deserializeError(event.error));
    },
    open: (event) => draft.open(event),
    put: (event) => draft.put(event),
    finish: () => {
      self.settle(finish().finally(forget), 'checkpoint.finished', 'checkpoint.broken');
    },
    discard: () => {
      self.settle(draft.discard().finally(forget), 'checkpoint.discarded', 'checkpoint.discarded');
    },
    reportSettled: (_event, { attempt }) => self.tell(addresses.trainer, 'checkpoint.settled', { attempt }),
    findSnapshot: (event) => {
      searches.push(event);
      self.settle(snapshots.find(event.step), 'snapshot.opened', 'snapshot.unreadable', {
        microbatch: searches.length - 1,
      });
    },
    answerSnapshot: (event) => {
      const question = asked(searches, event);
      const { step, body } = event;
      self.reply(question, 'snapshot.found', { attempt: question.attempt, step, body });
    },
    refuseSnapshot: (event) => {
      assert(event.error, 'a failed search carries its error');
      self.refuse(asked(searches, event), deserializeError(event.error));
    },
    release: () => {
      snapshots
        .release()
        .catch((error: unknown) => self.logger.warn('snapshot not closed', { reason: String(error) }));
    },
    reportWritten: (event, context) => {
      self.tell(addresses.trainer, 'checkpoint.written', { step: context.step, body: event.body });
    },
    reportBroken: (event, context) => {
      const { code, message, retryable } = event.error ?? {
        code: 'TROUPE_UNKNOWN',
        message: 'unknown',
        retryable: false,
      };
      self.tell(addresses.trainer, 'checkpoint.failed', {
        step: context.step,
        body: { code, message, retryable },
      });
    },
  };
}
