import {
  evaluationSequences,
  openRunData,
  type DataSource,
  type LayerChoices,
  type OpenedRun,
  type PartLoss,
  type TrainedModel,
} from 'troupe';
import { TaskProgress } from './run/task-progress.ts';
import { withTrainedModel } from './trained.ts';

/** Times that a short evaluation is timed. */
const REPEATS = 5;

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
      readonly data: DataSource;
    },
  ) => Promise<T>,
): Promise<T> {
  const progress = new TaskProgress();
  return withTrainedModel(path, options, async ({ model, checkpoint }) => {
    const { source: data } = await openRunData(model.topology, {
      resumeFrom: checkpoint,
      dataChanged: options.dataChanged ?? false,
      progress: progress.show,
      warn: options.warn,
    });
    const sequences =
      options.batches === undefined
        ? evaluationSequences(model.topology, data.batches)
        : Math.min(data.batches.numEvalSequences, options.batches * model.topology.train.batch);
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
    return act(evaluate, { model, checkpoint, data });
  });
}
