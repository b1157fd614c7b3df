/**
 * How a unit changes that no gradient trains: once per applied step, from an exact sum over the global batch. It is drawn, published, spread,
 * copied and saved as every parameter is, and its sum is exchanged as gradients are; but it has no state of an optimizer, no decay, and no
 * part in the norm.
 *
 * `bias`: of a router's experts; a step of `rate` towards the mean load (arXiv:2408.15664).
 * `threshold`: of experts that choose; a moving average of the least probability that they took, in which a step has the share `fresh`.
 */
export type BufferRule =
  { readonly kind: 'bias'; readonly rate: number } | { readonly kind: 'threshold'; readonly fresh: number };
export type BufferKind = BufferRule['kind'];
