import type { CheckpointReader } from '@troupe/checkpoint';
import { addWideSums } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import type { BatchSource, Tokenizer } from '@troupe/data';
import {
  evaluationParts,
  Generator,
  joinedParts,
  LocalModel,
  lossValue,
  tensorShare,
  type Batch,
  type EvaluationEnd,
  type FlatWeights,
  type GenerateOptions,
  type TextRequest,
  type WriteOptions,
  type WrittenText,
} from '@troupe/model';
import { blocksOfPart, moeLayers, parameterCounts, routingDomain } from '@troupe/spec';
import type { ResolvedTopology } from '@troupe/topology';
import { check, wholeNumber } from './option-rules.ts';
import { weightsMustFit } from './machine-memory.ts';
import { PartLosses, type PartLoss } from './part-losses.ts';
import { tokenizerOf } from './run-data.ts';

/** Sequences that are evaluated at once, rounded up to whole grains. */
const SEQUENCES_AT_ONCE = 8;

/** The formats that a run computes in: what changes its numbers, whatever they are computed on. */
const formatsOf = ({ train, wire }: ResolvedTopology) => ({
  precision: train.precision,
  rowFormat: wire.dtype,
  tensor: tensorShare({ tp: 1, segments: train.tensorSegments, expertsSliced: true }, 0),
});

/** Fills a model's weights, of which each may be a part of a tensor. */
async function readWeights(
  checkpoint: CheckpointReader,
  device: Device,
  weights: FlatWeights,
): Promise<void> {
  const { units, starts } = weights.layout;
  const wholes = new Map(
    units.flatMap(({ parameters }) =>
      parameters.map(({ name, shape, place }) => [name, { name, shape: place?.shape ?? shape }] as const),
    ),
  );
  checkpoint.expectParameters([...wholes.values()]);
  for (const [index, { parameters }] of units.entries())
    for (const parameter of parameters) {
      const first = (starts[index] ?? 0) + parameter.offset;
      for (const block of blocksOfPart(parameter, { from: 0, to: parameter.size })) {
        const { at, firstIndex, rows, rowLength, rowStride } = block;
        const span = (rows - 1) * rowStride + rowLength;
        const found = await checkpoint.read(parameter.name, 'weights', firstIndex, span);
        for (let row = 0; row < rows; row++) {
          const from = first + at + row * rowLength;
          const values = found.subarray(row * rowStride, row * rowStride + rowLength);
          device.write(weights.data.subarray(from, from + rowLength), values);
        }
      }
    }
}

/** Some of the first `sequences` held-out ones; what lies behind them is repeated, or padding. */
function evaluationBatch(
  source: BatchSource,
  { first, count }: { readonly first: number; readonly count: number },
  end: EvaluationEnd,
): Batch {
  const parts = evaluationParts(first, count, end);
  const batches = parts.map((part) => source.evalBatch(part.first, part.count));
  const batch = joinedParts(parts, batches);
  // Held-out ones that were not asked for are padding too.
  const whole = Math.ceil(end.sequences / end.domain) * end.domain;
  const asked = Math.max(0, whole - first);
  batch.targets_T.fill(-1, asked * source.seqLen);
  batch.valid_T.fill(0, asked * source.seqLen);
  const read = batch.source?.valid_T;
  if (read !== undefined) read.fill(0, (asked * read.length) / count);
  return batch;
}

/** Which experts of a layer tokens chose. */
export interface LayerChoices {
  readonly layer: number;
  /** Choices of each expert, whether it had room for their rows or not. */
  readonly counts: readonly number[];
}

/** The held-out loss, and what tokens chose on their way. */
export interface MeasuredLoss {
  /** Nats a token. */
  readonly loss: number;
  readonly tokens: number;
  /** Of every layer with experts. */
  readonly choices: readonly LayerChoices[];
  /** By task and language; none where all sequences are of one kind. */
  readonly parts: readonly PartLoss[];
}

/** The weights of a checkpoint on one device: for evaluation and generation. */
export class TrainedModel {
  readonly step: number;
  readonly topology: ResolvedTopology;
  /** null for synthetic tokens, which have no text. */
  readonly tokenizer: Tokenizer | null;
  readonly #model: LocalModel;
  readonly #generator: Generator;

  private constructor(
    checkpoint: CheckpointReader,
    topology: ResolvedTopology,
    model: LocalModel,
    tokenizer: Tokenizer | null,
  ) {
    this.step = checkpoint.manifest.step;
    this.topology = topology;
    this.tokenizer = tokenizer;
    this.#model = model;
    this.#generator = new Generator(model.device, topology.model, model.weights, formatsOf(topology));
  }

  /**
   * Reads the weights; the moments are left alone.
   *
   * @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH naming every tensor that the model lacks or the checkpoint does
   */
  static async load(
    device: Device,
    run: { readonly checkpoint: CheckpointReader; readonly topology: ResolvedTopology },
  ): Promise<TrainedModel> {
    const { checkpoint, topology } = run;
    weightsMustFit(topology);
    const { batch, grains } = topology.train;
    // The leaf of a sum is one grain: with the same grains the loss is the one that training reported, bit for bit.
    const perGrain = batch / grains;
    // Sequences that are routed together are evaluated together: as many whole grains, or less than one.
    const atOnce = Math.max(SEQUENCES_AT_ONCE, perGrain);
    const domain = routingDomain(topology.model.moe, perGrain);
    const numGrains =
      (Math.ceil(atOnce / Math.max(domain, perGrain)) * Math.max(domain, perGrain)) / perGrain;
    const model = new LocalModel(device, {
      config: topology.model,
      sequences: numGrains * perGrain,
      grains: numGrains,
      ...formatsOf(topology),
    });
    await readWeights(checkpoint, device, model.weights);
    return new TrainedModel(checkpoint, topology, model, await tokenizerOf(checkpoint));
  }

  /**
   * Cross entropy of held-out sequences, also by task and language, and the choices of their tokens.
   *
   * @param sequences - how many of them, from the first; at most `source.numEvalSequences`
   * @param progress - hears how many are done
   */
  async evaluate(
    source: BatchSource,
    sequences: number,
    progress: (sequences: number) => void = () => {},
  ): Promise<MeasuredLoss> {
    check('TrainedModel.evaluate', 'sequences', sequences, wholeNumber(1, 'held-out sequences'));
    const atOnce = this.#model.shape.sequences;
    const { batch: ofStep, grains } = this.topology.train;
    const domain = routingDomain(this.topology.model.moe, ofStep / grains);
    const sum = new BigInt64Array(2);
    const layers = moeLayers(this.topology.model);
    const experts = this.topology.model.moe?.experts ?? 0;
    const counts_LE = new Float64Array(layers.length * experts);
    const parts = new PartLosses(source);
    let tokens = 0;
    for (let first = 0; first < sequences; first += atOnce) {
      const batch = evaluationBatch(source, { first, count: atOnce }, { sequences, domain });
      await this.#model.forward(batch, { seed: this.topology.train.seed, firstSequence: first });
      const totals = this.#model.statistics.totals();
      addWideSums(sum, totals.lossSum);
      for (const [index, count] of totals.counts_LE.entries())
        counts_LE[index] = (counts_LE[index] ?? 0) + count;
      for (const target of batch.targets_T) if (target >= 0) tokens += 1;
      if (source.evaluationParts !== undefined) parts.add(first, this.#model.tokenLosses, batch.targets_T);
      progress(Math.min(sequences, first + atOnce));
    }
    const choices = layers.map((layer, index) => ({
      layer,
      counts: [...counts_LE.subarray(index * experts, (index + 1) * experts)],
    }));
    return { loss: lossValue(sum) / tokens, tokens, choices, parts: parts.means() };
  }

  get numParameters(): number {
    return parameterCounts(this.topology.model).total;
  }

  /** Experts of a token and layer on average, in what was generated so far; null before, and in a model without experts. */
  get meanExperts(): number | null {
    return this.#generator.meanExperts;
  }

  /** New token ids after `prompt`, one by one. @throws {GenerationError} TROUPE_MODEL_GENERATION */
  generate(prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number, void, void> {
    return this.#generator.generate(prompt, options);
  }

  /**
   * Continues prompts together, each with the text that it would get alone: of each one text, or with `beams` the best so many.
   *
   * @throws {GenerationError} TROUPE_MODEL_GENERATION
   */
  write(
    requests: readonly TextRequest[],
    options: WriteOptions,
  ): AsyncGenerator<readonly WrittenText[], void, void> {
    return this.#generator.write(requests, options);
  }
}
