import { assert, type Address } from '@troupe/core';
import {
  attentionBackward,
  attentionForward,
  balanceCoefficients,
  embedBackward,
  embedForward,
  ffnBackward,
  ffnForward,
  headBackward,
  headForward,
  type Batch,
} from '@troupe/model';
import type { EffectsOf } from '@troupe/runtime';
import { isMoeLayer, type Unit } from '@troupe/spec';
import { addresses } from '@troupe/topology/layout';
import { sendGradients, type Range } from '../gradients.ts';
import type { Replica } from '../replica.ts';
import type { StageEvent, StageSelf } from './events.ts';
import type { stageActions, StageContextData } from './machine.ts';

/** Where the units of a layer, and those before and behind all layers, lie in the dense group. */
function denseRanges(replica: Replica): {
  readonly layer: (layer: number) => Range;
  readonly embed: Range;
  readonly tail: Range;
} {
  const group = replica.group('dense');
  const rangeOf = (belongs: (unit: Unit) => boolean): Range => group.rangeOf(belongs) ?? { from: 0, to: 0 };
  return {
    embed: rangeOf(({ id }) => id === 'embed'),
    layer: (index) => rangeOf(({ layer }) => layer === index),
    tail: rangeOf(({ layer, id }) => layer === null && id !== 'embed'),
  };
}

export function stageEffects(
  self: StageSelf,
  replica: Replica,
): EffectsOf<typeof stageActions, StageContextData, StageEvent> {
  const { job, worker, layers, device } = replica;
  const { model, layout } = job;
  const { dealing } = layout;
  const batches = new Map<string, Batch>();
  const ranges = denseRanges(replica);
  const gates = new Map(layers.map((layer) => [layer, layout.gateOf(layer, worker)]));
  const gateOf = (layer: number): Address => {
    const gate = gates.get(layer);
    assert(gate, 'only layers with experts have a gate', { layer });
    return gate;
  };
  /** Finished sums that wait until the rows of the next layer have left. */
  const held: Range[] = [];
  let targets = 0;
  let evaluated = 0;
  let evaluationBatch: Batch | null = null;
  const current = (context: StageContextData) => replica.context(context.wanted, context);
  const batchFor = (context: StageContextData): Batch => {
    const batch =
      context.mode === 'evaluate' ? evaluationBatch : batches.get(`${context.step}/${context.microbatch}`);
    assert(batch, 'the tokens of a pass are here before it begins', {
      step: context.step,
      microbatch: context.microbatch,
    });
    return batch;
  };
  const place = (context: StageContextData) => ({
    step: context.step,
    attempt: context.attempt,
    version: context.wanted,
    layer: context.layer,
    microbatch: context.microbatch,
  });
  const lastMicrobatch = (context: StageContextData): boolean =>
    context.microbatch === dealing.microbatches - 1;
  const send = (context: StageContextData, range: Range): void =>
    sendGradients(self, replica, {
      ...range,
      group: 'dense',
      step: context.step,
      attempt: context.attempt,
    });

  return {
    acceptBatch: ({ step, microbatch, tensors }) => {
      batches.set(`${step}/${microbatch}`, tensors);
    },
    acceptEvaluation: ({ body, tensors }) => {
      self.endWait('evaluation');
      evaluationBatch = tensors;
      replica.batch = tensors;
      evaluated += body.targets;
    },
    askEvaluation: (_event, context) => {
      self.tell(layout.feederOf(worker), 'evaluation.prefetch', place(context));
    },
    begin: (_event, context) => {
      current(context).statistics.reset();
      evaluated = 0;
      if (context.mode === 'evaluate') return;
      for (const key of batches.keys()) if (Number(key.split('/')[0]) < context.step) batches.delete(key);
    },
    forwardAttention: (_event, context) => {
      const ctx = current(context);
      const batch = batchFor(context);
      replica.batch = batch;
      const calls = [
        ...(context.layer === 0 ? embedForward(ctx, batch) : []),
        ...attentionForward(ctx, context.layer, batch),
        ...(isMoeLayer(model, context.layer) ? [] : ffnForward(ctx, context.layer)),
      ];
      replica.chain(self, calls, 'attention.forwarded', place(context));
    },
    route: (_event, context) => {
      self.tell(gateOf(context.layer), 'forward.run', { ...place(context), body: { mode: context.mode } });
    },
    forwardHead: (_event, context) => {
      const ctx = current(context);
      const batch = batchFor(context);
      const calls =
        context.mode === 'evaluate'
          ? headForward(ctx, batch, { evaluate: true })
          : [...headForward(ctx, batch, { gradScale: 1 / targets }), ...headBackward(ctx)];
      // What follows reads the loss of an evaluation, or the counts of the whole batch.
      if (context.mode === 'evaluate' || context.sharesBalance)
        self.submit(device, calls, 'head.finished', place(context));
      else replica.chain(self, calls, 'head.finished', place(context));
    },
    open: ({ attempt, body }) => {
      replica.attempt = attempt;
      ({ targets } = body);
      const { tokens } = body;
      // A global balance loss waits for the counts of the whole batch (`shareBalance`); one of weight 0 has nothing to wait for.
      const balance = model.moe?.balance;
      if (balance !== undefined && (balance.scope !== 'global' || balance.auxLoss === 0)) {
        replica.balance = balanceCoefficients(model, { sequences: dealing.batch, tokens });
      }
      replica.globalTokens = tokens;
    },
    shareBalance: (_event, context) => {
      const counts = current(context).statistics.layers.map((layer) => layer.counts_E);
      self.tell(addresses.trainer, 'balance.share', {
        ...place(context),
        tensors: { counts_LE: concatInts(counts) },
      });
      self.wait({
        name: 'balance',
        awaited: [addresses.trainer],
        reason: 'the balance of the whole batch',
        step: context.step,
        deadlineMs: job.deadlines.stepMs,
      });
    },
    acceptBalance: ({ tensors }, context) => {
      self.endWait('balance');
      const { counts_LE } = tensors;
      const experts = model.moe?.experts ?? 0;
      const layers = current(context).statistics.layers.map((layer, index) => ({
        ...layer,
        counts_E: counts_LE.slice(index * experts, (index + 1) * experts),
      }));
      replica.balance = balanceCoefficients(
        model,
        { sequences: dealing.batch, tokens: replica.globalTokens },
        layers,
      );
    },
    unroute: (_event, context) => {
      self.tell(gateOf(context.layer), 'backward.run', {
        ...place(context),
        body: { last: lastMicrobatch(context) },
      });
    },
    backwardAttention: (_event, context) => {
      const ctx = current(context);
      const calls = [
        ...(isMoeLayer(model, context.layer) ? [] : ffnBackward(ctx, context.layer)),
        ...attentionBackward(ctx, context.layer, batchFor(context)),
      ];
      replica.chain(self, calls, 'attention.backwarded', place(context));
    },
    sendLayer: (_event, context) => {
      if (!lastMicrobatch(context)) return;
      if (context.layer === model.layers - 1) held.push(ranges.tail);
      held.push(ranges.layer(context.layer));
    },
    // Rows come first: a bucket of megabytes in front of them would hold up the other ranks' experts.
    sendHeld: (_event, context) => {
      for (const range of held.splice(0)) send(context, range);
    },
    backwardEmbedding: (_event, context) => {
      self.submit(
        device,
        embedBackward(current(context), batchFor(context)),
        'embedding.backwarded',
        place(context),
      );
    },
    sendEnds: (_event, context) => {
      for (const range of [...held.splice(0), ranges.embed]) send(context, range);
    },
    measure: (_event, context) => {
      const { lossSum, layers } = replica.statistics;
      const tensors = {
        lossSum: lossSum.slice(),
        layerSums: concatInt64s(layers.map((layer) => layer.lossSums)),
        counts_LE: concatInts(layers.map((layer) => layer.counts_E)),
        probSums: concatInt64s(layers.map((layer) => layer.probSums_E)),
      };
      self.tell(addresses.trainer, 'replica.measured', {
        ...place(context),
        tensors,
        body: { kernelMs: replica.kernelMs },
      });
      // The optimizer's kernels of this step run after this and count for the next one.
      replica.kernelMs = 0;
    },
    abandon: ({ attempt }) => {
      replica.attempt = attempt;
      self.endWait('balance');
      held.length = 0;
      // REC-2: shards come last. When one answers, every actor here has its notice, in front of all that the new attempt brings.
      for (const to of [
        ...layers.map(gateOf),
        ...layers.map((layer) => layout.expertOf(layer, worker)),
        ...replica.groups.map((group) => layout.shardOf(group, worker)),
      ])
        self.tell(to, 'attempt.abandon', { attempt });
    },
    reportEvaluation: (_event, context) => {
      const tensors = { lossSum: replica.evaluationStatistics.lossSum.slice() };
      self.tell(addresses.trainer, 'replica.evaluated', {
        ...place(context),
        tensors,
        body: { targets: evaluated },
      });
      replica.kernelMs = 0;
    },
  };
}

function concatInts(parts: readonly Int32Array[]): Int32Array {
  return Int32Array.from(parts.flatMap((part) => [...part]));
}

function concatInt64s(parts: readonly BigInt64Array[]): BigInt64Array {
  return BigInt64Array.from(parts.flatMap((part) => [...part]));
}
