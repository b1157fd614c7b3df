import type { Command } from 'commander';
import type { Evaluation, LayerChoices, PartLoss } from 'troupe';
import { UsageError } from '../errors.ts';
import { print, printError, printJson } from '../output.ts';
import { expertTable } from '../run/expert-table.ts';
import { partTable } from '../run/part-table.ts';
import { bytes, count, nats, natsAToken } from '../run/numbers.ts';
import type { ScoredDirection } from '../translation/score.ts';
import { metricNames, type TranslationMetric } from '../translation/metrics.ts';
import type { HeldOutText } from '../held-out.ts';
import { dividedOrWhole } from './division.ts';
import { collect, integer, named, verb, type CommonOptions } from '../verb.ts';

interface EvalOptions extends CommonOptions {
  readonly checkpoint?: string;
  readonly batches?: number;
  readonly set: readonly string[];
  readonly dataChanged?: boolean;
  readonly threads?: number;
  readonly expertCounts?: boolean;
  /** Path of another run. */
  readonly beside?: string;
  readonly metrics?: readonly TranslationMetric[];
  readonly sentences?: number;
}

/** A held-out loss, and what it took. */
interface Measured extends Evaluation {
  readonly numParameters: number;
  /** Of one device; null: workers computed it. */
  readonly tokensPerSecond: number | null;
  readonly choices: readonly LayerChoices[] | null;
  /** By task and language; none where all text is of one kind, or where workers computed the loss. */
  readonly parts: readonly PartLoss[];
  /** Of each direction; none unless they were asked for. */
  readonly translations: readonly ScoredDirection[];
  /** Of one device; null: workers read it. */
  readonly heldOut: HeldOutText | null;
}

/** The loss on one device, as one process computes it. */
async function onOneDevice(path: string, options: EvalOptions, first: HeldOutText | null): Promise<Measured> {
  const { withHeldOut } = await import('../held-out.ts');
  const timesWell = options.beside !== undefined;
  const on = first === null ? {} : { on: first };
  return withHeldOut(path, { ...options, ...on, timesWell, warn }, async (evaluate, { model, heldOut }) => {
    const measured = await evaluate();
    const { step, numParameters } = model;
    const tokensPerSecond = measured.tokens / measured.seconds;
    const translations =
      options.metrics === undefined
        ? []
        : await (await import('../translation/score.ts')).scoreTranslations(model, options);
    const statistics = heldOut.data.statistics();
    return { step, numParameters, tokensPerSecond, ...measured, statistics, translations, heldOut };
  });
}

/** The same on workers, divided as the run was or as `--set` says. */
async function onWorkers(path: string, options: EvalOptions): Promise<Measured> {
  if (options.expertCounts === true)
    throw new UsageError('--expert-counts counts on one device, and this evaluation is divided over workers');
  if (options.metrics !== undefined)
    throw new UsageError('--metrics translates on one device, and this evaluation is divided over workers');
  const { evaluateOnWorkers, openRun, parameterCounts, runOfPath } = await import('troupe');
  const { TaskProgress } = await import('../run/task-progress.ts');
  const progress = new TaskProgress();
  const { folder, checkpoint: named } = runOfPath(path);
  const asked = options.checkpoint ?? named;
  const batches = options.batches === undefined ? [] : [`eval.batches=${options.batches}`];
  const run = await openRun(folder, {
    verify: 'lazy',
    set: [...options.set, ...batches],
    ...(asked === null ? {} : { checkpoint: asked }),
  });
  try {
    const numParameters = parameterCounts(run.topology.model).total;
    const evaluation = await evaluateOnWorkers(run.topology, {
      checkpoint: run.checkpoint,
      dataChanged: options.dataChanged ?? false,
      report: (event) => {
        if (event.event === 'warning') warn(event.message);
        if (event.event === 'progress') progress.show(event);
      },
    });
    if (evaluation.tokens === 0)
      throw (await import('../held-out.ts')).nothingHeldOut(path, run.topology.data.holdout);
    return {
      ...evaluation,
      numParameters,
      tokensPerSecond: null,
      choices: null,
      parts: [],
      translations: [],
      heldOut: null,
    };
  } finally {
    progress.close();
    await run.checkpoint.close();
  }
}

const warn = (message: string): void => printError(`troupe: warning: ${message}`);

/** @param first - held-out text that it is measured on; null: its own */
const measured = (path: string, options: EvalOptions, first: HeldOutText | null): Promise<Measured> =>
  dividedOrWhole(options.set, {
    onOneDevice: () => onOneDevice(path, options, first),
    onWorkers: () => onWorkers(path, options),
  });

/** Bytes of a parameter in a checkpoint. */
const WEIGHT_BYTES = 4;

async function printMeasured(path: string, options: EvalOptions, found: Measured): Promise<void> {
  const { step, loss, tokens, statistics, numParameters, tokensPerSecond, choices, parts, translations } =
    found;
  const { unigramEntropy, bigramCrossEntropy } = statistics;
  const weightBytes = WEIGHT_BYTES * numParameters;
  const counts = options.expertCounts === true ? choices : null;
  if (options.json === true) {
    printJson({
      event: 'eval',
      ...(options.beside === undefined ? {} : { run: path }),
      step,
      loss,
      tokens,
      unigramEntropy,
      bigramCrossEntropy,
      numParameters,
      weightBytes,
      tokensPerSecond,
      ...(parts.length === 0 ? {} : { parts }),
      ...(options.metrics === undefined ? {} : { translations }),
      ...(counts === null ? {} : { expertCounts: counts }),
    });
    return;
  }
  const translated =
    translations.length === 0
      ? []
      : (await import('../translation/direction-table.ts')).directionTable(
          translations,
          options.metrics ?? [],
        );
  const speed = tokensPerSecond === null ? '' : `; ${count(tokensPerSecond)} tokens a second on one device`;
  print(
    ...(options.beside === undefined ? [] : [`${path}:`]),
    `step ${step}: held-out loss ${natsAToken(loss)} over ${count(tokens)} tokens`,
    `of all held-out tokens: unigram entropy ${nats(unigramEntropy)}, bigram cross entropy ${nats(bigramCrossEntropy)}`,
    `${count(numParameters)} parameters, ${bytes(weightBytes)} of weights${speed}`,
    ...partTable(parts),
    ...translated,
    ...(counts === null ? [] : expertTable(counts)),
  );
}

/** Workers read the data of each run; the same ones have the same counts. */
const isOfOtherText = (a: Measured, b: Measured): boolean =>
  a.tokens !== b.tokens ||
  a.statistics.unigramEntropy !== b.statistics.unigramEntropy ||
  a.statistics.bigramCrossEntropy !== b.statistics.bigramCrossEntropy;

/** Minutes may go by before it is measured. @throws as openRun */
async function mustBeThere(path: string): Promise<void> {
  const { openRun, runOfPath } = await import('troupe');
  const { folder, checkpoint } = runOfPath(path);
  const run = await openRun(folder, { verify: 'lazy', ...(checkpoint === null ? {} : { checkpoint }) });
  await run.checkpoint.close();
}

async function evaluate(path: string, options: EvalOptions): Promise<void> {
  const { checkpoint: _ofTheFirst, ...ofBoth } = options;
  const { beside } = options;
  if (options.sentences !== undefined && options.metrics === undefined)
    throw new UsageError('--sentences goes with --metrics');
  if (beside !== undefined) await mustBeThere(beside);
  const found = await measured(path, options, null);
  await printMeasured(path, options, found);
  if (beside === undefined) return;
  const other = await measured(beside, ofBoth, found.heldOut);
  if (other.heldOut === null && isOfOtherText(found, other))
    throw (await import('../held-out.ts')).notTheSame(beside, path, 'workers read that of its own data');
  await printMeasured(beside, options, other);
  if (options.json === true) return;
  const difference = found.loss - other.loss;
  const size = (100 * found.numParameters) / other.numParameters;
  const speeds = [found.tokensPerSecond, other.tokensPerSecond];
  const [own, others] = speeds.map((each) => each ?? Number.NaN);
  const ratio = (own ?? 0) / (others ?? 1);
  print(
    `${path} beside ${beside}: loss ${difference < 0 ? '' : '+'}${difference.toFixed(4)}, ${size.toFixed(1)}% of the parameters${Number.isNaN(ratio) ? '' : `, ${ratio.toFixed(2)} times as fast`}`,
  );
}

export function registerEval(program: Command): void {
  verb(
    program,
    'eval <run>',
    'Measure the held-out loss of a checkpoint: on one device, or with --set parallel.… on workers.',
    'npx troupe eval runs/quickstart --set parallel.dp=2',
  )
    .option('--checkpoint <name>', 'an older checkpoint, e.g. step-000100')
    .option(
      '--batches <n>',
      'batches of held-out sequences; default: eval.batches of the topology',
      integer(1),
    )
    .option(
      '--set <key=value>',
      'divide the work over workers: parallel.pp=2; or name data that moved: data.text=PATH; may be repeated',
      collect,
      [],
    )
    .option('--data-changed', 'measure on another corpus than the one of the checkpoint')
    .option('--threads <n>', 'threads of the device', integer(1))
    .option('--expert-counts', 'also print which experts held-out tokens choose, by layer')
    .option(
      '--beside <run>',
      'measure another run on the same held-out text, such as the model before it was pruned',
      named,
    )
    .option(
      '--metrics <names>',
      'also translate held-out texts and compare them with their translations: bleu, chrf, or bleu,chrf',
      metricNames,
    )
    .option('--sentences <n>', 'with --metrics: texts of a direction (default 100)', integer(1))
    .action(evaluate);
}
