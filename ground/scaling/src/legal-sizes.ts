import { activeParams, tokenFlops, totalParams, type Experts, type FlopsCost } from './shape.ts';

/** What a budget asks for; no whole numbers. */
export interface AskedSizes extends Experts {
  readonly paramsActive: number;
  readonly tokens: number;
  readonly flops: number;
}

/** Sizes that a topology can have. `dFf` is `4·dModel`. */
export interface LegalSizes extends Experts {
  readonly dModel: number;
  readonly blocks: number;
  readonly heads: number;
  readonly seqLen: number;
  /** Sequences of a step. */
  readonly batch: number;
  readonly steps: number;
  readonly paramsActive: number;
  readonly params: number;
  readonly tokens: number;
  readonly flops: number;
}

/** Steps of the width: those of whole heads of 64, and finer ones where such a width misses a small model. */
const WIDTH_STEPS = [64, 16, 8];
const HEAD_WIDTH = 64;
/** Off by less than this, as a logarithm, the aspect decides. */
const CLOSE = 0.04;
/** `dModel / blocks` that laws are solved for, and how far from it, as a factor, a model may be. */
const ASPECT = 64;
const SKEW = 3;

interface Candidate {
  readonly dModel: number;
  readonly blocks: number;
  /** Tokens that share what the width does to FLOPs a token between FLOPs and tokens. */
  readonly tokens: number;
  /** The largest of active parameters, tokens and FLOPs, as a logarithm. */
  readonly off: number;
}

const skew = ({ dModel, blocks }: Candidate): number => Math.abs(Math.log(dModel / blocks / ASPECT));

function candidate(dModel: number, blocks: number, asked: AskedSizes, cost: FlopsCost): Candidate {
  const shape = { dModel, blocks };
  // Routers cost more of a narrow model than of a wide one with as many parameters.
  const dearer = Math.log((tokenFlops(shape, asked, cost) * asked.tokens) / asked.flops);
  const params = Math.log(activeParams(shape) / asked.paramsActive);
  return {
    ...shape,
    tokens: asked.tokens * Math.exp(-dearer / 2),
    off: Math.max(Math.abs(params), Math.abs(dearer) / 2),
  };
}

/** Every width that could be meant, each with the number of blocks that comes nearest. */
function candidates(asked: AskedSizes, cost: FlopsCost, widthStep: number): readonly Candidate[] {
  const { paramsActive, granularity } = asked;
  const most = Math.ceil((4 * Math.cbrt((paramsActive * ASPECT) / 12)) / widthStep);
  return Array.from({ length: most }, (_, index) => (index + 1) * widthStep)
    .filter((dModel) => (4 * dModel) % granularity === 0)
    .map((dModel) =>
      candidate(dModel, Math.max(1, Math.round(paramsActive / (12 * dModel ** 2))), asked, cost),
    );
}

/** The smallest width whose FFN divides into so many parts. */
function narrowest(granularity: number): number {
  const step = WIDTH_STEPS.at(-1) ?? 1;
  let dModel = step;
  while ((4 * dModel) % granularity !== 0) dModel += step;
  return dModel;
}

/** The first step of the width at which a model of a usual aspect is close enough; else the closest there is. */
function nearest(asked: AskedSizes, cost: FlopsCost): Candidate {
  const found = WIDTH_STEPS.map((widthStep) => candidates(asked, cost, widthStep));
  const usual = found.map((some) => some.filter((each) => each.off <= CLOSE && skew(each) <= Math.log(SKEW)));
  const least = (some: readonly Candidate[], value: (each: Candidate) => number): Candidate | undefined =>
    some.toSorted((a, b) => value(a) - value(b))[0];
  return (
    least(usual.find((some) => some.length > 0) ?? [], skew) ??
    least(found.flat(), ({ off }) => off) ??
    candidate(narrowest(asked.granularity), 1, asked, cost)
  );
}

/** Heads whose width is even and nearest to 64. */
function headsOf(dModel: number): number {
  const legal = Array.from({ length: dModel / 2 }, (_, index) => index + 1).filter(
    (heads) => dModel % (2 * heads) === 0,
  );
  const skewOf = (heads: number): number => Math.abs(Math.log(dModel / heads / HEAD_WIDTH));
  return legal.reduce((best, heads) => (skewOf(heads) < skewOf(best) ? heads : best), 1);
}

/**
 * The nearest model and number of steps that a topology can have.
 *
 * Width and depth are chosen for active parameters and FLOPs first and for an aspect near 64 second; steps for tokens.
 *
 * @param options - `batchTokens` a step, rounded to whole sequences of `seqLen`
 */
export function legalSizes(
  asked: AskedSizes,
  {
    batchTokens,
    seqLen,
    cost,
  }: { readonly batchTokens: number; readonly seqLen: number; readonly cost: FlopsCost },
): LegalSizes {
  const { expansion, granularity } = asked;
  const { dModel, blocks, tokens: wanted } = nearest(asked, cost);
  const batch = Math.max(1, Math.round(batchTokens / seqLen));
  const steps = Math.max(1, Math.round(wanted / (batch * seqLen)));
  const shape = { dModel, blocks };
  const tokens = steps * batch * seqLen;
  return {
    ...shape,
    expansion,
    granularity,
    heads: headsOf(dModel),
    seqLen,
    batch,
    steps,
    paramsActive: activeParams(shape),
    params: totalParams(shape, expansion),
    tokens,
    flops: tokens * tokenFlops(shape, { expansion, granularity }, cost),
  };
}
