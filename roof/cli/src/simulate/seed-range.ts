import { InvalidArgumentError } from 'commander';

/** Seeds from one to another, both included. */
export interface SeedRange {
  readonly from: number;
  readonly to: number;
}

/** Reads `0..199`. */
export function seedRange(text: string): SeedRange {
  const match = /^(\d+)\.\.(\d+)$/u.exec(text);
  const [from, to] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || !Number.isSafeInteger(to) || to < from)
    throw new InvalidArgumentError('expected A..B, A ≤ B.');
  return { from, to };
}

/** Cuts a range into at most `parts` consecutive ones. */
export function splitRange({ from, to }: SeedRange, parts: number): readonly SeedRange[] {
  const size = Math.ceil((to - from + 1) / parts);
  return Array.from({ length: Math.ceil((to - from + 1) / size) }, (_, part) => ({
    from: from + part * size,
    to: Math.min(to, from + (part + 1) * size - 1),
  }));
}
