/** What draws of routing are keyed by, beside their layer and place in the sequence. */
export interface RoutingPlace {
  readonly mode: 'train' | 'evaluate';
  /** Of the run. */
  readonly seed: number;
  /** Of the run; an evaluation draws the same whatever it is. */
  readonly step: number;
  /** Index of the microbatch's first sequence in the global batch, or among the held-out ones. */
  readonly firstSequence: number;
}
