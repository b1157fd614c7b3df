import { shownValue, UserCodeError, userCodeError } from '@troupe/core';
import { openDataSource, type DataSource, type Tokenizer } from '@troupe/data';
import type { ResolvedTopology } from '@troupe/topology';
import { dataConfig } from './data.ts';

const WHAT = 'the option documents';

async function* texts(documents: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<string> {
  let index = 0;
  try {
    for await (const text of documents) {
      if (typeof text !== 'string')
        throw new UserCodeError(WHAT, `gave ${shownValue(text)} as document ${index}, expected a text`);
      index++;
      yield text;
    }
  } catch (thrown) {
    throw userCodeError(WHAT, thrown);
  }
}

/**
 * Opens texts of the embedding program in place of those that a topology names: its tokenizer, its hold-out and its order, and nothing is kept
 * on disk.
 *
 * @throws {UserCodeError} TROUPE_USER_CODE when reading them throws, or one is no text
 */
export function openOwnDocuments(
  topology: ResolvedTopology,
  documents: Iterable<string> | AsyncIterable<string>,
  options: { readonly tokenizer?: Tokenizer } = {},
): Promise<DataSource> {
  const { tokenizer, holdout, seqLen, encoderSeqLen, batch, seed, modelVocab } = dataConfig(topology);
  const config = {
    source: texts(documents),
    ...(tokenizer === undefined ? {} : { tokenizer }),
    ...(holdout === undefined ? {} : { holdout }),
    ...(modelVocab === undefined ? {} : { modelVocab }),
    seqLen,
    encoderSeqLen: encoderSeqLen ?? null,
    batch,
    seed,
  };
  return openDataSource(config, options);
}
