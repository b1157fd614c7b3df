import type { ProblemCode } from './problem.ts';

/** What a rule found wrong; `keys[0]` is the one to change, the others take part. */
export interface Finding {
  readonly code: ProblemCode;
  readonly keys: readonly [string, ...string[]];
  readonly rule: string;
  readonly nearest: string | number | null;
}
