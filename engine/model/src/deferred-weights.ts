import type {
  Device,
  ExpertsBackwardCall,
  Floats,
  Halves,
  KernelCall,
  LinearBackwardWeightCall,
} from '@troupe/kernel-set';
import { Arena } from './arena.ts';
import type { Step } from './step.ts';

/**
 * Gradients of matrices that wait until a pass has sent the gradient of its input on (zero-bubble).
 *
 * Norms, embedding and head keep their calls. What a held call reads of gradients that the pass goes on to overwrite is copied, and what it
 * reads of activations stays with them: so a slot is not free before its calls were taken. Nothing is allocated in a steady step, but for the
 * rows of experts, whose number changes.
 */
export class DeferredWeights {
  readonly #arena: Arena;
  readonly #waiting: KernelCall[] = [];
  readonly #rooms: (Floats | Halves)[] = [];
  #numTaken = 0;

  constructor(device: Device) {
    this.#arena = new Arena(device);
  }

  /** Bytes of what is kept. */
  get bytes(): number {
    return this.#arena.bytes;
  }

  /** The steps of a backward pass without the calls that wait: what they leave for the layers below and for the peers is the same. */
  defer(steps: readonly Step[]): readonly Step[] {
    return steps.map((step) => ('calls' in step ? { calls: this.#hold(step.calls) } : step));
  }

  /** The calls that wait, in their order; afterwards none do. */
  take(): readonly KernelCall[] {
    this.#numTaken = 0;
    return this.#waiting.splice(0);
  }

  #hold(calls: readonly KernelCall[]): KernelCall[] {
    let kept: { readonly from: Floats; readonly room: Floats } | null = null;
    return calls.flatMap((call): KernelCall[] => {
      if (call.op === 'linear.backward.weight') {
        const { data } = call.dOut;
        // Queries and keys with values of their own are two products of the same gradients.
        const again = kept?.from === data ? kept.room : null;
        const room = again ?? this.#floats(data.length);
        kept = { from: data, room };
        this.#waiting.push(reading(call, room));
        return again === null ? [{ op: 'copy', from: data, out: room }] : [];
      }
      kept = null;
      return call.op === 'experts.backward' ? this.#holdExperts(call) : [call];
    });
  }

  #holdExperts({ weightSum, ...call }: ExpertsBackwardCall): KernelCall[] {
    const dSaved = this.#roomLike(call.saved, call.precision === 'bf16');
    const copies: KernelCall[] = [];
    const { accumulate: _, ...shape } = call;
    const sources = call.sources.map(({ dx_ND: _dx, ...source }) => {
      const dOut_UD = this.#floats(source.dOut_UD.length);
      copies.push({ op: 'copy', from: source.dOut_UD, out: dOut_UD });
      return { ...source, dOut_UD };
    });
    this.#waiting.push({ ...shape, op: 'experts.backward.weight', sources, dSaved, weightSum });
    return [...copies, { ...call, op: 'experts.backward.input', dSaved }];
  }

  #floats(length: number): Floats {
    return this.#roomLike({ length }, false) as Floats;
  }

  /** The next room of the pass, which is of the same kind in every pass. */
  #roomLike({ length }: { readonly length: number }, isHalves: boolean): Floats | Halves {
    const index = this.#numTaken++;
    let room = this.#rooms[index];
    if (room === undefined || room.length < length) {
      room = this.#arena.operands(length, isHalves ? 'bf16' : 'f32');
      this.#rooms[index] = room;
    }
    return room.subarray(0, length);
  }
}

const reading = (call: LinearBackwardWeightCall, data: Floats): LinearBackwardWeightCall => ({
  ...call,
  dOut: { ...call.dOut, data },
});
