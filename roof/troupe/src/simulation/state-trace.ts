import type { Turn } from '@troupe/runtime';
import type { StruckFault } from '@troupe/sim';

interface OpenState {
  readonly state: string;
  readonly sinceMs: number;
  /** What moved the actor into it. */
  readonly by: string;
}

/** One event of the trace format that Perfetto and Chrome read; times in microseconds. */
export interface TraceEvent {
  readonly name: string;
  readonly ph: 'X' | 'M' | 'i';
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly s?: 'g';
  readonly args?: Readonly<Record<string, unknown>>;
}

/**
 * A picture of a run in virtual time: a process for each node, a row for each actor, a slice for each state it was in.
 *
 * @see https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (Trace Event Format)
 */
export class StateTrace {
  readonly #nodes = new Map<string, number>();
  readonly #actors = new Map<string, { readonly pid: number; readonly tid: number }>();
  readonly #open = new Map<string, OpenState>();
  readonly #events: TraceEvent[] = [];

  see({ node, address, event, stateBefore, stateAfter }: Turn, atMs: number): void {
    const open = this.#open.get(address);
    if (stateBefore === stateAfter && open !== undefined) return;
    const place = this.#place(node, address);
    if (open !== undefined) this.#slice(place, open, atMs);
    const by = `${event.type} of ${event.from} (step ${event.step}, layer ${event.layer})`;
    this.#open.set(address, { state: stateAfter, sinceMs: atMs, by });
  }

  /** All events; states that are open end at `endMs`. */
  finish(endMs: number, faults: readonly StruckFault[]): readonly TraceEvent[] {
    for (const [address, open] of this.#open) {
      const place = this.#actors.get(address);
      if (place !== undefined) this.#slice(place, open, endMs);
    }
    this.#open.clear();
    for (const { atMs, text } of faults)
      this.#events.push({ name: text, ph: 'i', pid: 0, tid: 0, ts: 1000 * atMs, s: 'g' });
    return this.#events;
  }

  #place(node: string, address: string): { readonly pid: number; readonly tid: number } {
    const known = this.#actors.get(address);
    if (known !== undefined) return known;
    let pid = this.#nodes.get(node);
    if (pid === undefined) {
      pid = this.#nodes.size + 1;
      this.#nodes.set(node, pid);
      this.#events.push({ name: 'process_name', ph: 'M', pid, tid: 0, args: { name: node } });
    }
    const place = { pid, tid: this.#actors.size + 1 };
    this.#actors.set(address, place);
    this.#events.push({ name: 'thread_name', ph: 'M', ...place, args: { name: address } });
    return place;
  }

  #slice(place: { readonly pid: number; readonly tid: number }, open: OpenState, endMs: number): void {
    const { state, sinceMs, by } = open;
    const times = { ts: 1000 * sinceMs, dur: 1000 * (endMs - sinceMs) };
    this.#events.push({ name: state, ph: 'X', ...place, ...times, args: { by } });
  }
}
