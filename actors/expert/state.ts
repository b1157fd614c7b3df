import { assert, type Address } from '@troupe/core';
import type { Floats, Halves, KernelCall } from '@troupe/kernel-set';
import { expertShape, type ExpertShape } from '@troupe/model';
import type { ExpertSelf } from './events.ts';
import { ExpertPass, type ExpertPassId, type ForwardArrival } from './expert-pass.ts';
import { GrowingStorage } from './growing-storage.ts';
import type { ExpertBuffers, ExpertHost } from './host.ts';
import type { ExpertContext } from './machine.ts';
import type { ExpertRule } from './rule.ts';

/** A gate that sends rows. */
export interface Source {
  readonly gate: Address;
  /** It stands on the same device: its own buffers are read and written. */
  readonly isBeside: boolean;
}

/** What the effects of an expert group keep from turn to turn. */
export class ExpertState {
  readonly host: ExpertHost;
  readonly sources: readonly Source[];
  readonly buffers: ExpertBuffers;
  readonly shape: ExpertShape;
  readonly #self: ExpertSelf;
  readonly #layer: number;
  // Room for what does not lie in a gate's own buffers, kept from step to step.
  readonly #outputs: readonly GrowingStorage<Floats>[];
  readonly #inputGradients: readonly GrowingStorage<Floats>[];
  readonly #saved: GrowingStorage<Floats | Halves>;
  #open: ExpertPass | null = null;

  constructor(self: ExpertSelf, host: ExpertHost, layer: number) {
    const { device, job } = host;
    const precision = job.precision ?? 'f32';
    const floats = (length: number): Floats => device.floats(length);
    this.host = host;
    this.sources = host.gatesFor(layer).map((gate) => ({ gate, isBeside: self.isBeside(gate) }));
    this.buffers = host.expertBuffers(layer);
    this.shape = expertShape(job.model, layer, this.buffers.count, precision);
    this.#self = self;
    this.#layer = layer;
    this.#outputs = this.sources.map(() => new GrowingStorage(floats));
    this.#inputGradients = this.sources.map(() => new GrowingStorage(floats));
    this.#saved = new GrowingStorage<Floats | Halves>(
      precision === 'bf16' ? (length) => device.halves(length) : floats,
    );
  }

  /** The pass that an arrival belongs to; the first one opens it. */
  arrivingAt(id: ExpertPassId, mode: ExpertPass['mode']): ExpertPass {
    this.#open ??= new ExpertPass(id, mode, this.sources.length);
    return this.passOf(id);
  }

  /** The pass that an arrival or a completion belongs to. */
  passOf({ step, attempt, microbatch }: ExpertPassId): ExpertPass {
    const pass = this.#open;
    const id = { step, attempt, microbatch };
    assert(pass?.is(id) === true, 'one pass is open, and what comes is for it', {
      layer: this.#layer,
      ...id,
    });
    return pass;
  }

  /** Ends a pass: what other nodes sent for it is read no more. */
  close(pass: ExpertPass): void {
    this.sources.forEach(({ isBeside }, source) => {
      if (isBeside) return;
      const { x_UD } = pass.forward.at(source);
      this.#self.free(pass.mode === 'evaluate' ? [x_UD] : [x_UD, pass.backward.at(source).dOut_UD]);
    });
    this.#open = null;
  }

  /** Forgets what has arrived; the collector frees it, since the device may still read it. */
  abandon(): void {
    this.#open = null;
  }

  place({ step, attempt, wanted, microbatch }: ExpertContext) {
    return { step, attempt, version: wanted, layer: this.#layer, microbatch };
  }

  /** What kernels read of a source. */
  rowsOf({ x_UD, slots_N, counts_EG }: ForwardArrival) {
    return { x_UD, slots_N, counts_EG, numGrains: this.host.numGrains };
  }

  /** Where the outputs of a source go: into its own buffers, or into room here. */
  outputs(source: number, own: Floats | undefined, rows: number): Floats {
    return this.#roomFor(source, own, this.#outputs, rows);
  }

  inputGradients(source: number, own: Floats | undefined, rows: number): Floats {
    return this.#roomFor(source, own, this.#inputGradients, rows);
  }

  saved(length: number): Floats | Halves {
    return this.#saved.take(length);
  }

  #roomFor(
    source: number,
    own: Floats | undefined,
    rooms: readonly GrowingStorage<Floats>[],
    rows: number,
  ): Floats {
    const [from, room] = [this.sources[source], rooms[source]];
    assert(from && room, 'a source is one of the group', { source, layer: this.#layer });
    const found = from.isBeside ? own : room.take(rows * this.shape.dim);
    assert(found, 'a source beside says where its results go', { source, layer: this.#layer });
    return found;
  }

  /** Queues the default expert's calls, or what an own expert makes of each. */
  run(
    calls: readonly KernelCall[],
    own: (expert: ExpertRule, call: KernelCall) => readonly KernelCall[],
    done: 'experts.forwarded' | 'experts.backwarded',
    context: ExpertContext,
  ): void {
    const { expert } = this.host.job;
    const all = expert === undefined ? calls : calls.flatMap((call) => own(expert, call));
    this.host.chain(this.#self, all, done, this.place(context));
  }
}
