import type { Precision } from '@troupe/kernel-set';
import type { OptimizerSettings } from '@troupe/model';
import type { ModelConfig } from '@troupe/spec';
import { ExpertSeats, type Layout } from '@troupe/topology/layout';
import type { ExpertRule } from './expert/rule.ts';
import type { GateRule } from './gate/rule.ts';

/** Longest silences, milliseconds; each names what it bounds. */
export interface Deadlines {
  /** A step, from its opening to its commit. */
  readonly stepMs: number;
  /** Loading or initialising all parameters. */
  readonly loadMs: number;
  /** Writing one checkpoint. */
  readonly checkpointMs: number;
  /** From the word that a lost worker is restarted until its next life has joined; after that it is lost again. */
  readonly joinMs: number;
  /** From the loss of a worker until the step opens again. */
  readonly recoveryMs: number;
}

/** What the actors of one run have to know, the same on every node: no placement, no files, no sockets. */
export interface Job {
  readonly model: ModelConfig;
  /** Who holds which parameters, who computes which sequences: of this model. */
  readonly layout: Layout;
  /** Format of the products' operands; absent: f32. */
  readonly precision?: Precision;
  /** What backward computes again instead of keeping it; absent: nothing. */
  readonly recompute?: 'none' | 'layer';
  /** Of the loss that gradients are of; default 0. */
  readonly labelSmoothing?: number;
  /** Segments of every sum that tensor peers may divide; absent: 1. */
  readonly tensorSegments?: 1 | 2 | 4 | 8;
  /** Format of rows between gates and experts; absent: f32. */
  readonly rowFormat?: 'f32' | 'bf16';
  /** Default: train. The others make no step of the first state: `evaluate`: its held-out loss; `generate`: logits of what is asked. */
  readonly purpose?: 'train' | 'evaluate' | 'generate';
  /** Steps of the schedule. */
  readonly steps: number;
  /** Step at which this run ends, at most `steps`. */
  readonly stopAfter: number;
  readonly seed: number;
  readonly optimizer: OptimizerSettings;
  /** Learning rate of step t, from 1. */
  readonly learningRate: (step: number) => number;
  /** Steps between evaluations; 0: only at the end. */
  readonly evaluateEvery: number;
  /** Held-out sequences that an evaluation reads; 0: none. */
  readonly evaluationSequences: number;
  /** Steps between checkpoints; 0: only at the end; -1: never. */
  readonly checkpointEvery: number;
  /** Every machine writes its part of a checkpoint to the disk that all of them share; absent: pieces go to the lead's store. */
  readonly parts?: boolean;
  /** Fewest steps between two dealings of experts by load; absent: they stay where the layout has them. */
  readonly dealEvery?: number;
  /**
   * Step that the loaded checkpoint holds, 0 for a fresh start; also its optimizer clock. `from`: what the store reads of it, everything or
   * the weights alone, with an optimizer's state of zero; default `checkpoint` above step 0, else `seed`: nothing, since weights are drawn.
   */
  readonly first: {
    readonly step: number;
    readonly adamClock: number;
    readonly from?: 'seed' | 'checkpoint' | 'weights';
    /** Where its experts sat, by layer with experts; absent: where the layout has them. */
    readonly experts?: readonly (readonly number[])[];
  };
  readonly deadlines: Deadlines;
  /** Steps that are skipped one after the other until the run is given up; 0: never. */
  readonly maxSkipped: number;
  /** Without any snapshot a lost shard can only be drawn again, and the run restarts from its first step. */
  readonly restartsFromBeginning: boolean;
  /** An own router; default: the model's. */
  readonly gate?: GateRule;
  /** An own expert; default: the model's FFN. */
  readonly expert?: ExpertRule;
}

/** Where the state of the first step comes from. */
export const firstSource = ({ first }: Job): 'seed' | 'checkpoint' | 'weights' =>
  first.from ?? (first.step > 0 ? 'checkpoint' : 'seed');

const seatsOfJobs = new WeakMap<Job, ExpertSeats>();

/** Where experts sit when a run begins: one answer for all workers of a process, since it never changes. */
export function firstSeats(job: Job): ExpertSeats {
  let found = seatsOfJobs.get(job);
  if (found === undefined) {
    const { experts } = job.first;
    found = new ExpertSeats(job.layout, experts === undefined ? null : Int32Array.from(experts.flat()));
    seatsOfJobs.set(job, found);
  }
  return found;
}
