import { assert } from '@troupe/core';
import { mountOf, type Mount } from '@troupe/runtime';
import { agentFor } from '../crew.ts';
import { sendGradients } from '../gradients.ts';
import type { GroupBuffers } from '../group-buffers.ts';
import type { Worker } from '../worker.ts';
import { expertEffects } from './effects.ts';
import { fencedByExpert, type ExpertSelf } from './events.ts';
import { expertHost, type ExpertHost } from './host.ts';
import { expertMachine, type ExpertInput } from './machine.ts';

export { parametersOf, type ExpertRule } from './rule.ts';

const inputOf = (host: ExpertHost, layer: number): ExpertInput => {
  const { from, to, carried } = host.expertBuffers(layer);
  return {
    version: host.job.first.step,
    numElements: to - from,
    numSources: host.gatesFor(layer).length,
    waitsForward: carried?.isGathered ?? false,
    waitsBackward: carried !== undefined,
  };
};

/** A worker without a stage has nobody else who tells of its kernels: its first layer does, whose backward pass is its last. */
const measuresAlone = ({ job: { layout }, rank, layers }: Worker, layer: number): boolean =>
  !layout.hasStage(rank) && layer === layers[0];

/** The experts of a layer that a worker has; it needs no stage beside it. */
export function mountExpert(worker: Worker, buffers: GroupBuffers, layer: number): Mount {
  const host = expertHost(worker, buffers);
  return mountOf((self: ExpertSelf) => ({
    machine: expertMachine,
    input: inputOf(host, layer),
    effects: expertEffects(self, host, layer, (range) => {
      sendGradients(self, { worker, buffers }, range);
      if (range.isLast && measuresAlone(worker, layer)) {
        const { step, attempt } = range;
        const body = { kernelMs: worker.meter.take() };
        self.tell(agentFor(worker.job.layout, worker.rank), 'experts.measured', { step, attempt, body });
      }
    }),
    ...host.fence(fencedByExpert),
  }));
}

/** The same actor where nothing trains: it serves forward passes, and there are no shards. */
export function mountServingExpert(host: ExpertHost, layer: number): Mount {
  return mountOf((self: ExpertSelf) => ({
    machine: expertMachine,
    input: inputOf(host, layer),
    effects: expertEffects(self, host, layer, () => assert(false, 'a service has no backward pass')),
    ...host.fence(fencedByExpert),
  }));
}
