import { quantityOf } from '@troupe/core';
import { InvalidArgumentError, type Command } from 'commander';

/** Options that every verb has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/**
 * Adds a verb: its name with arguments, one sentence, and an example that `--help` ends with.
 *
 * @param usage - as commander takes it: `launch <topology>`
 */
export function verb(program: Command, usage: string, summary: string, example: string): Command {
  return program
    .command(usage)
    .description(summary)
    .option('--json', 'print JSON for programs, one object a line')
    .option('--verbose', 'show the stack of an unexpected error')
    .addHelpText('after', `\nExample:\n  ${example}`);
}

/** Collects a flag that may be given several times. */
export const collect = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];

/** An integer ≥ `least`. */
export const integer =
  (least: number, most = Infinity) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(
        most === Infinity
          ? `expected an integer ≥ ${least}.`
          : `expected an integer from ${least} to ${most}.`,
      );
    return value;
  };

/** A number ≥ `least`. */
export const decimal =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < least)
      throw new InvalidArgumentError(`expected a number ≥ ${least}.`);
    return value;
  };

/** A number > 0. */
export function factor(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('expected a number > 0.');
  return value;
}

/** A name or path: any text that is not empty. */
export function named(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('expected a name, found nothing.');
  return text;
}

/** A share > 0, at most 1. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && value <= 1))
    throw new InvalidArgumentError('expected a number > 0 and ≤ 1.');
  return value;
}

/** `3..12`, or `3` for that step alone; from 1. */
export function stepRange(text: string): { readonly first: number; readonly last: number } {
  const match = /^(\d+)(?:\.\.(\d+))?$/u.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (match === null || first < 1 || last < first || !Number.isSafeInteger(last))
    throw new InvalidArgumentError('expected two steps, e.g. 3..12, the first ≥ 1 and not behind the last.');
  return { first, last };
}

/** A number > 0 of any size: `1e20`, `100M`, `2.5B`. */
export function quantity(text: string): number {
  const value = quantityOf(text);
  if (value === null)
    throw new InvalidArgumentError('expected a number > 0, such as 1e20, 100M, 2.5B or 1T.');
  return value;
}
