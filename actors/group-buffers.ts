import { GroupExchange, type ParameterGroup } from '@troupe/topology/layout';
import { sharedGradients, type GradientSink } from './gradient-sink.ts';
import { ResidentWeights, type WeightSource } from './weight-source.ts';
import type { Worker } from './worker.ts';

/**
 * The buffers of one parameter group on one worker, and with whom its shard exchanges what is in them. The shard owns them; the stage or
 * the experts beside it read weights and add gradients.
 */
export class GroupBuffers {
  readonly group: ParameterGroup;
  readonly weights: WeightSource;
  readonly gradients: GradientSink;
  readonly among: GroupExchange;

  constructor(worker: Worker, group: ParameterGroup) {
    this.group = group;
    this.weights = new ResidentWeights(worker.device, worker.job, group, {
      isAlone: worker.isAlone,
    });
    this.gradients = sharedGradients(worker, group);
    this.among = new GroupExchange(group, worker.rank);
  }
}
