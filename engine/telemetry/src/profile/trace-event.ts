/**
 * The parts of the Trace Event Format that a profile uses; ui.perfetto.dev and chrome://tracing open a JSON array of them.
 *
 * Times are microseconds. Slices (`X`) of one row nest or follow each other; of two with one beginning the outer stands first. Arrows (`s` to
 * `f`) join the slices that enclose their ends and stand behind them; their numbers are numbers, since Perfetto reads a text as hexadecimal.
 *
 * @see https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
export type TraceEvent =
  | {
      readonly ph: 'M';
      readonly name: 'process_name' | 'process_sort_index' | 'thread_name' | 'thread_sort_index';
      readonly pid: number;
      readonly tid: number;
      readonly args: Readonly<Record<string, string | number>>;
    }
  | (TraceSlice & { readonly ph: 'X'; readonly dur: number })
  | (TraceSlice & { readonly ph: 's'; readonly id: number })
  | (TraceSlice & { readonly ph: 'f'; readonly id: number; readonly bp: 'e' })
  | (TraceSlice & { readonly ph: 'b'; readonly id: string })
  | (TraceSlice & { readonly ph: 'e'; readonly id: string })
  | {
      readonly ph: 'C';
      readonly name: string;
      readonly pid: number;
      readonly tid: number;
      readonly ts: number;
      readonly args: Readonly<Record<string, number>>;
    };

interface TraceSlice {
  readonly name: string;
  readonly cat: 'kernel' | 'list' | 'turn' | 'state' | 'message' | 'wait' | 'loop' | 'step';
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly args?: Readonly<Record<string, TraceArg>>;
}

export type TraceArg = string | number | readonly string[];
