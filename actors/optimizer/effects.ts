import { address, assert, deserializeError, type Address } from '@troupe/core';
import type { Floats, KernelCall } from '@troupe/kernel-set';
import { initialise } from '@troupe/model';
import type { EffectsOf } from '@troupe/runtime';
import { addresses } from '@troupe/topology/layout';
import { chunks, intersect, lengthOf, sendLeaves, type Range } from '../gradients.ts';
import type { OptimizerEvent, OptimizerSelf } from './events.ts';
import type { optimizerActions, OptimizerContext } from './machine.ts';
import { readers, type Shard } from './shard.ts';
import { Spread, type Passing } from './spread.ts';
import { Ward, type ShardState } from './ward.ts';

/** Which weights, and which attempt brings them. */
interface Update {
  readonly version: number;
  readonly attempt: number;
}
interface Place {
  readonly step: number;
  readonly attempt: number;
}
/** What the trainer decides about a step. */
type Decision = Extract<OptimizerEvent, { readonly type: 'commit.decide' }>['body'];
const roundOf = (number: number, attempt: number): string => `${number}/${attempt}`;

export function optimizerEffects(
  self: OptimizerSelf,
  shard: Shard,
): EffectsOf<typeof optimizerActions, OptimizerContext, OptimizerEvent> {
  const { replica, group, owns, reduces, among } = shard;
  const { job, device } = replica;
  const { layout } = job;
  const buffers = replica.buffers(group.name);
  const { gradients } = buffers;
  const numOwned = owns.to - owns.from;
  const moments = { m: device.floats(numOwned), v: device.floats(numOwned) };
  /** Memory of a device begins as zeros: the first draw leaves it untouched, and the pages to the threads of the first update. */
  let hasMoments = false;
  const norm128 = device.int64s(2);
  const ward = shard.ward === null ? null : new Ward(device, shard.ward.owns, gradients);
  const buddy = shard.buddy === null ? null : layout.shardOf(group, shard.buddy);
  const aside: OptimizerEvent[] = [];
  const store = layout.storeOf(replica.worker);
  const ownWeights = (version: number): Floats => buffers.at(version).data.subarray(owns.from, owns.to);
  /** How what shards made of their slices comes together: new weights, or under ZeRO 0, where all update all, the finished sums. */
  const spread = new Spread(among.exchange);

  /** The calls that make the next version's weights, in the same buffer where there is one. */
  const updates = (decided: Decision, version: number): readonly KernelCall[] => {
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
  const ownState = (range: Range, version: number): ShardState => {
    const [from, end] = [range.from - owns.from, range.to - owns.from];
    return {
      weights: ownWeights(version).subarray(from, end),
      m: moments.m.subarray(from, end),
      v: moments.v.subarray(from, end),
    };
  };

  /** Takes a part of the state that begins at `from` of the class. */
  const acceptState = (from: number, { weights, m, v }: ShardState, version: number): void => {
    hasMoments = true;
    buffers.at(version).data.set(weights, from);
    moments.m.set(m, from - owns.from);
    moments.v.set(v, from - owns.from);
  };

  /** Tells those who read weights here that `range` of `version` is in place. */
  const announce = (range: Range, { version, attempt }: Update): void => {
    for (const { to, range: part } of readers(shard, range)) {
      self.tell(to, 'weights.publish', { version, attempt, body: part });
    }
  };
  /** Sends what is complete here to the group that lacks it. */
  const pass = (
    passed: readonly Passing[],
    send: (to: Address, body: Range & { readonly level: number }) => void,
  ): void => {
    for (const { level, part } of passed) {
      for (const { worker } of among.others(level)) {
        const to = layout.shardOf(group, worker);
        for (const chunk of chunks(part)) send(to, { ...chunk, level });
      }
    }
  };
  const passWeights = (passed: readonly Passing[], { version, attempt }: Update): void =>
    pass(passed, (to, body) => {
      const weights = buffers.at(version).data.subarray(body.from, body.to);
      self.tell(to, 'weights.spread', { version, attempt, body, tensors: { weights } });
    });
  const passTotals = (passed: readonly Passing[], { step, attempt }: Place): void =>
    pass(passed, (to, body) => {
      const { values } = gradients.sum(body.from, body.to);
      self.tell(to, 'gradient.total', { step, attempt, body, tensors: { sums: values } });
    });
  const publish = ({ version, attempt }: OptimizerContext): void => {
    announce(owns, { version, attempt });
    if (layout.zero === 1) passWeights(spread.own(roundOf(version, attempt)), { version, attempt });
  };

  const acknowledge = (part: Extract<OptimizerEvent, { readonly type: 'ward.state' | 'ward.sum' }>): void => {
    const { step, version, attempt, body } = part;
    self.tell(part.from, 'ward.kept', { step, version, attempt, body });
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
    acceptSlice: ({ body, tensors }, { version }) => acceptState(body.from, tensors, version),
    acceptState: ({ body, tensors }, { version }) => acceptState(body.from, tensors, version),
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
          self.tell(buddy, 'ward.sum', { step, attempt, body: { ...chunk }, tensors: { sums: values } });
        }
      }
    },
    keepState: (event) => {
      assert(ward, 'a ward sends its state to its buddy', { from: event.from });
      ward.keepState(event.body.from, event.tensors);
      acknowledge(event);
    },
    keepSum: (event) => {
      assert(ward, 'a ward sends its sum to its buddy', { from: event.from });
      ward.keepSum(event.body.from, event.tensors.sums);
      acknowledge(event);
    },
    setAside: (event) => {
      aside.push(event);
    },
    takeUp: () => {
      for (const event of aside.splice(0)) self.takeUp(event);
    },
    reset: (_event, { attempt }) => self.submit(device, gradients.reset(), 'sums.reset', { attempt }),
    abandon: () => {
      aside.length = 0;
    },
    reportAbandoned: (_event, { attempt, version, loaded, ward: copy }) => {
      const kept =
        shard.ward !== null && copy.version >= 0
          ? { ward: layout.shardOf(group, shard.ward.worker), wardVersion: copy.version }
          : {};
      self.tell(addresses.trainer, 'attempt.abandoned', { attempt, version, body: { loaded, ...kept } });
    },
    sendState: (event, { version, attempt }) => {
      const to = address(event.body.to);
      const copy = event.body.fromCopy ? ward : null;
      for (const chunk of chunksOf(copy?.owns ?? owns)) {
        const tensors = copy?.state(chunk) ?? ownState(chunk, version);
        self.tell(to, 'state.slice', { version: event.version, attempt, body: { ...chunk }, tensors });
      }
    },
    add: ({ step, attempt, body, tensors }) => {
      if (tensors.leaves === undefined) return;
      const call: KernelCall = {
        op: 'sum.add',
        sum: gradients.sum(body.from, body.to),
        other: tensors.leaves,
        otherOverflow: body.overflow,
      };
      self.submit(device, [call], 'gradient.added', { step, attempt });
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
        tensors: { norm128: norm128.slice() },
        body: { overflow: gradients.overflow[0] !== 0 },
      });
    },
    // Behind all that the device still has to add, so that what is passed on is the sum.
    settle: (_event, { attempt, version }) =>
      self.submit(device, [], 'sums.settled', { step: version + 1, attempt }),
    passOn: ({ step, attempt }, { level }) => {
      const within = among.exchange.part(level);
      sendLeaves(self, replica, among, { group: group.name, level, within, step, attempt });
    },
    shareTotal: ({ step, attempt }) => {
      if (layout.zero === 0) passTotals(spread.own(roundOf(step, attempt)), { step, attempt });
    },
    acceptTotal: ({ step, attempt, body, tensors }) => {
      gradients.sum(body.from, body.to).values.set(tensors.sums);
      const passed = spread.accept(roundOf(step, attempt), body.level, lengthOf(body));
      passTotals(passed, { step, attempt });
    },
    acceptSpread: ({ version, attempt, body, tensors }) => {
      const { from, to, level } = body;
      buffers.at(version).data.set(tensors.weights, from);
      self.free([tensors.weights]);
      announce({ from, to }, { version, attempt });
      const passed = spread.accept(roundOf(version, attempt), level, to - from);
      passWeights(passed, { version, attempt });
    },
    apply: (event, context) => {
      const calls = [...updates(event.body, context.version), ...gradients.reset()];
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
        const tensors = {
          weights: weights.subarray(from, to),
          m: moments.m.subarray(from - owns.from, to - owns.from),
          v: moments.v.subarray(from - owns.from, to - owns.from),
        };
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
