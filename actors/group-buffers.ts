import { GroupExchange, type ParameterGroup } from '@troupe/topology/layout';
import { Buckets } from './buckets.ts';
import { GatheredWeights } from './gathered-weights.ts';
import { SharedGradients } from './gradient-sink.ts';
import { ResidentWeights } from './weight-source.ts';
import type { Worker } from './worker.ts';

/**
 * The buffers of one parameter group on one worker, and with whom its shard exchanges what is in them. The shard owns them, or its courier
 * where gradients leave in buckets and weights come in segments; the stage or the experts beside it read weights and add gradients.
 */
export class GroupBuffers {
  readonly group: ParameterGroup;
  readonly weights: ResidentWeights | GatheredWeights;
  readonly gradients: SharedGradients | Buckets;
  readonly among: GroupExchange;

  constructor(worker: Worker, group: ParameterGroup) {
    const { layout } = worker.job;
    this.group = group;
    this.among = new GroupExchange(group, worker.rank);
    this.weights = layout.isGathered(group)
      ? new GatheredWeights(worker.device, group, this.among.slice)
      : new ResidentWeights(worker.device, worker.job, group, { isAlone: worker.isAlone });
    this.gradients = layout.hasCourier(group)
      ? new Buckets(worker, group)
      : new SharedGradients(worker, group);
  }
}
