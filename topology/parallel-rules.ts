import { isByLayer } from './expert-map.ts';
import { expertWidth, layersWithExperts, type FilledTopology } from './fill.ts';
import type { Finding } from './finding.ts';
import { indivisible } from './indivisible.ts';
import { resolveMachines } from './machines.ts';
import { areExpertsSliced, placedWorkers } from './placed-workers.ts';
import { divisors, nearestNumber } from './nearest.ts';
import type { TopologyValues } from './schema.ts';

type Keys = Finding['keys'];

const conflict = (keys: Keys, rule: string, nearest: Finding['nearest']): Finding => ({
  code: 'TROUPE_TOPOLOGY_CONFLICT',
  keys,
  rule,
  nearest,
});

const range = (keys: Keys, rule: string, nearest: Finding['nearest']): Finding => ({
  code: 'TROUPE_TOPOLOGY_RANGE',
  keys,
  rule,
  nearest,
});

const orders = ['interleaved', 'gpipe'] as const;

/** Runs of layers, and the order in which stages work. */
function pipelineRules({ model, parallel, train }: FilledTopology): Finding[] {
  const { pp, chunks, pipeline, stages } = parallel;
  const { layers } = model;
  const runs = pp * chunks;
  const findings: Finding[] = [];
  if (pp > layers)
    findings.push(range(['parallel.pp', 'model.layers'], `must be at most layers ${layers}`, layers));
  else if (runs > layers)
    findings.push(
      range(
        ['parallel.chunks', 'parallel.pp', 'parallel.pipeline', 'model.layers'],
        `pp ${pp} × chunks ${chunks} = ${runs} runs need a layer each, and there are ${layers}`,
        Math.floor(layers / pp),
      ),
    );
  if (chunks > 1 && !orders.some((each) => each === pipeline))
    findings.push(
      conflict(
        ['parallel.chunks', 'parallel.pipeline'],
        `pipeline ${pipeline} has one run of layers a stage; use interleaved`,
        1,
      ),
    );
  if (pipeline === 'interleaved')
    findings.push(
      ...indivisible({
        of: ['microbatches', train.microbatches],
        by: ['the stages of an interleaved pipeline, pp', pp],
        keys: ['train.microbatches', 'parallel.pp', 'parallel.pipeline'],
        nearest: nearestNumber(
          train.microbatches,
          divisors(train.grains).filter(
            (each) => each % pp === 0 && train.grains % (each * parallel.dp) === 0,
          ),
        ),
      }),
    );
  if (stages === undefined) return findings;
  const total = stages.reduce((sum, each) => sum + each, 0);
  const keys: Keys = ['parallel.stages', 'parallel.pp', 'parallel.chunks', 'model.layers'];
  if (stages.length !== runs)
    findings.push(
      conflict(
        keys,
        `names ${stages.length} runs of layers, and pp ${pp} × chunks ${chunks} = ${runs}`,
        null,
      ),
    );
  else if (total !== layers)
    findings.push(conflict(keys, `names ${total} layers in all, and the model has ${layers}`, null));
  return findings;
}

/** Some layer has a dense FFN. */
const hasDense = ({ moe }: FilledTopology['model']): boolean =>
  moe === null || moe.every > 1 || moe.firstDense > 0;

/** Sizes that tensor peers divide among themselves. */
function tensorRules(file: FilledTopology): Finding[] {
  const { model, parallel } = file;
  const { tp } = parallel;
  const { heads, kvHeads, ffn, moe } = model;
  const of = (what: string, size: number, key: string): Finding[] =>
    indivisible({
      of: [what, size],
      by: ['tp', tp],
      keys: ['parallel.tp', key],
      nearest: nearestNumber(tp, divisors(size)),
    });
  const findings = of('heads', heads, 'model.heads');
  if (model.qkNorm === 'full' && tp > kvHeads)
    findings.push(
      range(
        ['parallel.tp', 'model.kvHeads', 'model.qkNorm'],
        `must be at most kvHeads ${kvHeads} with a query/key norm over the full width: peers would have the same part of it`,
        nearestNumber(tp, divisors(kvHeads)),
      ),
    );
  // Fewer of them than peers: each is on tp / kvHeads peers.
  if (findings.length === 0 && kvHeads % tp !== 0 && tp % kvHeads !== 0)
    findings.push(...of('kvHeads', kvHeads, 'model.kvHeads'));
  if (hasDense(model)) findings.push(...of('dFf', ffn.dFf, 'model.ffn.dFf'));
  const dividesExperts = areExpertsSliced(file) || (moe?.sharedExperts ?? 0) > 0;
  const width = moe === null ? 0 : expertWidth(ffn.dFf, moe);
  if (moe !== null && dividesExperts && Number.isInteger(width))
    findings.push(...of('the width of an expert, dFf / granularity,', width, 'model.moe.granularity'));
  return findings;
}

/** Every sum that tensor peers may divide is cut into as many equal segments. */
function segmentRules({ model, parallel, train }: FilledTopology): Finding[] {
  const { tensorSegments: segments } = train;
  if (segments === 1) return [];
  const { kvHeads, ffn, moe } = model;
  const legal = [1, 2, 4, 8];
  const key = 'train.tensorSegments';
  const of = (what: string, size: number, also: string): Finding[] =>
    indivisible({
      of: [what, size],
      by: ['tensorSegments', segments],
      keys: [key, also],
      nearest: nearestNumber(
        segments,
        legal.filter((each) => size % each === 0),
      ),
    });
  const width = moe === null ? 0 : expertWidth(ffn.dFf, moe);
  const findings = [
    ...of('kvHeads', kvHeads, 'model.kvHeads'),
    ...(hasDense(model) ? of('dFf', ffn.dFf, 'model.ffn.dFf') : []),
    ...(moe === null || !Number.isInteger(width)
      ? []
      : of('the width of an expert, dFf / granularity,', width, 'model.moe.granularity')),
  ];
  const { tp } = parallel;
  if (segments % tp !== 0)
    findings.push({
      code: 'TROUPE_TOPOLOGY_INDIVISIBLE',
      keys: ['parallel.tp', key],
      rule: `tensorSegments ${segments} is not divisible by tp ${tp}: no tensor rank would have whole segments; with tensorSegments 1 results stay within 1e-5`,
      nearest: nearestNumber(tp, divisors(segments)),
    });
  return findings;
}

/** The experts of each group, as lists for one layer. */
function writtenRules(groups: readonly (readonly number[])[], file: FilledTopology, key: string): Finding[] {
  const numExperts = file.model.moe?.experts ?? 0;
  const { ep } = file.parallel;
  const keys: Keys = [key, 'parallel.ep', 'model.moe'];
  if (groups.length !== ep)
    return [conflict(keys, `lists the experts of ${groups.length} groups, and ep is ${ep}`, null)];
  const times = Array<number>(numExperts).fill(0);
  for (const expert of groups.flat()) {
    if (times[expert] === undefined)
      return [range(keys, `names expert ${expert}; they are 0 to ${numExperts - 1}`, null)];
    times[expert] += 1;
  }
  const odd = times.findIndex((count) => count !== 1);
  if (odd < 0) return [];
  const said = times[odd] === 0 ? 'no group' : 'two groups';
  return [conflict(keys, `expert ${odd} is in ${said}; each is in one`, null)];
}

function expertRules(file: FilledTopology): Finding[] {
  const { experts } = file.parallel;
  const { moe } = file.model;
  if (experts === 'contiguous') return [];
  const keys: Keys = ['parallel.experts', 'model.moe'];
  if (moe === null)
    return [conflict(keys, 'a model without experts (model.moe) has none to deal', 'contiguous')];
  if (experts === 'balanced') return [];
  if (!isByLayer(experts)) return writtenRules(experts, file, keys[0]);
  const withExperts = layersWithExperts(file.model).length;
  if (experts.length !== withExperts)
    return [
      conflict(
        [...keys, 'model.layers'],
        `lists the groups of ${experts.length} layers, and ${withExperts} have experts`,
        null,
      ),
    ];
  return experts.flatMap((groups, index) => writtenRules(groups, file, `parallel.experts.${index}`));
}

/** More than one axis at -1, and more or fewer devices than the axes need. */
function deviceRules(file: FilledTopology, written: TopologyValues): Finding[] {
  const { dp, pp, tp } = file.parallel;
  const findings: Finding[] = [];
  const free = (['dp', 'pp', 'tp'] as const).filter((axis) => written.parallel[axis] === -1);
  if (free.length > 1) {
    const key = `parallel.${free.find((axis) => axis !== 'dp') ?? 'dp'}`;
    const rule = `${free.join(' and ')} are -1; only one axis can take what is left (dp does unless named)`;
    findings.push(conflict([key, 'parallel.dp'], rule, 1));
  }
  const world = dp * pp * tp;
  const devices = resolveMachines(file.machines).reduce((sum, machine) => sum + machine.devices.length, 0);
  if (world + placedWorkers(file).placed.expertWorkers === devices) return findings;
  const fits = Math.floor(devices / (pp * tp));
  const count = `pp ${pp} × dp ${dp} × tp ${tp} = ${world}`;
  const few = world > devices;
  findings.push({
    code: few ? 'TROUPE_TOPOLOGY_DEVICES' : 'TROUPE_TOPOLOGY_IDLE_DEVICES',
    keys: ['parallel.dp', 'parallel.pp', 'parallel.tp', 'machines'],
    rule: few
      ? `${count} devices are needed, the machines have ${devices}`
      : `${count} of ${devices} devices would work; -1 takes what is left, and placement may give experts workers without a stage`,
    nearest: fits >= 1 ? fits : null,
  });
  return findings;
}

/** How the work is divided, against what is divided. */
export const parallelRules = (file: FilledTopology, written: TopologyValues): readonly Finding[] => [
  ...pipelineRules(file),
  ...tensorRules(file),
  ...segmentRules(file),
  ...expertRules(file),
  ...deviceRules(file, written),
];
