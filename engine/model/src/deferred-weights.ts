import type {
  Device,
  ExpertsBackwardCall,
  Floats,
  Halves,
  KernelCall,
  LinearBackwardWeightCall,
  Rows,
} from '@troupe/kernel-set';
import type { Activations } from './activations.ts';
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
  readonly #device: Device;
  readonly #arena: Arena;
  readonly #copiesInputs: boolean;
  readonly #waiting: KernelCall[] = [];
  readonly #rooms: { readonly data: Floats | Halves; readonly isHalves: boolean }[] = [];
  #numTaken = 0;

  /** @param act - whose passes these are; inputs that are computed again from layer to layer are copied too */
  constructor(act: Pick<Activations, 'device' | 'recompute'>) {
    this.#device = act.device;
    this.#arena = new Arena(act.device);
    this.#copiesInputs = act.recompute;
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
    return calls.flatMap((call): KernelCall[] => {
      if (call.op === 'linear.backward.weight') return this.#holdLinear(call);
      return call.op === 'experts.backward' ? this.#holdExperts(call) : [call];
    });
  }

  #holdLinear(call: LinearBackwardWeightCall): KernelCall[] {
    const copies: KernelCall[] = [];
    const dOut = { ...call.dOut, data: this.#copied(call.dOut.data, copies) };
    const x = this.#copiesInputs ? ({ ...call.x, data: this.#copied(call.x.data, copies) } as Rows) : call.x;
    this.#waiting.push({ ...call, dOut, x });
    return copies;
  }

  #holdExperts({ weightSum, accumulate = false, ...call }: ExpertsBackwardCall): KernelCall[] {
    const copies: KernelCall[] = [];
    const input = <A extends Floats | Halves>(array: A): A =>
      this.#copiesInputs ? this.#copied(array, copies) : array;
    const dSaved = this.#room(call.saved).out;
    const sources = call.sources.map(({ x_UD, slots_N, counts_EG, numGrains, dOut_UD, rowWeights_N }) => ({
      x_UD: input(x_UD),
      ...(slots_N === undefined ? {} : { slots_N }),
      counts_EG,
      numGrains,
      dOut_UD: this.#copied(dOut_UD, copies),
      ...(rowWeights_N === undefined ? {} : { rowWeights_N: input(rowWeights_N) }),
    }));
    const saved = input(call.saved);
    this.#waiting.push({ ...call, op: 'experts.backward.weight', sources, saved, dSaved, weightSum });
    return [...copies, { ...call, op: 'experts.backward.input', accumulate, dSaved }];
  }

  #copied<A extends Floats | Halves>(array: A, copies: KernelCall[]): A {
    const { out, isHalves } = this.#room(array);
    // Of numbers that are bf16 already, rounding is a copy.
    copies.push(
      isHalves
        ? { op: 'round.bf16', x: array, out }
        : { op: 'copy', from: array as Floats, out: out as Floats },
    );
    return out as A;
  }

  /** The next room of the pass, which is of the same kind in every pass. */
  #room(array: Floats | Halves): { readonly out: Floats | Halves; readonly isHalves: boolean } {
    const { length } = array;
    const index = this.#numTaken++;
    let room = this.#rooms[index];
    if (room === undefined || room.data.length < length) {
      const isHalves = this.#device.read(array.subarray(0, 0)) instanceof Uint16Array;
      room = { data: this.#arena.operands(length, isHalves ? 'bf16' : 'f32'), isHalves };
      this.#rooms[index] = room;
    }
    return { out: room.data.subarray(0, length), isHalves: room.isHalves };
  }
}
