import { assert, wideNumber } from '@troupe/core';
import { LOSS_QUANTUM_LOG2, type Device } from '@troupe/kernel-set';
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
  /** Rows each expert was chosen for. */
  readonly counts_E: Int32Array;
  /** Σ over tokens of the probability of each expert. */
  readonly probSums_E: BigInt64Array;
}

/**
 * What kernels add up over the microbatches of one step: the loss and each layer's balance sums.
 *
 * Kernels only ever add, so the owner resets before the first microbatch of a step and never while lists are queued.
 */
export class StageStatistics {
  /** Σ of the cross entropy over valid targets, a wide sum of LOSS_QUANTUM. */
  readonly lossSum: BigInt64Array;
  readonly layers: readonly LayerStatistics[];
  readonly #byLayer: ReadonlyMap<number, LayerStatistics>;

  constructor(device: Device, config: ModelConfig, layers: readonly number[] = moeLayers(config)) {
    this.lossSum = device.int64s(2);
    const experts = config.moe?.experts ?? 0;
    this.layers = layers.map((layer) => ({
      layer,
      lossSums: device.int64s(4),
      counts_E: device.ints(experts),
      probSums_E: device.int64s(2 * experts),
    }));
    this.#byLayer = new Map(this.layers.map((statistics) => [statistics.layer, statistics]));
  }

  of(layer: number): LayerStatistics {
    const statistics = this.#byLayer.get(layer);
    assert(statistics !== undefined, 'statistics exist for the MoE layers of the stage', { layer });
    return statistics;
  }

  reset(): void {
    this.lossSum.fill(0n);
    for (const { lossSums, counts_E, probSums_E } of this.layers) {
      lossSums.fill(0n);
      counts_E.fill(0);
      probSums_E.fill(0n);
    }
  }
}
