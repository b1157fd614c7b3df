import { assert, type HostFloats } from '@troupe/core';
import type { Floats, Halves, KernelCall, Precision } from '@troupe/kernel-set';
import { callsOf, expertShape, roundedRows, savedLength, widenedRows, type ExpertShape } from '@troupe/model';
import { travels } from '@troupe/runtime';
import type { ExpertSelf } from './events.ts';
import { ExpertPass, type ArrivedRows, type ExpertPassId, type ForwardArrival } from './expert-pass.ts';
import type { ExpertBuffers, ExpertHost } from './host.ts';
import type { ExpertContext } from './machine.ts';
import { PassRoom, type ArrivalPlace } from './pass-room.ts';
import type { ExpertRule } from './rule.ts';

/** A gate that sends rows. */
export interface Source {
  /** It stands on the same device: its own buffers are read and written. */
  readonly isBeside: boolean;
}

/** Results for a source, of one of its chunks. */
interface ResultPlace extends ArrivalPlace {
  readonly direction: 'forward' | 'backward';
}

const keyOf = ({ step, attempt, microbatch }: ExpertPassId): string => `${step}/${attempt}/${microbatch}`;

/** What the effects of an expert group keep from turn to turn. */
export class ExpertState {
  readonly host: ExpertHost;
  readonly sources: readonly Source[];
  readonly buffers: ExpertBuffers;
  /** By segment. */
  readonly shapes: readonly ExpertShape[];
  readonly #self: ExpertSelf;
  readonly #rowFormat: Precision;
  readonly #layer: number;
  /** Passes whose rows have begun to arrive and whose last half has not ended: as many as a stage has in flight. */
  readonly #open = new Map<string, ExpertPass>();
  /** Rooms of passes that have ended, kept from step to step. */
  readonly #free: PassRoom[] = [];

  constructor(self: ExpertSelf, host: ExpertHost, layer: number) {
    const { job } = host;
    const precision = job.precision ?? 'f32';
    this.host = host;
    this.sources = host.gatesFor(layer).map((gate) => ({ isBeside: self.isBeside(gate) }));
    this.buffers = host.expertBuffers(layer);
    const group = { layer, experts: this.buffers.count, precision };
    this.shapes = this.buffers.segments.map(({ segment }) => expertShape(job.model, group, segment));
    this.#self = self;
    this.#rowFormat = job.rowFormat ?? 'f32';
    this.#layer = layer;
  }

  /** The pass that an arrival belongs to; the first one opens it. */
  arrivingAt(id: ExpertPassId, mode: ExpertPass['mode']): ExpertPass {
    const key = keyOf(id);
    let pass = this.#open.get(key);
    if (pass === undefined) {
      const { device, job } = this.host;
      const numSources = this.sources.length;
      const room =
        this.#free.pop() ??
        new PassRoom(device, {
          numSources,
          numChunks: this.host.numChunks,
          precision: job.precision ?? 'f32',
          recompute: job.recompute === 'layer',
        });
      pass = new ExpertPass(id, { mode, numSources, room });
      this.#open.set(key, pass);
    }
    return pass;
  }

  /** The pass that an arrival or a completion belongs to. */
  passOf(id: ExpertPassId): ExpertPass {
    const pass = this.#open.get(keyOf(id));
    assert(pass, 'what comes is for a pass that is open', { layer: this.#layer, pass: keyOf(id) });
    return pass;
  }

  /** Ends a pass: what other nodes sent for it is read no more. */
  close(pass: ExpertPass): void {
    this.sources.forEach(({ isBeside }, source) => {
      if (isBeside) return;
      const arrived = [
        ...pass.forward.of(source).map(({ x }) => x),
        ...pass.backward.of(source).map(({ dOut }) => dOut),
      ];
      this.#self.free(arrived.map(({ rows_UD, packed }) => packed ?? rows_UD));
    });
    this.#close(pass);
  }

  #close(pass: ExpertPass): void {
    this.#open.delete(keyOf(pass.id));
    pass.room.deferred.take();
    this.#free.push(pass.room);
  }

  /** Forgets what has arrived; the collector frees it, since the device may still read it. */
  abandon(): void {
    for (const pass of this.#open.values()) this.#close(pass);
  }

  place({ step, attempt, wanted, microbatch }: ExpertContext) {
    return { step, attempt, version: wanted, layer: this.#layer, microbatch };
  }

  /** The kernels that read gathered weights have run. */
  leaveSegment(context: ExpertContext): void {
    const { carried } = this.buffers;
    if (carried?.isGathered === true)
      this.#self.tell(carried.courier, 'segment.left', {
        ...this.place(context),
        body: { segment: carried.segment },
      });
  }

  /** What kernels read of a source. */
  rowsOf({ x, slots_N, counts_EG }: ForwardArrival) {
    return { x_UD: x.rows_UD, slots_N, counts_EG, numGrains: counts_EG.length / this.buffers.count };
  }

  /** Rows that came: as they are, or with room for what they are widened to. */
  arrived(values: HostFloats | Uint16Array | Floats, room: (length: number) => Floats): ArrivedRows {
    const { device } = this.host;
    // Memory of a device has no class that anybody may ask for.
    if (!travels(values) || !(values instanceof Uint16Array))
      return { rows_UD: device.upload(values), packed: null };
    return { rows_UD: room(values.length), packed: device.upload(values) };
  }

  /** No other chunk of the half comes behind it. */
  isLastChunk({ chunk }: ExpertContext): boolean {
    return chunk === this.host.numChunks - 1;
  }

  /** What a chunk begins with: rows that came in bf16 are widened. */
  widening(arrivals: readonly ArrivedRows[]): readonly KernelCall[] {
    return arrivals.flatMap(({ rows_UD, packed }) => (packed === null ? [] : widenedRows(packed, rows_UD)));
  }

  /** What a chunk ends with, where rows are rounded: in place for a source beside, else into what travels. */
  rounding(
    { room }: ExpertPass,
    { direction, chunk }: Pick<ResultPlace, 'direction' | 'chunk'>,
    results: readonly Floats[],
  ): readonly KernelCall[] {
    // Room for what travels is taken only where it travels in another format.
    if (this.#rowFormat === 'f32') return [];
    return results.flatMap((rows, source) => {
      const { isBeside } = this.#source(source);
      return roundedRows(
        this.#rowFormat,
        rows,
        isBeside ? rows : room.packed(direction, { source, chunk }, rows.length),
      );
    });
  }

  /** Results as they leave for a source elsewhere. */
  travelling({ room }: ExpertPass, { direction, ...place }: ResultPlace, rows: Floats) {
    const { device } = this.host;
    return this.#rowFormat === 'bf16'
      ? device.read(room.packed(direction, place, rows.length))
      : device.read(rows);
  }

  #source(source: number): Source {
    const from = this.sources[source];
    assert(from, 'a source is one of the group', { source, layer: this.#layer });
    return from;
  }

  /** Where the outputs of a source go: into its own buffers, or into room here. */
  outputs({ room }: ExpertPass, place: ArrivalPlace, own: Floats | undefined, rows: number): Floats {
    return this.#beside(place.source, own) ?? room.outputs(place, rows * this.#width);
  }

  inputGradients({ room }: ExpertPass, place: ArrivalPlace, own: Floats | undefined, rows: number): Floats {
    return this.#beside(place.source, own) ?? room.inputGradients(place, rows * this.#width);
  }

  /** Numbers that go back for a row: those of each segment. */
  get #width(): number {
    return this.shapes.length * this.host.job.model.dModel;
  }

  /** Of what goes back for `rows` rows, the part of a segment: one segment's rows lie behind the other's. */
  segmentOf(all: Floats, held: number, rows: number): Floats {
    const size = rows * this.host.job.model.dModel;
    return all.subarray(held * size, (held + 1) * size);
  }

  /** Pre-activations of `rows` rows, by segment, of what a chunk keeps. */
  savedBy(saved: Floats | Halves, rows: number): readonly (Floats | Halves)[] {
    let from = 0;
    return this.shapes.map((shape) => {
      const to = from + savedLength(shape, rows);
      const part = saved.subarray(from, to);
      from = to;
      return part;
    });
  }

  /** Elements of them all. */
  savedLength(rows: number): number {
    return this.shapes.reduce((sum, shape) => sum + savedLength(shape, rows), 0);
  }

  #beside(source: number, own: Floats | undefined): Floats | null {
    if (!this.#source(source).isBeside) return null;
    assert(own, 'a source beside says where its results go', { source, layer: this.#layer });
    return own;
  }

  /** The default expert's calls, or what an own expert makes of each. */
  callsOf(
    calls: readonly KernelCall[],
    own: (expert: ExpertRule, call: KernelCall) => readonly KernelCall[],
  ): readonly KernelCall[] {
    const { expert } = this.host.job;
    return expert === undefined ? calls : calls.flatMap((call) => own(expert, call));
  }

  run(
    calls: readonly KernelCall[],
    done: 'experts.forwarded' | 'experts.backwarded',
    context: ExpertContext,
  ): void {
    const kept =
      this.host.defersMatrices && done === 'experts.backwarded'
        ? callsOf(this.passOf(context).room.deferred.defer([{ calls }]))
        : calls;
    this.host.chain(this.#self, kept, done, this.place(context));
  }

  /** Queues what has waited since the backward half. */
  finish(context: ExpertContext): void {
    const calls = this.passOf(context).room.deferred.take();
    this.host.chain(this.#self, calls, 'matrices.computed', this.place(context));
  }
}
