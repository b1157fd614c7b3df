import type { CheckpointReader } from '@troupe/checkpoint';
import type { Tokenizer } from '@troupe/data';
import { checkGenerates, continueText, type GenerateOptions } from '@troupe/model';
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
    const { vocab, seqLen } = this.#topology.model;
    return continueText(prompt, options, {
      vocab,
      nextLogits: (context) => this.#run.logits(context.slice(-seqLen)),
    });
  }

  /** Ends the workers. */
  async close(): Promise<void> {
    this.#run.stop('interrupted');
    await this.#run.result;
  }
}
