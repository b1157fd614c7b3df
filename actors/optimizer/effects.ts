import { address, assert, deserializeError, type Floats, type KernelCall } from '@troupe/core';
import { initialise } from '@troupe/model';
import { flagIn, numberIn, textIn, type Effects, type Self } from '@troupe/runtime';
import type { Parameter } from '@troupe/spec';
import { addresses } from '../addresses.ts';
import { chunks, intersect, reduceRanges, type Range } from '../gradients.ts';
import { classPeers, expertRank, type ParameterClassName } from '../job.ts';
import type { Replica } from '../replica.ts';
import { buddyOf, wardOf } from './buddies.ts';
import type { OptimizerEvent } from './events.ts';
import type { OptimizerContext, OptimizerInput } from './machine.ts';
import { Ward } from './ward.ts';

/** A part of one tensor that lies in a flat buffer at `flat`. */
interface Piece {
  readonly parameter: Parameter;
  /** First element inside the tensor. */
  readonly offset: number;
  /** Where it lies in the class's flat buffer. */
  readonly flat: Range;
}

/** What a shard owns and with whom it shares the class. */
export class Shard {
  readonly replica: Replica;
  readonly parameterClass: ParameterClassName;
  /** Replicas that hold the same parameters, this one among them. */
  readonly peers: readonly number[];
  /** The slice whose gradient sum this shard completes and votes with. */
  readonly reduces: Range;
  /** The slice whose weights and moments it owns: the same under ZeRO 1, everything under ZeRO 0. */
  readonly owns: Range;
  readonly length: number;
  /** The replicas that keep a copy of this state and whose state is kept here; null: nobody. */
  readonly buddy: number | null;
  readonly ward: { readonly dp: number; readonly owns: Range } | null;

  constructor(replica: Replica, parameterClass: ParameterClassName) {
    this.replica = replica;
    this.parameterClass = parameterClass;
    this.peers = classPeers(replica.job, parameterClass, replica.dp);
    this.length = replica.buffers(parameterClass).layout.length;
    const ranges = reduceRanges(this.length, this.peers.length);
    const own = ranges[this.peers.indexOf(replica.dp)];
    assert(own, 'a shard belongs to its own peers');
    this.reduces = own;
    this.owns = replica.job.zero === 0 ? { from: 0, to: this.length } : own;
    this.buddy = buddyOf(replica.job, parameterClass, replica.dp);
    const ward = wardOf(replica.job, parameterClass, replica.dp);
    const wardPeers = ward === null ? [] : classPeers(replica.job, parameterClass, ward);
    const owns =
      ward === null ? undefined : reduceRanges(this.length, wardPeers.length)[wardPeers.indexOf(ward)];
    this.ward = ward === null || owns === undefined ? null : { dp: ward, owns };
  }

  get input(): OptimizerInput {
    const slice = this.reduces.to - this.reduces.from;
    return {
      version: this.replica.job.first.step,
      expected: slice * this.peers.length,
      expectedTotals: this.replica.job.zero === 0 ? this.length - slice : 0,
      pieces: this.pieces(this.owns).length,
      owned: this.owns.to - this.owns.from,
      source: this.replica.job.first.step > 0 ? 'snapshot' : 'seed',
      joins: this.replica.joins,
      guarded: this.buddy === null ? 0 : this.owns.to - this.owns.from,
      wardSize: this.ward === null ? 0 : this.ward.owns.to - this.ward.owns.from,
    };
  }

  /** The tensors' parts within `range`, in order; padding is in none. */
  pieces(range: Range): readonly Piece[] {
    const { layout } = this.replica.buffers(this.parameterClass);
    return layout.units.flatMap((unit, index) => {
      const start = layout.starts[index] ?? 0;
      return unit.parameters.flatMap((parameter) => {
        const first = start + parameter.offset;
        const flat = intersect(range, { from: first, to: first + parameter.size });
        return flat === null ? [] : [{ parameter, offset: flat.from - first, flat }];
      });
    });
  }
}

export function optimizerEffects(self: Self, shard: Shard): Effects<OptimizerContext, OptimizerEvent> {
  const { replica, parameterClass, owns, reduces, peers } = shard;
  const { job, device, dp } = replica;
  const buffers = replica.buffers(parameterClass);
  const { gradients } = buffers;
  const numOwned = owns.to - owns.from;
  const moments = { m: device.floats(numOwned), v: device.floats(numOwned) };
  const norm128 = device.int64s(2);
  const ward = shard.ward === null ? null : new Ward(device, shard.ward.owns, gradients);
  const buddy = shard.buddy === null ? null : addresses.optimizer(parameterClass, shard.buddy);
  const aside: OptimizerEvent[] = [];
  const store = addresses.store(0);
  const ownWeights = (version: number): Floats => buffers.at(version).data.subarray(owns.from, owns.to);
  const others = peers.filter((peer) => peer !== dp);

  /** The calls that make the next version's weights, in the same buffer where there is one. */
  const updates = (decided: ReturnType<typeof decisionIn>, version: number): readonly KernelCall[] => {
    const { apply, ...decidedRates } = decided;
    const { beta1, beta2, eps, weightDecay } = job.optimizer;
    const rates = { ...decidedRates, beta1, beta2, eps, weightDecay };
    const [before, after] = [buffers.at(version).data, buffers.at(version + 1).data];
    if (!apply) {
      const [from, out] = [ownWeights(version), ownWeights(version + 1)];
      return before === after ? [] : [{ op: 'copy', from, out }];
    }
    const own = gradients.slices(owns.from, owns.to).map(({ from, to, values }) => ({
      op: 'adamw' as const,
      weights: before.subarray(from, to),
      out: after.subarray(from, to),
      m: moments.m.subarray(from - owns.from, to - owns.from),
      v: moments.v.subarray(from - owns.from, to - owns.from),
      gradient: values,
      ...rates,
    }));
    return ward === null ? own : [...own, ...ward.updates(rates)];
  };

  /** Weights and moments of a part of the own slice. */
  const ownState = (range: Range, version: number): readonly Floats[] => {
    const [from, end] = [range.from - owns.from, range.to - owns.from];
    return [ownWeights(version), moments.m, moments.v].map((each) => each.subarray(from, end));
  };

  const acceptState = (event: OptimizerEvent, version: number): void => {
    const from = numberIn(event, 'from');
    const [weights, m, v] = event.tensors;
    buffers.at(version).data.set(weights as Floats, from);
    moments.m.set(m as Floats, from - owns.from);
    moments.v.set(v as Floats, from - owns.from);
  };

  /** Tells the local owner of weights that `range` of `version` is in place, and sends it to the other replicas (ZeRO 1). */
  const publish = ({ version, attempt }: OptimizerContext): void => {
    for (const peer of job.zero === 0 ? [dp] : peers) {
      for (const { to, range } of readers(shard, peer)) {
        if (peer === dp) {
          const body = { ...range, elements: range.to - range.from };
          self.tell(to, 'weights.publish', { version, attempt, body });
          continue;
        }
        for (const chunk of chunks(range)) {
          const tensors = [buffers.at(version).data.subarray(chunk.from, chunk.to)];
          self.tell(to, 'weights.publish', {
            version,
            attempt,
            body: { ...chunk, elements: chunk.to - chunk.from },
            tensors,
          });
        }
      }
    }
  };

  const acknowledge = (event: OptimizerEvent): void => {
    const { step, version, attempt } = event;
    const body = { from: numberIn(event, 'from'), to: numberIn(event, 'to') };
    self.tell(event.from, 'ward.kept', { step, version, attempt, body });
  };

  return {
    initialise: (_event, context) => {
      const { layout } = buffers;
      const weights = buffers.at(context.version).data;
      moments.m.fill(0);
      moments.v.fill(0);
      const calls: KernelCall[] = layout.units.flatMap((unit, index) => {
        const start = layout.starts[index] ?? 0;
        const part = intersect(owns, { from: start, to: start + unit.size });
        return part === null
          ? []
          : initialise(unit, job.seed, weights.subarray(part.from, part.to), part.from - start);
      });
      self.submit(device, calls, 'parameters.initialised', { attempt: context.attempt });
    },
    askSlices: (_event, { attempt }) => {
      shard.pieces(owns).forEach(({ parameter, offset, flat }) => {
        const body = { name: parameter.name, offset, length: flat.to - flat.from, from: flat.from };
        const options = { deadlineMs: job.deadlines.loadMs, reason: `state of ${parameter.name}` };
        self.ask(store, 'slices.read', { attempt, body }, options);
      });
    },
    acceptSlice: (event, context) => acceptState(event, context.version),
    acceptState: (event, context) => acceptState(event, context.version),
    failLoading: (event) => {
      assert(event.error, 'a failed ask carries its error');
      self.fail(deserializeError(event.error));
    },
    publishFirst: (_event, context) => {
      publish(context);
      if (buddy === null) return;
      const { version, attempt } = context;
      for (const chunk of chunksOf(owns))
        self.tell(buddy, 'ward.state', {
          version,
          attempt,
          body: { ...chunk },
          tensors: ownState(chunk, version),
        });
    },
    reportLoaded: (_event, { version, attempt }) =>
      self.tell(addresses.trainer, 'shard.loaded', { version, attempt }),
    guardSum: ({ step, attempt }) => {
      if (buddy === null) return;
      for (const slice of gradients.slices(owns.from, owns.to)) {
        for (const chunk of chunks(slice)) {
          const values = slice.values.subarray(chunk.from - slice.from, chunk.to - slice.from);
          self.tell(buddy, 'ward.sum', { step, attempt, body: { ...chunk }, tensors: [values] });
        }
      }
    },
    keepState: (event) => {
      assert(ward, 'a ward sends its state to its buddy', { from: event.from });
      ward.keepState(numberIn(event, 'from'), event.tensors);
      acknowledge(event);
    },
    keepSum: (event) => {
      assert(ward, 'a ward sends its sum to its buddy', { from: event.from });
      ward.keepSum(numberIn(event, 'from'), event.tensors[0]);
      acknowledge(event);
    },
    setAside: (event) => {
      aside.push(event);
    },
    takeUp: () => {
      for (const {
        type,
        from: _from,
        error: _error,
        kernelMs: _kernelMs,
        correlation: _correlation,
        ...fields
      } of aside.splice(0))
        self.post(type, fields);
    },
    reset: (_event, { attempt }) => self.submit(device, gradients.reset(), 'sums.reset', { attempt }),
    abandon: () => {
      aside.length = 0;
    },
    reportAbandoned: (_event, { attempt, version, loaded, ward: copy }) => {
      const kept =
        shard.ward !== null && copy.version >= 0
          ? { ward: addresses.optimizer(parameterClass, shard.ward.dp), wardVersion: copy.version }
          : {};
      self.tell(addresses.trainer, 'attempt.abandoned', { attempt, version, body: { loaded, ...kept } });
    },
    sendState: (event, { version, attempt }) => {
      const to = address(textIn(event, 'to'));
      const copy = flagIn(event, 'fromCopy') ? ward : null;
      for (const chunk of chunksOf(copy?.owns ?? owns)) {
        const tensors = copy?.state(chunk) ?? ownState(chunk, version);
        self.tell(to, 'state.slice', { version: event.version, attempt, body: { ...chunk }, tensors });
      }
    },
    add: (event) => {
      const [leaf] = event.tensors;
      if (leaf === undefined) return;
      const range = { from: numberIn(event, 'from'), to: numberIn(event, 'to') };
      const call: KernelCall = {
        op: 'sum.add',
        sum: gradients.sum(range.from, range.to),
        other: leaf as BigInt64Array,
        otherOverflow: numberIn(event, 'overflow'),
      };
      self.submit(device, [call], 'gradient.added', { step: event.step, attempt: event.attempt });
    },
    measureNorm: (_event, context) => {
      norm128.fill(0n);
      const calls = gradients
        .slices(reduces.from, reduces.to)
        .map(({ values }): KernelCall => ({ op: 'sum.squares', gradient: values, norm128 }));
      self.submit(device, calls, 'norm.measured', {
        step: context.version + 1,
        attempt: context.attempt,
      });
    },
    vote: (_event, { version, attempt }) => {
      self.tell(addresses.trainer, 'gradient.vote', {
        step: version + 1,
        attempt,
        tensors: [norm128.slice()],
        body: { overflow: gradients.overflow[0] !== 0 },
      });
    },
    shareTotal: (event) => {
      if (job.zero !== 0) return;
      const { step, attempt } = event;
      for (const peer of others) {
        for (const chunk of chunks(reduces)) {
          const tensors = [gradients.sum(chunk.from, chunk.to).values];
          self.tell(addresses.optimizer(parameterClass, peer), 'gradient.total', {
            step,
            attempt,
            body: { ...chunk },
            tensors,
          });
        }
      }
    },
    acceptTotal: (event) => {
      const { values } = gradients.sum(numberIn(event, 'from'), numberIn(event, 'to'));
      values.set(event.tensors[0] as BigInt64Array);
    },
    apply: (event, context) => {
      const calls = [...updates(decisionIn(event), context.version), ...gradients.reset()];
      self.submit(device, calls, 'weights.applied', {
        step: context.version + 1,
        attempt: context.attempt,
      });
    },
    publish: (event, context) => {
      publish(context);
      self.tell(addresses.trainer, 'commit.applied', {
        step: event.step,
        attempt: event.attempt,
        version: context.version,
      });
    },
    snapshot: (event, context) => {
      const weights = buffers.at(context.version).data;
      const pieces = shard.pieces(reduces).flatMap((piece) =>
        [...chunks(piece.flat)].map((flat) => ({
          ...piece,
          flat,
          offset: piece.offset + flat.from - piece.flat.from,
        })),
      );
      for (const { parameter, offset, flat } of pieces) {
        const { from, to } = flat;
        const tensors = [
          weights.subarray(from, to),
          moments.m.subarray(from - owns.from, to - owns.from),
          moments.v.subarray(from - owns.from, to - owns.from),
        ];
        self.tell(store, 'snapshot.slice', {
          step: event.step,
          attempt: event.attempt,
          version: context.version,
          body: { name: parameter.name, offset },
          tensors,
        });
      }
      self.tell(store, 'snapshot.sent', {
        step: event.step,
        attempt: event.attempt,
        version: context.version,
        body: { pieces: pieces.length },
      });
    },
  };
}

/** A slice in messages; an empty one in an empty message, so that its receiver is not left waiting. */
const chunksOf = (range: Range): Iterable<Range> => (range.from < range.to ? chunks(range) : [range]);

/** What the trainer decided about a step, as it travels. */
function decisionIn(event: OptimizerEvent): {
  readonly apply: boolean;
  readonly gradScale: number;
  readonly learningRate: number;
  readonly correction1: number;
  readonly correction2: number;
} {
  return {
    apply: flagIn(event, 'apply'),
    gradScale: numberIn(event, 'gradScale'),
    learningRate: numberIn(event, 'learningRate'),
    correction1: numberIn(event, 'correction1'),
    correction2: numberIn(event, 'correction2'),
  };
}

/** Who on replica `peer` reads weights of this shard's slice: its stage, or its experts layer by layer. */
function readers(
  shard: Shard,
  peer: number,
): readonly { readonly to: ReturnType<typeof addresses.stage>; readonly range: Range }[] {
  const { replica, parameterClass, owns } = shard;
  if (parameterClass === 'dense')
    return owns.from < owns.to ? [{ to: addresses.stage(peer), range: owns }] : [];
  const { ep, edp } = expertRank(replica.job, peer);
  return replica.shape.layers.flatMap((layer) => {
    const { from, to } = replica.expertBuffers(layer);
    const range = intersect(owns, { from, to });
    return range === null ? [] : [{ to: addresses.expert(layer, ep, edp), range }];
  });
}
