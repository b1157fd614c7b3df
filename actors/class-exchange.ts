import { Exchange, type FlatLayout } from '@troupe/spec';
import { classPeers, type Job, type ParameterClassName } from './job.ts';

/** Where one shard of a class stands among those that hold the same parameters, and what it exchanges with whom. */
export class ClassExchange {
  /** Replicas that hold the same parameters, this one among them, in the order of their positions. */
  readonly peers: readonly number[];
  readonly exchange: Exchange;

  constructor(job: Job, dp: number, parameterClass: ParameterClassName, { length }: FlatLayout) {
    this.peers = classPeers(job, parameterClass, dp);
    this.exchange = new Exchange(length, this.peers.indexOf(dp), job.exchange[parameterClass]);
  }
}
