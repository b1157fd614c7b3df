import { assert, LOSS_QUANTUM_LOG2, type Device } from '@troupe/core';
import { moeLayers, type ModelConfig } from '@troupe/spec';

/** Value of a loss-like sum: fixed point of quantum 2^LOSS_QUANTUM_LOG2. */
export function lossValue(fixed: bigint): number {
  return Number(fixed) * 2 ** LOSS_QUANTUM_LOG2;
}

/** Balance sums of one layer; sums of several replicas or microbatches are these, added element by element. */
export interface LayerStatistics {
  readonly layer: number;
  /** [0] Σ over sequences of E·Σ f·p; [1] Σ over tokens of logsumexp²; LOSS_QUANTUM. */
  readonly lossSums: BigInt64Array;
  /** Rows each expert was chosen for. */
  readonly counts_E: Int32Array;
  /** Σ over tokens of the probability of each expert; LOSS_QUANTUM. */
  readonly probSums_E: BigInt64Array;
}

/**
 * What kernels add up over the microbatches of one step: the loss and each layer's balance sums.
 *
 * Kernels only ever add, so the owner resets before the first microbatch of a step and never while lists are queued.
 */
export class StageStatistics {
  /** Σ of the cross entropy over valid targets, one element; LOSS_QUANTUM. */
  readonly lossSum: BigInt64Array;
  readonly layers: readonly LayerStatistics[];
  readonly #byLayer: ReadonlyMap<number, LayerStatistics>;

  constructor(device: Device, config: ModelConfig, layers: readonly number[] = moeLayers(config)) {
    this.lossSum = device.int64s(1);
    const experts = config.moe?.experts ?? 0;
    this.layers = layers.map((layer) => ({
      layer,
      lossSums: device.int64s(2),
      counts_E: device.ints(experts),
      probSums_E: device.int64s(experts),
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
