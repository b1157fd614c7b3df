import { UsageError } from '../errors.ts';
import type { CommonOptions } from '../verb.ts';
import type { SeedRange } from './seed-range.ts';

/** Flags of `simulate`. */
export interface SimulateOptions extends CommonOptions {
  readonly set: readonly string[];
  readonly seed?: number;
  readonly steps?: number;
  readonly faults?: string;
  readonly seeds?: SeedRange;
  readonly jobs?: number;
  readonly shapesOnly?: boolean;
  readonly real?: readonly number[];
  readonly calibration?: string;
  readonly trace?: string;
  readonly check?: boolean;
  readonly until?: string;
  readonly inspect?: string;
  readonly shrink?: boolean;
  readonly writeTest?: string;
  readonly log?: string;
  readonly load?: string;
  readonly recordLoad?: string;
}

type Flag = Exclude<keyof SimulateOptions, keyof CommonOptions | 'set'>;

const flagOf = (name: Flag): string => `--${name.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}`;

/** Flags that leave nothing for others to do: those would be passed over without a word. */
const apart: readonly (readonly [Flag, readonly Flag[], string])[] = [
  [
    'seeds',
    ['seed', 'check', 'until', 'inspect', 'trace', 'shrink', 'writeTest', 'log'],
    'one runs many cases, the other looks at a single one',
  ],
  [
    'check',
    ['until', 'inspect', 'trace', 'shrink', 'writeTest', 'log'],
    '--check runs the case twice and only compares',
  ],
  [
    'until',
    ['trace', 'shrink', 'writeTest', 'log'],
    '--until stops in the middle of a run to show its actors',
  ],
  ['inspect', ['trace', 'shrink', 'writeTest', 'log'], '--inspect shows an actor and nothing else'],
  ['real', ['shapesOnly'], 'without arithmetic no replica computes'],
  ['recordLoad', ['shapesOnly', 'seeds'], 'only one run with arithmetic has a load of its own'],
];

const needed: readonly (readonly [Flag, Flag, string])[] = [
  ['writeTest', 'shrink', 'which makes the case that it writes'],
  ['jobs', 'seeds', 'which it shares out over processes'],
  ['load', 'shapesOnly', 'since with arithmetic routers choose'],
];

/**
 * Says which flags cannot stand together, and which need another one.
 *
 * @throws {UsageError} TROUPE_USAGE
 */
export function checkFlags(options: SimulateOptions): void {
  const given = (name: Flag): boolean => options[name] !== undefined;
  for (const [one, others, why] of apart)
    for (const other of others)
      if (given(one) && given(other))
        throw new UsageError(`${flagOf(one)} and ${flagOf(other)} exclude each other: ${why}`);
  for (const [one, other, why] of needed)
    if (given(one) && !given(other)) throw new UsageError(`${flagOf(one)} needs ${flagOf(other)}, ${why}`);
}
