import type { ResolvedTopology } from 'troupe';
import { printError, printJson } from '../output.ts';
import type { CommonOptions } from '../verb.ts';

/** How far the mean number of experts of a token may be from that of training. */
const MOST_APART = 0.1;

/** What a reader of generated text should know of how it was made, each said once. */
export class Notes {
  readonly #model: ResolvedTopology['model'];
  readonly #json: boolean;

  constructor({ model }: ResolvedTopology, { json = false }: CommonOptions) {
    this.#model = model;
    this.#json = json;
  }

  /** Before translations in a direction that no task had. */
  ofUnseen(from: string, to: string): void {
    this.#say(`no text was translated from ${from} to ${to} in training (data.tasks): see whether it can`);
  }

  /** Before the texts. */
  ofExperts(): void {
    const { moe } = this.#model;
    if (moe === null) return;
    // One token alone has no others to compete with.
    if (moe.capacity.train !== 0)
      this.#say(
        `experts take every token here; in training they had room for ${Math.abs(moe.capacity.train)} times their even share (model.moe.capacity)`,
      );
    // One text has no others to be compared with.
    if (moe.router.kind === 'expert-choice')
      this.#say(
        'experts choose by the thresholds that training averaged; in training they chose among sequences (model.moe.router.generate)',
      );
  }

  /** Behind the texts, where thresholds give tokens other numbers of experts than training did; null: not counted. */
  ofMean(mean: number | null): void {
    const { moe } = this.#model;
    if (moe?.router.kind !== 'expert-choice' || mean === null) return;
    if (Math.abs(mean - moe.topK) <= MOST_APART * moe.topK) return;
    this.#say(
      `a token had ${mean.toFixed(2)} experts on average, and in training ${moe.topK} (model.moe.topK): the text may be worse than the loss says`,
    );
  }

  #say(message: string): void {
    if (this.#json) printJson({ event: 'note', message });
    else printError(`note: ${message}`);
  }
}
