import { readFileSync } from 'node:fs';
import { UsageError } from '../errors.ts';

/** A text to continue. */
export interface Prompt {
  /** '': a document of its own is started. */
  readonly text: string;
  /** Of the file that it is a line of, from 1. */
  readonly line?: number;
}

/** The lines of a file that have text, or the one prompt of the command line. */
export function promptsOf({
  prompt,
  prompts: file,
}: {
  readonly prompt?: string;
  readonly prompts?: string;
}): readonly Prompt[] {
  if (file === undefined) return [{ text: prompt ?? '' }];
  if (prompt !== undefined) throw new UsageError('--prompt and --prompts exclude each other');
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(
      `--prompts: cannot read '${file}' (${(error as NodeJS.ErrnoException).code ?? ''}); name a file with a prompt a line`,
    );
  }
  const found = content
    .split(/\r?\n/u)
    .map((text, index) => ({ text, line: index + 1 }))
    .filter(({ text }) => text.trim() !== '');
  if (found.length === 0)
    throw new UsageError(`--prompts: '${file}' has no line with text; write a prompt a line`);
  return found;
}
