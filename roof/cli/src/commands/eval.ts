import type { Command } from 'commander';
import { print, printError, printJson } from '../output.ts';
import { count, nats, natsAToken } from '../run/numbers.ts';
import { collect, integer, verb, type CommonOptions } from '../verb.ts';

interface EvalOptions extends CommonOptions {
  readonly checkpoint?: string;
  readonly batches?: number;
  readonly set: readonly string[];
  readonly dataChanged?: boolean;
  readonly threads?: number;
}

async function evaluate(path: string, options: EvalOptions): Promise<void> {
  const { evaluationSequences, openRunData } = await import('troupe');
  const { withTrainedModel } = await import('../trained.ts');
  const { TaskProgress } = await import('../run/task-progress.ts');
  const progress = new TaskProgress();
  const result = await withTrainedModel(path, options, async ({ model, checkpoint }) => {
    const { source: data } = await openRunData(model.topology, {
      resumeFrom: checkpoint,
      dataChanged: options.dataChanged ?? false,
      progress: progress.show,
      warn: (message) => printError(`troupe: warning: ${message}`),
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
  const { step, loss, tokens, statistics } = result;
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
    'Measure the held-out loss of a checkpoint on one device.',
    'npx troupe eval runs/quickstart',
  )
    .option('--checkpoint <name>', 'an older checkpoint, e.g. step-000100')
    .option(
      '--batches <n>',
      'batches of held-out sequences; default: eval.batches of the topology',
      integer(1),
    )
    .option('--set <key=value>', 'name data that moved: data.text=PATH; may be repeated', collect, [])
    .option('--data-changed', 'measure on another corpus than the one of the checkpoint')
    .option('--threads <n>', 'threads of the device', integer(1))
    .action(evaluate);
}
