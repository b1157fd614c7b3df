import { activeParams, paperCost, shapeOfActive, tokenFlops } from '../shape.ts';
import type { RunRow } from '../fit/run-row.ts';

/** A run with what a comparison needs beyond a fit. */
export interface MeasuredRun extends RunRow {
  /** null: dense, or not known. */
  readonly router: string | null;
  /** As the law counts them, routers included. */
  readonly flops: number;
  /** null: not known. */
  readonly seconds: number | null;
  /** Nats a token; null: not known. */
  readonly heldOutLoss: number | null;
}

const numberOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;

/** What a line says of a run beyond what a fit needs; FLOPs that it does not say follow from its parameters, for the paper's aspect. */
export function measuredRun(row: RunRow): MeasuredRun {
  const said = row as RunRow & Readonly<Record<string, unknown>>;
  const { router, flops, seconds, heldOutLoss } = said;
  return {
    ...row,
    router: row.expansion > 1 && typeof router === 'string' ? router : null,
    flops: numberOf(flops) ?? usualFlops(row),
    seconds: numberOf(seconds),
    heldOutLoss: numberOf(heldOutLoss),
  };
}

function usualFlops({ paramsActive, tokens, expansion, granularity }: RunRow): number {
  const shape = shapeOfActive(paramsActive);
  const experts = expansion > 1 ? { expansion, granularity } : null;
  const scale = paramsActive / activeParams(shape);
  return tokens * scale * tokenFlops(shape, experts, paperCost);
}
