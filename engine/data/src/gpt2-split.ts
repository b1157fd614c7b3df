import { letters, numbers, whiteSpace } from './unicode-classes.ts';

let pattern: RegExp | undefined;

/** Made with the first text: most processes never split one. */
function gpt2Pattern(): RegExp {
  const alternatives = [
    "'s|'t|'re|'ve|'m|'ll|'d",
    ` ?[${letters()}]+`,
    ` ?[${numbers()}]+`,
    ` ?[^${whiteSpace}${letters()}${numbers()}]+`,
    `[${whiteSpace}]+(?![^${whiteSpace}])`,
    `[${whiteSpace}]+`,
  ];
  return new RegExp(alternatives.join('|'), 'gu');
}

/**
 * GPT-2's split: contractions, words with their leading space, numbers, punctuation, white space. No merge crosses a cut.
 *
 * The same on every version of Node, since the classes are ours.
 */
export function splitGpt2(text: string): readonly string[] {
  pattern ??= gpt2Pattern();
  return text.match(pattern) ?? [];
}
