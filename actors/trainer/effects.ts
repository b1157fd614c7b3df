import { addWideSums, assert } from '@troupe/core';
import { lossValue } from '@troupe/model';
import type { EffectsOf } from '@troupe/runtime';
import type { RecoveredEvent } from '@troupe/telemetry';
import { addresses, workerRank, type WorkerRank } from '@troupe/topology/layout';
import type { TrainerContext } from './context.ts';
import { divergence } from './divergence.ts';
import type { TrainerEvent, TrainerSelf } from './events.ts';
import { StepLedger } from './ledger.ts';
import type { trainerActions } from './machine.ts';
import { stepLosses, utilisation } from './losses.ts';
import type { TrainerOptions } from './options.ts';
import { planRecovery } from './recovery-plan.ts';
import { normOf } from './votes.ts';

type TrainerEffects = EffectsOf<typeof trainerActions, TrainerContext, TrainerEvent>;
type RecoveryEffects = Pick<
  TrainerEffects,
  | 'reportLoss'
  | 'abandon'
  | 'abandonJoined'
  | 'rebuild'
  | 'heard'
  | 'findSnapshot'
  | 'restore'
  | 'reportRecovered'
  | 'failRecovery'
>;

export function trainerEffects(self: TrainerSelf, options: TrainerOptions): TrainerEffects {
  const { job } = options;
  const { layout } = job;
  const workers = [...layout.workers()];
  const feeders = Array.from(layout.replicas(), (dp) => addresses.feeder({ dp }));
  const stages = workers.map((worker) => layout.stageOf(worker));
  const shardsOf = (worker: WorkerRank) =>
    layout.groupsOf(worker).map((group) => layout.shardOf(group, worker));
  const shards = workers.flatMap(shardsOf);
  /** Tokens of a step by the feeder that counted them: one that counts again says the same again. */
  const counts = new Map<number, Map<string, { readonly targets: number; readonly tokens: number }>>();
  let ledger = new StepLedger();
  let evaluation = { lossSum: new BigInt64Array(2), tokens: 0 };
  let adamClock = job.first.adamClock;
  let openedAtMs = 0;
  let opened = false;
  let lastLoss: number | null = null;
  /** Losses of the steps that were reported and may have to be repeated, from the last checkpoint on. */
  const reported = new Map<number, number>();
  /** How often the open step has been begun. */
  let openings = { step: 0, count: 0 };
  let loss: { readonly workers: Set<string>; readonly atMs: number; readonly step: number } | null = null;
  let source: RecoveredEvent['from'] = 'peers';
  let skipped = false;
  /** Scope `global`: choices of every expert over the whole batch, as replicas report them before their backward pass. */
  const balance = { replicas: 0, counts_LE: new Int32Array(0) };
  let decided = { gradNorm: 0, learningRate: 0 };

  const prefetch = (step: number): void => {
    for (const feeder of feeders) self.tell(feeder, 'batch.prefetch', { step });
  };
  const waitFor = (
    name: string,
    awaited: readonly (typeof addresses.trainer)[],
    reason: string,
    step: number,
    deadlineMs: number,
  ): void => self.wait({ name, awaited, reason, step, deadlineMs });
  const tokensOf = (step: number): { readonly targets: number; readonly tokens: number } => {
    const all = [...(counts.get(step)?.values() ?? [])];
    return {
      targets: all.reduce((sum, { targets }) => sum + targets, 0),
      tokens: all.reduce((sum, { tokens }) => sum + tokens, 0),
    };
  };
  const open = (context: TrainerContext): void => {
    ledger = new StepLedger();
    balance.replicas = 0;
    openings = { step: context.step, count: openings.step === context.step ? openings.count + 1 : 1 };
    const body = tokensOf(context.step);
    for (const to of [...shards, ...stages]) {
      self.tell(to, 'step.open', {
        step: context.step,
        attempt: context.attempt,
        version: context.step - 1,
        body,
      });
    }
    waitFor('step', [...shards, ...stages], 'votes and measurements', context.step, job.deadlines.stepMs);
  };

  const effects: Omit<TrainerEffects, keyof RecoveryEffects> = {
    start: () => {
      waitFor('load', shards, 'parameters to be loaded', job.first.step, job.deadlines.loadMs);
      prefetch(job.first.step + 1);
    },
    recordCount: (event) => {
      counts.set(event.step, (counts.get(event.step) ?? new Map()).set(event.from, event.body));
    },
    open: (_event, context) => {
      self.endWait('load');
      if (!opened) options.opened?.();
      opened = true;
      openedAtMs = self.clock.now();
      open(context);
      if (context.step < job.stopAfter) prefetch(context.step + 1);
    },
    replay: (_event, context) => {
      options.report({
        event: 'fault',
        message: `step ${context.step} had a non-finite gradient; replaying it`,
        details: { step: context.step },
      });
      open(context);
    },
    recordMeasure: ({ from, body, tensors }) => {
      const { lossSum, layerSums, counts_LE, probSums } = tensors;
      ledger.addLosses(lossSum, layerSums, counts_LE, probSums);
      ledger.kernelMs += body.kernelMs;
      self.answered('step', from);
    },
    shareBalance: (event, context) => {
      const { counts_LE } = event.tensors;
      if (balance.replicas === 0) balance.counts_LE = new Int32Array(counts_LE.length);
      counts_LE.forEach(
        (count, index) => (balance.counts_LE[index] = (balance.counts_LE[index] ?? 0) + count),
      );
      balance.replicas++;
      if (balance.replicas < stages.length) return;
      balance.replicas = 0;
      for (const stage of stages) {
        self.tell(stage, 'balance.shared', {
          step: context.step,
          attempt: context.attempt,
          tensors: { counts_LE: balance.counts_LE },
        });
      }
    },
    recordVote: (event) => {
      self.answered('step', event.from);
    },
    decide: (_event, context) => {
      const gradNorm = normOf(context.votes);
      const finite = !context.votes.overflow;
      const learningRate = job.learningRate(context.step);
      skipped = !finite;
      if (finite) adamClock++;
      decided = { gradNorm, learningRate };
      const { clip, beta1, beta2 } = job.optimizer;
      const body = {
        apply: finite,
        gradScale: clip > 0 && finite ? Math.min(1, clip / (gradNorm + 1e-6)) : 1,
        learningRate,
        correction1: 1 - beta1 ** adamClock,
        correction2: 1 - beta2 ** adamClock,
      };
      for (const to of shards)
        self.tell(to, 'commit.decide', {
          step: context.step,
          attempt: context.attempt,
          version: context.step - 1,
          body,
        });
      waitFor('step', shards, 'the decision to be applied', context.step, job.deadlines.stepMs);
    },
    report: (_event, context) => {
      self.endWait('step');
      const seconds = (self.clock.now() - openedAtMs) / 1000;
      const { targets, tokens } = tokensOf(context.step);
      for (const step of counts.keys()) if (step <= context.step) counts.delete(step);
      const losses = stepLosses(job, ledger, { targets, tokens });
      lastLoss = losses.loss;
      // A step that is repeated after all went back to a snapshot was reported already.
      const before = reported.get(context.step);
      reported.set(context.step, losses.loss);
      if (before !== undefined) {
        if (!Object.is(before, losses.loss))
          options.report({
            event: 'fault',
            message: `step ${context.step} was repeated and its loss is ${losses.loss}; before it was ${before}`,
            details: { step: context.step, before, after: losses.loss },
          });
        return;
      }
      if (skipped)
        options.report({
          event: 'fault',
          message: `step ${context.step} had a non-finite gradient again; it is skipped: no parameter changes`,
          details: { step: context.step, skipped: true },
        });
      const tokensPerSecond = targets / seconds;
      options.report({
        event: 'step',
        step: context.step,
        loss: losses.loss,
        auxLoss: losses.auxLoss,
        gradNorm: decided.gradNorm,
        learningRate: decided.learningRate,
        tokens: targets,
        tokensPerSecond,
        mfu: utilisation(options.flopsPerToken * tokensPerSecond, options.peakFlops),
        maxExpertLoad: losses.maxExpertLoad,
        hottest: losses.hottest,
        kernelShare: ledger.kernelMs / 1000 / seconds / layout.mesh.world,
        attempts: openings.count,
        skipped,
      });
    },
    evaluate: (_event, context) => {
      evaluation = { lossSum: new BigInt64Array(2), tokens: 0 };
      for (const stage of stages)
        self.tell(stage, 'evaluation.open', {
          step: context.step,
          attempt: context.attempt,
          version: context.step,
        });
      waitFor(
        'evaluation',
        stages,
        'the held-out loss',
        context.step,
        job.deadlines.stepMs * Math.max(1, layout.dealing.evaluationPasses(job.evaluationSequences)),
      );
    },
    recordEvaluation: (event) => {
      addWideSums(evaluation.lossSum, event.tensors.lossSum);
      evaluation.tokens += event.body.targets;
    },
    reportEvaluation: (_event, context) => {
      self.endWait('evaluation');
      options.report({
        event: 'eval',
        step: context.step,
        loss: lossValue(evaluation.lossSum) / evaluation.tokens,
        tokens: evaluation.tokens,
      });
    },
    checkpoint: (_event, context) => {
      self.tell(addresses.store(0), 'checkpoint.begin', {
        step: context.step,
        attempt: context.attempt,
        version: context.step,
        body: {
          adamClock,
          numShards: shards.length,
          // What comes behind a blow-up is no better than what it would push out.
          prunes: context.skipped === 0,
          isLast: context.stopping || context.step >= context.stopAfter,
        },
      });
      for (const to of shards)
        self.tell(to, 'snapshot.take', {
          step: context.step,
          attempt: context.attempt,
          version: context.step,
        });
      waitFor(
        'checkpoint',
        [addresses.store(0)],
        'the checkpoint to be written',
        context.step,
        job.deadlines.checkpointMs,
      );
    },
    reportCheckpoint: (event) => {
      self.endWait('checkpoint');
      for (const step of reported.keys()) if (step <= event.step) reported.delete(step);
      options.report({ event: 'checkpoint', step: event.step, path: event.body.path });
    },
    failCheckpoint: (event, context) => {
      self.endWait('checkpoint');
      options.finished({
        step: context.step,
        loss: lastLoss,
        stopped: false,
        error: event.body,
      });
    },
    failDiverged: (_event, context) => {
      options.finished({
        step: context.step,
        loss: lastLoss,
        stopped: false,
        error: divergence(context),
      });
    },
    finish: (_event, context) => {
      options.finished({ step: context.step, loss: lastLoss, stopped: context.step < job.stopAfter });
    },
  };
  const recovery: RecoveryEffects = {
    reportLoss: (event, context) => {
      loss ??= { workers: new Set(), atMs: self.clock.now(), step: context.step };
      const { node: worker, sentence } = event.body;
      loss.workers.add(worker);
      options.report({
        event: 'fault',
        // Where it goes back to is known once the shards have said what they hold; `recovered` names it.
        message: `${sentence}; recovering`,
        details: { worker, step: context.step, attempt: context.attempt },
      });
    },
    abandon: (_event, context) => {
      for (const name of ['load', 'step', 'evaluation', 'checkpoint']) self.endWait(name);
      const { attempt } = context;
      for (const worker of workers)
        if (!context.down.has(worker)) self.tell(layout.stageOf(worker), 'attempt.abandon', { attempt });
      self.tell(addresses.store(0), 'checkpoint.abandon', { attempt });
      const { recoveryMs } = job.deadlines;
      const lost = [...(loss?.workers ?? [])].join(', ');
      waitFor(
        'recovery',
        [...context.awaited],
        `the run to recover from the loss of ${lost}`,
        context.step,
        recoveryMs,
      );
    },
    abandonJoined: (event, { attempt }) =>
      self.tell(layout.stageOf(workerRank(event.body.worker)), 'attempt.abandon', { attempt }),
    rebuild: (_event, context) => {
      const { step, attempt } = context;
      const plan = planRecovery(layout, context, step);
      assert(plan, 'the machine rebuilds what can be rebuilt', { step });
      source = 'peers';
      // A shard that keeps what it has goes on at once, so it sends first.
      for (const { shard, from, fromCopy } of plan)
        if (from !== shard)
          self.tell(from, 'shard.send', { attempt, version: step, body: { to: shard, fromCopy } });
      for (const { shard, from } of plan)
        if (from === shard) self.tell(shard, 'shard.keep', { attempt, version: step });
      waitFor('recovery', shards, 'state of lost shards', step, job.deadlines.recoveryMs);
    },
    heard: (event) => self.answered('recovery', event.from),
    findSnapshot: (_event, { attempt, step }) => {
      const { recoveryMs } = job.deadlines;
      waitFor(
        'recovery',
        [addresses.store(0)],
        'the newest snapshot, for all to go back to',
        step,
        recoveryMs,
      );
      self.ask(
        addresses.store(0),
        'snapshot.find',
        { attempt, step },
        { deadlineMs: recoveryMs, reason: 'the newest snapshot' },
      );
    },
    restore: (event, { attempt, step }) => {
      ({ adamClock } = event.body);
      const from = event.body.exists ? 'snapshot' : 'seed';
      source = from;
      for (const to of shards)
        self.tell(to, 'shard.restore', { attempt, version: step, body: { source: from } });
      waitFor('recovery', shards, 'every shard to go back to one snapshot', step, job.deadlines.recoveryMs);
    },
    reportRecovered: (_event, { step, attempt, stopAfter }) => {
      assert(loss, 'a recovery follows a loss');
      self.endWait('recovery');
      self.tell(addresses.store(0), 'snapshot.release');
      options.report({
        event: 'recovered',
        step: step + 1,
        attempt,
        worker: [...loss.workers].join(', '),
        ms: self.clock.now() - loss.atMs,
        from: source,
        repeatedSteps: Math.max(0, loss.step - step),
      });
      loss = null;
      if (step < stopAfter) prefetch(step + 1);
    },
    failRecovery: (event, context) => {
      options.finished({
        step: context.step,
        loss: lastLoss,
        stopped: false,
        error: event.error ?? {
          code: 'TROUPE_WORKER_LOST',
          message: `${[...(loss?.workers ?? [])].join(', ')} was lost with state that no other worker holds, and there is no snapshot to go back to`,
          retryable: true,
        },
      });
    },
  };
  return { ...effects, ...recovery };
}
