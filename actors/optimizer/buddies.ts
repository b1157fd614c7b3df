import { numClassPeers, type JobLayout, type ParameterClassName } from '../job.ts';

/** Other replicas' shards of `parameterClass` hold the same state: then a loss needs no buddy. */
const hasTwin = (job: JobLayout, parameterClass: ParameterClassName): boolean =>
  job.zero === 0 && numClassPeers(job, parameterClass) > 1;

const isGuarded = (job: JobLayout, parameterClass: ParameterClassName): boolean =>
  (job.buddyShift ?? 0) > 0 && !hasTwin(job, parameterClass);

/** The replica whose shard keeps a copy of the state that only the shard of `dp` has; null: it has none, or needs none. */
export function buddyOf(job: JobLayout, parameterClass: ParameterClassName, dp: number): number | null {
  return isGuarded(job, parameterClass) ? (dp + (job.buddyShift ?? 0)) % job.dp : null;
}

/** The replica whose shard is copied by that of `dp`: a shift is a permutation, so a buddy has one ward. */
export function wardOf(job: JobLayout, parameterClass: ParameterClassName, dp: number): number | null {
  return isGuarded(job, parameterClass) ? (dp - (job.buddyShift ?? 0) + job.dp) % job.dp : null;
}
