import { TroupeError } from '@troupe/core';

/** A file or package that the data come from cannot be read. Message: path, what the system said, hint. */
export class DataSourceError extends TroupeError {
  override readonly name = 'DataSourceError';
  constructor(path: string, problem: string, hint: string, cause?: unknown) {
    super('TROUPE_DATA_UNREADABLE', `cannot read data from ${path}: ${problem}; ${hint}`, {
      details: { path, problem },
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

/** One line of a JSONL file is not what the configuration says. The message starts with file:line (from 1). */
export class DataLineError extends TroupeError {
  override readonly name = 'DataLineError';
  constructor(path: string, line: number, problem: string, hint: string) {
    super('TROUPE_DATA_LINE', `${path}:${line}: ${problem}; ${hint}`, { details: { path, line, problem } });
  }
}

/** The data settings contradict each other or lack something. */
export class DataConfigError extends TroupeError {
  override readonly name = 'DataConfigError';
  constructor(problem: string, hint: string) {
    super('TROUPE_DATA_CONFIG', `data: ${problem}; ${hint}`, { details: { problem } });
  }
}

/** Too few tokens to make a single training target. */
export class CorpusTooSmallError extends TroupeError {
  override readonly name = 'CorpusTooSmallError';
  constructor(numTokens: number, hint: string) {
    super(
      'TROUPE_DATA_TOO_SMALL',
      `the training split holds ${numTokens} tokens, expected at least 2; ${hint}`,
      {
        details: { numTokens },
      },
    );
  }
}

/** A tokenizer.json asks for something that is not supported; `details.feature` names it. */
export class TokenizerFeatureError extends TroupeError {
  override readonly name = 'TokenizerFeatureError';
  constructor(feature: string, file: string) {
    super(
      'TROUPE_DATA_TOKENIZER_FEATURE',
      `${file} uses ${feature}, which Hugging Face tokenizers 0.22 does not have or which gives ids by chance; save it again with a tokenizer that has neither`,
      { details: { feature, file } },
    );
  }
}

/** A tokenizer.json that contradicts itself, asks for too much, or is no tokenizer at all. */
export class TokenizerFormatError extends TroupeError {
  override readonly name = 'TokenizerFormatError';
  constructor(problem: string, file: string, cause?: unknown) {
    super(
      'TROUPE_DATA_TOKENIZER',
      `${file} is not a usable tokenizer.json: ${problem}; save it again with Hugging Face tokenizers`,
      { details: { problem, file }, ...(cause === undefined ? {} : { cause }) },
    );
  }
}

/** The library that reads tokenizer.json files is not there: no build for this platform, or not installed. */
export class TokenizerLibraryError extends TroupeError {
  override readonly name = 'TokenizerLibraryError';
  constructor(file: string, problem: string) {
    super(
      'TROUPE_DATA_TOKENIZER_LIBRARY',
      `${file} needs the package @anush008/tokenizers, which does not load on ${process.platform}-${process.arch} (${problem}); install it with its optional packages, or use tokenizer kind bytes, or bpe without file, which need none`,
      { details: { file, problem } },
    );
  }
}

/** A text that a tokenizer.json cannot encode: too long for its library, or its model knows no token for a part of it. */
export class TokenizerTextError extends TroupeError {
  override readonly name = 'TokenizerTextError';
  constructor(file: string, problem: string) {
    super('TROUPE_DATA_TOKENIZER_TEXT', `${file} does not encode this text: ${problem}`, {
      details: { file, problem },
    });
  }
}

/** The tokenizer can produce ids that the model has no embedding for. */
export class TokenizerVocabError extends TroupeError {
  override readonly name = 'TokenizerVocabError';
  constructor(tokenizerVocab: number, modelVocab: number) {
    super(
      'TROUPE_DATA_VOCAB',
      `the tokenizer has ${tokenizerVocab} tokens but model.vocab is ${modelVocab}; set model.vocab to at least ${tokenizerVocab} or train a smaller tokenizer`,
      { details: { tokenizerVocab, modelVocab } },
    );
  }
}
