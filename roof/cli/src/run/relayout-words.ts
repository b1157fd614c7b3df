import type { RelayoutEvent } from '@troupe/telemetry';
import { count } from './numbers.ts';

type Relayout = Omit<RelayoutEvent, 'event'>;

const seconds = (ms: number | null): string => (ms === null ? '' : ` after ${(ms / 1000).toFixed(1)} s`);

/** A relayout for people: what changed, why, and how long the pause was. */
export function describeRelayout({ state, what, by, from, to, step, pauseMs, problem }: Relayout): string {
  if (state === 'open') return `${what} (${by}): from ${from} to ${to}; the run saves first`;
  const opened = `step ${count(step + 1)} opened${seconds(pauseMs)}`;
  if (state === 'done') return `${what}: ${opened} in the new layout, ${to}`;
  if (state === 'dropped')
    return `${what}: dropped, ${problem === null ? 'the run ended before' : problem.message}`;
  return `${what}: the new layout did not come to its first step (${problem?.message ?? ''}); ${opened} in the old one, ${from}`;
}
