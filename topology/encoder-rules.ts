import type { FilledTopology } from './fill.ts';
import type { Finding } from './finding.ts';
import { divisors, nearestNumber } from './nearest.ts';

const conflict = (
  keys: Finding['keys'],
  rule: string,
  nearest: Finding['nearest'],
  code: Finding['code'] = 'TROUPE_TOPOLOGY_CONFLICT',
): Finding => ({ code, keys, rule, nearest });

/** Heads of keys of the memory are divided as the heads of a block are, and never shared by several tensor ranks. */
function headRules({ model: { kvHeads }, train, parallel }: FilledTopology): readonly Finding[] {
  const segments = Math.max(train.tensorSegments, parallel.tp);
  if (kvHeads % segments === 0) return [];
  const rule = `kvHeads ${kvHeads} are not divisible by ${segments} segments of the tensor axis: with an encoder each has keys of its own`;
  const nearest = nearestNumber(parallel.tp, divisors(kvHeads));
  return [conflict(['model.kvHeads', 'parallel.tp'], rule, nearest, 'TROUPE_TOPOLOGY_INDIVISIBLE')];
}

/** An encoder is a part of the layers, and goes with what is built for two streams. */
export function encoderRules(file: FilledTopology): readonly Finding[] {
  const { model } = file;
  const { encoder, layers, moe, mla } = model;
  if (encoder === null) return [];
  return [
    ...(encoder.layers < layers
      ? []
      : [
          conflict(
            ['model.encoder.layers', 'model.layers'],
            `must be below layers ${layers}: those behind the encoder's are the decoder's`,
            Math.max(1, layers - 1),
            'TROUPE_TOPOLOGY_RANGE',
          ),
        ]),
    ...(mla === null
      ? []
      : [conflict(['model.mla', 'model.encoder'], 'must be null with an encoder', 'null')]),
    ...headRules(file),
    ...(moe?.router.kind === 'expert-choice'
      ? [
          conflict(
            ['model.moe.router.kind', 'model.encoder'],
            'must be token-choice with an encoder: how experts would choose among packed texts is not defined',
            'token-choice',
          ),
        ]
      : []),
    ...(moe?.balance.layers === 'pooled'
      ? [
          conflict(
            ['model.moe.balance.layers', 'model.encoder'],
            'must be each with an encoder: its layers see other tokens than the decoder',
            'each',
          ),
        ]
      : []),
  ];
}
