import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../errors.ts';
import { OutputFile } from '../output-file.ts';

/** First and last step, from 1. */
export interface StepRange {
  readonly first: number;
  readonly last: number;
}

/** What `--profile` and `--profile-steps` ask for. */
export interface ProfileRequest {
  /** null: in the run folder. */
  readonly file: string | null;
  /** null: {@link defaultSteps}. */
  readonly steps: StepRange | null;
}

/** The first steps warm up: caches, scratch memory, huge pages. */
const WARM_UP_STEPS = 2;
const STEPS = 10;

/** Ten steps after two, or what the run has. */
function defaultSteps(run: StepRange): StepRange {
  const first = Math.min(run.first + WARM_UP_STEPS, run.last);
  return { first, last: Math.min(first + STEPS - 1, run.last) };
}

/**
 * Reads both flags.
 *
 * @param profile - as commander gives it: true without a value
 * @returns null when no profile is asked for
 * @throws {UsageError} TROUPE_USAGE: steps without a profile, a name of another kind, a folder that is not there
 */
export function profileRequest(
  profile: string | true | undefined,
  steps: StepRange | undefined,
): ProfileRequest | null {
  if (profile === undefined) {
    if (steps !== undefined)
      throw new UsageError('--profile-steps says which steps --profile records; add --profile');
    return null;
  }
  if (profile === true) return { file: null, steps: steps ?? null };
  if (!/\.json(?:\.gz)?$/u.test(profile))
    throw new UsageError(
      `--profile '${profile}' is neither .json nor .json.gz, which are what is written; to keep the name out, put --profile behind the topology`,
    );
  return { file: new OutputFile('--profile', profile).path, steps: steps ?? null };
}

/**
 * The steps of a run that are recorded.
 *
 * @param run - its first and last step
 * @throws {UsageError} TROUPE_USAGE when the run has none of those asked for
 */
export function profileSteps({ steps }: ProfileRequest, run: StepRange): StepRange {
  if (steps === null) return defaultSteps(run);
  if (steps.first > run.last || steps.last < run.first)
    throw new UsageError(
      `--profile-steps ${steps.first}..${steps.last}: this run makes steps ${run.first} to ${run.last}`,
    );
  return { first: Math.max(steps.first, run.first), last: Math.min(steps.last, run.last) };
}

/** Where the trace goes: as asked, else a name in the run folder that no earlier profile has. */
export function profilePath({ file }: ProfileRequest, runFolder: string): string {
  if (file !== null) return file;
  for (let number = 1; ; number++) {
    const path = join(runFolder, `profile${number === 1 ? '' : `-${number}`}.json.gz`);
    if (!existsSync(path)) return path;
  }
}
