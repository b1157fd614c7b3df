import type { ProfileEvent, ProfileLine } from '@troupe/telemetry';
import { benchJob, type BenchJob, type JobName, type Precision } from './bench-job.ts';
import { interleave } from './interleave.ts';
import { median } from './median.ts';
import { profiledRun, WARM_UP_STEPS, type ProfiledRun } from './profiled-run.ts';
import type { Section } from './results-page.ts';

/** Where the time of a step goes, and what recording it costs. */
export interface Roofline {
  readonly job: BenchJob;
  readonly precision: Precision;
  /** The profile of the fastest run. */
  readonly profile: ProfileEvent;
  /** Medians and minima of all steps with and without recording, milliseconds. */
  readonly withProfile: { readonly median: number; readonly min: number };
  readonly without: { readonly median: number; readonly min: number };
  readonly numSteps: number;
}

interface RooflineOptions {
  readonly size: 'small' | 'full';
  readonly jobs?: readonly JobName[];
  readonly precisions?: readonly Precision[];
}

const summed = (runs: readonly ProfiledRun[]) => {
  const all = runs.flatMap(({ stepMs }) => stepMs);
  return { median: median(all), min: Math.min(...all) };
};

/**
 * Profiles jobs, runs with and without recording in turn.
 *
 * @param size - `small`: one round of few steps of a smaller job, to see that it runs; `full`: the figures that count
 */
export async function benchRoofline({
  size,
  jobs = ['coarse'],
  precisions = ['f32'],
}: RooflineOptions): Promise<readonly Roofline[]> {
  const found: Roofline[] = [];
  for (const name of jobs)
    for (const precision of precisions) found.push(await roofline(benchJob(name, size), precision, size));
  return found;
}

async function roofline(job: BenchJob, precision: Precision, size: 'small' | 'full'): Promise<Roofline> {
  const overrides = [...job.overrides, `train.precision=${precision}`];
  const [numRounds, numSteps] = size === 'full' ? [4, 10] : [1, 4];
  const [profiled, plain] = await interleave([true, false], numRounds, (isProfiled) =>
    profiledRun({ file: job.file, overrides }, { numSteps, isProfiled }),
  );
  const profiles = (profiled?.results ?? []).flatMap(({ profile }) => (profile === null ? [] : [profile]));
  const [fastest] = [...profiles].sort((a, b) => a.stepMs - b.stepMs);
  if (fastest === undefined) throw new Error('no run gave a profile');
  return {
    job,
    precision,
    profile: fastest,
    withProfile: summed(profiled?.results ?? []),
    without: summed(plain?.results ?? []),
    numSteps: numRounds * (numSteps - WARM_UP_STEPS),
  };
}

const percent = (share: number | null): string => (share === null ? '–' : `${(100 * share).toFixed(1)} %`);
const inMs = (value: number): string => value.toFixed(value >= 10 ? 1 : 3);

function row({ op, shape, calls, ms, share, flops, bytes, ofRate, rate, bound }: ProfileLine): string {
  const perSecond = (amount: number): string => (amount / ms / 1e6).toFixed(1);
  return [
    `${op}, ${shape}`,
    Number.isInteger(calls) ? calls : calls.toFixed(1),
    (flops / 1e9).toFixed(3),
    (bytes / 1e6).toFixed(2),
    inMs(ms),
    percent(share),
    perSecond(flops),
    perSecond(bytes),
    `${percent(ofRate)}${ofRate === null ? '' : rate === 'flops' ? ' of peak' : ' of bandwidth'}`,
    bound ?? '–',
  ].join(' | ');
}

export function rooflineSection({ job, precision, ...found }: Roofline): Section {
  const { profile, withProfile, without, numSteps } = found;
  const { stepMs, shares, lines, peakFlops, bytesPerSecond } = profile;
  const sum = (of: 'flops' | 'bytes' | 'ms'): number => lines.reduce((total, line) => total + line[of], 0);
  const outside = (name: string, ms: number): string =>
    `| ${name} |  |  |  | ${inMs(ms)} | ${percent(ms / stepMs)} |  |  |  |  |`;
  const change = (a: number, b: number): string => `${a >= b ? '+' : ''}${(100 * (a / b - 1)).toFixed(1)} %`;
  const text = [
    `One worker of two threads; a step of ${job.tokensPerStep} tokens, mean of the fastest run. Peak ${peakFlops === null ? 'unknown' : `${(peakFlops / 1e9).toFixed(0)} GFLOP/s`}, bandwidth ${bytesPerSecond === null ? 'unknown' : `${(bytesPerSecond / 1e9).toFixed(1)} GB/s`} (copy), both of f32, the larger of two measurements before and after that run in the same process; words of the last column: docs/profile.md.`,
    '',
    '| op, shape | calls | GFLOP | MB | ms | of step | GFLOP/s | GB/s | of rate | bound by |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${row(line)} |`),
    `| **all kernels** | ${lines.reduce((total, { calls }) => total + calls, 0).toFixed(0)} | ${(sum('flops') / 1e9).toFixed(1)} | ${(sum('bytes') / 1e6).toFixed(0)} | ${inMs(sum('ms'))} | ${percent(sum('ms') / stepMs)} | ${(sum('flops') / sum('ms') / 1e6).toFixed(1)} | ${(sum('bytes') / sum('ms') / 1e6).toFixed(1)} | ${percent(peakFlops === null ? null : (1000 * sum('flops')) / sum('ms') / peakFlops)}${peakFlops === null ? '' : ' of peak'} |  |`,
    outside('outside kernels: waiting for messages', shares.messages),
    outside('outside kernels: event loop', shares.eventLoop),
    outside('outside kernels: idle', shares.idle),
    `| **a step** |  |  |  | ${inMs(stepMs)} | ${percent((sum('ms') + shares.messages + shares.eventLoop + shares.idle) / stepMs)} |  |  |  |  |`,
    '',
    `What recording costs: a step takes ${inMs(withProfile.median)} ms with and ${inMs(without.median)} ms without, medians of ${numSteps} (${change(withProfile.median, without.median)}); minima ${inMs(withProfile.min)} and ${inMs(without.min)} ms (${change(withProfile.min, without.min)}).`,
  ].join('\n');
  return { title: `Roofline: ${job.name}, ${precision}`, text };
}
