import type { SweepCell } from '@troupe/topology';
import { cellSizes } from './cell-sizes.ts';

/** What is known of the time of a model. */
interface Pace {
  readonly model: string;
  /** Seconds of all tokens together, over their work. */
  readonly secondsPerWork: number;
}

/** Cells with the same model take as long a token. */
export const modelOf = ({ topology }: SweepCell): string => JSON.stringify(topology.model);

/** Learns from trainings how long others will take. */
export class Estimate {
  readonly #paces: Pace[] = [];

  add(cell: SweepCell, tokensPerSecond: number): void {
    const { tokens, work } = cellSizes(cell);
    this.#paces.push({ model: modelOf(cell), secondsPerWork: tokens / tokensPerSecond / work });
  }

  /** Whether the time of this very model is known. */
  knows(cell: SweepCell): boolean {
    const model = modelOf(cell);
    return this.#paces.some((pace) => pace.model === model);
  }

  /** From trainings of the same model, else of all; null: nothing is known. */
  secondsOf(cell: SweepCell): number | null {
    const model = modelOf(cell);
    const same = this.#paces.filter((pace) => pace.model === model);
    const paces = same.length > 0 ? same : this.#paces;
    if (paces.length === 0) return null;
    const mean = paces.reduce((sum, { secondsPerWork }) => sum + secondsPerWork, 0) / paces.length;
    return mean * cellSizes(cell).work;
  }
}
