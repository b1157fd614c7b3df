import { InvalidArgumentError } from 'commander';

export const translationMetrics = ['bleu', 'chrf'] as const;
export type TranslationMetric = (typeof translationMetrics)[number];

const isMetric = (name: string): name is TranslationMetric =>
  (translationMetrics as readonly string[]).includes(name);

/** `bleu,chrf` */
export function metricNames(text: string): readonly TranslationMetric[] {
  const names = text.split(',').map((name) => name.trim());
  const found = names.filter(isMetric);
  if (found.length < names.length)
    throw new InvalidArgumentError(`expected some of ${translationMetrics.join(', ')}, separated by commas.`);
  return [...new Set(found)];
}
