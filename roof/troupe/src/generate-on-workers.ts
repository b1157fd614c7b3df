import type { CheckpointReader } from '@troupe/checkpoint';
import type { Tokenizer } from '@troupe/data';
import {
  checkGenerates,
  continueText,
  writeTexts,
  type GenerateOptions,
  type TextModel,
  type TextRequest,
  type WriteOptions,
  type WrittenText,
} from '@troupe/model';
import type { ResolvedTopology } from '@troupe/topology';
import { launch, type Launch } from './launch/launch.ts';
import { tokenizerOf } from './run-data.ts';

/** A checkpoint whose weights lie on worker processes: for generation. */
export class DividedModel {
  readonly step: number;
  /** null for synthetic tokens, which have no text. */
  readonly tokenizer: Tokenizer | null;
  readonly #topology: ResolvedTopology;
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
    this.#topology = made.topology;
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
    return continueText(prompt, options, this.#textModel(1));
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
    return writeTexts(requests, options, this.#textModel(options.beams ?? 1));
  }

  /** Workers keep nothing of a text: each token computes the window of all before it, one text after the other. */
  #textModel(slots: number): TextModel {
    const { vocab, seqLen } = this.#topology.model;
    return {
      vocab,
      slots,
      nextLogits: async (texts) => {
        const logits: Float32Array[] = [];
        for (const { ids } of texts) logits.push(await this.#run.logits(ids.slice(-seqLen)));
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
