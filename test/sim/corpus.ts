import type { Fault } from '@troupe/sim/faults';
import { usual as undividedMixture, type Mixture } from '../mixtures/mixture.ts';
import type { Surroundings } from './clusters.ts';

/** A run that once went wrong. Its faults stand here in full, since the way that seeds draw them may change. */
export interface CorpusCase {
  readonly name: string;
  /** Position in the list of clusters on data ranks alone; or a mixture and what is around it. */
  readonly cluster: number | readonly [Mixture, Surroundings];
  readonly seed: number;
  readonly faults: readonly Fault[];
  /** Default: those of every run. */
  readonly steps?: number;
}

/** What most mixtures of the corpus do. */
export const usual = { ...undividedMixture, zero: 1 } as const satisfies Mixture;

/** Every bug that a sweep found, by what was wrong. Each runs with every `npm test`. */
export const corpus: readonly CorpusCase[] = [
  {
    name: 'a zombie that notices its lost connection sends its successor’s packets a second time',
    cluster: 7,
    seed: 3,
    faults: [{ kind: 'hang', target: 'worker/1', atStep: 1, forMs: 5300 }],
  },
  {
    name: 'the same, where state comes back from the seed',
    cluster: 3,
    seed: 3,
    faults: [{ kind: 'hang', target: 'worker/1', atStep: 1, forMs: 5300 }],
  },
  {
    name: 'a disk is full when a checkpoint begins, and nobody waits for its writer yet',
    cluster: 7,
    seed: 7,
    faults: [
      { kind: 'disk-full', target: 'disk/0', atStep: 2, forMs: 738 },
      { kind: 'partition', target: 'worker/1', atStep: 5, forMs: 88 },
    ],
  },
  {
    name: 'sums are reset while leaves of the abandoned attempt are on their way to one who has not heard of it',
    cluster: 6,
    seed: 206_766_033,
    faults: [
      { kind: 'nan', target: 'worker/1', atStep: 1 },
      { kind: 'duplicate', target: 'worker/2,agent/0', atStep: 3, oneWay: true },
    ],
  },
  {
    name: 'one of two lost workers never comes back, and the end names both',
    cluster: 4,
    seed: 206_766_193,
    faults: [
      { kind: 'crash', target: 'worker/0', atStep: 1, restartAfterMs: 3 },
      { kind: 'crash', target: 'worker/3', atStep: 1, restartAfterMs: -1 },
    ],
  },
  {
    name: 'a bit flips while a slice of a snapshot is handed out, behind the reading that found it whole',
    cluster: 1,
    seed: 1,
    faults: [
      { kind: 'crash', target: 'worker/1', atStep: 4 },
      { kind: 'bit-flip', target: 'disk/0', when: { actor: 'optimizer/dense/*', state: 'loading.reading' } },
    ],
  },
  {
    name: 'a worker of another machine ends before it has joined, and nobody hears of it',
    cluster: 13,
    seed: 5277,
    faults: [
      { kind: 'drop', target: 'worker/1,worker/7', when: { actor: 'gate/*/*/*', state: 'planning' } },
      {
        kind: 'crash',
        target: 'worker/6',
        when: { actor: 'store/*', state: 'discarding', times: 2 },
        restartAfterMs: 0,
      },
      {
        kind: 'duplicate',
        target: 'worker/6,agent/0',
        when: { actor: 'gate/L0/pp0/dp4', state: 'awaitingRows' },
      },
    ],
  },
  {
    name: 'the gate of a layer is in a forward pass on one replica and in a backward pass on the other, and both wait for experts',
    cluster: [
      { ...usual, pp: 2, dp: 2, ep: 2, pipeline: 'gpipe', microbatches: 2, rankOrder: 'edp-inner' },
      { latencyMs: 0.5, buddies: true },
    ],
    seed: 0,
    faults: [],
    steps: 2,
  },
  {
    name: 'a backward pass begins beside the last forward pass, before the balance of the whole batch is known',
    cluster: [
      { ...usual, dp: 2, ep: 2, pipeline: 'gpipe', microbatches: 6, model: 'global' },
      { latencyMs: 0.5, buddies: true },
    ],
    seed: 0,
    faults: [],
    steps: 2,
  },
  {
    name: 'a host adds up what its only device sends in buckets, and the copy expects what one kernel call finishes',
    cluster: [
      { ...usual, dp: 2, ep: 2, offload: 'optimizer' },
      { latencyMs: 0.5, buddies: true },
    ],
    seed: 0,
    faults: [],
    steps: 2,
  },
  {
    name: 'every holder of a group is on one host, and under ZeRO 0 a copy keeps all of it, also what others sum up',
    cluster: [
      { ...usual, zero: 0, pp: 2, dp: 2, ep: 2, offload: 'optimizer', microbatches: 2 },
      { latencyMs: 0.5, buddies: true, machines: 2 },
    ],
    seed: 0,
    faults: [{ kind: 'crash', target: 'host/0', atStep: 2 }],
    steps: 4,
  },
];
