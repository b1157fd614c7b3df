import type { Command } from 'commander';
import type { Evaluation } from 'troupe';
import { print, printError, printJson } from '../output.ts';
import { count, nats, natsAToken } from '../run/numbers.ts';
import { dividedOrWhole } from './division.ts';
import { collect, integer, verb, type CommonOptions } from '../verb.ts';

interface EvalOptions extends CommonOptions {
  readonly checkpoint?: string;
  readonly batches?: number;
  readonly set: readonly string[];
  readonly dataChanged?: boolean;
  readonly threads?: number;
}

/** The loss on one device, as one process computes it. */
async function onOneDevice(path: string, options: EvalOptions): Promise<Evaluation> {
  const { evaluationSequences, openRunData } = await import('troupe');
  const { withTrainedModel } = await import('../trained.ts');
  const { TaskProgress } = await import('../run/task-progress.ts');
  const progress = new TaskProgress();
  return withTrainedModel(path, options, async ({ model, checkpoint }) => {
    const { source: data } = await openRunData(model.topology, {
      resumeFrom: checkpoint,
      dataChanged: options.dataChanged ?? false,
      progress: progress.show,
      warn,
    });
    const { batch } = model.topology.train;
    const all = data.batches.numEvalSequences;
    const sequences =
      options.batches === undefined
        ? evaluationSequences(model.topology, data.batches)
        : Math.min(all, options.batches * batch);
    const measured = await model.evaluate(data.batches, sequences, (done) =>
      progress.show({ task: 'evaluating', unit: 'sequences', done, of: sequences }),
    );
    progress.close();
    return { step: model.step, ...measured, statistics: data.statistics() };
  });
}

/** The same on workers, divided as the run was or as `--set` says. */
async function onWorkers(path: string, options: EvalOptions): Promise<Evaluation> {
  const { evaluateOnWorkers, openRun, runOfPath } = await import('troupe');
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
    return await evaluateOnWorkers(run.topology, {
      checkpoint: run.checkpoint,
      dataChanged: options.dataChanged ?? false,
      report: (event) => {
        if (event.event === 'warning') warn(event.message);
        if (event.event === 'progress') progress.show(event);
      },
    });
  } finally {
    progress.close();
    await run.checkpoint.close();
  }
}

const warn = (message: string): void => printError(`troupe: warning: ${message}`);

const measured = (path: string, options: EvalOptions): Promise<Evaluation> =>
  dividedOrWhole(options.set, {
    onOneDevice: () => onOneDevice(path, options),
    onWorkers: () => onWorkers(path, options),
  });

async function evaluate(path: string, options: EvalOptions): Promise<void> {
  const { step, loss, tokens, statistics } = await measured(path, options);
  const { unigramEntropy, bigramCrossEntropy } = statistics;
  if (options.json === true)
    printJson({ event: 'eval', step, loss, tokens, unigramEntropy, bigramCrossEntropy });
  else {
    print(
      `step ${step}: held-out loss ${natsAToken(loss)} over ${count(tokens)} tokens`,
      `of all held-out tokens: unigram entropy ${nats(unigramEntropy)}, bigram cross entropy ${nats(bigramCrossEntropy)}`,
    );
  }
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
    .action(evaluate);
}
