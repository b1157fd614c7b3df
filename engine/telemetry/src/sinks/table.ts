import type { OpenSink } from './sink.ts';

/** Every sink by its name under `metrics` in a topology file. Its code is loaded when it is opened. */
export const sinks = {
  jsonl: async (place) => (await import('./jsonl.ts')).openJsonl(place),
  csv: async (place) => (await import('./csv.ts')).openCsv(place),
  tensorboard: async (place) => (await import('./tensorboard.ts')).openTensorboard(place),
} as const satisfies Readonly<Record<string, OpenSink>>;

export type SinkName = keyof typeof sinks;

export const sinkNames = Object.keys(sinks) as [SinkName, ...SinkName[]];
