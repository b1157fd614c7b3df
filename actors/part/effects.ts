import { addresses } from '@troupe/topology/layout';
import { slicePieces } from '../store/slice-pieces.ts';
import { PartDraft } from './part-draft.ts';
import type { PartSelf } from './events.ts';
import type { PartEffects } from './machine.ts';
import type { PartOptions } from './options.ts';

const unknownFailure = { code: 'TROUPE_UNKNOWN', message: 'unknown', retryable: false } as const;

/** When nothing more comes of it, whatever came. */
async function settled(work: Promise<unknown>): Promise<void> {
  await Promise.allSettled([work]);
}

/** One part at a time, from the pieces that the machine's shards send. */
export function partEffects(self: PartSelf, options: PartOptions): PartEffects {
  const { machine } = options;
  const store = addresses.store(0);
  const pieces = slicePieces(options.job);
  /** What is being thrown away: the next part begins when nothing of it is left. */
  let before = Promise.resolve();
  let draft = new PartDraft(options, before);
  const forget = (): void => void (draft = new PartDraft(options, before));
  return {
    open: ({ step, attempt }) => draft.open({ step, attempt }),
    put: (event) => draft.put(pieces(event)),
    finish: (_event, { step, attempt }) => {
      const finishing = draft.finish().then((body) => ({ body }));
      before = settled(finishing);
      forget();
      self.settle(finishing, 'part.finished', 'part.broken', { step, attempt });
    },
    discard: () => {
      before = draft.discard();
      forget();
    },
    reportWritten: ({ body }, { step, attempt }) =>
      self.tell(store, 'part.written', { step, attempt, body: { machine, ...body } }),
    reportBroken: ({ error = unknownFailure }, { step, attempt }) => {
      const { code, message, retryable } = error;
      self.tell(store, 'part.failed', { step, attempt, body: { machine, code, message, retryable } });
    },
  };
}
