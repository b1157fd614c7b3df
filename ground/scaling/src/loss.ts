import type { DenseLaw, GranularLaw, JointLaw } from './law-set.ts';

/**
 * Loss of a model of fine-grained experts, nats a token.
 *
 * @param at - `params` all parameters without embedding and routers, `tokens` of training
 * @see arXiv:2402.07871, eq. 9
 */
export function granularLoss(
  { a, alpha, b, beta, g, gamma, c }: GranularLaw,
  {
    params,
    tokens,
    granularity,
  }: { readonly params: number; readonly tokens: number; readonly granularity: number },
): number {
  return c + (g / granularity ** gamma + a) * params ** -alpha + b * tokens ** -beta;
}

/** Loss of a dense model, nats a token. */
export function denseLoss(
  { a, alpha, b, beta, c }: DenseLaw,
  { params, tokens }: { readonly params: number; readonly tokens: number },
): number {
  return c + a * params ** -alpha + b * tokens ** -beta;
}

/** `1/Ê = 1/(E - 1 + (1/E_start - 1/E_max)^-1) + 1/E_max`: the first experts help less than in proportion, and so do the last. */
function effectiveExperts({ expertsStart, expertsMost }: JointLaw, experts: number): number {
  const offset = 1 / (1 / expertsStart - 1 / expertsMost);
  return 1 / (1 / (experts - 1 + offset) + 1 / expertsMost);
}

/**
 * Loss of a model of `experts` whole experts of which each token visits one, nats a token.
 *
 * @see arXiv:2502.05172
 */
export function jointLoss(
  law: JointLaw,
  {
    paramsActive,
    tokens,
    experts,
  }: { readonly paramsActive: number; readonly tokens: number; readonly experts: number },
): number {
  const effective = effectiveExperts(law, experts);
  const log = Math.log(effective);
  return (
    law.a * effective ** law.delta * paramsActive ** (law.alpha + law.gamma * log) +
    law.b * effective ** law.omega * tokens ** (law.beta + law.zeta * log) +
    law.c
  );
}
