import { paperCost } from '@troupe/scaling';
import type { SweepCell } from '@troupe/topology';
import { lawParameters } from '../scaling/law-parameters.ts';

/** What is known of a cell before it is trained. */
export interface CellSizes {
  readonly paramsActive: number;
  readonly paramsTotal: number;
  readonly tokens: number;
  /** As the law counts them, routers included. */
  readonly flops: number;
  /** FLOPs that the law leaves out too: of the head. What time is estimated by. */
  readonly work: number;
}

export function cellSizes({ topology }: SweepCell): CellSizes {
  const { model, train } = topology;
  const { active, total, routers } = lawParameters(model);
  const tokens = train.steps * train.batch * model.seqLen;
  const perToken = active * paperCost.matrix + routers * paperCost.router;
  const head = paperCost.matrix * model.vocab * model.dModel;
  return {
    paramsActive: active,
    paramsTotal: total,
    tokens,
    flops: tokens * perToken,
    work: tokens * (perToken + head),
  };
}
