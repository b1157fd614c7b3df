/**
 * What decay to the power of the number of updates leaves to correct (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1).
 *
 * @param clock - updates so far, this one among them, from 1
 */
export const biasCorrections = (
  beta1: number,
  beta2: number,
  clock: number,
): { readonly correction1: number; readonly correction2: number } => ({
  correction1: 1 - beta1 ** clock,
  correction2: 1 - beta2 ** clock,
});

/** Decay and largest relative step of Adafactor (Shazeer & Stern 2018, arXiv:1804.04235, algorithm 4 and § 7.2). */
export const adafactorRates = (clock: number): { readonly beta2: number; readonly relativeStep: number } => ({
  beta2: 1 - clock ** -0.8,
  relativeStep: Math.min(1e-2, clock ** -0.5),
});
