import { assert, wideNumber } from '@troupe/core';
import { LOSS_QUANTUM_LOG2, type Device, type Int64s, type Ints } from '@troupe/kernel-set';
import { moeLayers, type ModelConfig } from '@troupe/spec';

/** Value of loss-like sum `at`, a wide sum of LOSS_QUANTUM; NaN when a term was none or the sum is too large. */
export function lossValue(sums: BigInt64Array, at = 0): number {
  return wideNumber(sums, LOSS_QUANTUM_LOG2, at);
}

/** Balance sums of one layer, wide ones of LOSS_QUANTUM; sums of several replicas or microbatches are these, added element by element. */
export interface LayerStatistics {
  readonly layer: number;
  /** 0: Σ over sequences of E·Σ f·p; 1: Σ over tokens of logsumexp². */
  readonly lossSums: BigInt64Array;
  /** Choices of each expert, whether it had room for their rows or not. */
  readonly counts_E: Int32Array;
  /** Σ over tokens of the probability of each expert. */
  readonly probSums_E: BigInt64Array;
}

/** Where kernels add up {@link LayerStatistics}. */
export interface LayerSums {
  readonly layer: number;
  readonly lossSums: Int64s;
  readonly counts_E: Ints;
  readonly probSums_E: Int64s;
  /** One number. */
  readonly numDropped: Ints;
}

/** What a stage's kernels have added up, of all its MoE layers: one layer's part after the other's. */
export interface StatisticsTotals {
  /** Two words. */
  readonly lossSum: BigInt64Array;
  /** Four words a layer. */
  readonly lossSums: BigInt64Array;
  readonly counts_LE: Int32Array;
  /** Choices that experts had no room for, a number a layer. */
  readonly dropped_L: Int32Array;
  /** 2·E words a layer. */
  readonly probSums_LE: BigInt64Array;
}

/** Words of a layer's loss-like sums. */
const LOSS_WORDS = 4;

/**
 * What kernels add up over the microbatches of one step: the loss and each layer's balance sums.
 *
 * Kernels only ever add, so the owner resets before the first microbatch of a step and never while lists are queued. All sums lie in one
 * array, all counts in another, so that a step's numbers come from the device in two reads.
 */
export class StageStatistics {
  /** Σ of the cross entropy over valid targets, a wide sum of LOSS_QUANTUM. */
  readonly lossSum: Int64s;
  readonly layers: readonly LayerSums[];
  readonly #device: Device;
  readonly #experts: number;
  readonly #sums: Int64s;
  /** Choices of every expert of all layers, then what was dropped in each. */
  readonly #counts: Ints;
  readonly #byLayer: ReadonlyMap<number, LayerSums>;

  constructor(device: Device, config: ModelConfig, layers: readonly number[] = moeLayers(config)) {
    const experts = config.moe?.experts ?? 0;
    const words = LOSS_WORDS + 2 * experts;
    this.#device = device;
    this.#experts = experts;
    this.#sums = device.int64s(2 + layers.length * words);
    this.#counts = device.ints(layers.length * (experts + 1));
    this.lossSum = this.#sums.subarray(0, 2);
    const probsFrom = 2 + layers.length * LOSS_WORDS;
    this.layers = layers.map((layer, index) => ({
      layer,
      lossSums: this.#sums.subarray(2 + index * LOSS_WORDS, 2 + (index + 1) * LOSS_WORDS),
      counts_E: this.#counts.subarray(index * experts, (index + 1) * experts),
      numDropped: this.#counts.subarray(layers.length * experts + index, layers.length * experts + index + 1),
      probSums_E: this.#sums.subarray(probsFrom + index * 2 * experts, probsFrom + (index + 1) * 2 * experts),
    }));
    this.#byLayer = new Map(this.layers.map((sums) => [sums.layer, sums]));
  }

  of(layer: number): LayerSums {
    const statistics = this.#byLayer.get(layer);
    assert(statistics !== undefined, 'statistics exist for the MoE layers of the stage', { layer });
    return statistics;
  }

  reset(): void {
    this.#device.zero(this.#sums);
    this.#device.zero(this.#counts);
  }

  /** A copy of what was added up so far. */
  totals(): StatisticsTotals {
    const sums = this.#device.read(this.#sums).slice();
    const probsFrom = 2 + this.layers.length * LOSS_WORDS;
    const counts = this.#device.read(this.#counts).slice();
    const choices = this.layers.length * this.#experts;
    return {
      lossSum: sums.subarray(0, 2),
      lossSums: sums.subarray(2, probsFrom),
      counts_LE: counts.subarray(0, choices),
      dropped_L: counts.subarray(choices),
      probSums_LE: sums.subarray(probsFrom),
    };
  }

  /** A copy of the choices of each expert so far, [layers, E]. */
  counts(): Int32Array {
    return this.#device.read(this.#counts.subarray(0, this.layers.length * this.#experts)).slice();
  }

  /** {@link totals} by layer. */
  byLayer(totals = this.totals()): readonly LayerStatistics[] {
    return layersOf(
      totals,
      this.layers.map(({ layer }) => layer),
      this.#experts,
    );
  }
}

/** The parts of each layer in totals. */
export const layersOf = (
  { lossSums, counts_LE, probSums_LE }: Omit<StatisticsTotals, 'lossSum' | 'dropped_L'>,
  layers: readonly number[],
  experts: number,
): readonly LayerStatistics[] =>
  layers.map((layer, index) => ({
    layer,
    lossSums: lossSums.subarray(index * LOSS_WORDS, (index + 1) * LOSS_WORDS),
    counts_E: counts_LE.subarray(index * experts, (index + 1) * experts),
    probSums_E: probSums_LE.subarray(index * 2 * experts, (index + 1) * 2 * experts),
  }));
