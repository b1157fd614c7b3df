import { assert } from '@troupe/core';
import type { Batch, BatchSource, EvaluationPart } from '../batch.ts';
import { permutation } from '../permutation.ts';
import type { Items } from './items.ts';
import { quotasOf, temperatureQuotas, Turns } from './quotas.ts';
import type { WindowShape } from './window-shape.ts';
import { fillPacked, numWindows, packWindows, paddedBatch, targetsOf, type Windows } from './windows.ts';

/** One language of a task, or one pair of languages. */
export interface TaskPart {
  /** `en-de` of a translation, else the language of the text. */
  readonly language: string;
  /** At least one. */
  readonly train: Items;
  readonly heldOut: Items;
}

/** What a batch is of. */
export interface Task {
  readonly name: string;
  /** Share of the batches, any scale. */
  readonly weight: number;
  /** Whether its held-out items are among the held-out sequences. */
  readonly evaluate: boolean;
  /** Of its languages: p ∝ windows^(1/temperature). */
  readonly temperature: number;
  readonly parts: readonly TaskPart[];
}

export interface TaskBatchesOptions {
  readonly tasks: readonly Task[];
  readonly shape: WindowShape;
  /** Sequences of a global batch. */
  readonly batch: number;
  readonly seed: number;
  readonly vocabSize: number;
  /** The token after each source and target; padding has it too. */
  readonly end: number;
}

/** Epoch of held-out items: no training epoch is as late, so what they are noised with is their own. */
const HELD_OUT_EPOCH = 0xffffffff;

/** The windows of one part in training; each epoch is its own order of them. */
class TrainWindows {
  readonly windows: Windows;
  readonly #key: { readonly seed: number; readonly sequence: number };
  #epoch = -1;
  #order: (index: number) => number = (index) => index;

  constructor(items: Items, shape: WindowShape, key: { readonly seed: number; readonly sequence: number }) {
    this.windows = packWindows(items, shape, permutation(items.count, { ...key, purpose: 'data.pack' }));
    this.#key = key;
  }

  get count(): number {
    return numWindows(this.windows);
  }

  /** What the n-th sequence of this part shows. */
  at(index: number): { readonly window: number; readonly epoch: number } {
    const epoch = Math.floor(index / this.count);
    if (epoch !== this.#epoch) {
      this.#order = permutation(this.count, { ...this.#key, purpose: 'data.order', step: epoch });
      this.#epoch = epoch;
    }
    return { window: this.#order(index % this.count), epoch };
  }
}

interface TrainTask {
  readonly parts: readonly TrainWindows[];
  readonly turns: Turns;
}

interface HeldOut {
  readonly parts: readonly Windows[];
  /** Part and window of each sequence. */
  readonly sequences: readonly (readonly [part: number, window: number])[];
  readonly table: readonly EvaluationPart[];
}

function trainTasks({ tasks, shape, seed }: TaskBatchesOptions): readonly TrainTask[] {
  let sequence = 0;
  return tasks.map(({ parts, temperature }, task) => {
    const windows = parts.map(({ train }) => new TrainWindows(train, shape, { seed, sequence: sequence++ }));
    const quotas = temperatureQuotas(
      windows.map(({ count }) => count),
      temperature,
    );
    return { parts: windows, turns: new Turns(quotas, { seed, purpose: 'data.languages', sequence: task }) };
  });
}

/** Held-out windows take turns by part, so that the first few of them are of every part. */
function heldOutOf({ tasks, shape }: TaskBatchesOptions): HeldOut {
  const named = tasks.flatMap(({ name, parts, evaluate }) =>
    (evaluate ? parts : []).map(({ language, heldOut }) => ({ name, language, heldOut })),
  );
  const parts = named.map(({ heldOut }) => packWindows(heldOut, shape, (place) => place));
  const sequences: (readonly [number, number])[] = [];
  const rounds = Math.max(0, ...parts.map(numWindows));
  for (let window = 0; window < rounds; window++)
    for (const [part, windows] of parts.entries())
      if (window < numWindows(windows)) sequences.push([part, window]);
  const table = named.map(({ name, language }, part): EvaluationPart => {
    const windows = parts[part];
    assert(windows !== undefined, 'each part has windows', { part });
    let numTargets = 0;
    for (let window = 0; window < numWindows(windows); window++) numTargets += targetsOf(windows, window);
    const own = [...sequences.keys()].filter((sequence) => sequences[sequence]?.[0] === part);
    return { task: name, language, sequences: own, numTargets };
  });
  return { parts, sequences, table };
}

/**
 * Batches of tasks: each batch is of one task, each of its sequences of one language, by quotas; windows of packed items, in an order of
 * their own in each epoch.
 *
 * Everything is a pure function of (seed, step, sequence). A window holds several items, which do not see each other.
 *
 * @see Kim et al. 2021, arXiv:2109.10465, §3
 */
export function taskBatches(options: TaskBatchesOptions): BatchSource {
  return new TaskBatches(options);
}

class TaskBatches implements BatchSource {
  readonly vocabSize: number;
  readonly seqLen: number;
  readonly batch: number;
  readonly numTrainWindows: number;
  readonly numEvalSequences: number;
  readonly numEvalTargets: number;
  readonly evaluationParts: readonly EvaluationPart[];
  private readonly options: TaskBatchesOptions;
  private readonly tasks: readonly TrainTask[];
  private readonly turns: Turns;
  private readonly heldOut: HeldOut;

  constructor(options: TaskBatchesOptions) {
    const { tasks, shape, batch, seed } = options;
    assert(Number.isInteger(batch) && batch >= 1, 'batch is a positive integer', { batch });
    for (const { name, parts } of tasks)
      for (const { language, train } of parts)
        assert(train.count >= 1, 'a part has something to train on', { task: name, language });
    this.options = options;
    this.vocabSize = options.vocabSize;
    this.seqLen = shape.target;
    this.batch = batch;
    this.tasks = trainTasks(options);
    const quotas = quotasOf(tasks.map(({ weight }) => weight));
    this.turns = new Turns(quotas, { seed, purpose: 'data.tasks', sequence: 0 });
    this.numTrainWindows = this.tasks
      .flatMap(({ parts }) => parts)
      .reduce((sum, { count }) => sum + count, 0);
    this.heldOut = heldOutOf(options);
    this.evaluationParts = this.heldOut.table;
    this.numEvalSequences = this.heldOut.sequences.length;
    this.numEvalTargets = this.evaluationParts.reduce((sum, { numTargets }) => sum + numTargets, 0);
  }

  trainBatch(step: number, firstSequence: number, count: number): Batch {
    assert(firstSequence >= 0 && firstSequence + count <= this.batch, 'sequences inside the global batch', {
      firstSequence,
      count,
      batch: this.batch,
    });
    const { shape, end } = this.options;
    const out = paddedBatch(count, shape, end);
    for (let slot = 0; slot < count; slot++) {
      const { windows, ...at } = this.shownAt(step, firstSequence + slot);
      fillPacked(out, slot, windows, { ...at, shape, end });
    }
    return out;
  }

  evalBatch(firstSequence: number, count: number): Batch {
    assert(firstSequence >= 0, 'evaluation sequences are counted from 0', { firstSequence });
    const { shape, end } = this.options;
    const out = paddedBatch(count, shape, end);
    for (let slot = 0; slot < count; slot++) {
      const [part, window] = this.heldOut.sequences[firstSequence + slot] ?? [-1, 0];
      const windows = this.heldOut.parts[part];
      if (windows !== undefined)
        fillPacked(out, slot, windows, { window, epoch: HELD_OUT_EPOCH, shape, end });
    }
    return out;
  }

  validTargets(step: number, batch = this.batch): number {
    assert(batch === this.batch, 'the batch that the order of windows was made for', {
      batch,
      expected: this.batch,
    });
    let targets = 0;
    for (let sequence = 0; sequence < batch; sequence++) {
      const { windows, window } = this.shownAt(step, sequence);
      targets += targetsOf(windows, window);
    }
    return targets;
  }

  /** The window that a sequence of a step shows. */
  private shownAt(
    step: number,
    sequence: number,
  ): { readonly windows: Windows; readonly window: number; readonly epoch: number } {
    const { part: task, index: batchIndex } = this.turns.at(step);
    const { parts, turns } = this.tasks[task] as TrainTask;
    const { part, index } = turns.at(batchIndex * this.batch + sequence);
    const shown = parts[part] as TrainWindows;
    return { windows: shown.windows, ...shown.at(index) };
  }
}
