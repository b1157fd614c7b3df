import type { Command } from 'commander';
import type { DividedModel, OpenedRun, ResolvedTopology, TrainedModel } from 'troupe';
import { UsageError } from '../errors.ts';
import { onDivided } from '../generate/on-divided.ts';
import { Notes } from '../generate/notes.ts';
import { promptsOf, type Prompt } from '../generate/prompts.ts';
import { print, printJson } from '../output.ts';
import { collect, decimal, integer, share, verb, type CommonOptions } from '../verb.ts';
import { dividedOrWhole } from './division.ts';

interface GenerateOptions extends CommonOptions {
  readonly prompt?: string;
  readonly prompts?: string;
  readonly samples: number;
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly beams?: number;
  readonly lengthPenalty?: number;
  readonly seed: number;
  readonly checkpoint?: string;
  readonly set: readonly string[];
  readonly threads?: number;
}

/** What writes text: a checkpoint on one device, or on workers. */
type TextModel = Pick<TrainedModel | DividedModel, 'step' | 'tokenizer' | 'write'> & {
  /** Experts of a token so far; absent where that is not known. */
  readonly meanExperts?: number | null;
};

/** What was written of one prompt: a list a draw, or all beams in one. */
type Written = Awaited<ReturnType<ReturnType<TextModel['write']>['next']>>['value'] & object;

/** What a run writes holds moments too. */
const isImported = ({ manifest }: OpenedRun['checkpoint']): boolean =>
  manifest.tensors.every(({ group }) => group === 'weights');

/** Options that say how to draw leave a search nothing to do, and the other way round. */
function checkSearch(options: GenerateOptions): void {
  const { beams, lengthPenalty, samples, temperature, topK, topP } = options;
  if (beams === undefined) {
    if (lengthPenalty !== undefined) throw new UsageError('--length-penalty goes with --beams');
    return;
  }
  const drawing = Object.entries({ '--temperature': temperature, '--top-k': topK, '--top-p': topP });
  const stray = drawing.find(([, value]) => value !== undefined);
  if (stray !== undefined)
    throw new UsageError(`${stray[0]} and --beams exclude each other: beam search draws nothing`);
  if (samples > beams)
    throw new UsageError(`--samples ${samples} is more than --beams ${beams}: a search keeps as many texts`);
}

/** The context of a sample: the prompt, or the end of a document, after which the next one starts. */
async function promptIds(
  { tokenizer }: TextModel,
  checkpoint: OpenedRun['checkpoint'],
  { text }: Prompt,
): Promise<readonly number[]> {
  if (tokenizer === null)
    throw new UsageError(
      isImported(checkpoint)
        ? 'the folder that this model was imported from had no tokenizer.json, so it has no text'
        : 'this model was trained on synthetic tokens, which have no text',
    );
  if (text !== '') return [...(await tokenizer.encode(text))];
  if (tokenizer.endOfText === null)
    throw new UsageError('this tokenizer has no end of text to start after; pass --prompt');
  return [tokenizer.endOfText];
}

/** Texts of all prompts: of each `samples` draws, or the best so many of a search. */
async function* texts(
  model: TextModel,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
): AsyncGenerator<Written> {
  const { temperature, topK, topP, maxTokens, seed, beams, lengthPenalty, samples } = options;
  const settings = {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topK === undefined ? {} : { topK }),
    ...(topP === undefined ? {} : { topP }),
    ...(beams === undefined ? {} : { beams }),
    ...(lengthPenalty === undefined ? {} : { lengthPenalty }),
    maxTokens,
    seed,
    stop: model.tokenizer?.endOfText == null ? [] : [model.tokenizer.endOfText],
  };
  if (beams !== undefined) {
    for await (const found of model.write(
      prompts.map((prompt) => ({ prompt })),
      settings,
    ))
      yield found.slice(0, samples);
    return;
  }
  const requests = prompts.flatMap((prompt) =>
    Array.from({ length: samples }, (_, index) => ({ prompt, seed: seed + index })),
  );
  let drawn: Written = [];
  for await (const found of model.write(requests, settings)) {
    drawn = [...drawn, ...found];
    if (drawn.length < samples) continue;
    yield drawn;
    drawn = [];
  }
}

/** Which of the texts follows; nothing where there is one. */
function headline(place: readonly (readonly [name: string, index: number, of: number])[]): readonly string[] {
  const several = place.filter(([, , of]) => of > 1);
  if (several.length === 0) return [];
  return [`--- ${several.map(([name, index, of]) => `${name} ${index + 1} of ${of}`).join(', ')}`];
}

async function write(
  model: TextModel,
  {
    checkpoint,
    topology,
  }: { readonly checkpoint: OpenedRun['checkpoint']; readonly topology: ResolvedTopology },
  options: GenerateOptions,
): Promise<void> {
  const prompts = promptsOf(options);
  const ids: (readonly number[])[] = [];
  for (const prompt of prompts) ids.push(await promptIds(model, checkpoint, prompt));
  const notes = new Notes(topology, options);
  notes.ofExperts();
  let at = 0;
  for await (const found of texts(model, ids, options)) {
    const prompt = prompts[at] ?? { text: '' };
    for (const [index, each] of found.entries()) {
      const text = (await model.tokenizer?.decode(each.ids, { skipSpecial: true })) ?? '';
      const { line } = prompt;
      if (options.json === true)
        printJson({
          event: 'sample',
          index,
          step: model.step,
          ...(line === undefined ? {} : { line }),
          prompt: prompt.text,
          text,
          ...each,
        });
      else
        print(
          ...headline([
            ['prompt', at, prompts.length],
            ['sample', index, found.length],
          ]),
          `${prompt.text}${text}`,
        );
    }
    at += 1;
  }
  notes.ofMean(model.meanExperts ?? null);
}

async function generate(path: string, options: GenerateOptions): Promise<void> {
  checkSearch(options);
  promptsOf(options);
  const { withTrainedModel } = await import('../trained.ts');
  await dividedOrWhole(options.set, {
    onOneDevice: () =>
      withTrainedModel(path, options, ({ model, checkpoint }) =>
        write(model, { checkpoint, topology: model.topology }, options),
      ),
    onWorkers: () => onDivided(path, options, ({ model, ...run }) => write(model, run, options)),
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
    .option('--prompts <file>', 'texts to continue together, a line each; each gets what it gets alone')
    .option('--samples <n>', 'how many texts of a prompt; with --beams the best so many', integer(1), 1)
    .option('--max-tokens <n>', 'new tokens at most', integer(1), 64)
    .option('--temperature <t>', 'divides the logits; 0 takes the likeliest token (default 0.8)', decimal(0))
    .option('--top-k <k>', 'draw from the k likeliest tokens; 0: all (default 50)', integer(0))
    .option(
      '--top-p <p>',
      'draw from the likeliest tokens that together have this probability (default 0.95)',
      share,
    )
    .option(
      '--beams <n>',
      'search for the most probable text with n beams instead of drawing one',
      integer(1),
    )
    .option(
      '--length-penalty <a>',
      'with --beams: the logarithm of a probability is divided by length^a; 0: not at all (default 1)',
      decimal(0),
    )
    .option('--seed <n>', 'same seed, same text; sample i uses seed + i', integer(0), 1)
    .option('--checkpoint <name>', 'an older checkpoint, e.g. step-000100')
    .option('--set <key=value>', 'divide the work over workers: parallel.pp=2; may be repeated', collect, [])
    .option('--threads <n>', 'threads of the device', integer(1))
    .action(generate);
}
