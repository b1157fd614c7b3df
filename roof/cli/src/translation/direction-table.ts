import { table } from '@troupe/topology';
import type { TranslationMetric } from './metrics.ts';
import type { ScoredDirection } from './score.ts';

const titles: Readonly<Record<TranslationMetric, string>> = { bleu: 'BLEU', chrf: 'chrF2' };
const percent = (part: number): string => `${(100 * part).toFixed(0)} %`;

/** A direction a line. */
export function directionTable(
  directions: readonly ScoredDirection[],
  metrics: readonly TranslationMetric[],
): readonly string[] {
  if (directions.length === 0) return [];
  const rows = directions.map((each) => [
    `${each.from}-${each.to}`,
    String(each.sentences),
    ...metrics.map((metric) => each[metric]?.toFixed(2) ?? ''),
    percent(each.wordsOfLanguage),
    percent(each.wordsOfSource),
    percent(each.ended),
  ]);
  return [
    'translations of held-out texts, the likeliest token each time; shares of their words that occur in held-out texts of the language, and in the source:',
    table(
      [
        'pair',
        'texts',
        ...metrics.map((metric) => titles[metric]),
        'of the language',
        'of the source',
        'ended',
      ],
      rows,
      1,
    ),
  ];
}
