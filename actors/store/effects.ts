import { assert, deserializeError } from '@troupe/core';
import type { Effects, MessageFields, Self } from '@troupe/runtime';
import { addresses } from '../addresses.ts';
import { CheckpointDraft } from './checkpoint-draft.ts';
import type { StoreEvent } from './events.ts';
import type { StoreContext } from './machine.ts';
import type { StoreOptions } from './options.ts';
import { SnapshotSource } from './snapshot-source.ts';

export function storeEffects(self: Self, options: StoreOptions): Effects<StoreContext, StoreEvent> {
  const { folder } = options;
  const requests: StoreEvent[] = [];
  const snapshots = new SnapshotSource(options, self.logger);
  let draft = new CheckpointDraft(options);

  const forget = (): void => void (draft = new CheckpointDraft(options));
  const finish = async (): Promise<MessageFields> => {
    const path = await draft.finish();
    snapshots.noteWritten(folder === '' ? path : path.slice(folder.length + 1));
    await draft.prune();
    return { body: { path } };
  };
  const request = (event: StoreEvent): StoreEvent => {
    const found = requests[event.microbatch];
    assert(found, 'an answer belongs to a request');
    return found;
  };

  return {
    readSlice: (event) => {
      requests.push(event);
      self.settle(snapshots.readSlice(event), 'slice.ready', 'slice.failed', {
        microbatch: requests.length - 1,
      });
    },
    answerSlice: (event) => {
      const asked = request(event);
      const { attempt } = asked;
      const body = { from: asked.body['from'] ?? 0 };
      self.reply(asked, 'slices.read', { attempt, tensors: event.tensors, body });
    },
    refuseSlice: (event) => {
      assert(event.error, 'a failed read carries its error');
      self.refuse(request(event), deserializeError(event.error));
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
      requests.push(event);
      self.settle(snapshots.find(event.step), 'snapshot.opened', 'snapshot.unreadable', {
        microbatch: requests.length - 1,
      });
    },
    answerSnapshot: (event) => {
      const asked = request(event);
      self.reply(asked, 'snapshot.found', { attempt: asked.attempt, step: event.step, body: event.body });
    },
    refuseSnapshot: (event) => {
      assert(event.error, 'a failed search carries its error');
      self.refuse(request(event), deserializeError(event.error));
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
