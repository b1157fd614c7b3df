import { GroupExchange, type ParameterGroup, type WorkerRank } from '@troupe/topology/layout';
import { Buckets } from './buckets.ts';
import { GatheredWeights } from './gathered-weights.ts';
import { SharedGradients } from './gradient-sink.ts';
import { ResidentWeights } from './weight-source.ts';
import type { Worker } from './worker.ts';

/** A worker's share of a parameter group, and with whom it exchanges what. */
export interface GroupShare {
  readonly group: ParameterGroup;
  /** Whose share it is. */
  readonly rank: WorkerRank;
  readonly among: GroupExchange;
}

/**
 * The buffers of one parameter group on one worker: the stage or the experts there read weights and add gradients. The shard beside has them,
 * or the courier where gradients leave in buckets.
 */
export class GroupBuffers implements GroupShare {
  readonly group: ParameterGroup;
  readonly rank: WorkerRank;
  readonly weights: ResidentWeights | GatheredWeights;
  readonly gradients: SharedGradients | Buckets;
  readonly among: GroupExchange;

  constructor(worker: Worker, group: ParameterGroup) {
    const { layout } = worker.job;
    this.group = group;
    this.rank = worker.rank;
    this.among = new GroupExchange(group, worker.rank);
    // Updates in host memory leave nothing here that a next version could be written beside: no pass of one is open when the next comes.
    const hasOne = worker.isAlone || layout.options.offload !== 'none';
    this.weights = layout.isGathered(group)
      ? new GatheredWeights(worker, group)
      : new ResidentWeights(worker.device, worker.job, group, { hasOne });
    this.gradients = layout.hasCourier(group)
      ? new Buckets(worker, group)
      : new SharedGradients(worker, group);
  }
}
