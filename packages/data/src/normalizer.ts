import { TokenizerFeatureError } from './errors.ts';
import type { NormalizerJson } from './tokenizer-json.ts';

export type Normalizer = (text: string) => string;

/**
 * Builds the text normalizer that a tokenizer.json describes.
 *
 * @throws {TokenizerFeatureError} TROUPE_DATA_TOKENIZER_FEATURE for any type but NFC, NFD, NFKC, NFKD, Lowercase and Sequence
 */
export function normalizerOf(json: NormalizerJson | null): Normalizer {
  if (json === null) return (text) => text;
  switch (json.type) {
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = json.type;
      return (text) => text.normalize(form);
    }
    case 'Lowercase':
      return (text) => text.toLowerCase();
    case 'Sequence': {
      const steps = (json.normalizers ?? []).map(normalizerOf);
      return (text) => steps.reduce((normal, step) => step(normal), text);
    }
    default:
      throw new TokenizerFeatureError(`the normalizer ${json.type}`);
  }
}
