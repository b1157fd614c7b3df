import {
  activeParams,
  denseLoss,
  granularLawOf,
  granularLoss,
  jointLoss,
  paperCost,
  shapeOfActive,
  tokenFlops,
  totalParams,
} from '@troupe/scaling';
import { UsageError } from '../errors.ts';
import { print, printJson } from '../output.ts';
import type { CommonOptions } from '../verb.ts';
import { figure } from './figure.ts';
import { expansionOf, lawOfFlags, warn, warningsOf, type LawFlags } from './law-flag.ts';

export interface PredictFlags extends CommonOptions, LawFlags {
  readonly active: number;
  readonly tokens: number;
  readonly granularity: number;
}

export function predict(flags: PredictFlags): void {
  const set = lawOfFlags(flags);
  const { tokens, granularity } = flags;
  const expansion = expansionOf(set, flags);
  const shape = shapeOfActive(flags.active);
  const paramsActive = activeParams(shape);
  const params = totalParams(shape, expansion);
  if (set.granular === undefined && set.joint !== undefined && granularity !== 1)
    throw new UsageError(
      `--granularity: '${set.name}' is a law of whole experts; leave it out, or name a granular law`,
    );
  const loss =
    set.granular === undefined && set.joint !== undefined
      ? jointLoss(set.joint, { paramsActive, tokens, experts: expansion })
      : granularLoss(granularLawOf(set), { params, tokens, granularity });
  const dense = set.dense === undefined ? null : denseLoss(set.dense, { params: paramsActive, tokens });
  const flops = tokens * tokenFlops(shape, { expansion, granularity }, paperCost);
  const warnings = warningsOf(set, { params, tokens }, expansion);
  const isJson = flags.json === true;
  if (isJson)
    printJson({
      event: 'predict',
      law: set.name,
      expansion,
      granularity,
      paramsActive,
      paramsTotal: params,
      tokens,
      flops,
      loss,
      denseLoss: dense,
      warnings,
    });
  else
    print(
      `law      ${set.name} (${set.source})`,
      `model    ${figure(paramsActive)} active parameters, ${figure(params)} in all; expansion ${expansion}, granularity ${granularity}`,
      `tokens   ${figure(tokens)}, ${flops.toExponential(2)} FLOPs`,
      `loss     ${loss.toFixed(4)} nats a token`,
      ...(dense === null ? [] : [`dense    ${dense.toFixed(4)} with as many active parameters and tokens`]),
    );
  warn(warnings, isJson);
}
