import { basename } from 'node:path';
import { DataSourceError } from '../errors.ts';
import { readLines } from '../text-lines.ts';
import { oneLine, type TextPair } from './text-pair.ts';

export interface LinePairsOptions {
  readonly from: string;
  readonly to: string;
  /** The file in the language `from`, UTF-8; `.gz`: unzipped. */
  readonly source: string;
  /** The file in the language `to`: line i is the translation of line i. */
  readonly target: string;
}

/**
 * Pairs of two files whose lines belong together.
 *
 * A line that is blank in both files ends a document; in files without one, every line is a document of its own, since holding out
 * whole files of one would hold out all or nothing. A line that is blank on one side alone has no translation and is passed over.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE when a file cannot be read, or one has more lines than the other
 */
export async function* linePairs(options: LinePairsOptions): AsyncGenerator<TextPair> {
  const { from, to } = options;
  const name = basename(options.source);
  const lines = await alignedLines(options);
  const hasBlocks = lines.some(([source, target]) => source === '' && target === '');
  let block = 0;
  for (const [index, [source, target]] of lines.entries()) {
    if (source === '' && target === '') block++;
    if (source === '' || target === '') continue;
    yield { from, to, source, target, document: hasBlocks ? `${name}#${block}` : `${name}:${index + 1}` };
  }
}

/** Blank lines at the end count for neither file. */
async function alignedLines({
  source,
  target,
}: LinePairsOptions): Promise<readonly (readonly [string, string])[]> {
  const [left, right] = await Promise.all([trimmedLines(source), trimmedLines(target)]);
  if (left.length !== right.length)
    throw new DataSourceError(
      target,
      `${right.length} lines, but ${source} has ${left.length}`,
      'line i of one file must be the translation of line i of the other',
    );
  return left.map((text, index) => [text, right[index] ?? '']);
}

async function trimmedLines(path: string): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const line of readLines(path)) lines.push(oneLine(line));
  while (lines.at(-1) === '') lines.pop();
  return lines;
}
