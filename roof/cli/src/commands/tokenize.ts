import { existsSync, readFileSync } from 'node:fs';
import { counted } from '@troupe/core';
import type { Command } from 'commander';
import type { Tokenizer } from '@troupe/data';
import { UsageError } from '../errors.ts';
import { OutputFile } from '../output-file.ts';
import { print, printError, printJson } from '../output.ts';
import { collect, integer, verb, type CommonOptions } from '../verb.ts';

interface TokenizeOptions extends CommonOptions {
  readonly text?: string;
  readonly file?: string;
  readonly set: readonly string[];
  readonly train?: readonly string[];
  readonly vocab?: number;
  readonly out?: string;
}

/** A tokenizer by `tokenizer.json`, or the one that a topology names (trained where need be). */
async function openTokenizer(name: string, set: readonly string[]): Promise<Tokenizer> {
  if (/(?:^|\/)tokenizer[^/]*\.json$/u.test(name)) {
    const { readTokenizer } = await import('@troupe/data');
    return readTokenizer(name);
  }
  const [{ openTopologyData }, { loadTopology }, { TaskProgress }] = await Promise.all([
    import('troupe'),
    import('@troupe/topology'),
    import('../run/task-progress.ts'),
  ]);
  const progress = new TaskProgress();
  const { tokenizer } = await openTopologyData(loadTopology(name, { set }), { progress: progress.show });
  progress.close();
  if (tokenizer === null) throw new UsageError(`${name} draws synthetic tokens, which have no text`);
  return tokenizer;
}

async function inspect(name: string, text: string, options: TokenizeOptions): Promise<void> {
  const tokenizer = await openTokenizer(name, options.set);
  const ids = [...(await tokenizer.encode(text))];
  const pieces: string[] = [];
  for (const id of ids) pieces.push(await tokenizer.decode([id]));
  if (options.json === true)
    printJson({
      event: 'tokens',
      ids,
      pieces,
      vocabSize: tokenizer.vocabSize,
      endOfText: tokenizer.endOfText,
    });
  else {
    const width = String(tokenizer.vocabSize).length;
    print(
      ...ids.map((id, index) => `${String(id).padStart(width)}  ${JSON.stringify(pieces[index])}`),
      `${counted(ids.length, 'token')}, ${counted(text.length, 'character')}`,
    );
  }
}

interface DocumentSettings {
  readonly field?: string;
  readonly document?: 'paragraph' | 'file';
}

/** The part of `--set` that says how files are cut into documents; a topology's other keys have no meaning in training a tokenizer. */
function documentSettings(set: readonly string[]): DocumentSettings {
  const settings: { field?: string; document?: 'paragraph' | 'file' } = {};
  for (const assignment of set) {
    const [, key, value = ''] = /^([^=]*)=(.*)$/su.exec(assignment) ?? [];
    if (key === 'data.field' && value !== '') settings.field = value;
    else if (key === 'data.document' && (value === 'paragraph' || value === 'file'))
      settings.document = value;
    else
      throw new UsageError(
        `--train takes --set data.field=NAME and --set data.document=paragraph or file, not '${assignment}'`,
      );
  }
  return settings;
}

async function train(files: readonly string[], options: TokenizeOptions): Promise<void> {
  const { vocab, out } = options;
  if (vocab === undefined || out === undefined)
    throw new UsageError('--train needs --vocab N and --out tokenizer.json');
  const missing = files.find((file) => !existsSync(file));
  if (missing !== undefined) throw new UsageError(`--train: there is no file '${missing}'`);
  const output = new OutputFile('--out', out, 'name another file');
  const { documentSource, fewerTokens, trainBpe } = await import('@troupe/data');
  const settings = documentSettings(options.set);
  async function* texts(): AsyncGenerator<string> {
    for (const file of files) {
      const origin = /\.jsonl(?:\.gz)?$/u.test(file)
        ? { jsonl: file, ...(settings.field === undefined ? {} : { field: settings.field }) }
        : { text: file, ...(settings.document === undefined ? {} : { document: settings.document }) };
      for await (const { text } of documentSource(origin).documents()) yield text;
    }
  }
  const tokenizer = await trainBpe(texts(), { vocab });
  output.write(`${JSON.stringify(tokenizer.toJson(), null, 1)}\n`);
  if (tokenizer.vocabSize < vocab) printError(`troupe: ${fewerTokens(tokenizer.vocabSize, vocab)}`);
  if (options.json === true)
    printJson({ event: 'trained', out, vocabSize: tokenizer.vocabSize, fingerprint: tokenizer.fingerprint });
  else
    print(
      `wrote ${out}: ${tokenizer.vocabSize} tokens`,
      `use it with: data.tokenizer: { kind: bpe, file: ${out} }`,
    );
}

async function tokenize(name: string | undefined, options: TokenizeOptions): Promise<void> {
  const { vocab, out, text: given, file } = options;
  const stray = Object.entries(options.train === undefined ? { vocab, out } : { text: given, file }).find(
    ([, value]) => value !== undefined,
  );
  if (stray !== undefined)
    throw new UsageError(
      options.train === undefined
        ? `--${stray[0]} goes with --train`
        : `--${stray[0]} and --train exclude each other`,
    );
  if (options.train !== undefined) return train(options.train, options);
  if (name === undefined)
    throw new UsageError(
      'name a topology or a tokenizer.json, or pass --train FILES --vocab N --out tokenizer.json',
    );
  if ((options.text === undefined) === (options.file === undefined))
    throw new UsageError('pass --text TEXT or --file FILE');
  let text = options.text ?? '';
  if (options.file !== undefined) {
    try {
      text = readFileSync(options.file, 'utf8');
    } catch (error) {
      throw new UsageError(`cannot read '${options.file}' (${(error as NodeJS.ErrnoException).code ?? ''})`);
    }
  }
  return inspect(name, text, options);
}

export function registerTokenize(program: Command): void {
  verb(
    program,
    'tokenize [topology]',
    'Show the tokens of a text, or train a tokenizer.',
    'npx troupe tokenize quickstart --text "a kind of bird"',
  )
    .option('--text <text>', 'text to cut into tokens')
    .option('--file <file>', 'file whose text to cut into tokens')
    .option(
      '--set <key=value>',
      'override one key of the topology, may be repeated; with --train: data.field or data.document',
      collect,
      [],
    )
    .option('--train <files...>', 'train a byte-level BPE on text or JSONL files')
    .option('--vocab <n>', 'with --train: tokens in all', integer(257))
    .option('--out <file>', 'with --train: the tokenizer.json to write')
    .action(tokenize);
}
