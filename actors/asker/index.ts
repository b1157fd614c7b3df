import { assert, deserializeError, TroupeError, type Address, type HostFloats } from '@troupe/core';
import { mountOf, type EffectsOf, type Mount } from '@troupe/runtime';
import type { AskerEvent, AskerSelf } from './events.ts';
import { askerMachine, type askerActions } from './machine.ts';

/** What became of a question. */
export type Answer = { readonly y_ND: HostFloats } | { readonly error: TroupeError };

/**
 * Asks `service`; questions come as `question.put` with rows and their experts. The step of a message is the number of its question, since that is what
 * comes back with a refusal too.
 *
 * ASK-1: every question is answered once: by the service, by its refusal, by its loss, or after `deadlineMs`.
 */
export function mountAsker(
  service: Address,
  options: { readonly deadlineMs: number; readonly answered: (id: number, answer: Answer) => void },
): Mount {
  return mountOf((self: AskerSelf) => {
    const open = new Set<number>();
    const answer = (id: number, found: Answer): void => {
      // One that the loss of the service has ended already.
      if (open.delete(id)) options.answered(id, found);
    };
    const effects: EffectsOf<typeof askerActions, never, AskerEvent> = {
      ask: (event) => {
        const id = event.step;
        open.add(id);
        const { tensors } = event;
        const reason = 'outputs of its rows';
        self.ask(service, 'experts.ask', { tensors, step: id }, { deadlineMs: options.deadlineMs, reason });
      },
      answer: ({ step, tensors }) => answer(step, tensors),
      fail: (event) => {
        assert(event.error, 'a question that failed says why');
        answer(event.step, { error: deserializeError(event.error) });
      },
      failAll: (event) => {
        const error = new TroupeError('TROUPE_TRANSPORT_PEER_LOST', event.body.sentence, {
          retryable: true,
        });
        for (const id of open) answer(id, { error });
      },
    };
    return { machine: askerMachine, input: undefined, effects };
  });
}
