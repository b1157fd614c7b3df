import { createHash } from 'node:crypto';

/** How a model is made, in words of `troupe`. Names are of other tasks, or of cells of the sweep: `cell/moe-s1`. */
export type Make =
  | {
      readonly kind: 'train';
      /** The task whose model goes on, with its topology; null: from scratch, as the base says. */
      readonly from: string | null;
      /** Whether the topology is the base, whatever it goes on from. */
      readonly isBase: boolean;
      readonly steps: number;
      readonly set: readonly string[];
    }
  | { readonly kind: 'merge'; readonly of: readonly [string, string] }
  | {
      readonly kind: 'prune';
      readonly of: string;
      readonly keep: number;
      readonly by: 'utilisation' | 'random';
      readonly seed: number;
    };

/** A row of the experiments: a model that is made and measured, or one of the sweep that translates. */
export interface Task {
  /** `merge/s1/parent`, which is also the folder of its model. */
  readonly name: string;
  readonly experiment: Experiment;
  readonly seed: number;
  /** null: the model of a cell is there already. */
  readonly make: Make | null;
  /** What is measured: the model of the task itself, or of a cell. */
  readonly model: string;
  /** Texts of a direction that are translated for BLEU and chrF; 0: the held-out loss alone. */
  readonly sentences: number;
}

export const experiments = ['scores', 'merge', 'prune'] as const;
export type Experiment = (typeof experiments)[number];

export interface ExperimentSettings {
  /** Updates of a cell of the sweep. */
  readonly steps: number;
  /** Of its models with experts. */
  readonly experts: number;
  readonly seeds: readonly number[];
  /** Texts of a direction that are translated. */
  readonly sentences: number;
}

export const CELL = 'cell/';

/** Rate of a training that goes on from a model whose own schedule has ended. */
const RATE_ON = '1e-3';

/** What a task reads. */
export function inputsOf({ make, model }: Task): readonly string[] {
  if (make === null) return [model];
  if (make.kind === 'merge') return make.of;
  if (make.kind === 'prune') return [make.of];
  return make.from === null ? [] : [make.from];
}

/** Updates of training that a task is. */
export const updatesOf = ({ make }: Task): number => (make?.kind === 'train' ? make.steps : 0);

const trainOn = (from: string, steps: number, seed: number, isBase = false): Make => ({
  kind: 'train',
  from,
  isBase,
  steps,
  set: [`train.seed=${seed}`, `train.optimizer.lr=${RATE_ON}`],
});

function made(experiment: Experiment, seed: number) {
  return (part: string, make: Make): Task => {
    const name = `${experiment}/s${seed}/${part}`;
    return { name, experiment, seed, make, model: name, sentences: 0 };
  };
}

/**
 * Half the experts for a third of the updates; two children of other seeds for another; the children as one, and the last third. As many
 * updates as `cell/moe-s…`, which has twice the experts of the parent from the beginning.
 */
function mergeTasks({ steps, experts }: ExperimentSettings, seed: number): readonly Task[] {
  const third = Math.max(1, Math.round(steps / 3));
  const task = made('merge', seed);
  const half = `model.moe.experts=${experts / 2}`;
  const [parent, a, b, both] = ['parent', 'a', 'b', 'both'].map((part) => `merge/s${seed}/${part}`) as [
    string,
    string,
    string,
    string,
  ];
  const child = (number: number): Make => {
    const make = trainOn(parent, third, 10 * seed + number, true);
    return make.kind === 'train' ? { ...make, set: [half, ...make.set] } : make;
  };
  return [
    task('parent', {
      kind: 'train',
      from: null,
      isBase: true,
      steps: third,
      set: [half, `train.seed=${seed}`],
    }),
    task('a', child(1)),
    task('b', child(2)),
    task('both', { kind: 'merge', of: [a, b] }),
    task('both-on', trainOn(both, Math.max(1, steps - 2 * third), 10 * seed + 3)),
  ];
}

/** Half and a quarter of the experts, by use and by lot, as they are and after a tenth more updates; the whole model with those too. */
function pruneTasks({ steps, experts }: ExperimentSettings, seed: number): readonly Task[] {
  const tenth = Math.max(1, Math.round(steps / 10));
  const task = made('prune', seed);
  const whole = `${CELL}moe-s${seed}`;
  const on = (from: string): Make => trainOn(from, tenth, 10 * seed + 4);
  const pruned = [2, 4].flatMap((part) =>
    (['utilisation', 'random'] as const).flatMap((by) => {
      const name = `${by}-${experts / part}`;
      return [
        task(name, { kind: 'prune', of: whole, keep: experts / part, by, seed }),
        task(`${name}-on`, on(`prune/s${seed}/${name}`)),
      ];
    }),
  );
  return [
    { name: `prune/s${seed}/whole`, experiment: 'prune', seed, make: null, model: whole, sentences: 0 },
    task('whole-on', on(whole)),
    ...pruned,
  ];
}

const scoreTasks = ({ sentences }: ExperimentSettings, seed: number): readonly Task[] =>
  ['moe', 'dense'].map((variant) => ({
    name: `scores/s${seed}/${variant}`,
    experiment: 'scores',
    seed,
    make: null,
    model: `${CELL}${variant}-s${seed}`,
    sentences,
  }));

/**
 * All tasks of an experiment, those of one seed after those of another, each behind what it reads.
 *
 * @throws {RangeError} for a number of experts that cannot be quartered
 */
export function tasksOf(settings: ExperimentSettings, only: readonly Experiment[]): readonly Task[] {
  if (settings.experts % 4 !== 0)
    throw new RangeError(
      `the model has ${settings.experts} experts; a quarter of them must be a whole number`,
    );
  const of = { scores: scoreTasks, merge: mergeTasks, prune: pruneTasks };
  return experiments
    .filter((name) => only.includes(name))
    .flatMap((name) => settings.seeds.flatMap((seed) => of[name](settings, seed)));
}

/** Tells tasks apart whose numbers may differ, by all that their models come from: 16 hexadecimal digits. */
export function taskHash(task: Task, tasks: readonly Task[], base: string): string {
  const inputs = inputsOf(task).map((name) => {
    const input = tasks.find((each) => each.name === name);
    return input === undefined ? name : taskHash(input, tasks, base);
  });
  const { make, model, sentences } = task;
  return createHash('sha256')
    .update(JSON.stringify([base, make, model, sentences, inputs]))
    .digest('hex')
    .slice(0, 16);
}
