import { lossValue } from '@troupe/model';
import { flagIn, numberIn, textIn, type Effects, type Self } from '@troupe/runtime';
import type { RunSink } from '@troupe/telemetry';
import { addresses } from '../addresses.ts';
import { jobShape, type Job } from '../job.ts';
import type { TrainerEvent } from './events.ts';
import { norm128, normOf, StepLedger } from './ledger.ts';
import { stepLosses } from './losses.ts';
import type { TrainerContext } from './machine.ts';

/** How a run ended, as far as the trainer knows. */
export interface RunOutcome {
  readonly step: number;
  readonly loss: number | null;
  readonly stopped: boolean;
  /** Set when the last checkpoint could not be written. */
  readonly error?: { readonly code: string; readonly message: string; readonly retryable: boolean };
}

export interface TrainerOptions {
  readonly job: Job;
  readonly report: RunSink;
  /** The first step opens: everything is loaded. */
  readonly opened?: () => void;
  readonly finished: (outcome: RunOutcome) => void;
  /** Peak of the used cores, FLOP/s; null when it was not measured. */
  readonly peakFlops: number | null;
  readonly flopsPerToken: number;
}

export function trainerEffects(
  self: Self,
  options: TrainerOptions,
): { effects: Effects<TrainerContext, TrainerEvent>; finite: () => boolean } {
  const { job } = options;
  const replicas = Array.from({ length: job.dp }, (_, dp) => dp);
  const classes = job.model.moe === null ? (['dense'] as const) : (['dense', 'expert'] as const);
  const shards = replicas.flatMap((dp) => classes.map((each) => addresses.optimizer(each, dp)));
  const shape = jobShape(job);
  const counts = new Map<number, { targets: number; tokens: number }>();
  const noTokens = { targets: 0, tokens: 0 };
  let ledger = new StepLedger();
  let evaluation = { lossSum: 0n, tokens: 0 };
  let adamClock = job.first.adamClock;
  let openedAtMs = 0;
  let lastLoss: number | null = null;
  let skipped = false;
  /** Scope `global`: choices of every expert over the whole batch, as replicas report them before their backward pass. */
  const balance = { replicas: 0, counts_LE: new Int32Array(0) };
  let decided = { gradNorm: 0, learningRate: 0 };

  const prefetch = (step: number): void => {
    for (const dp of replicas) self.tell(addresses.feeder(dp), 'batch.prefetch', { step });
  };
  const waitFor = (
    name: string,
    awaited: readonly (typeof addresses.trainer)[],
    reason: string,
    step: number,
    deadlineMs: number,
  ): void => self.wait({ name, awaited, reason, step, deadlineMs });
  const open = (context: TrainerContext): void => {
    ledger = new StepLedger();
    const body = counts.get(context.step) ?? noTokens;
    for (const to of [...shards, ...replicas.map((dp) => addresses.stage(dp))]) {
      self.tell(to, 'step.open', {
        step: context.step,
        attempt: context.attempt,
        version: context.step - 1,
        body,
      });
    }
    waitFor(
      'step',
      [...shards, ...replicas.map((dp) => addresses.stage(dp))],
      'votes and measurements',
      context.step,
      job.deadlines.stepMs,
    );
  };

  const effects: Effects<TrainerContext, TrainerEvent> = {
    start: () => {
      waitFor('load', shards, 'parameters to be loaded', job.first.step, job.deadlines.loadMs);
      prefetch(job.first.step + 1);
    },
    recordCount: (event) => {
      const known = counts.get(event.step) ?? noTokens;
      counts.set(event.step, {
        targets: known.targets + numberIn(event, 'targets'),
        tokens: known.tokens + numberIn(event, 'tokens'),
      });
    },
    open: (_event, context) => {
      self.endWait('load');
      if (context.step === job.first.step + 1) options.opened?.();
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
    recordMeasure: (event) => {
      const [lossSum, layerSums, loads, probSums] = event.tensors;
      ledger.addLosses(
        (lossSum as BigInt64Array)[0] ?? 0n,
        layerSums as BigInt64Array,
        loads as Int32Array,
        probSums as BigInt64Array,
      );
      ledger.kernelMs += numberIn(event, 'kernelMs');
      self.answered('step', event.from);
    },
    shareBalance: (event, context) => {
      const counts_LE = event.tensors[0] as Int32Array;
      if (balance.replicas === 0) balance.counts_LE = new Int32Array(counts_LE.length);
      counts_LE.forEach(
        (count, index) => (balance.counts_LE[index] = (balance.counts_LE[index] ?? 0) + count),
      );
      balance.replicas++;
      if (balance.replicas < job.dp) return;
      balance.replicas = 0;
      for (const dp of replicas) {
        self.tell(addresses.stage(dp), 'balance.shared', {
          step: context.step,
          attempt: context.attempt,
          tensors: [balance.counts_LE],
        });
      }
    },
    recordVote: (event) => {
      ledger.normSum += norm128(event.tensors[0] as BigInt64Array);
      ledger.overflow ||= flagIn(event, 'overflow');
      self.answered('step', event.from);
    },
    decide: (_event, context) => {
      const norm = normOf(ledger.normSum);
      const finite = !ledger.overflow;
      const learningRate = job.learningRate(context.step);
      skipped = !finite;
      if (finite) adamClock++;
      decided = { gradNorm: finite ? norm : Number.NaN, learningRate };
      const { clip, beta1, beta2 } = job.optimizer;
      const body = {
        apply: finite,
        gradScale: clip > 0 ? Math.min(1, clip / (norm + 1e-6)) : 1,
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
      const { targets, tokens } = counts.get(context.step) ?? noTokens;
      counts.delete(context.step);
      const losses = stepLosses(job, ledger, { targets, tokens });
      lastLoss = losses.loss;
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
        mfu:
          options.peakFlops === null ? null : (options.flopsPerToken * tokensPerSecond) / options.peakFlops,
        maxExpertLoad: losses.maxExpertLoad,
        hottest: losses.hottest,
        kernelShare: ledger.kernelMs / 1000 / seconds / job.dp,
        attempts: context.attempt,
        skipped,
      });
    },
    evaluate: (_event, context) => {
      evaluation = { lossSum: 0n, tokens: 0 };
      for (const dp of replicas)
        self.tell(addresses.stage(dp), 'evaluation.open', {
          step: context.step,
          attempt: context.attempt,
          version: context.step,
        });
      const stages = replicas.map((dp) => addresses.stage(dp));
      waitFor(
        'evaluation',
        stages,
        'the held-out loss',
        context.step,
        job.deadlines.stepMs * Math.max(1, shape.evaluationPasses),
      );
    },
    recordEvaluation: (event) => {
      evaluation.lossSum += (event.tensors[0] as BigInt64Array)[0] ?? 0n;
      evaluation.tokens += numberIn(event, 'targets');
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
        version: context.step,
        body: { adamClock, numShards: shards.length },
      });
      for (const to of shards) self.tell(to, 'snapshot.take', { step: context.step, version: context.step });
      waitFor(
        'checkpoint',
        [addresses.store(0)],
        'the checkpoint to be written',
        context.step,
        job.deadlines.checkpointMs,
      );
    },
    reportCheckpoint: (event, context) => {
      self.endWait('checkpoint');
      options.report({ event: 'checkpoint', step: context.step, path: textIn(event, 'path') });
    },
    failCheckpoint: (event, context) => {
      self.endWait('checkpoint');
      options.finished({
        step: context.step,
        loss: lastLoss,
        stopped: false,
        error: event.error ?? {
          code: textIn(event, 'code'),
          message: textIn(event, 'message'),
          retryable: flagIn(event, 'retryable'),
        },
      });
    },
    finish: (_event, context) => {
      options.finished({ step: context.step, loss: lastLoss, stopped: context.step < job.stopAfter });
    },
  };
  return { effects, finite: () => !ledger.overflow };
}
