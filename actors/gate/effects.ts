import { assert, type Address } from '@troupe/core';
import type { Floats, RowsPart } from '@troupe/kernel-set';
import {
  combineBackward,
  combineForward,
  expertGradientSource,
  expertSource,
  forcedChoices,
  gateBackward,
  gateForward,
  gateLogits,
  packGradients,
  packTokens,
  returnedGradients,
  returnedRows,
  type Batch,
} from '@troupe/model';
import type { EffectsOf } from '@troupe/runtime';
import type { Replica } from '../replica.ts';
import type { GateEvent, GateSelf } from './events.ts';
import type { gateActions, GateContext } from './machine.ts';
import { chosenBy } from './rule.ts';

export function gateEffects(
  self: GateSelf,
  replica: Replica,
  layer: number,
): EffectsOf<typeof gateActions, GateContext, GateEvent> {
  const { job, worker, at, device } = replica;
  const { layout } = job;
  const { ep: ownRank } = at;
  const experts = layout.expertsFor(layer, worker);
  const ranks = experts.map((_, rank) => rank);
  const stage = layout.stageOf(worker);
  const config = job.model;
  const moe = config.moe;
  assert(moe !== null, 'only models with experts have gates');
  const forced = new Map<number, Int32Array | null>();
  const current = (context: GateContext) => replica.context(context.version, context);
  const batch = (): Batch => {
    assert(replica.batch, 'the stage sets the batch before it asks its gates');
    return replica.batch;
  };
  /** Index in the global batch, or among the held-out sequences. */
  const firstToken = ({ microbatch }: GateContext): number =>
    layout.dealing.sequencesOf(at.dp, microbatch).first * config.seqLen;
  /** Choices that do not come from the logits' top-k: an own gate's, or a forced pattern. */
  const choices = (context: GateContext): Int32Array | null => {
    const tokens = layout.dealing.microbatchSequences * config.seqLen;
    if (job.gate !== undefined) {
      const { logits_TE } = current(context).act.moe(layer);
      const question = {
        tokens,
        experts: moe.experts,
        topK: moe.topK,
        step: context.step,
        layer,
        firstToken: firstToken(context),
      };
      return chosenBy(job.gate, logits_TE, question);
    }
    if (moe.choice === 'learned') return null;
    const first = firstToken(context);
    let known = forced.get(first);
    if (known === undefined) {
      known = forcedChoices(config, tokens, first);
      forced.set(first, known);
    }
    return known;
  };
  const place = (context: GateContext) => ({
    step: context.step,
    attempt: context.attempt,
    version: context.version,
    layer,
    microbatch: context.microbatch,
  });
  const waitForRanks = (context: GateContext, reason: string): void =>
    self.wait({
      name: 'experts',
      awaited: experts,
      reason,
      step: context.step,
      layer,
      microbatch: context.microbatch,
      deadlineMs: job.deadlines.stepMs,
    });
  /** Copies what a remote rank returned to where the combine looks for it; a local one wrote there itself. */
  const accept = (from: Address, rows: Floats | undefined, part: RowsPart): void => {
    if (rows !== undefined) {
      part.data.set(rows);
      self.free([rows]);
    }
    self.answered('experts', from);
  };

  return {
    score: (_event, context) =>
      self.submit(device, gateLogits(current(context), layer), 'logits.computed', place(context)),
    route: (_event, context) => {
      const calls = gateForward(current(context), layer, batch(), {
        ranks: ranks.length,
        choicesGiven: choices(context),
      });
      // The logits of a gate that looked at them are there already.
      self.submit(device, job.gate === undefined ? calls : calls.slice(1), 'routing.planned', place(context));
    },
    pack: (_event, context) => {
      const calls = ranks.flatMap((rank) => packTokens(current(context), layer, rank));
      self.submit(device, calls, 'tokens.packed', place(context));
    },
    dispatch: (_event, context) => {
      const ctx = current(context);
      waitForRanks(context, 'outputs of its rows');
      for (const rank of ranks) {
        const { x_UD, slots_N, counts_EG } = expertSource(ctx, layer, rank);
        const beside = rank === ownRank ? { y_ND: returnedRows(ctx, layer, rank).data } : {};
        const to = experts[rank];
        assert(to, 'every rank has an expert group', { rank });
        self.tell(to, 'rows.dispatch', {
          ...place(context),
          tensors: { x_UD, slots_N, counts_EG, ...beside },
          body: { source: ownRank, mode: context.mode },
        });
      }
    },
    acceptRows: ({ from, body, tensors }, context) =>
      accept(from, tensors.y_ND, returnedRows(current(context), layer, body.rank)),
    combine: (_event, context) => {
      self.endWait('experts');
      const ctx = current(context);
      const parts = ranks.map((rank) => returnedRows(ctx, layer, rank));
      replica.chain(self, combineForward(ctx, layer, parts), 'outputs.combined', place(context));
    },
    finishForward: (_event, context) => self.tell(stage, 'forward.done', place(context)),
    weigh: (_event, context) => {
      const ctx = current(context);
      const parts = ranks.map((rank) => returnedRows(ctx, layer, rank));
      const calls = [
        ...combineBackward(ctx, layer, parts),
        ...ranks.flatMap((rank) => packGradients(ctx, layer, rank)),
      ];
      replica.chain(self, calls, 'gradients.packed', place(context));
    },
    dispatchGradients: (_event, context) => {
      const ctx = current(context);
      waitForRanks(context, 'gradients of its rows');
      for (const rank of ranks) {
        const { dOut_UD, rowWeights_N } = expertGradientSource(ctx, layer, rank);
        const beside = rank === ownRank ? { dx_ND: returnedGradients(ctx, layer, rank).data } : {};
        const to = experts[rank];
        assert(to, 'every rank has an expert group', { rank });
        self.tell(to, 'gradients.dispatch', {
          ...place(context),
          tensors: { dOut_UD, rowWeights_N, ...beside },
          body: { source: ownRank, last: context.last },
        });
      }
      self.tell(stage, 'rows.left', place(context));
    },
    acceptGradients: ({ from, body, tensors }, context) =>
      accept(from, tensors.dx_ND, returnedGradients(current(context), layer, body.rank)),
    backward: (_event, context) => {
      self.endWait('experts');
      const ctx = current(context);
      const parts = ranks.map((rank) => returnedGradients(ctx, layer, rank));
      const { balance } = replica;
      assert(balance, 'the stage sets the balance coefficients before a backward pass');
      const fractions = balance.fractions(layer);
      const options = {
        auxScale: balance.auxScale,
        zScale: balance.zScale,
        ...(fractions === null ? {} : { fractions }),
      };
      replica.chain(
        self,
        gateBackward(ctx, layer, batch(), parts, options),
        'gate.backwarded',
        place(context),
      );
    },
    abandon: () => self.endWait('experts'),
    finishBackward: (_event, context) => self.tell(stage, 'backward.done', place(context)),
  };
}
