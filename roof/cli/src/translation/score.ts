import { bleuTokensOf, corpusBleu, corpusChrf, wordShares } from '@troupe/telemetry';
import { heldOutPairs, readable, translate, type HeldOutPairs, type TrainedModel } from 'troupe';
import { TaskProgress } from '../run/task-progress.ts';
import type { TranslationMetric } from './metrics.ts';

/** How well a model translates from one language to another. */
export interface ScoredDirection {
  readonly from: string;
  readonly to: string;
  /** Held-out texts that were translated. */
  readonly sentences: number;
  /** Chosen, but longer than the model reads. */
  readonly leftOut: number;
  /** 0 to 100; of characters in languages without spaces. */
  readonly bleu?: number;
  /** 0 to 100. */
  readonly chrf?: number;
  /** Share of the words that occur in held-out texts of the language. */
  readonly wordsOfLanguage: number;
  /** Share of the words that stand in the source. */
  readonly wordsOfSource: number;
  /** Share of the translations that the model ended itself. */
  readonly ended: number;
}

const SENTENCES = 100;

/** Translates held-out texts of every direction that the run was trained on. */
export async function scoreTranslations(
  model: TrainedModel,
  options: { readonly metrics?: readonly TranslationMetric[]; readonly sentences?: number },
): Promise<readonly ScoredDirection[]> {
  const directions = await heldOutPairs(model.topology, options.sentences ?? SENTENCES);
  const of = directions.reduce((sum, { pairs }) => sum + pairs.length, 0);
  const progress = new TaskProgress();
  const scored: ScoredDirection[] = [];
  let done = 0;
  for (const direction of directions) {
    scored.push(
      await scoreDirection(model, direction, {
        metrics: options.metrics ?? [],
        translated: () => progress.show({ task: 'evaluating', unit: 'sequences', done: ++done, of }),
      }),
    );
  }
  progress.close();
  return scored;
}

async function scoreDirection(
  model: TrainedModel,
  { from, to, pairs, texts }: HeldOutPairs,
  {
    metrics,
    translated,
  }: { readonly metrics: readonly TranslationMetric[]; readonly translated: () => void },
): Promise<ScoredDirection> {
  const isReadable = await readable(
    model,
    pairs.map(({ source }) => source),
  );
  const used = pairs.filter((_, index) => isReadable[index] === true);
  const sources = used.map(({ source }) => source);
  const references = used.map(({ target }) => target);
  const outputs: string[] = [];
  let numEnded = 0;
  for await (const { text, ended } of translate(model, sources, { from, to })) {
    outputs.push(text);
    if (ended) numEnded++;
    translated();
  }
  const shares = wordShares(outputs, sources, { language: to, texts });
  return {
    from,
    to,
    sentences: used.length,
    leftOut: pairs.length - used.length,
    ...(metrics.includes('bleu') ? { bleu: corpusBleu(outputs, references, bleuTokensOf(to)).score } : {}),
    ...(metrics.includes('chrf') ? { chrf: corpusChrf(outputs, references) } : {}),
    wordsOfLanguage: shares.known,
    wordsOfSource: shares.copied,
    ended: used.length === 0 ? 0 : numEnded / used.length,
  };
}
