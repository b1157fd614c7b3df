import { shownValue } from '@troupe/core';
import { ScalingRunsError } from '../errors.ts';

/** What a fit needs of one training. */
export interface RunRow {
  /** Without embedding and routers; so is the next. */
  readonly paramsActive: number;
  readonly paramsTotal: number;
  readonly tokens: number;
  readonly granularity: number;
  /** 1: a dense model. */
  readonly expansion: number;
  /** Nats a token. */
  readonly loss: number;
}

const fields = ['paramsActive', 'paramsTotal', 'tokens', 'granularity', 'expansion', 'loss'] as const;

/**
 * One run, from an object that may say more of it.
 *
 * @param origin - what to call it in an error: `runs.jsonl:3`
 * @throws {ScalingRunsError} TROUPE_SCALING_RUNS naming the first field that is no number > 0
 */
export function readRunRow(value: unknown, origin: string): RunRow {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ScalingRunsError(
      `${origin}: found ${shownValue(value)}, expected an object with ${fields.join(', ')}`,
    );
  const row = value as Readonly<Record<string, unknown>>;
  for (const name of fields) {
    const found = row[name];
    if (!(typeof found === 'number' && Number.isFinite(found) && found > 0))
      throw new ScalingRunsError(`${origin}: ${name} is ${shownValue(found)}, expected a number > 0`);
  }
  return value as RunRow;
}
