import { readFileSync } from 'node:fs';
import {
  extrapolations,
  lawSet,
  lawSets,
  nearestLawSet,
  readLawSet,
  ScalingLawError,
  type LawSet,
} from '@troupe/scaling';
import { codeOf } from '../output-file.ts';
import { printError } from '../output.ts';

export interface LawFlags {
  readonly law?: string;
  readonly experts?: number;
}

/** Expansion where neither law nor flag says one. */
const EXPANSION = 64;

/** The coefficients that `--law` names: of the package, or of a file. Without it the published ones nearest to `--experts`. */
export function lawOfFlags({ law, experts }: LawFlags): LawSet {
  if (law === undefined) return nearestLawSet(experts ?? EXPANSION);
  if (lawSets.some(({ name }) => name === law) || !/[./\\]/u.test(law)) return lawSet(law);
  let text: string;
  try {
    text = readFileSync(law, 'utf8');
  } catch (error) {
    throw new ScalingLawError(
      `--law: '${law}' cannot be read (${codeOf(error)}); name a file of \`scaling fit --out\``,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ScalingLawError(`--law: '${law}' is not JSON; name a file of \`scaling fit --out\``);
  }
  return readLawSet(value, law);
}

export const expansionOf = (set: LawSet, { experts }: LawFlags): number =>
  experts ?? set.expansion ?? EXPANSION;

/** Sentences on standard error, unless they are in the JSON. */
export function warn(warnings: readonly string[], isJson: boolean): void {
  if (!isJson && warnings.length > 0) printError(...warnings.map((each) => `troupe: warning: ${each}`));
}

/** An answer of a law of experts may be an extrapolation in its expansion too. */
export const warningsOf = (
  set: LawSet,
  at: { readonly params: number; readonly tokens: number },
  expansion: number,
): readonly string[] => extrapolations(set, { ...at, expansion });
