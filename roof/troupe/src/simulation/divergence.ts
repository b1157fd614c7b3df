import type { Simulation } from './simulation.ts';

/** Where two runs of one case part. */
export interface Divergence {
  /** Line of the trace, from 0. */
  readonly index: number;
  readonly first: string;
  readonly second: string;
}

const shown = ({ trace }: Simulation, index: number): string => {
  const line = trace[index];
  return line === undefined ? 'the end' : `${line.atMs} ms ${line.node}: ${line.text}`;
};

/** The first line in which two traces differ; null when their hashes are equal. Both runs kept their lines. */
export function firstDivergence(a: Simulation, b: Simulation): Divergence | null {
  if (a.traceHash === b.traceHash) return null;
  const most = Math.max(a.trace.length, b.trace.length);
  for (let index = 0; index < most; index++) {
    const [first, second] = [shown(a, index), shown(b, index)];
    if (first !== second) return { index, first, second };
  }
  // Lines name no bytes: a packet's content differs.
  return { index: most, first: a.traceHash, second: b.traceHash };
}
