import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { addonPath } from '@troupe/kernels';
import { makeFolders } from './ports/make-folders.ts';

/** A rate of this machine. */
export interface RateName {
  readonly of: 'f32' | 'bf16' | 'bandwidth';
  /** Threads that reach it together. */
  readonly threads: number;
}

/** In the cache folder: rates by CPU, build of the kernels, threads and kind. */
export const RATES_FILE = 'machine-rates.json';

interface RatesFile {
  readonly version: 1;
  readonly rates: Readonly<Record<string, number>>;
}

const isRate = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0;

/** What was kept; nothing when there is no such file, or none that can be read. */
function readRates(path: string): RatesFile['rates'] {
  try {
    const { version, rates } = JSON.parse(readFileSync(path, 'utf8')) as Partial<RatesFile>;
    return version === 1 && typeof rates === 'object' && rates !== null ? rates : {};
  } catch {
    return {};
  }
}

/** The first letters of the addon's hash: another build may reach other rates. */
function buildOf(): string {
  try {
    return createHash('sha256').update(readFileSync(addonPath())).digest('hex').slice(0, 12);
  } catch {
    return 'none';
  }
}

const keyOf = ({ of, threads }: RateName): string =>
  [cpus()[0]?.model ?? 'unknown', `build ${buildOf()}`, `${threads} threads`, of].join(' | ');

/**
 * The most that this machine was ever seen to reach: a rate that was just measured, or one that an earlier process kept.
 *
 * Whoever shares the machine takes from what a measurement finds and can never add to it, so the largest is nearest to the truth.
 * A folder that cannot be written costs the memory, not the answer.
 *
 * @param folder - of the caches of this user
 */
export function keepLargest(name: RateName, measured: number, folder: string): number {
  const path = join(folder, RATES_FILE);
  const key = keyOf(name);
  const rates = readRates(path);
  const kept = Object.hasOwn(rates, key) ? rates[key] : undefined;
  if (isRate(kept) && kept >= measured) return kept;
  const file: RatesFile = { version: 1, rates: { ...rates, [key]: measured } };
  const aside = `${path}.${randomUUID()}.tmp`;
  try {
    makeFolders(folder);
    try {
      writeFileSync(aside, `${JSON.stringify(file, null, 2)}\n`);
      renameSync(aside, path);
    } finally {
      rmSync(aside, { force: true });
    }
  } catch {
    // The next process measures again.
  }
  return measured;
}
