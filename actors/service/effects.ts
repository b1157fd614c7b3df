import { assert, OptionError, TroupeError } from '@troupe/core';
import type { Floats } from '@troupe/kernel-set';
import { addresses } from '@troupe/topology/layout';
import type { QuestionEvent, ServiceSelf } from './events.ts';
import type { ServiceEffects } from './machine.ts';
import { dispatchOf, questionOf } from './question.ts';
import type { ServedExperts } from './served-experts.ts';

/** More questions wait at a service than it keeps. */
class ServiceBusyError extends TroupeError {
  override readonly name = 'ServiceBusyError';
  constructor(capacity: number) {
    super('TROUPE_SERVICE_BUSY', `${capacity} questions wait already; ask again when an answer has come`, {
      retryable: true,
      details: { capacity },
    });
  }
}

export function serviceEffects(self: ServiceSelf, host: ServedExperts): ServiceEffects {
  const { device, job, layer } = host;
  const expert = addresses.expert(layer, { ep: 0, edp: 0 });
  const sizes = { dim: job.model.dModel, experts: host.count };
  const waiting: QuestionEvent[] = [];
  let open: { readonly asked: QuestionEvent; readonly slots_N: Int32Array; readonly y_ND: Floats } | null =
    null;

  /** Takes the next question to the expert. */
  const dispatch = (): void => {
    const asked = waiting.shift();
    assert(asked, 'a question waits');
    const question = questionOf(asked.tensors, sizes);
    assert(!(question instanceof Error), 'only questions are kept');
    const { x_ND, experts_N } = question;
    const { slots_N, counts_E } = dispatchOf(experts_N, sizes.experts);
    const y_ND = device.floats(x_ND.length);
    open = { asked, slots_N, y_ND };
    self.tell(expert, 'rows.dispatch', {
      layer,
      microbatch: 0,
      tensors: { x_UD: x_ND, slots_N, counts_EG: counts_E, y_ND },
      body: { source: 0, chunk: 0, mode: 'evaluate' },
    });
  };
  const keep = (event: QuestionEvent): void => void waiting.push(event);
  const reply = (): void => {
    assert(open, 'an answer follows a question');
    const { asked, slots_N, y_ND } = open;
    open = null;
    const { dim } = sizes;
    const inOrder_ND = device.read(y_ND);
    const outputs_ND = new Float32Array(y_ND.length);
    slots_N.forEach((row, place) =>
      outputs_ND.set(inOrder_ND.subarray(place * dim, (place + 1) * dim), row * dim),
    );
    self.reply(asked, 'experts.answered', { tensors: { y_ND: outputs_ND }, step: asked.step });
  };
  return {
    keep,
    keepAndDispatch: (event) => {
      keep(event);
      dispatch();
    },
    reply,
    replyAndDispatch: () => {
      reply();
      dispatch();
    },
    refuseWrong: (event) => {
      const problem = questionOf(event.tensors, sizes);
      assert(problem instanceof OptionError, 'only what is no question is refused');
      self.refuse(event, problem);
    },
    refuseBusy: (event, { capacity }) => self.refuse(event, new ServiceBusyError(capacity)),
  };
}
