import {
  address,
  assert,
  deserializeError,
  type Floats,
  type KernelCall,
  type TensorArray,
} from '@troupe/core';
import { initialise } from '@troupe/model';
import { flagIn, numberIn, textIn, type Effects, type Self } from '@troupe/runtime';
import { addresses } from '../addresses.ts';
import { chunks, intersect, sendLeaves, type Range } from '../gradients.ts';
import type { OptimizerEvent } from './events.ts';
import type { OptimizerContext } from './machine.ts';
import { readers, type Shard } from './shard.ts';
import { Spread, type Passing } from './spread.ts';
import { Ward } from './ward.ts';

/** Which weights, and which attempt brings them. */
interface Update {
  readonly version: number;
  readonly attempt: number;
}
interface Place {
  readonly step: number;
  readonly attempt: number;
}
const roundOf = (number: number, attempt: number): string => `${number}/${attempt}`;

export function optimizerEffects(self: Self, shard: Shard): Effects<OptimizerContext, OptimizerEvent> {
  const { replica, parameterClass, owns, reduces, among } = shard;
  const { job, device } = replica;
  const buffers = replica.buffers(parameterClass);
  const { gradients } = buffers;
  const numOwned = owns.to - owns.from;
  const moments = { m: device.floats(numOwned), v: device.floats(numOwned) };
  /** Memory of a device begins as zeros: the first draw leaves it untouched, and the pages to the threads of the first update. */
  let hasMoments = false;
  const norm128 = device.int64s(2);
  const ward = shard.ward === null ? null : new Ward(device, shard.ward.owns, gradients);
  const buddy = shard.buddy === null ? null : addresses.optimizer(parameterClass, shard.buddy);
  const aside: OptimizerEvent[] = [];
  const store = addresses.store(0);
  const ownWeights = (version: number): Floats => buffers.at(version).data.subarray(owns.from, owns.to);
  /** How what shards made of their slices comes together: new weights, or under ZeRO 0, where all update all, the finished sums. */
  const spread = new Spread(among.exchange);

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
    hasMoments = true;
    const from = numberIn(event, 'from');
    const [weights, m, v] = event.tensors;
    buffers.at(version).data.set(weights as Floats, from);
    moments.m.set(m as Floats, from - owns.from);
    moments.v.set(v as Floats, from - owns.from);
  };

  /** Tells those who read weights here that `range` of `version` is in place. */
  const announce = (range: Range, { version, attempt }: Update): void => {
    for (const { to, range: part } of readers(shard, range)) {
      const body = { ...part, elements: part.to - part.from };
      self.tell(to, 'weights.publish', { version, attempt, body });
    }
  };
  /** Sends what is complete here to the group that lacks it. */
  const pass = (
    kind: 'weights.spread' | 'gradient.total',
    passed: readonly Passing[],
    fields: { readonly step?: number; readonly version?: number; readonly attempt: number },
    at: (range: Range) => TensorArray,
  ): void => {
    for (const { level, part } of passed) {
      for (const { dp } of among.others(level)) {
        const to = addresses.optimizer(parameterClass, dp);
        for (const chunk of chunks(part))
          self.tell(to, kind, { ...fields, body: { ...chunk, level }, tensors: [at(chunk)] });
      }
    }
  };
  const passWeights = (passed: readonly Passing[], { version, attempt }: Update): void =>
    pass('weights.spread', passed, { version, attempt }, ({ from, to }) =>
      buffers.at(version).data.subarray(from, to),
    );
  const passTotals = (passed: readonly Passing[], { step, attempt }: Place): void =>
    pass('gradient.total', passed, { step, attempt }, ({ from, to }) => gradients.sum(from, to).values);
  const publish = ({ version, attempt }: OptimizerContext): void => {
    announce(owns, { version, attempt });
    if (job.zero === 1) passWeights(spread.own(roundOf(version, attempt)), { version, attempt });
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
      if (hasMoments) {
        moments.m.fill(0);
        moments.v.fill(0);
      }
      hasMoments = true;
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
    // Behind all that the device still has to add, so that what is passed on is the sum.
    settle: (_event, { attempt, version }) =>
      self.submit(device, [], 'sums.settled', { step: version + 1, attempt }),
    passOn: ({ step, attempt }, { level }) => {
      const within = among.exchange.part(level);
      sendLeaves(self, replica, among, { parameterClass, level, within, step, attempt });
    },
    shareTotal: ({ step, attempt }) => {
      if (job.zero === 0) passTotals(spread.own(roundOf(step, attempt)), { step, attempt });
    },
    acceptTotal: (event) => {
      const { step, attempt } = event;
      const [from, to] = [numberIn(event, 'from'), numberIn(event, 'to')];
      gradients.sum(from, to).values.set(event.tensors[0] as BigInt64Array);
      const passed = spread.accept(roundOf(step, attempt), numberIn(event, 'level'), to - from);
      passTotals(passed, { step, attempt });
    },
    acceptSpread: (event) => {
      const { version, attempt } = event;
      const range = { from: numberIn(event, 'from'), to: numberIn(event, 'to') };
      const [values] = event.tensors;
      buffers.at(version).data.set(values as Floats, range.from);
      self.free([values as Floats]);
      announce(range, { version, attempt });
      const length = range.to - range.from;
      const passed = spread.accept(roundOf(version, attempt), numberIn(event, 'level'), length);
      passWeights(passed, { version, attempt });
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
