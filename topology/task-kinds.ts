/** Forms of texts in several languages; the last two are of one language alone. */
export const parallelKinds = [
  'lines',
  'tsv',
  'jsonl',
  'po',
  'help',
  'typescript',
  'text',
  'jsonl-text',
] as const;
export type ParallelKind = (typeof parallelKinds)[number];

/** What can be learnt of them. */
export const taskKinds = ['translation', 'denoising', 'language-model'] as const;

/** What denoising does to a text. */
export const noises = ['spans', 'infill', 'delete', 'rotate', 'shuffle'] as const;
export type NoiseKind = (typeof noises)[number];
