import type { ExpertChoices } from '@troupe/actors';

/** Load of the experts of one layer. */
export interface LayerLoad {
  /** 0-based block. */
  readonly layer: number;
  /** Choices of each expert by the mean over the layer: 1 is an even load, 0 an expert that nobody chose. */
  readonly loads: readonly number[];
}

/** Experts of the newest steps, layer by layer; empty for a model without. */
export interface ExpertLoads {
  /** How many steps. */
  readonly steps: number;
  readonly layers: readonly LayerLoad[];
}

/** Layers whose loads one answer carries, and experts of each. */
const LAYERS_MAX = 256;
const EXPERTS_MAX = 1024;

/** Choices of a layer as loads: by their mean. */
export function loadsOf(counts_E: ArrayLike<number>): readonly number[] {
  const counts = Array.from(counts_E).slice(0, EXPERTS_MAX);
  const mean = counts.reduce((sum, each) => sum + each, 0) / Math.max(1, counts.length);
  // Three digits: an answer is read by people, and stays short.
  return counts.map((each) => (mean === 0 ? 0 : Math.round((1000 * each) / mean) / 1000));
}

/** Choices of the newest steps, added up. */
export class RecentChoices {
  readonly #stepsMax: number;
  readonly #steps: Pick<ExpertChoices, 'layers' | 'counts_LE'>[] = [];

  constructor(stepsMax = 10) {
    this.#stepsMax = stepsMax;
  }

  add(choices: ExpertChoices): void {
    this.#steps.push(choices);
    if (this.#steps.length > this.#stepsMax) this.#steps.shift();
  }

  get loads(): ExpertLoads {
    const layers = this.#steps[0]?.layers ?? [];
    const total = new Float64Array(this.#steps[0]?.counts_LE.length ?? 0);
    for (const { counts_LE } of this.#steps)
      counts_LE.forEach((each, at) => (total[at] = (total[at] ?? 0) + each));
    const experts = layers.length === 0 ? 0 : total.length / layers.length;
    return {
      steps: this.#steps.length,
      layers: layers
        .slice(0, LAYERS_MAX)
        .map((layer, at) => ({ layer, loads: loadsOf(total.subarray(at * experts, (at + 1) * experts)) })),
    };
  }
}
