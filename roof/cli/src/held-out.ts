import {
  evaluationSequences,
  openRunData,
  type DataSource,
  type LayerChoices,
  type OpenedRun,
  type PartLoss,
  type TrainedModel,
} from 'troupe';
import { UsageError } from './errors.ts';
import { TaskProgress } from './run/task-progress.ts';
import { withTrainedModel } from './trained.ts';

/** Times that a short evaluation is timed. */
const REPEATS = 5;

/** Held-out sequences that a model was measured on, for another to be measured on the same. */
export interface HeldOutText {
  readonly path: string;
  readonly model: TrainedModel;
  readonly data: DataSource;
  readonly sequences: number;
}

/** Which held-out sequences of which checkpoint are looked at. */
export interface HeldOutOptions {
  readonly checkpoint?: string;
  readonly set?: readonly string[];
  readonly threads?: number;
  /** Default: `eval.batches` of the topology. */
  readonly batches?: number;
  readonly dataChanged?: boolean;
  /** What is over in less than a second is timed five times, and the fastest counts. Default false. */
  readonly timesWell?: boolean;
  /** Measure on these instead of those of the run's own data. */
  readonly on?: HeldOutText;
  readonly warn: (message: string) => void;
}

interface Measured {
  readonly loss: number;
  readonly tokens: number;
  readonly choices: readonly LayerChoices[];
  readonly parts: readonly PartLoss[];
  /** Of computing alone. */
  readonly seconds: number;
}

/** The sentence for two models of which one loss says nothing about the other. */
export const notTheSame = (path: string, first: string, reason: string): UsageError =>
  new UsageError(
    `--beside measures ${path} on the held-out text of ${first}, and ${reason}; evaluate each alone`,
  );

/** A loss is of tokens: whoever cuts a text into others, or reads windows of another length, is not measured on the same. */
function mustReadTheSame(path: string, model: TrainedModel, on: HeldOutText): void {
  const [own, first] = [model, on.model].map(({ tokenizer, topology: { model: config } }) => ({
    'another tokenizer': tokenizer?.fingerprint ?? null,
    'another model.vocab': config.vocab,
    'another model.seqLen': config.seqLen,
    'another model.encoder.seqLen': config.encoder?.seqLen ?? null,
  }));
  const different = Object.entries(own ?? {}).find(
    ([name, value]) => value !== first?.[name as keyof typeof first],
  );
  if (different !== undefined) throw notTheSame(path, on.path, `it has ${different[0]}`);
}

/** The sentence for a run that has no held-out loss. */
export const nothingHeldOut = (path: string, holdout: number): UsageError =>
  new UsageError(
    `nothing is held out of the data of ${path} (data.holdout ${holdout}; tasks may say evaluate: false), so no loss can be measured; name a run with held-out text`,
  );

async function ownText(
  path: string,
  { model, checkpoint }: { readonly model: TrainedModel; readonly checkpoint: OpenedRun['checkpoint'] },
  options: HeldOutOptions & { readonly progress: TaskProgress },
): Promise<HeldOutText> {
  const { source: data } = await openRunData(model.topology, {
    resumeFrom: checkpoint,
    dataChanged: options.dataChanged ?? false,
    progress: options.progress.show,
    warn: options.warn,
  });
  if (data.batches.numEvalSequences === 0) throw nothingHeldOut(path, model.topology.data.holdout);
  const sequences =
    options.batches === undefined
      ? evaluationSequences(model.topology, data.batches)
      : Math.min(data.batches.numEvalSequences, options.batches * model.topology.train.batch);
  return { path, model, data, sequences };
}

/**
 * Opens a run on one device with its data, and does something with its held-out loss.
 *
 * @param act - `evaluate` measures it, and says on standard error how far it has come
 */
export async function withHeldOut<T>(
  path: string,
  options: HeldOutOptions,
  act: (
    evaluate: () => Promise<Measured>,
    opened: {
      readonly model: TrainedModel;
      readonly checkpoint: OpenedRun['checkpoint'];
      readonly heldOut: HeldOutText;
    },
  ) => Promise<T>,
): Promise<T> {
  const progress = new TaskProgress();
  return withTrainedModel(path, options, async ({ model, checkpoint }) => {
    const { on } = options;
    if (on !== undefined) mustReadTheSame(path, model, on);
    const heldOut = on ?? (await ownText(path, { model, checkpoint }, { ...options, progress }));
    const { data, sequences } = heldOut;
    const once = async (): Promise<Measured> => {
      const beganMs = performance.now();
      const measured = await model.evaluate(data.batches, sequences, (done) =>
        progress.show({ task: 'evaluating', unit: 'sequences', done, of: sequences }),
      );
      return { ...measured, seconds: (performance.now() - beganMs) / 1000 };
    };
    const evaluate = async (): Promise<Measured> => {
      let fastest = await once();
      const isShort = options.timesWell === true && fastest.seconds < 1;
      for (let more = isShort ? REPEATS - 1 : 0; more > 0; more--) {
        const again = await once();
        if (again.seconds < fastest.seconds) fastest = again;
      }
      progress.close();
      return fastest;
    };
    return act(evaluate, { model, checkpoint, heldOut });
  });
}
