import { activations, defaultRouter, dropless, dropPolicies, positionCodes, routerNames } from '@troupe/spec';
import { MOST_BUCKETS, MOST_DISTANCE } from '@troupe/kernel-set';
import * as z from 'zod';
import { noises, parallelKinds, taskKinds } from './task-kinds.ts';
import { choice, count, flag, positive, real, text } from './schema-fields.ts';

const router = z
  .strictObject({
    kind: choice(
      'Who chooses: each token its experts, or each expert its tokens.',
      routerNames('kind'),
    ).default(routerNames('kind')[0]),
    scores: choice(
      'How logits become scores: over all experts together, or of each by itself.',
      routerNames('scores'),
    ).default(routerNames('scores')[0]),
    groups: count(
      'Equal runs of experts; a token chooses topGroups of them first, then experts of those (arXiv:2412.19437). 1: no groups.',
      'groups',
    ).default(1),
    topGroups: count('Groups of one token.', 'groups').default(1),
    scale: positive('Factor of the combine weights.', 'factor').default(1),
    groupSequences: count(
      'Expert choice: consecutive sequences whose tokens at one position an expert chooses from; part of the numbers, like grains.',
      'sequences',
    ).default(defaultRouter.groupSequences),
    generate: choice(
      'Expert choice in generation, where a text has no group: by thresholds that training averages, or refused. Default: thresholds; where tokens choose, they do so here too.',
      routerNames('generate'),
    ).optional(),
    renormalise: flag(
      'Divide the kept scores of a token by their sum (only when topK > 1; expert choice never does).',
    ).default(true),
    sampling: choice(
      'A choice that training draws with Gumbel noise: none, the second of topK 2, or the first of topK 1.',
      routerNames('sampling'),
    ).default(routerNames('sampling')[0]),
    jitter: real(
      'Training multiplies the input of the router by numbers of 1 ± this; 0: it does not.',
      'share',
      {
        min: 0,
        max: 0.5,
      },
    ).default(0),
    choice: choice('learned, or a forced pattern for speed runs and tests.', routerNames('choice')).default(
      routerNames('choice')[0],
    ),
  })
  .prefault({})
  .describe('How tokens find experts.');

const balance = z
  .strictObject({
    auxLoss: real(
      'Coefficient of the balance loss; 0 switches it off. Expert choice is balanced by nature and has none.',
      'coefficient',
      { min: 0 },
    ).default(0.01),
    zLoss: real('Coefficient of the z-loss, mean(logsumexp²); 0 switches it off.', 'coefficient', {
      min: 0,
    }).default(0.001),
    scope: choice('Tokens over which the balance loss measures how evenly experts are used.', [
      'sequence',
      'domain',
      'global',
    ]).default('sequence'),
    domain: count('Consecutive grains that scope domain looks at together.', 'grains').default(1),
    layers: choice('Balance every layer on its own, or the tokens of all layers together.', [
      'each',
      'pooled',
    ]).default('each'),
    bias: real(
      'Step of a bias on the scores by which tokens choose, towards even load (loss-free balancing, arXiv:2408.15664); 0: none.',
      'score a step',
      {
        min: 0,
      },
    ).default(0),
  })
  .prefault({})
  .describe('How the load of experts is kept even.');

const CAPACITY =
  'Room of an expert in a grain: 0 as much as needed; > 0 this multiple of its even share; < 0 as needed, up to that multiple.';
const factor = (description: string) => real(description, 'factor', { min: -1e6, max: 1e6 });

const capacity = z.strictObject({
  train: factor(CAPACITY).default(0),
  eval: factor('The same of held-out sequences. Default: twice that of training.').optional(),
  min: count('Rows of a grain that an expert has room for at least.', 'rows', { min: 0 }).default(
    dropless.min,
  ),
  drop: choice(
    'Tokens that an expert with too many leaves out: random ones (Random Token Selection), the last ones, or the least probable.',
    dropPolicies,
  ).default(dropless.drop),
  weights: choice('Renormalise over the choices that were kept, or over all that were made.', [
    'kept',
    'chosen',
  ]).default(dropless.weights),
});

const moe = z.strictObject({
  every: count(
    'Every n-th layer has experts: 1 all layers, 2 the layers 1, 3, 5 … (counted from 0).',
    'layers',
  ).default(1),
  firstDense: count('Layers at the beginning that have a dense FFN all the same.', 'layers', {
    min: 0,
  }).default(0),
  experts: count('Routed experts of one layer.', 'experts', { max: 16_384 }).default(8),
  topK: count('Experts of one token; under expert choice on average.', 'experts').default(2),
  granularity: count('Width of an expert: dExpert = dFf / granularity.', 'parts').default(1),
  dExpert: count(
    'Width of an expert where it is no part of dFf. Default: dFf / granularity.',
    'elements',
  ).optional(),
  sharedExperts: count('Experts that every token visits, beside the routed ones.', 'experts', {
    min: 0,
  }).default(0),
  router,
  capacity: z
    .union([factor(CAPACITY), capacity])
    .default(0)
    .meta({ description: `${CAPACITY} A number alone is that of training.`, unit: 'factor' }),
  norm: flag(
    'A norm of what routed experts add to a token, of the kind of model.norm; fine experts need it (arXiv:2402.07871).',
  ).default(false),
  balance,
});

const mla = z.strictObject({
  qRank: count('Width of the latent that queries come from.', 'elements').default(1536),
  kvRank: count('Width of the latent that keys and values come from.', 'elements').default(512),
  nopeDim: count('Elements of a head of queries and keys that know no position.', 'elements').default(128),
  ropeDim: count(
    'Further ones, turned by their position; those of keys are common to all heads.',
    'elements',
  ).default(64),
  valueDim: count('Width of a head of values.', 'elements').default(128),
});

const encoder = z.strictObject({
  layers: count("How many of the layers are the encoder's: the first ones.", 'layers', { max: 10_000 }),
  seqLen: count(
    'Positions of a sequence that the encoder reads. Default: model.seqLen.',
    'tokens',
  ).optional(),
});

/** `model:`, the only key without which a topology says nothing. */
export const modelSchema = z
  .strictObject({
    vocab: count('Size of the vocabulary.', 'tokens', { min: 2 }).default(4096),
    layers: count('Transformer layers, those of an encoder among them.', 'layers', { max: 10_000 }).default(
      4,
    ),
    encoder: encoder
      .nullable()
      .default(null)
      .describe(
        'A stack that reads a source text, whose output the other layers read; null (default): none.',
      ),
    positions: choice(
      'How tokens know where they stand: turned queries and keys, a table of sines added to embeddings, or learned biases of scores by distance.',
      positionCodes,
    ).default(positionCodes[0]),
    dModel: count('Width of the residual stream.', 'elements').default(128),
    heads: count('Query heads.', 'heads').default(4),
    kvHeads: count('Key/value heads (grouped-query attention). Default: heads.', 'heads').optional(),
    headDim: count(
      'Width of one head of queries and keys. Default: dModel / heads; with mla nopeDim + ropeDim.',
      'elements',
    ).optional(),
    mla: mla
      .nullable()
      .default(null)
      .describe('Multi-head latent attention (arXiv:2405.04434); null (default): one product each.'),
    seqLen: count('Positions of one sequence.', 'tokens').default(128),
    norm: choice('RMSNorm or LayerNorm.', ['rms', 'layer']).default('rms'),
    normEps: positive('Added to the variance of norms.', 'variance', 1).default(1e-5),
    qkNorm: choice('Norm of queries and keys: none, per head, over the full width.', [
      'none',
      'head',
      'full',
    ]).default('none'),
    rope: z
      .strictObject({ theta: positive('Base of the rotary angles.', 'base').default(10000) })
      .prefault({})
      .describe('Rotary position embedding.'),
    relative: z
      .strictObject({
        buckets: count(
          'Distances that biases tell apart; an encoder has half of them for each side.',
          'buckets',
          {
            min: 4,
            max: MOST_BUCKETS,
          },
        ).default(32),
        maxDistance: count('Distances from here on are one bucket.', 'tokens', {
          max: MOST_DISTANCE,
        }).default(128),
      })
      .prefault({})
      .describe('Biases of scores by distance, of positions t5.'),
    tiedHead: flag('The output head shares the weights of the embedding.').default(false),
    init: z
      .strictObject({
        kind: choice('Distribution of matrices, cut at two standard deviations.', [
          'truncated-normal',
        ]).default('truncated-normal'),
        scale: positive('Variance times fan-in of matrices: std = sqrt(scale / fanIn).', 'variance').default(
          1,
        ),
        embedding: positive(
          'Standard deviation of the embedding. Default: 1; with tiedHead 1 / sqrt(dModel), so that logits begin near 1.',
          'standard deviation',
        ).optional(),
      })
      .prefault({})
      .describe('How weights are initialised.'),
    ffn: z
      .strictObject({
        kind: choice('Activation of dense FFNs and experts.', activations).default('swiglu'),
        dFf: count('Hidden width of a dense FFN. Default: 4 · dModel.', 'elements').optional(),
      })
      .prefault({})
      .describe('Feed-forward layers.'),
    moe: moe.nullable().default(null).describe('Experts; null (default): a dense model.'),
  })
  .describe('The language model.');

const paths = (description: string) =>
  z.union([text('One path.'), z.array(text('A path.')).min(1)]).describe(description);

/** Bounds of lists, so that judging a file takes no longer than reading it. */
const MAX_NAMES = 1024;
const MAX_TASKS = 64;

const noise = z.enum(noises);
const languages = (description: string) =>
  z.array(text('A language.')).min(1).max(MAX_NAMES).describe(description);

const parallelSource = z
  .strictObject({
    kind: choice(
      'lines: two files, line by line; tsv; jsonl; po: a gettext catalogue; help: unpacked LibreOffice help; typescript: the messages of its compiler; of one language alone text: paragraphs, and jsonl-text.',
      parallelKinds,
    ),
    from: text('Language of the source side: en.').optional(),
    to: text('Language of the target side: de.').optional(),
    source: text('lines: the file of the source side, relative to the topology file.').optional(),
    target: text('lines: the file of the target side, relative to the topology file.').optional(),
    file: text('tsv, jsonl, po, text, jsonl-text: the file, relative to the topology file.').optional(),
    language: text('text, jsonl-text: the language.').optional(),
    field: text('jsonl-text: the field of a line that holds the text. Default: text.').optional(),
    fields: z
      .tuple([text('Source.'), text('Target.')])
      .optional()
      .describe('jsonl: members that hold source and target. Default: those named as the languages.'),
    document: text('jsonl: the member that names the document. Default: document.').optional(),
    folder: text(
      'help: the folder with one folder for each language, relative to the topology file.',
    ).optional(),
    languages: languages('help, typescript: languages beside English. Default: all.').optional(),
  })
  .describe('Texts in two or more languages.');

const task = z
  .strictObject({
    kind: choice(
      'translation; denoising: the text from what noise left of it; language-model: the text alone, for models without an encoder.',
      taskKinds,
    ),
    weight: positive('Share of the batches, beside the weights of the other tasks.', 'weight').default(1),
    evaluate: flag('Whether the held-out loss counts its held-out texts.').default(true),
    temperature: real(
      'Of its languages: p ∝ size^(1/temperature). 1: in proportion to size; the higher, the more even.',
      'temperature',
      { min: 1, max: 100 },
    ).default(1),
    pairs: z
      .array(text('A pair: en-de.'))
      .min(1)
      .max(MAX_NAMES)
      .optional()
      .describe('translation: from which language to which. Default: all pairs, in both directions.'),
    languages: languages('denoising, language-model: of which languages. Default: all.').optional(),
    noise: z
      .union([noise, z.array(noise).min(1).max(noises.length)])
      .optional()
      .describe(
        'denoising: spans (T5) alone, or one or more of infill, delete, rotate, shuffle (BART), in this order. Default: spans.',
      ),
  })
  .describe('What is learnt.');

export const dataSchema = z
  .strictObject({
    source: choice('Text that comes with an installed package.', ['wordnet']).optional(),
    text: paths('Plain text file(s), relative to the topology file.').optional(),
    jsonl: paths('JSON Lines file(s), relative to the topology file.').optional(),
    field: text('Field of a JSON line that holds the text. Default: text.').optional(),
    parquet: paths('Parquet file(s).').optional(),
    tokens: paths('Files of token ids (.bin, .idx).').optional(),
    parallel: z
      .array(parallelSource)
      .min(1)
      .max(MAX_NAMES)
      .optional()
      .describe('Texts in several languages, for tasks.'),
    tasks: z
      .array(task)
      .min(1)
      .max(MAX_TASKS)
      .optional()
      .describe('What is learnt of parallel, a batch of one task each. Default: translation of all pairs.'),
    synthetic: choice('Tokens drawn by seed, no text at all.', ['zipf']).optional(),
    tokenizer: z
      .strictObject({
        kind: choice('bytes: 256 bytes and an end; bpe: byte-pair encoding learned from the data.', [
          'bytes',
          'bpe',
        ]).default('bpe'),
        vocab: count(
          'Tokens of the tokenizer, without those of tasks. Default: model.vocab (bpe; with tasks what they leave of it), 257 (bytes).',
          'tokens',
          {
            min: 257,
          },
        ).optional(),
        file: text(
          'A tokenizer.json to use instead of learning one, relative to the topology file.',
        ).optional(),
      })
      .prefault({})
      .describe('How text becomes tokens.'),
    holdout: real('Share of the documents kept for evaluation.', 'fraction', { min: 0, max: 0.9 }).default(
      0.02,
    ),
    ship: z
      .union([z.literal('auto'), z.boolean()])
      .default('auto')
      .meta({
        description:
          'Of a run over several machines. true: each gets the token ids from the lead, by their hash, unless it has them; false: each reads the files; auto: those get them that lack a file.',
      }),
  })
  .prefault({})
  .describe(
    'Where tokens come from: one of source (default wordnet), text, jsonl, parquet, tokens, parallel, synthetic.',
  );
