import type { CheckpointReader } from '@troupe/checkpoint';
import type { Tokenizer } from '@troupe/data';
import {
  checkGenerates,
  continueText,
  limitedBySources,
  writeTexts,
  type GenerateOptions,
  type TextModel,
  type TextRequest,
  type WriteOptions,
  type WrittenText,
} from '@troupe/model';
import { expertsChoose } from '@troupe/spec';
import type { ResolvedTopology } from '@troupe/topology';
import { Layout } from '@troupe/topology/layout';
import { launch, type Launch } from './launch/launch.ts';
import { tokenizerOf } from './run-data.ts';

/** A checkpoint whose weights lie on worker processes: for generation. */
export class DividedModel {
  readonly step: number;
  readonly topology: ResolvedTopology;
  /** null for synthetic tokens, which have no text. */
  readonly tokenizer: Tokenizer | null;
  readonly #run: Launch;

  private constructor(
    run: Launch,
    made: {
      readonly step: number;
      readonly topology: ResolvedTopology;
      readonly tokenizer: Tokenizer | null;
    },
  ) {
    this.#run = run;
    this.step = made.step;
    this.topology = made.topology;
    this.tokenizer = made.tokenizer;
  }

  /**
   * Starts workers, as the topology divides them, and loads the weights there.
   *
   * @throws {TroupeError} what is wrong with the topology, its data or its devices
   */
  static async launch(topology: ResolvedTopology, checkpoint: CheckpointReader): Promise<DividedModel> {
    checkGenerates(topology.model);
    const run = await launch(topology, {
      purpose: 'generate',
      resumeFrom: checkpoint,
      checkpoints: null,
      report: () => {},
      logLevel: 'silent',
      peakFlops: null,
    });
    return new DividedModel(run, {
      step: checkpoint.manifest.step,
      topology,
      tokenizer: await tokenizerOf(checkpoint),
    });
  }

  /** New token ids after `prompt`, one by one, the same as one device draws. @throws {GenerationError} TROUPE_MODEL_GENERATION */
  generate(prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number, void, void> {
    limitedBySources(this.topology.model, [{ prompt }], options);
    return continueText(prompt, options, this.#textModel());
  }

  /**
   * Continues prompts, each with the text that it would get alone, which is that of one device: of each one text, or with `beams` the best so many.
   *
   * @throws {GenerationError} TROUPE_MODEL_GENERATION
   */
  write(
    requests: readonly TextRequest[],
    options: WriteOptions,
  ): AsyncGenerator<readonly WrittenText[], void, void> {
    const limited = limitedBySources(this.topology.model, requests, options);
    return writeTexts(requests, limited, this.#textModel(options.beams));
  }

  /**
   * Workers keep nothing of a text: each token computes the window of all before it, of as many texts in one pass as a microbatch has sequences. Where
   * experts choose by thresholds, or by a pattern, of one: their rows have no more room, or what they choose is not of the text alone.
   */
  #textModel(beams = 1): TextModel {
    const { vocab, seqLen, moe } = this.topology.model;
    const isAlone = moe !== null && (expertsChoose(moe) || moe.choice !== 'learned');
    const atOnce = isAlone ? 1 : new Layout(this.topology).dealing.microbatchSequences;
    return {
      vocab,
      slots: Math.max(beams, atOnce - (atOnce % beams)),
      nextLogits: async (texts) => {
        const windows = texts.map(({ ids }) => ids.slice(-seqLen));
        const logits: Float32Array[] = [];
        for (let first = 0; first < windows.length; first += atOnce) {
          const sources = texts
            .slice(first, first + atOnce)
            .flatMap(({ source }) => (source ? [source] : []));
          const found = await this.#run.logitsOf(windows.slice(first, first + atOnce), sources);
          for (let at = 0; at < found.length; at += vocab) logits.push(found.subarray(at, at + vocab));
        }
        return logits;
      },
    };
  }

  /** Ends the workers. */
  async close(): Promise<void> {
    this.#run.stop('interrupted');
    await this.#run.result;
  }
}
