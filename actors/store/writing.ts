import { addresses } from '@troupe/topology/layout';
import { CheckpointDraft } from './checkpoint-draft.ts';
import type { StoreSelf } from './events.ts';
import type { StoreEffects } from './machine.ts';
import type { StoreOptions } from './options.ts';
import type { SnapshotSource } from './snapshot-source.ts';

type WritingEffects = Pick<
  StoreEffects,
  'open' | 'put' | 'finish' | 'discard' | 'reportSettled' | 'reportWritten' | 'reportBroken'
>;

const unknownFailure = { code: 'TROUPE_UNKNOWN', message: 'unknown', retryable: false } as const;

/** One checkpoint at a time, from the pieces that shards send. */
export function writingEffects(
  self: StoreSelf,
  options: StoreOptions,
  snapshots: SnapshotSource,
): WritingEffects {
  const { folder } = options;
  let draft = new CheckpointDraft(options);
  const forget = (): void => void (draft = new CheckpointDraft(options));
  let newest = { saved: 0, path: '' };
  const finish = async (): Promise<{ readonly body: { readonly path: string } }> => {
    const path = await draft.finish();
    snapshots.noteWritten(folder === '' ? path : path.slice(folder.length + 1));
    await draft.prune();
    return { body: { path } };
  };
  return {
    open: (event) => draft.open(event),
    put: (event) => draft.put(event),
    finish: () => self.settle(finish().finally(forget), 'checkpoint.finished', 'checkpoint.broken'),
    discard: () =>
      self.settle(draft.discard().finally(forget), 'checkpoint.discarded', 'checkpoint.discarded'),
    reportSettled: (_event, { attempt }) =>
      self.tell(addresses.trainer, 'checkpoint.settled', { attempt, body: newest }),
    reportWritten: ({ body }, { step }) => {
      newest = { saved: step, path: body.path };
      self.tell(addresses.trainer, 'checkpoint.written', { step, body });
    },
    reportBroken: ({ error = unknownFailure }, { step }) => {
      const { code, message, retryable } = error;
      self.tell(addresses.trainer, 'checkpoint.failed', { step, body: { code, message, retryable } });
    },
  };
}
