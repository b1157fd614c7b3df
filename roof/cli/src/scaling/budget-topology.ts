import type { LegalSizes } from '@troupe/scaling';
import { figure } from './figure.ts';

/** Training tokens of the WordNet corpus under a tokenizer of 4,096, 2 % held out; with more, a run would read it several times, and a law knows no repetition. */
const WORDNET_TOKENS = 2.7e6;
const VOCAB = 4096;

function data(tokens: number): string {
  const tokenizer = `tokenizer: { kind: bpe, vocab: ${VOCAB} }`;
  if (tokens <= WORDNET_TOKENS) return `data: { source: wordnet, ${tokenizer} }`;
  return [
    '# No corpus that comes with npm has that many tokens: tokens are drawn instead, whose loss no law of text describes.',
    `# Your own: data: { text: FILE, ${tokenizer} }`,
    'data: { synthetic: zipf }',
  ].join('\n');
}

/**
 * A topology of a budget, with the training recipe of arXiv:2402.07871.
 *
 * @param said - lines that say where the sizes come from
 */
export function budgetTopology(sizes: LegalSizes, said: readonly string[]): string {
  const { expansion, granularity } = sizes;
  const moe = [
    '  # The paper routes by expert choice, which is not built yet: each token chooses its experts here, as many as it has there on average.',
    '  moe:',
    `    experts: ${expansion * granularity} # granularity × expansion ${expansion}`,
    `    topK: ${granularity}`,
    `    granularity: ${granularity} # width of an expert: dFf / granularity`,
    '    router: { kind: token-choice, renormalise: false }',
  ];
  return `${said.map((line) => `# ${line}`).join('\n')}
troupe: 1

model:
  vocab: ${VOCAB}
  layers: ${sizes.blocks}
  dModel: ${sizes.dModel}
  heads: ${sizes.heads}
  seqLen: ${sizes.seqLen}
  norm: layer
  init: { kind: truncated-normal, scale: 0.1 }
  ffn: { kind: relu, dFf: ${4 * sizes.dModel} }
${expansion * granularity === 1 ? '  moe: null' : moe.join('\n')}

${data(sizes.tokens)}

train:
  steps: ${sizes.steps} # × batch × seqLen = ${figure(sizes.tokens)} tokens
  batch: ${sizes.batch}
  optimizer:
    { kind: adamw, lr: 2e-4, lrMin: 2e-5, betas: [0.9, 0.999], weightDecay: 0.1, clip: 0.5, schedule: cosine, warmup: 0.01 }

# As many processes as the machines below have devices; this machine with one where none is named. For example
# machines: [{ host: localhost, devices: [cuda:0, cuda:1, cuda:2, cuda:3], speed: h200 }]
# \`troupe plan FILE --search\` finds the mixtures of parallelism that fit them.
eval: { every: 0 }
`;
}
