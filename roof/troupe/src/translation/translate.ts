import { taggedLanguages, translationPrompt, type Tokenizer } from '@troupe/data';
import { GenerationError, type TextRequest, type WriteOptions } from '@troupe/model';
import type { TrainedModel } from '../trained-model.ts';

/** A checkpoint that was trained on translation, on one device or on workers. */
export interface TranslatingModel extends Pick<TrainedModel, 'tokenizer' | 'write'> {
  readonly topology: Pick<TrainedModel['topology'], 'model'>;
}

export interface TranslateOptions extends Pick<WriteOptions, 'beams' | 'lengthPenalty'> {
  readonly from: string;
  readonly to: string;
  /** New tokens of a text at most; default: as many as the model reads behind the source. */
  readonly maxTokens?: number;
}

export interface Translation {
  readonly text: string;
  /** Whether the model ended it; else it has as many tokens as it may. */
  readonly ended: boolean;
}

/** How many tokens of a text a model reads. */
interface Reads {
  readonly hasEncoder: boolean;
  readonly most: number;
}

/** An encoder reads a text and its end; without one the tag and a first token follow in the same sequence. */
const readsOf = ({ encoder, seqLen }: TranslatingModel['topology']['model']): Reads =>
  encoder === null ? { hasEncoder: false, most: seqLen - 2 } : { hasEncoder: true, most: encoder.seqLen - 1 };

const inOneLine = (text: string): string => text.replaceAll(/\s+/gu, ' ').trim();

/** Tokens of the text alone. */
const lengthOf = ({ prompt, source }: TextRequest): number => (source ?? prompt).length - 1;

/** What the model continues for each text, and the token that ends a translation. */
interface Prompts {
  readonly prompts: readonly TextRequest[];
  readonly end: number;
}

/** @throws {GenerationError} TROUPE_MODEL_GENERATION for a model that knows no languages, or not these */
async function promptsOf(
  tokenizer: Tokenizer,
  texts: readonly string[],
  { from, to, reads }: TranslateOptions & { readonly reads: Reads },
): Promise<Prompts> {
  const languages = taggedLanguages(tokenizer);
  const end = tokenizer.endOfText;
  if (languages.length === 0 || end === null)
    throw new GenerationError('this model has learnt no translation; train one with data.tasks');
  const unknown = [from, to].find((language) => !languages.includes(language));
  if (unknown !== undefined)
    throw new GenerationError(`this model has not learnt ${unknown}; it knows ${languages.join(', ')}`);
  if (from === to) throw new GenerationError(`from ${from} to ${to} is no translation; name two languages`);
  const prompts = texts.map(async (text): Promise<TextRequest> => {
    const { prompt, source, begin } = await translationPrompt(tokenizer, text, to);
    return reads.hasEncoder ? { prompt: [begin], source: [...source] } : { prompt: [...prompt] };
  });
  return { prompts: await Promise.all(prompts), end };
}

/** Which of the texts a model can read as a whole. @throws as {@link translate} */
export async function readable(
  { tokenizer, topology }: TranslatingModel,
  texts: readonly string[],
): Promise<readonly boolean[]> {
  if (tokenizer === null) return texts.map(() => false);
  const sources = await tokenizer.encodeAll(texts);
  const { most } = readsOf(topology.model);
  return sources.map((source) => source.length <= most);
}

/**
 * Translates texts, each as it would be translated alone: the likeliest token each time, or with `beams` by search.
 *
 * @param texts - a line each; an empty one stays empty
 * @returns as many, in their order
 * @throws {GenerationError} TROUPE_MODEL_GENERATION for a language that the model has not learnt, or a text that is longer than it reads
 */
export async function* translate(
  model: TranslatingModel,
  texts: readonly string[],
  options: TranslateOptions,
): AsyncGenerator<Translation, void, void> {
  const { tokenizer, topology } = model;
  const { seqLen } = topology.model;
  if (tokenizer === null)
    throw new GenerationError('this model was trained on synthetic tokens, which have no text');
  const lines = texts.map(inOneLine);
  const reads = readsOf(topology.model);
  const { prompts, end } = await promptsOf(tokenizer, lines, { ...options, reads });
  const lengths = prompts.map(lengthOf);
  const long = lengths.findIndex((length) => length > reads.most);
  if (long >= 0)
    throw new GenerationError(
      `text ${long + 1} has ${lengths[long]} tokens, and this model reads at most ${reads.most} of a text that it translates; cut it into sentences`,
      { text: long + 1, most: reads.most },
    );
  // The last token is not read again.
  const roomOf = ({ prompt }: TextRequest): number =>
    Math.min(options.maxTokens ?? Infinity, seqLen - prompt.length + 1);
  const used = prompts.filter((_, index) => lines[index] !== '');
  const { beams, lengthPenalty } = options;
  const written = model.write(used, {
    temperature: 0,
    seed: 0,
    maxTokens: Math.max(1, ...used.map(roomOf)),
    stop: [end],
    ...(beams === undefined ? {} : { beams }),
    ...(lengthPenalty === undefined ? {} : { lengthPenalty }),
  });
  for (const [index, line] of lines.entries()) {
    const prompt = prompts[index];
    if (line === '' || prompt === undefined) {
      yield { text: '', ended: true };
      continue;
    }
    const next = await written.next();
    const best = next.done === true ? undefined : next.value[0];
    const room = roomOf(prompt);
    const made = best?.ids.slice(0, room) ?? [];
    const text = await tokenizer.decode(made, { skipSpecial: true });
    // A line each: a model may write any byte.
    yield { text: inOneLine(text), ended: best?.ended === true && best.ids.length < room };
  }
}
