import * as z from 'zod';

/** What people need to know about a key: the sentence that editors show, and the unit of a number. */
const about = (description: string, unit: string) => ({ description, unit });

/** No count is larger unless it says so; keeps sums of products exact and loops short. */
export const MAX_COUNT = 2 ** 31 - 1;

/** Devices of the largest cluster that a topology describes. */
export const MAX_WORLD = 65_536;

/** A whole number ≥ `min` (default 1). `unit` names what is counted. */
export const count = (
  description: string,
  unit: string,
  range: { readonly min?: number; readonly max?: number } = {},
) =>
  z
    .int()
    .min(range.min ?? 1)
    .max(range.max ?? MAX_COUNT)
    .meta(about(description, unit));

/** A real number inside [min, max]. */
export const real = (
  description: string,
  unit: string,
  range: { readonly min?: number; readonly max?: number } = {},
) => {
  const lower = range.min === undefined ? z.number() : z.number().min(range.min);
  return (range.max === undefined ? lower : lower.max(range.max)).meta(about(description, unit));
};

/** A real number > 0, at most `max`. */
export const positive = (description: string, unit: string, max?: number) =>
  (max === undefined ? z.number().gt(0) : z.number().gt(0).max(max)).meta(about(description, unit));

export const flag = (description: string) => z.boolean().meta({ description });

export const choice = <const T extends readonly [string, ...string[]]>(description: string, names: T) =>
  z.enum(names).meta({ description });

export const text = (description: string) => z.string().min(1).meta({ description });
