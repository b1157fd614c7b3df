import { assert, type Address } from '@troupe/core';
import type { Device, GradientTarget, Weights } from '@troupe/kernel-set';
import { eachSegment, type Segment } from '@troupe/spec';
import type { ExpertGroupId } from '@troupe/topology/layout';
import type { GroupBuffers } from '../group-buffers.ts';
import type { Job } from '../job.ts';
import type { Worker } from '../worker.ts';

/** One segment of the experts of a layer. */
export interface ExpertSegmentBuffers {
  readonly segment: Segment;
  readonly weights: (version: number) => Weights;
  /** The first chunk of a microbatch may begin what the others add to. */
  readonly gradient: (microbatch: number, chunk: number) => GradientTarget;
}

/** What the expert actor of one layer reads and gives gradients to. */
export interface ExpertBuffers {
  /** Experts. */
  readonly count: number;
  readonly segments: readonly ExpertSegmentBuffers[];
  /** First and last element in the group's flat buffer. */
  readonly from: number;
  readonly to: number;
  /** Who brings weights and takes gradients where these do not lie here for good. */
  readonly carried?: CarriedExperts;
}

/** The experts of a layer as one segment of their group. */
export interface CarriedExperts {
  readonly courier: Address;
  /** Weights come too, not only room for gradients. */
  readonly isGathered: boolean;
  readonly segment: number;
  /** Segments of this worker's group. */
  readonly numSegments: number;
}

/** What an expert actor stands on: a worker of a run, or a service that has nothing but its experts. */
export interface ExpertHost extends Pick<Worker, 'chain' | 'fence' | 'abandon'> {
  readonly device: Device;
  readonly job: Pick<Job, 'model' | 'precision' | 'recompute' | 'rowFormat' | 'expert' | 'first'>;
  /** Which experts of every layer. */
  readonly expertGroup: ExpertGroupId;
  /** Gradients of its matrices wait until the pass beside asks. */
  readonly defersMatrices: boolean;
  /** Chunks in which every source sends the rows of a pass. */
  readonly numChunks: number;
  /** Who sends rows to the experts of a layer, in the order in which they are computed. */
  gatesFor(layer: number): readonly Address[];
  expertBuffers(layer: number): ExpertBuffers;
}

/** The part of the experts' parameter group that belongs to one layer. */
function buffersOf(worker: Worker, buffers: GroupBuffers, layer: number): ExpertBuffers {
  const { job, rank } = worker;
  const { group, weights, gradients } = buffers;
  const { layout } = job;
  const range = group.rangeOfLayer(layer);
  const units = group.units.filter((unit) => unit.layer === layer);
  assert(range !== null, 'a layer has experts', { layer });
  const courier = layout.courierOf(group, rank);
  const segment = group.segments.findIndex(({ from }) => from === range.from);
  const isGathered = layout.isGathered(group);
  const held = layout.expertSegmentsOf(worker.peer);
  const segments = eachSegment(held).map((each): ExpertSegmentBuffers => {
    const own = units.filter((unit) => held.count === 1 || unit.segment === each.index);
    const [first, last] = [own[0], own.at(-1)];
    assert(first !== undefined && last !== undefined, 'a segment has experts', { layer });
    return {
      segment: each,
      weights: (version) => weights.at(version).span(first.id, last.id),
      gradient: (microbatch, chunk) => {
        const targets = gradients.of(microbatch);
        return (chunk === 0 ? targets : targets.more).span(first.id, last.id);
      },
    };
  });
  return {
    ...range,
    ...(courier === null
      ? {}
      : { carried: { courier, isGathered, segment, numSegments: group.segments.length } }),
    count: units.length / segments.length,
    segments,
  };
}

/** The experts of a worker, whatever else lives there. */
export function expertHost(worker: Worker, experts: GroupBuffers): ExpertHost {
  const { job, device, rank } = worker;
  const place = job.layout.expertPlaceOf(rank);
  assert(place !== null, 'a worker has experts', { worker: rank });
  return {
    job,
    device,
    expertGroup: place.ep,
    // Without a stage beside them nobody says when there is time for matrices.
    defersMatrices: job.layout.defersMatrices && job.layout.hasStage(rank),
    numChunks: job.layout.rowChunks,
    gatesFor: (layer) => job.layout.gatesFor(layer, rank),
    expertBuffers: (layer) => buffersOf(worker, experts, layer),
    chain: (self, calls, done, ...fields) => worker.chain(self, calls, done, ...fields),
    fence: (kinds) => worker.fence(kinds),
    abandon: (self, attempt, groups_LE) => worker.abandon(self, attempt, groups_LE),
  };
}
