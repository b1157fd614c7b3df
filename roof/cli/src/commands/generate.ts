import type { Command } from 'commander';
import type { DividedModel, OpenedRun, ResolvedTopology, TrainedModel } from 'troupe';
import { UsageError } from '../errors.ts';
import { print, printError, printJson } from '../output.ts';
import { collect, decimal, integer, share, verb, type CommonOptions } from '../verb.ts';
import { dividedOrWhole } from './division.ts';

interface GenerateOptions extends CommonOptions {
  readonly prompt?: string;
  readonly samples: number;
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
  readonly checkpoint?: string;
  readonly set: readonly string[];
  readonly threads?: number;
}

/** What writes text: a checkpoint on one device, or on workers. */
type TextModel = Pick<TrainedModel | DividedModel, 'step' | 'tokenizer' | 'generate'> & {
  /** Experts of a token so far; absent where that is not known. */
  readonly meanExperts?: number | null;
};

/** What a run writes holds moments too. */
const isImported = ({ manifest }: OpenedRun['checkpoint']): boolean =>
  manifest.tensors.every(({ group }) => group === 'weights');

function note(message: string, options: GenerateOptions): void {
  if (options.json === true) printJson({ event: 'note', message });
  else printError(`note: ${message}`);
}

/** Said once, where experts choose: one text has no others to be compared with. */
function sayThresholds({ model: { moe } }: ResolvedTopology, options: GenerateOptions): void {
  if (moe?.router.kind !== 'expert-choice') return;
  note(
    'experts choose by the thresholds that training averaged; in training they chose among sequences (model.moe.router.generate)',
    options,
  );
}

/** How far the mean number of experts of a token may be from that of training. */
const MOST_APART = 0.1;

/** Said once, behind the texts, where thresholds give tokens other numbers of experts than training did. */
function sayMean({ model: { moe } }: ResolvedTopology, model: TextModel, options: GenerateOptions): void {
  const mean = model.meanExperts ?? null;
  if (moe?.router.kind !== 'expert-choice' || mean === null) return;
  if (Math.abs(mean - moe.topK) <= MOST_APART * moe.topK) return;
  note(
    `a token had ${mean.toFixed(2)} experts on average, and in training ${moe.topK} (model.moe.topK): the text may be worse than the loss says`,
    options,
  );
}

/** Said once, where training dropped tokens: one token alone has no others to compete with. */
function sayDropless({ model: { moe } }: ResolvedTopology, options: GenerateOptions): void {
  if (moe === null || moe.capacity.train === 0) return;
  const message = `experts take every token here; in training they had room for ${Math.abs(moe.capacity.train)} times their even share (model.moe.capacity)`;
  note(message, options);
}

/** The context of a sample: the prompt, or the end of a document, after which the next one starts. */
async function promptIds(
  { tokenizer }: TextModel,
  checkpoint: OpenedRun['checkpoint'],
  prompt: string | undefined,
): Promise<readonly number[]> {
  if (tokenizer === null)
    throw new UsageError(
      isImported(checkpoint)
        ? 'the folder that this model was imported from had no tokenizer.json, so it has no text'
        : 'this model was trained on synthetic tokens, which have no text',
    );
  if (prompt !== undefined && prompt !== '') return [...(await tokenizer.encode(prompt))];
  if (tokenizer.endOfText === null)
    throw new UsageError('this tokenizer has no end of text to start after; pass --prompt');
  return [tokenizer.endOfText];
}

async function sample(
  model: TextModel,
  prompt: readonly number[],
  options: GenerateOptions,
  index: number,
): Promise<readonly number[]> {
  const { temperature, topK, topP, maxTokens, seed } = options;
  const ids: number[] = [];
  const settings = {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topK === undefined ? {} : { topK }),
    ...(topP === undefined ? {} : { topP }),
    maxTokens,
    seed: seed + index,
    stop: model.tokenizer?.endOfText == null ? [] : [model.tokenizer.endOfText],
  };
  for await (const id of model.generate(prompt, settings)) ids.push(id);
  return ids;
}

async function write(
  model: TextModel,
  { checkpoint, topology }: Pick<OpenedRun, 'checkpoint' | 'topology'>,
  options: GenerateOptions,
): Promise<void> {
  const prompt = await promptIds(model, checkpoint, options.prompt);
  sayDropless(topology, options);
  sayThresholds(topology, options);
  for (let index = 0; index < options.samples; index++) {
    const ids = await sample(model, prompt, options, index);
    const text = (await model.tokenizer?.decode(ids, { skipSpecial: true })) ?? '';
    const ended = ids.length < options.maxTokens;
    if (options.json === true)
      printJson({
        event: 'sample',
        index,
        step: model.step,
        prompt: options.prompt ?? '',
        text,
        ids,
        ended,
      });
    else
      print(
        ...(options.samples === 1 ? [] : [`--- sample ${index + 1} of ${options.samples}`]),
        `${options.prompt ?? ''}${text}`,
      );
  }
  sayMean(topology, model, options);
}

async function onWorkers(path: string, options: GenerateOptions): Promise<void> {
  const { DividedModel, openRun, runOfPath } = await import('troupe');
  const { folder, checkpoint: named } = runOfPath(path);
  const asked = options.checkpoint ?? named;
  const { topology, checkpoint } = await openRun(folder, {
    verify: 'lazy',
    set: options.set,
    ...(asked === null ? {} : { checkpoint: asked }),
  });
  try {
    const model = await DividedModel.launch(topology, checkpoint);
    try {
      await write(model, { checkpoint, topology }, options);
    } finally {
      await model.close();
    }
  } finally {
    await checkpoint.close();
  }
}

async function generate(path: string, options: GenerateOptions): Promise<void> {
  const { withTrainedModel } = await import('../trained.ts');
  await dividedOrWhole(options.set, {
    onOneDevice: () =>
      withTrainedModel(path, options, ({ model, checkpoint }) =>
        write(model, { checkpoint, topology: model.topology }, options),
      ),
    onWorkers: () => onWorkers(path, options),
  });
}

export function registerGenerate(program: Command): void {
  verb(
    program,
    'generate <run>',
    'Write text with the newest checkpoint of a run; without a prompt a sample starts a document of its own.',
    'npx troupe generate runs/quickstart --prompt "a large" --samples 3',
  )
    .option('--prompt <text>', 'text to continue')
    .option('--samples <n>', 'how many texts', integer(1), 1)
    .option('--max-tokens <n>', 'new tokens at most', integer(1), 64)
    .option('--temperature <t>', 'divides the logits; 0 takes the likeliest token (default 0.8)', decimal(0))
    .option('--top-k <k>', 'draw from the k likeliest tokens; 0: all (default 50)', integer(0))
    .option(
      '--top-p <p>',
      'draw from the likeliest tokens that together have this probability (default 0.95)',
      share,
    )
    .option('--seed <n>', 'same seed, same text; sample i uses seed + i', integer(0), 1)
    .option('--checkpoint <name>', 'an older checkpoint, e.g. step-000100')
    .option('--set <key=value>', 'divide the work over workers: parallel.pp=2; may be repeated', collect, [])
    .option('--threads <n>', 'threads of the device', integer(1))
    .action(generate);
}
