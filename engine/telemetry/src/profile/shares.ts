/** A stretch of time, milliseconds. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Something that the event loop did. */
export interface LoopActivity extends Span {
  /** Time that the loop has slept before `start`, counted from anywhere. */
  readonly slept: number;
  /** True when a message of another process was the cause. */
  readonly isMessage: boolean;
}

/** Where the time of one device's process went, milliseconds; the four add up to the time that was asked about. */
export interface TimeShares {
  /** The device ran a kernel, whatever else happened. */
  readonly kernels: number;
  /** No kernel ran, and the event loop slept until a message of another process came. */
  readonly messages: number;
  /** No kernel ran, and the event loop did: turns, coding of messages, sockets, garbage collection. */
  readonly eventLoop: number;
  /** Nothing ran, and it was not a message that ended it: threads that wake each other, timers. */
  readonly idle: number;
}

/** Sorted and without overlap. */
function merged(spans: readonly Span[]): readonly Span[] {
  const result: { start: number; end: number }[] = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else result.push({ start, end });
  }
  return result;
}

type Label = 'messages' | 'eventLoop' | 'idle';

/** What the event loop did from `from` to `to`, without a gap. */
function* loopSegments(
  activities: readonly LoopActivity[],
  { start: from, end: to }: Span,
): Generator<Span & { readonly label: Label }> {
  let [at, slept] = [from, Number.NaN];
  for (const activity of activities) {
    const gap = Math.max(0, activity.start - at);
    // Before the first activity, and where a restarted process counts from zero again, the gap is taken as sleep.
    const isUnknown = Number.isNaN(slept) || activity.slept < slept;
    const asleep = isUnknown ? gap : Math.min(gap, activity.slept - slept);
    yield { start: at, end: at + asleep, label: activity.isMessage ? 'messages' : 'idle' };
    // A loop that slept was woken for what it did next.
    at += asleep;
    const end = Math.max(at, activity.end);
    yield { start: at, end, label: 'eventLoop' };
    [at, slept] = [end, activity.slept];
  }
  if (at < to) yield { start: at, end: to, label: 'messages' };
}

/**
 * Divides the time of `windows` among kernels, messages, event loop and idling, in this order of precedence.
 *
 * @param activities - in order of time, one at a time
 * @param kernels - when the device ran a call, in any order
 * @param windows - in order of time, apart from each other
 */
export function timeShares(
  activities: readonly LoopActivity[],
  kernels: readonly Span[],
  windows: readonly Span[],
): TimeShares {
  const shares = { kernels: 0, messages: 0, eventLoop: 0, idle: 0 };
  const [first, last] = [windows[0], windows.at(-1)];
  if (first === undefined || last === undefined) return shares;
  const busy = merged(kernels);
  let [window, kernel] = [0, 0];
  const whole = { start: Math.min(first.start, activities[0]?.start ?? first.start), end: last.end };
  for (const segment of loopSegments(activities, whole)) {
    while ((windows[window]?.end ?? Infinity) <= segment.start) window++;
    for (let index = window; (windows[index]?.start ?? Infinity) < segment.end; index++) {
      const { start, end } = windows[index] as Span;
      const part = { start: Math.max(start, segment.start), end: Math.min(end, segment.end) };
      while ((busy[kernel]?.end ?? Infinity) <= part.start) kernel++;
      let inKernels = 0;
      for (let k = kernel; (busy[k]?.start ?? Infinity) < part.end; k++)
        inKernels += Math.min(part.end, busy[k]?.end ?? 0) - Math.max(part.start, busy[k]?.start ?? 0);
      shares.kernels += inKernels;
      shares[segment.label] += part.end - part.start - inKernels;
    }
  }
  return shares;
}
