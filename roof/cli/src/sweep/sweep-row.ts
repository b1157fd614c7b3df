import { shownValue } from '@troupe/core';
import type { RunRow } from '@troupe/scaling';
import type { PartLoss } from 'troupe';

/** A training that is done, as a line of the file of rows; what `scaling fit` reads is among it. */
export interface SweepRow extends RunRow {
  /** Of the cell. */
  readonly name: string;
  /** Of what decides the numbers of the cell. */
  readonly hash: string;
  /** Routed experts of a layer; 0: dense. */
  readonly experts: number;
  /** null: dense. */
  readonly router: string | null;
  readonly dModel: number;
  readonly layers: number;
  readonly seed: number;
  /** Of the whole training as the law counts them: 6 a matrix weight and token, 14 a router weight and token. */
  readonly flops: number;
  /** Mean of the training loss over the last {@link lossSteps} steps, nats a token. */
  readonly loss: number;
  readonly lossSteps: number;
  /** After the last step, nats a token; null without held-out text. */
  readonly heldOutLoss: number | null;
  /** The same by task and language; absent where all text is of one kind. */
  readonly heldOutParts?: readonly PartLoss[];
  /** Of all steps, without evaluations and checkpoints. */
  readonly tokensPerSecond: number;
  /** Of all steps together. */
  readonly seconds: number;
  /** Both were measured apart, in so many steps (`sweep --pace`); absent: in the training itself. */
  readonly paceSteps?: number;
  readonly steps: number;
  /** Tokens of training that the text has; null: drawn tokens. */
  readonly corpusTokens: number | null;
  /** How often the training read the text; null: drawn tokens. */
  readonly epochs: number | null;
  /** Version of Troupe. */
  readonly troupe: string;
}

/** A training that cannot be done, until another sweep tries again. */
export interface FailedRow {
  readonly name: string;
  readonly hash: string;
  /** Why. */
  readonly failed: string;
  readonly exitCode: number;
}

export type AnyRow = SweepRow | FailedRow;

export const isFailed = (row: object): row is FailedRow => 'failed' in row;

/** The name and hash of a line; null: it comes from elsewhere. */
export function cellOfRow(value: unknown): Pick<AnyRow, 'name' | 'hash'> | null {
  if (typeof value !== 'object' || value === null) return null;
  const { name, hash } = value as Readonly<Record<string, unknown>>;
  return typeof name === 'string' && typeof hash === 'string' ? { name, hash } : null;
}

/** `{"name": …` cut short, for a message. */
export const shownLine = (line: string): string => shownValue(line.slice(0, 50));
