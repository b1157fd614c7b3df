import { assert } from '@troupe/core';
import type { ExpertsForwardCall, Floats, Halves, KernelCall } from '@troupe/kernel-set';
import { expertsBackward, expertsForward, expertShape, savedLength } from '@troupe/model';
import type { EffectsOf } from '@troupe/runtime';
import type { PassMode } from '../messages.ts';
import type { ExpertHost } from '../replica.ts';
import type { ExpertEvent, ExpertSelf } from './events.ts';
import type { expertActions, ExpertContext } from './machine.ts';
import { callsOf, type ExpertRule, type OwnBackwardCall } from './rule.ts';

/** Storage that is kept from step to step and grows by a quarter when rows do not fit. */
class GrowingStorage<A extends Floats | Halves> {
  #data: A | null = null;
  readonly #allocate: (length: number) => A;

  constructor(allocate: (length: number) => A) {
    this.#allocate = allocate;
  }

  take(length: number): A {
    if (this.#data === null || this.#data.length < length)
      this.#data = this.#allocate(Math.ceil(length * 1.25));
    return this.#data.subarray(0, length) as A;
  }
}

/** Where the gradients of a group lie in the class's flat buffer, and which step they are of. */
export interface ExpertGradients {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly attempt: number;
}

/** What one source sent for the pass that is being gathered. */
interface Arrival {
  readonly x_UD: Floats;
  readonly slots_N: Int32Array;
  readonly counts_EG: Int32Array;
  readonly y_ND: Floats;
  readonly isLocal: boolean;
  dOut_UD: Floats | null;
  rowWeights_N: Floats | null;
  dx_ND: Floats | null;
}

export function expertEffects(
  self: ExpertSelf,
  host: ExpertHost,
  layer: number,
  /** The gradients of a step are complete: hands them to the shards that own their parameters. */
  passGradients: (range: ExpertGradients) => void,
): EffectsOf<typeof expertActions, ExpertContext, ExpertEvent> {
  const { job, device, expertGroup: ownRank, numGrains } = host;
  const gates = host.gatesFor(layer);
  const buffers = host.expertBuffers(layer);
  const group = expertShape(job.model, layer, buffers.count, job.precision ?? 'f32');
  const floats = (length: number): Floats => device.floats(length);
  const outputs = gates.map(() => new GrowingStorage(floats));
  const inputGradients = gates.map(() => new GrowingStorage(floats));
  const savedRows = new GrowingStorage<Floats | Halves>(
    group.precision === 'bf16' ? (length) => device.halves(length) : floats,
  );
  const arrivals = new Map<number, Arrival>();
  let saved: Floats | Halves | null = null;
  let mode: PassMode = 'train';
  let last = false;

  const inOrder = (): readonly Arrival[] =>
    gates.map((_, source) => {
      const arrival = arrivals.get(source);
      assert(arrival, 'a pass runs when every source has arrived', { source });
      return arrival;
    });
  const present = <T>(value: T | null): T => {
    assert(value !== null, 'a backward pass follows its forward pass', { layer });
    return value;
  };
  const place = (context: ExpertContext) => ({
    step: context.step,
    attempt: context.attempt,
    version: context.wanted,
    layer,
    microbatch: context.microbatch,
  });
  const sourceOf = (arrival: Arrival) => ({
    x_UD: arrival.x_UD,
    slots_N: arrival.slots_N,
    counts_EG: arrival.counts_EG,
    numGrains,
  });

  /** Ends a pass: what other nodes sent for it is read no more. */
  const forget = (): void => {
    for (const { isLocal, x_UD, dOut_UD } of arrivals.values()) {
      if (!isLocal) self.free(dOut_UD === null ? [x_UD] : [x_UD, dOut_UD]);
    }
    arrivals.clear();
  };

  return {
    acceptRows: ({ body, tensors }) => {
      const { source } = body;
      const { x_UD, slots_N, counts_EG, y_ND } = tensors;
      ({ mode } = body);
      arrivals.set(source, {
        x_UD,
        slots_N,
        counts_EG,
        isLocal: source === ownRank,
        y_ND:
          source === ownRank
            ? present(y_ND ?? null)
            : present(outputs[source] ?? null).take(slots_N.length * group.dim),
        dOut_UD: null,
        rowWeights_N: null,
        dx_ND: null,
      });
    },
    forward: (_event, context) => {
      const sources = inOrder();
      const rows = sources.reduce((sum, { slots_N }) => sum + slots_N.length, 0);
      saved = mode === 'evaluate' ? null : savedRows.take(savedLength(group, rows));
      const made = sources.map((arrival) => ({ ...sourceOf(arrival), y_ND: arrival.y_ND }));
      const calls = expertsForward(group, buffers.weights(context.wanted), made, saved);
      host.chain(
        self,
        replaced(calls, job.expert, (expert, call) =>
          callsOf(expert, { forward: call as ExpertsForwardCall }),
        ),
        'experts.forwarded',
        place(context),
      );
    },
    returnRows: (_event, context) => {
      inOrder().forEach(({ isLocal, y_ND }, source) => {
        const to = gates[source];
        assert(to, 'every source has a gate', { source });
        self.tell(to, 'rows.return', {
          ...place(context),
          ...(isLocal ? {} : { tensors: { y_ND } }),
          body: { rank: ownRank },
        });
      });
      // An evaluation has no backward pass: nothing of it is kept.
      if (mode === 'evaluate') forget();
    },
    acceptGradients: ({ body, tensors }) => {
      const { source } = body;
      const arrival = arrivals.get(source);
      assert(arrival, 'gradients follow rows', { source });
      ({ last } = body);
      arrival.dOut_UD = tensors.dOut_UD;
      arrival.rowWeights_N = tensors.rowWeights_N;
      arrival.dx_ND = arrival.isLocal
        ? present(tensors.dx_ND ?? null)
        : present(inputGradients[source] ?? null).take(arrival.slots_N.length * group.dim);
    },
    backward: (_event, context) => {
      const sources = inOrder().map((arrival) => ({
        ...sourceOf(arrival),
        dOut_UD: present(arrival.dOut_UD),
        rowWeights_N: present(arrival.rowWeights_N),
        dx_ND: present(arrival.dx_ND),
      }));
      const calls = expertsBackward(
        group,
        buffers.weights(context.wanted),
        buffers.gradient(context.microbatch),
        sources,
        present(saved),
      );
      host.chain(
        self,
        replaced(calls, job.expert, (expert, call) => callsOf(expert, { backward: call as OwnBackwardCall })),
        'experts.backwarded',
        place(context),
      );
    },
    // The collector frees what arrived: the device may still read it.
    abandon: () => arrivals.clear(),
    returnGradients: (_event, context) => {
      inOrder().forEach(({ isLocal, dx_ND }, source) => {
        const to = gates[source];
        assert(to, 'every source has a gate', { source });
        self.tell(to, 'gradients.return', {
          ...place(context),
          ...(isLocal ? {} : { tensors: { dx_ND: present(dx_ND) } }),
          body: { rank: ownRank },
        });
      });
      forget();
      if (last) {
        passGradients({
          from: buffers.from,
          to: buffers.to,
          step: context.step,
          attempt: context.attempt,
        });
      }
    },
  };
}

/** The default expert's calls, or what an own expert makes of them. */
function replaced(
  calls: readonly KernelCall[],
  expert: ExpertRule | undefined,
  own: (expert: ExpertRule, call: KernelCall) => readonly KernelCall[],
): readonly KernelCall[] {
  return expert === undefined ? calls : calls.flatMap((call) => own(expert, call));
}
