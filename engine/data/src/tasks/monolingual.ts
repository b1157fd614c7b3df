import { documentSource, type DocumentOrigin } from '../document-source.ts';
import { DataSourceError } from '../errors.ts';
import type { ParallelSource } from '../parallel/parallel-source.ts';

/** Texts of one language alone: paragraphs of a text file, or a member of each line of a JSONL file. Paths as those of {@link ParallelSource}. */
export type MonolingualSource =
  | { readonly kind: 'text'; readonly language: string; readonly file: string }
  | {
      readonly kind: 'jsonl-text';
      readonly language: string;
      readonly file: string;
      /** The member that holds the text. Default `text`. */
      readonly field?: string;
    };

/** Where the texts of tasks come from. */
export type TextSource = ParallelSource | MonolingualSource;

export const isMonolingual = (source: TextSource): source is MonolingualSource =>
  source.kind === 'text' || source.kind === 'jsonl-text';

const originOf = (source: MonolingualSource): DocumentOrigin =>
  source.kind === 'text'
    ? { text: source.file }
    : { jsonl: source.file, ...(source.field === undefined ? {} : { field: source.field }) };

/** What the content depends on. @throws {DataSourceError} TROUPE_DATA_UNREADABLE for a file that is missing */
export const monolingualIdentity = (source: MonolingualSource): string =>
  `${source.language} ${documentSource(originOf(source)).identity ?? ''}`;

/**
 * Texts by language, each once, in the order of the sources.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE for a file that cannot be read or holds no text
 */
export async function readMonolingual(
  sources: readonly MonolingualSource[],
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const found = new Map<string, Set<string>>();
  for (const source of sources) {
    const texts = found.get(source.language) ?? new Set<string>();
    found.set(source.language, texts);
    let documents = 0;
    for await (const { text } of documentSource(originOf(source)).documents()) {
      documents++;
      texts.add(text);
    }
    if (documents === 0)
      throw new DataSourceError(source.file, 'it holds no text', 'name a file that holds text');
  }
  return found;
}
