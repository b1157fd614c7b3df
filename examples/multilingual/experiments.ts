/**
 * Scores, merging and pruning of the models of `sweep.yaml`, a row a model in `experiments.jsonl` (README.md):
 *
 *     node examples/dist/multilingual/experiments.js [--only scores,merge,prune] [--seeds 1,2] [--dry-run] [--json]
 *
 * What has a row is skipped, a training that was stopped or killed goes on, and a row appears whole or not at all.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fileStorage, loadTopology } from 'troupe';
import { ExperimentRows } from './experiment-rows.ts';
import {
  CELL,
  experiments,
  inputsOf,
  taskHash,
  tasksOf,
  updatesOf,
  type Experiment,
  type ExperimentSettings,
  type Make,
  type Task,
} from './experiment-tasks.ts';
import { CommandError, TroupeCommand, type RunTroupe } from './troupe-command.ts';

export interface ExperimentOptions {
  /** The topology that the cells of the sweep vary. */
  readonly base: string;
  /** File of rows; models lie in a folder beside it, `….runs`. */
  readonly out: string;
  /** Where the sweep keeps its runs. */
  readonly cells: string;
  readonly settings: ExperimentSettings;
  readonly only: readonly Experiment[];
  readonly run: RunTroupe;
  /** Gets an object a line; {@link main} prints it. */
  readonly report: (event: Readonly<Record<string, unknown>>) => void;
}

/** `done` has a row, `begun` a folder, `new` neither. */
export type TaskState = 'done' | 'begun' | 'new';

/** Number of the newest checkpoint of a folder; null: it has none. */
function newestStep(folder: string): number | null {
  const steps = (existsSync(folder) ? readdirSync(folder) : []).flatMap((name) => {
    const step = /^step-(\d{6,})$/u.exec(name)?.[1];
    return step !== undefined && existsSync(join(folder, name, 'manifest.json')) ? [Number(step)] : [];
  });
  return steps.length === 0 ? null : Math.max(...steps);
}

/** The tasks of an experiment, of which some are done. */
export class Experiments {
  readonly tasks: readonly Task[];
  readonly #options: ExperimentOptions;
  readonly #rows: ExperimentRows;
  readonly #hashes: ReadonlyMap<string, string>;

  constructor(options: ExperimentOptions) {
    this.#options = options;
    this.tasks = tasksOf(options.settings, options.only);
    this.#rows = new ExperimentRows(options.out);
    const base = readFileSync(options.base, 'utf8');
    this.#hashes = new Map(this.tasks.map((task) => [task.name, taskHash(task, this.tasks, base)]));
  }

  stateOf(task: Task): TaskState {
    if (this.#rows.has(task.name, this.#hash(task))) return 'done';
    return task.make !== null && existsSync(this.#folder(task.model)) ? 'begun' : 'new';
  }

  /** Does what has no row yet, in order. @throws {CommandError | Error} with the first task that cannot be done */
  async run(): Promise<void> {
    for (const task of this.tasks) {
      if (this.stateOf(task) === 'done') continue;
      const started = Date.now();
      await this.#model(task.model);
      const row = await this.#measured(task);
      this.#rows.put({ ...row, seconds: (Date.now() - started) / 1000 });
      this.#options.report({ event: 'row', name: task.name, heldOutLoss: row['heldOutLoss'] });
    }
  }

  /** A row without how long it took. */
  async #measured(task: Task): Promise<Record<string, unknown> & { name: string; hash: string }> {
    const scores =
      task.sentences > 0 ? ['--metrics', 'bleu,chrf', '--sentences', String(task.sentences)] : [];
    const {
      event: _,
      loss,
      parts,
      ...found
    } = await this.#options.run(['eval', this.#folder(task.model), ...scores]);
    const { name, experiment, seed, make, model } = task;
    return {
      name,
      hash: this.#hash(task),
      experiment,
      seed,
      model,
      make,
      updates: updatesOf(task),
      heldOutLoss: loss,
      heldOutParts: parts,
      ...found,
    };
  }

  /** Makes a model and what it comes from, unless it is there. */
  async #model(name: string): Promise<void> {
    const folder = this.#folder(name);
    const task = this.tasks.find((each) => each.name === name);
    if (task === undefined || task.make === null) {
      const steps = newestStep(folder);
      if (steps === this.#options.settings.steps) return;
      throw new Error(
        `${folder} ${steps === null ? 'holds no checkpoint' : `is at step ${steps} of ${this.#options.settings.steps}`}; train the cells first: npx troupe sweep examples/multilingual/sweep.yaml --only variant=moe,dense (a cell whose row is there and whose checkpoint is not is trained again once its line is removed)`,
      );
    }
    const { make } = task;
    const newest = newestStep(folder);
    if (make.kind === 'train' ? newest === make.steps : newest !== null) return;
    if (make.kind !== 'train' || newest === null)
      for (const input of inputsOf(task)) await this.#model(input);
    this.#options.report({ event: 'task', state: newest === null ? 'begins' : 'goes on', name });
    // A folder without a whole checkpoint is what a killed command left.
    if (newest === null) rmSync(folder, { recursive: true, force: true });
    await this.#options.run(newest === null ? this.#making(make, folder) : ['resume', folder]);
  }

  #making(make: Make, folder: string): readonly string[] {
    if (make.kind === 'merge') {
      const [a, b] = make.of.map((name) => this.#folder(name)) as [string, string];
      return ['merge', a, b, '--out', folder, '--rescale', '2'];
    }
    if (make.kind === 'prune') {
      const lot = make.by === 'random' ? ['--seed', String(make.seed)] : [];
      return [
        'prune',
        this.#folder(make.of),
        '--keep',
        String(make.keep),
        '--by',
        make.by,
        ...lot,
        '--out',
        folder,
      ];
    }
    const { from, isBase, steps, set } = make;
    const source = from === null ? null : this.#folder(from);
    const topology = source === null || isBase ? this.#options.base : this.#topologyOf(source);
    const sets = [...set, `train.steps=${steps}`].flatMap((each) => ['--set', each]);
    return ['launch', topology, ...(source === null ? [] : ['--from', source]), ...sets, '--run-dir', folder];
  }

  /** `topology.yaml` of what merge and prune write; of a cell the file beside its folder. */
  #topologyOf(folder: string): string {
    const own = join(folder, 'topology.yaml');
    return existsSync(own) ? own : `${folder}.yaml`;
  }

  #folder(model: string): string {
    const { cells, out } = this.#options;
    return model.startsWith(CELL) ? join(cells, model.slice(CELL.length)) : join(`${out}.runs`, model);
  }

  #hash({ name }: Task): string {
    return this.#hashes.get(name) ?? '';
  }
}

const here = fileURLToPath(new URL('../../multilingual/', import.meta.url));

function optionsOf(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', default: experiments.join(',') },
      seeds: { type: 'string', default: '1,2' },
      sentences: { type: 'string', default: '30' },
      base: { type: 'string', default: join(here, 'base.yaml') },
      cells: { type: 'string', default: join(here, 'runs.jsonl.runs') },
      out: { type: 'string', default: join(here, 'experiments.jsonl') },
      'dry-run': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const numbers = (name: 'seeds' | 'sentences'): readonly number[] =>
    values[name].split(',').map((each) => {
      const number = Number(each);
      if (Number.isSafeInteger(number) && number >= 1) return number;
      throw new Error(`--${name} ${values[name]}: must be whole numbers of at least 1, such as 1,2`);
    });
  const only = values.only.split(',').map((each) => {
    const known = experiments.find((name) => name === each);
    if (known !== undefined) return known;
    throw new Error(`--only ${each}: no such experiment; choose from ${experiments.join(', ')}`);
  });
  const { base, cells, out, json } = values;
  const { train, model } = loadTopology(base);
  const settings: ExperimentSettings = {
    steps: train.steps,
    experts: model.moe?.experts ?? 0,
    seeds: numbers('seeds'),
    sentences: numbers('sentences')[0] ?? 1,
  };
  return { base, cells, out, json, only, settings, isDry: values['dry-run'] };
}

/** `row  merge/s1/both  3.2117` */
const describe = (event: Readonly<Record<string, unknown>>): string =>
  Object.values(event)
    .map((each) => (typeof each === 'string' || typeof each === 'number' ? String(each) : ''))
    .join('  ');

const print = (event: Readonly<Record<string, unknown>>): void => console.log(JSON.stringify(event));

/** @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const { isDry, json, ...options } = optionsOf(argv);
  const command = new TroupeCommand((line) => {
    if (json) console.log(line);
  });
  const report = (event: Readonly<Record<string, unknown>>): void => {
    if (json) print(event);
    else console.log(describe(event));
  };
  const all = new Experiments({ ...options, run: command.run, report });
  if (isDry) {
    for (const task of all.tasks)
      report({ event: 'plan', state: all.stateOf(task), name: task.name, updates: updatesOf(task) });
    return 0;
  }
  const folder = `${options.out}.runs`;
  mkdirSync(folder, { recursive: true });
  const lock = await fileStorage(folder).lock('', () => process.exit(1));
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, () => command.stop(signal));
  try {
    await all.run();
    return 0;
  } finally {
    await lock.release();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = error instanceof CommandError ? error.exitCode : 1;
  }
