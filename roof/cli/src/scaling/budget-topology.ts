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

/** A group is so large that an expert has something to choose from, and no larger: all of it lies in one microbatch. */
const GROUP_SEQUENCES = { least: 16, most: 256 };
/** Grains of a batch where a file names none. */
const DEFAULT_GRAINS = 8;

/**
 * Sequences of a choice group of which an expert takes whole tokens, n / expansion, so that a token has exactly as many experts on average as
 * its granularity says; null: the batch has none.
 */
function choiceGroup({ batch, expansion }: Pick<LegalSizes, 'batch' | 'expansion'>): number | null {
  const upTo = (most: number): readonly number[] => Array.from({ length: most }, (_, index) => index + 1);
  const grains = upTo(Math.min(DEFAULT_GRAINS, batch)).findLast((each) => batch % each === 0) ?? 1;
  const inGrain = batch / grains;
  const legal = upTo(Math.min(GROUP_SEQUENCES.most, batch)).filter(
    (n) => batch % n === 0 && n % expansion === 0 && (inGrain % n === 0 || n % inGrain === 0),
  );
  return legal.find((n) => n >= GROUP_SEQUENCES.least) ?? legal.at(-1) ?? null;
}

/** Who chooses whom, in lines of a file. */
function router(sizes: LegalSizes): readonly string[] {
  const group = choiceGroup(sizes);
  if (group === null)
    return [
      `    # The paper's experts choose their tokens; in a batch of ${sizes.batch} sequences there is no group of which one of them takes a whole token (a`,
      `    # multiple of ${sizes.expansion} is needed), so tokens choose here, each as many experts as it has there on average.`,
      '    router: { kind: token-choice, renormalise: false }',
    ];
  return [
    `    # At each position an expert takes ${group / sizes.expansion} of ${group} sequences, and a token has topK experts on average. No text is generated from such a model:`,
    '    # for that, kind: token-choice.',
    `    router: { kind: expert-choice, groupSequences: ${group} }`,
  ];
}

/**
 * A topology of a budget, with the training recipe of arXiv:2402.07871.
 *
 * @param said - lines that say where the sizes come from
 */
export function budgetTopology(sizes: LegalSizes, said: readonly string[]): string {
  const { expansion, granularity } = sizes;
  const moe = [
    '  moe:',
    `    experts: ${expansion * granularity} # granularity × expansion ${expansion}`,
    `    topK: ${granularity}`,
    `    granularity: ${granularity} # width of an expert: dFf / granularity`,
    '    norm: true # of what experts add to a token',
    ...router(sizes),
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
