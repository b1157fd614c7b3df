import { agentFor } from '../crew.ts';
import { Errands } from './errands.ts';
import type { CourierSelf } from './events.ts';
import type { CourierEffects } from './machine.ts';
import type { GroupBuffers } from '../group-buffers.ts';
import type { ShardMemory } from '../optimizer/shard-memory.ts';
import type { Worker } from '../worker.ts';

/** Buckets leave and come back, segments come and are left; each of these may let a want go on. */
export function courierEffects(
  self: CourierSelf,
  worker: Worker,
  buffers: GroupBuffers,
  beside: ShardMemory | null,
): CourierEffects {
  const errands = new Errands(self, worker, buffers, beside);
  return {
    want: (event) => {
      errands.enter(event.attempt);
      errands.want(event);
    },
    leave: ({ body: { segment }, version }) => errands.leave(segment, version),
    send: (event) => errands.send(event),
    take: ({ step, microbatch, body }) => errands.take(body.from, { step, microbatch }),
    put: ({ from, version, body, tensors: { weights } }) => {
      errands.put(from, { ...body, version, weights });
      self.free([weights]);
    },
    bring: (event) => {
      errands.bring(event);
      self.free([event.tensors.weights]);
    },
    abandon: ({ attempt }) => {
      worker.enter(attempt);
      errands.enter(attempt);
      if (beside === null) self.submit(worker.device, [], 'device.drained', { attempt });
    },
    reportAbandoned: ({ attempt }) =>
      self.tell(agentFor(worker.job.layout, worker.rank), 'attempt.abandoned', {
        attempt,
        version: 0,
        body: { loaded: false },
      }),
  };
}
