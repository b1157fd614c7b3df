import { assert } from '@troupe/core';
import { addresses } from '@troupe/topology/layout';
import { partMachines } from '../crew.ts';
import { CheckpointDraft } from './checkpoint-draft.ts';
import type { StoreEventOf, StoreSelf } from './events.ts';
import type { StoreEffects } from './machine.ts';
import type { StoreOptions } from './options.ts';
import { PartsDraft } from './parts-draft.ts';
import type { SnapshotSource } from './snapshot-source.ts';

type WritingEffects = Pick<
  StoreEffects,
  | 'open'
  | 'put'
  | 'takePart'
  | 'losePart'
  | 'finish'
  | 'discard'
  | 'reportSettled'
  | 'reportWritten'
  | 'reportBroken'
>;

const unknownFailure = { code: 'TROUPE_UNKNOWN', message: 'unknown', retryable: false } as const;

/** One checkpoint at a time, from the pieces that shards send, or of the parts that machines write. */
export function writingEffects(
  self: StoreSelf,
  options: StoreOptions,
  snapshots: SnapshotSource,
): WritingEffects {
  const { folder } = options;
  const machines = partMachines(options.job);
  const begin = ({ step, attempt, version }: StoreEventOf<'checkpoint.begin'>): void => {
    for (const machine of machines)
      self.tell(addresses.part(machine), 'part.begin', { step, attempt, version });
  };
  const next = (): CheckpointDraft | PartsDraft =>
    options.job.parts === true ? new PartsDraft(options, begin) : new CheckpointDraft(options);
  let draft = next();
  const forget = (): void => void (draft = next());
  let newest = { saved: 0, path: '' };
  const finish = async (): Promise<{ readonly body: { readonly path: string } }> => {
    const path = await draft.finish();
    snapshots.noteWritten(folder === '' ? path : path.slice(folder.length + 1));
    await draft.prune();
    return { body: { path } };
  };
  return {
    open: (event) => draft.open(event),
    put: (event) => {
      assert(draft instanceof CheckpointDraft, 'pieces come here where machines write no parts');
      draft.put(event);
    },
    takePart: (event) => {
      assert(draft instanceof PartsDraft, 'parts are of a checkpoint in parts');
      draft.take(event);
    },
    losePart: (event) => {
      assert(draft instanceof PartsDraft, 'parts are of a checkpoint in parts');
      draft.lose(event);
    },
    finish: () => self.settle(finish().finally(forget), 'checkpoint.finished', 'checkpoint.broken'),
    discard: (_event, { attempt }) => {
      if (draft instanceof PartsDraft)
        for (const machine of machines) self.tell(addresses.part(machine), 'part.abandon', { attempt });
      const discarding = draft.discard().then(() => ({}));
      self.settle(discarding.finally(forget), 'checkpoint.discarded', 'checkpoint.discarded');
    },
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
