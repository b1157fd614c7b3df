import { TokenizerFormatError, TokenizerLibraryError, TokenizerTextError } from './errors.ts';
import { endOfTextOf } from './end-of-text.ts';
import { fingerprintOf, type AddedTokenJson, type TokenizerJson, type Vocabulary } from './tokenizer-json.ts';
import type { Allowance, TokenizerAnswer, TokenizerTask } from './tokenizer-order.ts';
import { TokenizerProcess, TokenizerProcessEnd } from './tokenizer-process.ts';
import type { DecodeOptions, Tokenizer } from './tokenizer.ts';

/** Characters of one text: the library takes about 200 bytes for each. */
export const TEXT_UNITS_MAX = 4 << 20;
/** Characters of an order; a longer text is one by itself. */
const ORDER_UNITS = 1 << 18;
const ORDER_TEXTS = 1024;

/** Ten times what was measured on a busy machine, so that only a file that means harm is stopped. */
const loadAllowance = (units: number): Allowance => ({
  seconds: 20 + Math.ceil(units / 2 ** 20),
  megabytes: 512 + Math.ceil((units * 40) / 2 ** 20),
});
const textAllowance = (units: number): Allowance => ({
  seconds: 20 + Math.ceil(units / 2 ** 14),
  megabytes: 512 + Math.ceil((units * 1024) / 2 ** 20),
});

/** A tokenizer whose process is not needed any more once nobody holds it. */
const closed = new FinalizationRegistry<TokenizerProcess>((process) => process.close());

/**
 * The ids that the library gives the added tokens, by spelling: that of the vocabulary, else the next free one, in their order. The
 * `id` in a file is not asked.
 */
export function addedIds(
  tokens: readonly AddedTokenJson[],
  vocabulary: Vocabulary,
): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  let largest = -1;
  for (const { content } of tokens) {
    if (content === '' || ids.has(content)) continue;
    const id = vocabulary.idOf(content) ?? Math.max(largest + 1, vocabulary.size);
    ids.set(content, id);
    largest = Math.max(largest, id);
  }
  return ids;
}

/**
 * Any `tokenizer.json`, encoded by Hugging Face tokenizers itself (its build for Node) in a process of its own, which starts with the
 * first text: what only needs the number of tokens starts nothing.
 */
export class LibraryTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly endOfText: number | null;
  private readonly json: TokenizerJson;
  private readonly file: string;
  private readonly added: ReadonlyMap<string, number>;
  private readonly special: ReadonlySet<number>;
  private process: TokenizerProcess | undefined;
  private loading: Promise<TokenizerProcess> | undefined;
  private hash: string | undefined;

  /**
   * @param known - the model's own tokens
   * @param file - what messages call it
   * @param endOfText - spelling of the token that follows each document; undefined: the first known one
   */
  constructor(json: TokenizerJson, known: Vocabulary, file: string, endOfText: string | undefined) {
    this.json = json;
    this.file = file;
    this.added = addedIds(json.added_tokens, known);
    this.endOfText = endOfTextOf(json.added_tokens, this.added, file, endOfText);
    this.vocabSize = [...this.added.values()].reduce((a, b) => Math.max(a, b), known.largestId) + 1;
    this.special = new Set(
      json.added_tokens.flatMap(({ content, special }) => (special ? [this.added.get(content) ?? -1] : [])),
    );
  }

  get fingerprint(): string {
    this.hash ??= fingerprintOf(this.json);
    return this.hash;
  }

  toJson(): TokenizerJson {
    return this.json;
  }

  isSpecial(id: number): boolean {
    return this.special.has(id);
  }

  async encode(text: string): Promise<Int32Array> {
    const [ids] = await this.encodeAll([text]);
    return ids ?? new Int32Array(0);
  }

  async encodeAll(texts: readonly string[]): Promise<readonly Int32Array[]> {
    const found: Int32Array[] = [];
    for (let start = 0; start < texts.length;) {
      let [end, units] = [start, 0];
      do units += texts[end++]?.length ?? 0;
      while (
        end < texts.length &&
        end - start < ORDER_TEXTS &&
        units + (texts[end]?.length ?? 0) <= ORDER_UNITS
      );
      if (units > TEXT_UNITS_MAX && end - start === 1)
        throw new TokenizerTextError(
          this.file,
          `it has ${units} characters, at most ${TEXT_UNITS_MAX} are one document; cut it, e.g. with data.document: paragraph`,
        );
      const { ids = [] } = await this.ask(
        { kind: 'encode', texts: texts.slice(start, end) },
        textAllowance(units),
      );
      for (const each of ids) found.push(each);
      start = end;
    }
    return found;
  }

  async decode(ids: Iterable<number>, options: DecodeOptions = {}): Promise<string> {
    const known = [...ids].filter((id) => id >= 0 && id < this.vocabSize);
    const task = { kind: 'decode', ids: known, skipSpecial: options.skipSpecial === true } as const;
    return (await this.ask(task, textAllowance(known.length))).text ?? '';
  }

  private async ask(task: TokenizerTask, allowance: Allowance): Promise<TokenizerAnswer> {
    const process = await this.loaded();
    let answer: TokenizerAnswer;
    try {
      answer = await process.ask({ task, allowance });
    } catch (error) {
      if (!(error instanceof TokenizerProcessEnd)) throw error;
      throw new TokenizerTextError(this.file, error.message);
    }
    if (answer.refused !== undefined) throw new TokenizerTextError(this.file, answer.refused);
    return answer;
  }

  /** The process with this tokenizer in it; a new one after the last one ended. */
  private loaded(): Promise<TokenizerProcess> {
    if (this.loading !== undefined && this.process?.alive !== false) return this.loading;
    const process = new TokenizerProcess();
    closed.register(this, process);
    this.process = process;
    this.loading = this.load(process);
    return this.loading;
  }

  private async load(process: TokenizerProcess): Promise<TokenizerProcess> {
    // Nothing is padded, cut or framed here, so that these parts of a file cannot do harm either.
    const json = JSON.stringify({ ...this.json, truncation: null, padding: null, post_processor: null });
    const spellings = [...this.added.keys()];
    try {
      const { added, absent, refused } = await process.ask({
        task: { kind: 'load', json, added: spellings },
        allowance: loadAllowance(json.length),
      });
      if (absent !== undefined) throw new TokenizerLibraryError(this.file, absent);
      if (refused !== undefined)
        throw new TokenizerFormatError(refused.replace(/ at line \d+ column \d+$/u, ''), this.file);
      for (const [index, spelling] of spellings.entries())
        if (added?.[index] !== this.added.get(spelling))
          throw new TokenizerFormatError(
            `the added token ${spelling} has the id ${added?.[index]} in the library, ${this.added.get(spelling)} by the file`,
            this.file,
          );
    } catch (error) {
      process.close();
      if (!(error instanceof TokenizerProcessEnd)) throw error;
      throw new TokenizerFormatError(error.message, this.file);
    }
    return process;
  }
}
