import { assert, type Address, type HostFloats } from '@troupe/core';
import type { KernelCall } from '@troupe/kernel-set';
import type { WeightSlice } from '@troupe/model';
import type { Segment } from '@troupe/topology/layout';
import { sendBucket } from '../bucket-parts.ts';
import type { BucketId, Holding } from '../buckets.ts';
import { intersect, lengthOf, partsFor, type Range } from '../gradients.ts';
import type { GroupBuffers } from '../group-buffers.ts';
import type { ShardMemory } from '../optimizer/shard-memory.ts';
import { readersOf } from '../weight-readers.ts';
import type { Worker } from '../worker.ts';
import type { CourierEvent, CourierSelf } from './events.ts';

type Want = Extract<CourierEvent, { readonly type: 'segment.want' }>;
type Filled = Extract<CourierEvent, { readonly type: 'gradient.filled' }>;

type Brought = Extract<CourierEvent, { readonly type: 'weights.bring' }>;

/** What brings weights to arrays of the same form. */
const copies = (from: readonly WeightSlice[], to: readonly WeightSlice[]): readonly KernelCall[] =>
  from.flatMap((each, index): readonly KernelCall[] => {
    const out = to[index];
    if (each.kind === 'f32' && out?.kind === 'f32')
      return [{ op: 'copy', from: each.values, out: out.values }];
    assert(each.kind === out?.kind, 'a window is of the form of what it shows', { index });
    return [{ op: 'round.bf16', x: each.values, out: out.values }];
  });

/** Names of waits. */
const gathering = (segment: number): string => `weights ${segment}`;
const room = (segment: number, microbatch: number): string => `room ${segment}/${microbatch}`;

/** For people: `layer 3`, `embed`. */
function nameOf({ flat: { units } }: Segment): string {
  const [first] = units;
  assert(first, 'a segment has units');
  return first.layer === null ? first.id : `layer ${first.layer}`;
}

/** The layer that a segment is; -1: none. */
const layerOf = ({ flat: { units } }: Segment): number => units[0]?.layer ?? -1;

/** What a courier has promised, and what it waits for to keep it. */
export class Errands {
  readonly #self: CourierSelf;
  readonly #worker: Worker;
  readonly #buffers: GroupBuffers;
  readonly #beside: ShardMemory | null;
  #wants: Want[] = [];
  #attempt = 0;

  /** @param beside - what the shard of the group here holds; null: it lives on a host */
  constructor(self: CourierSelf, worker: Worker, buffers: GroupBuffers, beside: ShardMemory | null) {
    this.#beside = beside;
    this.#self = self;
    this.#worker = worker;
    this.#buffers = buffers;
  }

  /** A new attempt begins with free buckets and an empty window: whatever is on its way belongs to the one before. */
  enter(attempt: number): void {
    if (attempt <= this.#attempt) return;
    this.#attempt = attempt;
    for (const { body, microbatch } of this.#wants.splice(0))
      this.#self.endWait(room(body.segment, microbatch));
    const { weights, gradients, group } = this.#buffers;
    if (weights.kind === 'gathered') {
      weights.clear();
      for (const { index } of group.segments) this.#self.endWait(gathering(index));
    }
    if (gradients.kind === 'buckets') gradients.abandon();
  }

  want(want: Want): void {
    this.#wants.push(want);
    this.#go();
  }

  leave(segment: number, version: number): void {
    const { weights } = this.#buffers;
    assert(weights.kind === 'gathered', 'only what is gathered is left', { segment });
    weights.leave(this.#segment(segment), version);
    this.#go();
  }

  /** A bucket is full: its parts go to those that complete them. */
  send({ step, attempt, microbatch, body: { segment: index } }: Filled): void {
    const { gradients } = this.#buffers;
    assert(gradients.kind === 'buckets', 'a courier has buckets', { segment: index });
    const id: BucketId = { step, segment: index, microbatch };
    const bucket = gradients.filled(id);
    const { from, to } = this.#segment(index);
    const { values, overflow } = bucket;
    const sent = { from, to, values, overflow, step, attempt, microbatch };
    bucket.awaited = sendBucket(this.#self, { worker: this.#worker, share: this.#buffers }, 0, sent);
  }

  /** A part of a bucket is added where it belongs. */
  take(from: number, { step, microbatch }: Omit<BucketId, 'segment'>): void {
    const { gradients } = this.#buffers;
    assert(gradients.kind === 'buckets', 'a courier has buckets', { from });
    const segment = this.#segmentAt(from).index;
    if (gradients.answered({ step, segment, microbatch })) this.#go();
  }

  /** A part of a segment has come. */
  put(
    from: Address,
    part: Range & { readonly version: number; readonly weights: HostFloats | Uint16Array },
  ): void {
    const { weights } = this.#buffers;
    assert(weights.kind === 'gathered', 'weights come to a window', { from: part.from });
    const segment = this.#segmentAt(part.from);
    this.#write(weights.room(segment, part.version, part), part.weights);
    this.#self.answered(gathering(segment.index), from);
    if (weights.came(segment, part.version, lengthOf(part))) {
      this.#self.endWait(gathering(segment.index));
      this.#go();
    }
  }

  /** Weights come for the buffer that is read here. */
  bring({ version, attempt, body, tensors: { weights } }: Brought): void {
    const { weights: source, group } = this.#buffers;
    const { job, rank } = this.#worker;
    assert(source.kind === 'resident', 'weights are brought where all of them stay', { from: body.from });
    this.#write(source.at(version).slices(body.from, body.to), weights);
    for (const { to, range } of readersOf(job.layout, { group, worker: rank }, body))
      this.#self.tell(to, 'weights.publish', { version, attempt, body: range });
  }

  /** Weights travel an array at a time, as they are held. */
  #write(places: readonly WeightSlice[], weights: HostFloats | Uint16Array): void {
    const [place] = places;
    const fits = places.length === 1 && (place?.kind === 'bf16') === weights instanceof Uint16Array;
    assert(place && fits, 'weights travel as they are held, an array at a time', { arrays: places.length });
    this.#worker.device.write<'f32' | 'bf16'>(place.values, weights);
  }

  /** Keeps what can be kept now. */
  #go(): void {
    this.#wants = this.#wants.filter((want) => !this.#serve(want));
  }

  #serve(want: Want): boolean {
    const { from, step, attempt, version, microbatch, body } = want;
    const segment = this.#segment(body.segment);
    const hasRoom = !body.gradients || this.#openBucket(want);
    const hasWeights = !body.weights || this.#gather(segment, want);
    if (!hasRoom || !hasWeights) return false;
    const { weights } = this.#buffers;
    if (body.weights && weights.kind === 'gathered') weights.hold(segment, version);
    const place = { step, attempt, version, microbatch, layer: layerOf(segment) };
    this.#self.tell(from, 'segment.ready', { ...place, body: { segment: segment.index } });
    if (body.weights && body.next !== undefined) this.#gather(this.#segment(body.next), want);
    return true;
  }

  /** Room for gradients; a wait for those that have what there is, where there is none. */
  #openBucket({ from, step, microbatch, body }: Want): boolean {
    const { gradients } = this.#buffers;
    assert(gradients.kind === 'buckets', 'a courier has buckets', { segment: body.segment });
    const name = room(body.segment, microbatch);
    if (gradients.open({ step, segment: body.segment, microbatch }, from)) {
      this.#self.endWait(name);
      return true;
    }
    const [first] = gradients.holdings(body.segment);
    assert(first, 'room is waited for where somebody has it', { segment: body.segment });
    const has = nameOf(this.#segment(first.segment));
    const why = first.isUnderWay ? `those of ${has} are not added yet` : `${has} is still being computed`;
    this.#self.wait({
      name,
      awaited: this.#whoHas(first),
      reason: `room for gradients of ${nameOf(this.#segment(body.segment))}: ${why}`,
      step,
      microbatch,
      deadlineMs: this.#worker.job.deadlines.stepMs,
    });
    return false;
  }

  #whoHas({ segment, filledBy, isUnderWay }: Holding): readonly Address[] {
    if (!isUnderWay) return [filledBy];
    const { layout } = this.#worker.job;
    const parts = partsFor(layout, this.#buffers, 0, this.#segment(segment));
    return [layout.shardOf(this.#buffers.group, this.#worker.rank), ...parts.map(({ to }) => to)];
  }

  /** Looks for a segment in the window, and asks for it where there is room. @returns whether it is here */
  #gather(segment: Segment, { step, attempt, version, microbatch }: Want): boolean {
    const { weights, group } = this.#buffers;
    if (weights.kind === 'resident') return true;
    const claim = weights.claim(segment, version);
    if (claim !== 'gather') return claim === 'here';
    const { rank, job, device } = this.#worker;
    const asked: Address[] = [];
    for (const { worker, part } of group.slices) {
      const shared = intersect(part, segment);
      if (shared === null) continue;
      if (worker === rank && this.#beside !== null) {
        const out = weights.room(segment, version, shared);
        const calls = copies(this.#beside.weights.published(shared, version), out);
        this.#self.submit(device, calls, 'slice.copied', { step, attempt });
        if (weights.came(segment, version, lengthOf(shared))) return true;
        continue;
      }
      const to = job.layout.shardOf(group, worker);
      asked.push(to);
      const place = { step, attempt, version, microbatch, layer: layerOf(segment) };
      this.#self.tell(to, 'weights.ask', { ...place, body: shared });
    }
    this.#self.wait({
      name: gathering(segment.index),
      awaited: asked,
      reason: `weights of ${nameOf(segment)}`,
      step,
      ...(layerOf(segment) < 0 ? {} : { layer: layerOf(segment) }),
      microbatch,
      deadlineMs: job.deadlines.stepMs,
    });
    return false;
  }

  #segment(index: number): Segment {
    const segment = this.#buffers.group.segments[index];
    assert(segment, 'a segment is one of the group', { index });
    return segment;
  }

  #segmentAt(from: number): Segment {
    const segment = this.#buffers.group.segments.find((each) => each.from <= from && from < each.to);
    assert(segment, 'a part lies in a segment', { from });
    return segment;
  }
}
