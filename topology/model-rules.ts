import type { FilledTopology } from './fill.ts';
import type { Finding } from './finding.ts';
import { indivisible } from './indivisible.ts';
import { divisors, neighbours, nearestNumber } from './nearest.ts';
import { placedWorkers } from './placed-workers.ts';
import type { TopologyValues } from './schema.ts';

/** With latent attention widths of heads are its own, and every head has keys and values of its own. */
function latentRules({ model, parallel }: FilledTopology): readonly Finding[] {
  const { mla, heads, kvHeads, headDim, qkNorm } = model;
  if (mla === null) return [];
  const width = mla.nopeDim + mla.ropeDim;
  const conflict = (key: string, rule: string, nearest: number | string): Finding => ({
    code: 'TROUPE_TOPOLOGY_CONFLICT',
    keys: [key, 'model.mla'],
    rule,
    nearest,
  });
  return [
    ...(headDim === width
      ? []
      : [conflict('model.headDim', `is nopeDim + ropeDim, ${width}, with latent attention`, width)]),
    ...(kvHeads === heads
      ? []
      : [
          conflict(
            'model.kvHeads',
            `is heads, ${heads}, with latent attention: every head has its own`,
            heads,
          ),
        ]),
    ...(qkNorm === 'none'
      ? []
      : [conflict('model.qkNorm', 'must be none: latent attention has norms of its latents', 'none')]),
    ...(parallel.pipeline === 'zero-bubble'
      ? [
          conflict(
            'parallel.pipeline',
            'must not be zero-bubble: nobody has counted what the gradients of latent attention would wait with',
            '1f1b',
          ),
        ]
      : []),
    ...indivisible({
      of: ['ropeDim', mla.ropeDim],
      by: ['a rotary pair,', 2],
      keys: ['model.mla.ropeDim'],
      nearest: mla.ropeDim + 1,
    }),
  ];
}

/** The model's own keys against each other. */
export function modelRules(file: FilledTopology, written: TopologyValues): Finding[] {
  const { model } = file;
  const ownWidth = written.model.headDim !== undefined;
  const heads = indivisible({
    of: ['dModel', model.dModel],
    by: ['heads', model.heads],
    keys: ['model.heads', 'model.dModel'],
    nearest: nearestNumber(model.heads, divisors(model.dModel)),
    hint: 'or name headDim',
  });
  const evenWidth = indivisible({
    of: ['headDim', model.headDim],
    by: ['a rotary pair,', 2],
    keys: ['model.headDim', 'model.heads', 'model.dModel'],
    nearest: model.headDim + 1,
  });
  return [
    ...(ownWidth || model.mla !== null ? [] : heads),
    ...(model.mla === null && (ownWidth || heads.length === 0) ? evenWidth : []),
    ...latentRules(file),
    ...indivisible({
      of: ['heads', model.heads],
      by: ['kvHeads', model.kvHeads],
      keys: ['model.kvHeads', 'model.heads'],
      nearest: nearestNumber(model.kvHeads, divisors(model.heads)),
    }),
  ];
}

type WrittenMoe = NonNullable<FilledTopology['model']['moe']>;

/** The width of an expert is a part of the dense one, or written. */
function widthRules(dFf: number, { granularity, dExpert }: WrittenMoe): readonly Finding[] {
  if (dExpert === undefined)
    return indivisible({
      of: ['dFf', dFf],
      by: ['granularity', granularity],
      keys: ['model.moe.granularity', 'model.ffn.dFf', 'model.dModel'],
      nearest: nearestNumber(granularity, divisors(dFf)),
    });
  if (granularity === 1 || dExpert * granularity === dFf) return [];
  return [
    {
      code: 'TROUPE_TOPOLOGY_CONFLICT',
      keys: ['model.moe.dExpert', 'model.moe.granularity'],
      rule: `is not dFf / granularity, ${dFf} / ${granularity}; write one of the two`,
      nearest: null,
    },
  ];
}

/** Groups of experts are equal, and those that a token may choose from have enough experts. */
function groupRules({ experts, topK, router: { groups, topGroups } }: WrittenMoe): readonly Finding[] {
  const keys = ['model.moe.router.groups', 'model.moe.experts'] as const;
  if (experts % groups !== 0)
    return indivisible({
      of: ['experts', experts],
      by: ['groups', groups],
      keys,
      nearest: nearestNumber(groups, divisors(experts)),
    });
  const least = Math.ceil((Math.min(topK, experts) * groups) / experts);
  if (topGroups >= least && topGroups <= groups) return [];
  const rule =
    topGroups > groups
      ? `must be at most groups ${groups}`
      : `must be at least ${least}: ${topGroups} of ${groups} groups have fewer than topK ${topK} experts`;
  return [
    {
      code: 'TROUPE_TOPOLOGY_RANGE',
      keys: ['model.moe.router.topGroups', 'model.moe.router.groups', 'model.moe.topK'],
      rule,
      nearest: topGroups > groups ? groups : least,
    },
  ];
}

/** What shares experts out, and the experts. */
export function moeRules(file: FilledTopology): Finding[] {
  const { moe, ffn, layers } = file.model;
  const { dp, ep } = file.parallel;
  // Experts on workers without a stage have replicas in common.
  const isApart = placedWorkers(file).placed.expertWorkers > 0;
  const findings = isApart
    ? []
    : indivisible({
        of: ['dp', dp],
        by: ['ep', ep],
        keys: ['parallel.ep', 'parallel.dp'],
        nearest: nearestNumber(ep, divisors(dp)),
      });
  if (moe === null) {
    if (ep === 1) return findings;
    const rule = 'a model without experts (model.moe) has nothing to share; ep must be 1';
    return [
      ...findings,
      { code: 'TROUPE_TOPOLOGY_CONFLICT', keys: ['parallel.ep', 'model.moe'], rule, nearest: 1 },
    ];
  }
  const both = divisors(moe.experts).filter((each) => isApart || dp % each === 0);
  findings.push(
    ...indivisible({
      of: ['experts', moe.experts],
      by: ['ep', ep],
      keys: ['parallel.ep', 'model.moe.experts', 'parallel.dp'],
      nearest: nearestNumber(ep, both),
      hint: `or choose experts ${neighbours(moe.experts, ep)}`,
    }),
    ...widthRules(ffn.dFf, moe),
    ...groupRules(moe),
  );
  const range = (key: string, also: string, value: number, limit: number, what: string): void => {
    if (value <= limit) return;
    findings.push({
      code: 'TROUPE_TOPOLOGY_RANGE',
      keys: [key, also],
      rule: `must be at most ${what} ${limit}`,
      nearest: limit,
    });
  };
  range('model.moe.topK', 'model.moe.experts', moe.topK, moe.experts, 'experts');
  range('model.moe.every', 'model.layers', moe.every, layers, 'layers');
  range(
    'model.moe.firstDense',
    'model.layers',
    moe.firstDense,
    layers - 1,
    'layers, one less than there are,',
  );
  if (moe.balance.scope === 'global' && file.train.microbatches > 1 && file.parallel.pipeline !== 'gpipe') {
    findings.push({
      code: 'TROUPE_TOPOLOGY_CONFLICT',
      keys: ['model.moe.balance.scope', 'train.microbatches', 'parallel.pipeline'],
      rule:
        `the fractions of the whole batch are not known before its last microbatch, and microbatches is ${file.train.microbatches}: ` +
        'set microbatches to 1, use pipeline gpipe, or scope sequence',
      nearest: 'sequence',
    });
  }
  return findings;
}
