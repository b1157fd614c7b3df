import type { LawSet } from './law-set.ts';

/** What makes an answer an extrapolation: a sentence for each bound of the fit that it passes. */
export function extrapolations(
  set: LawSet,
  at: { readonly params: number; readonly tokens: number; readonly expansion?: number },
): readonly string[] {
  const beyond = (what: string, found: number, most: number): readonly string[] =>
    found <= most
      ? []
      : [
          `extrapolation: ${found.toPrecision(3)} ${what}, and '${set.name}' was fitted up to ${most.toPrecision(3)}`,
        ];
  const isOther = at.expansion !== undefined && set.expansion !== undefined && at.expansion !== set.expansion;
  return [
    ...beyond('parameters', at.params, set.fitted.paramsMost),
    ...beyond('tokens', at.tokens, set.fitted.tokensMost ?? Infinity),
    ...(isOther
      ? [
          `extrapolation: expansion ${at.expansion}, and '${set.name}' was fitted at ${set.expansion}; its terms are taken as they are`,
        ]
      : []),
  ];
}
