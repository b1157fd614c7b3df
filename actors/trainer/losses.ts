import { lossValue, streamLosses } from '@troupe/model';
import { moeLayers } from '@troupe/spec';
import type { Job } from '../job.ts';
import type { StepLedger } from '../step-ledger.ts';
import { globalStreams, type Counted } from '../token-tensors.ts';

export interface StepLosses {
  readonly loss: number;
  readonly auxLoss: number;
  readonly maxExpertLoad: number;
  /** Share of the choices that experts had no room for. */
  readonly dropRate: number;
  readonly hottest: { readonly layer: number; readonly expert: number } | null;
}

/**
 * Share of the peak that `flops` a second are; null when it is not known. More than all of it was not measured rightly, the peak or the
 * time, and is no share.
 */
export function utilisation(flops: number, peakFlops: number | null): number | null {
  const share = peakFlops === null ? Number.NaN : flops / peakFlops;
  return share <= 1 ? share : null;
}

/** Turns a step's exact sums into the numbers that people read. */
export function stepLosses(job: Job, ledger: StepLedger, batch: Counted): StepLosses {
  const layers = moeLayers(job.model);
  const loss = lossValue(ledger.lossSum) / batch.targets;
  if (job.model.moe === null) return { loss, auxLoss: 0, maxExpertLoad: 1, dropRate: 0, hottest: null };
  const { experts } = job.model.moe;
  let maxExpertLoad = 0;
  let hottest: StepLosses['hottest'] = null;
  layers.forEach((layer, index) => {
    const counts = ledger.counts.subarray(index * experts, (index + 1) * experts);
    const rows = counts.reduce((a, b) => a + b, 0);
    counts.forEach((count, expert) => {
      const load = rows === 0 ? 0 : (count * experts) / rows;
      if (load > maxExpertLoad) {
        maxExpertLoad = load;
        hottest = { layer, expert };
      }
    });
  });
  const statistics = layers.map((layer, index) => ({
    layer,
    lossSums: ledger.lossSums.subarray(index * 4, index * 4 + 4),
    counts_E: ledger.counts.subarray(index * experts, (index + 1) * experts),
    probSums_E: ledger.probSums.subarray(index * 2 * experts, (index + 1) * 2 * experts),
  }));
  const global = globalStreams(job.layout.dealing.batch, batch);
  const { auxLoss, zLoss } = streamLosses(job.model, statistics, global);
  const choices = ledger.counts.reduce((sum, count) => sum + count, 0);
  const dropRate = choices === 0 ? 0 : ledger.numDropped / choices;
  return { loss, auxLoss: auxLoss + zLoss, maxExpertLoad, dropRate, hottest };
}
