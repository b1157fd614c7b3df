import { hasWholeTensors } from '@troupe/spec';
import { choiceRules } from './choice-rules.ts';
import { capacityRules } from './capacity-rules.ts';
import { dataKinds } from './data-kinds.ts';
import { BYTES_VOCAB, type FilledTopology } from './fill.ts';
import type { Finding } from './finding.ts';
import { faultRules } from './fault-rules.ts';
import { DeviceTargets } from './device-targets.ts';
import { HOST_TARGET } from './host-targets.ts';
import { indivisible } from './indivisible.ts';
import { encoderRules } from './encoder-rules.ts';
import { modelRules, moeRules } from './model-rules.ts';
import { limits } from './limits.ts';
import { launcherRules } from './launcher-rules.ts';
import { machineRules, twoMachines, wireRules } from './machine-rules.ts';
import { resolveMachines } from './machines.ts';
import { placedWorkers } from './placed-workers.ts';
import { divisors, nearestName, nearestNumber, neighbours } from './nearest.ts';
import { parallelRules } from './parallel-rules.ts';
import { positionRules } from './position-rules.ts';
import { isPattern } from './placement-rules.ts';
import type { TopologyValues } from './schema.ts';
import { taskRules } from './task-rules.ts';

function dataRules(file: FilledTopology, written: TopologyValues): Finding[] {
  const findings: Finding[] = [];
  const named = dataKinds.filter((kind) => written.data[kind] !== undefined);
  if (named.length > 1) {
    const rule = `names ${named.join(' and ')}; a run reads one of them`;
    findings.push({
      code: 'TROUPE_TOPOLOGY_CONFLICT',
      keys: [`data.${named[1] ?? ''}`, 'data'],
      rule,
      nearest: null,
    });
  }
  if (written.data.field !== undefined && written.data.jsonl === undefined) {
    const rule = 'only jsonl has fields';
    findings.push({
      code: 'TROUPE_TOPOLOGY_CONFLICT',
      keys: ['data.field', 'data.jsonl'],
      rule,
      nearest: null,
    });
  }
  if (written.data.synthetic !== undefined) return findings;
  const { kind, vocab } = file.data.tokenizer;
  const ownVocab = written.data.tokenizer.vocab !== undefined;
  const range = (key: string, rule: string, nearest: number): void => {
    findings.push({
      code: 'TROUPE_TOPOLOGY_RANGE',
      keys: [key, 'data.tokenizer', 'model.vocab'],
      rule,
      nearest,
    });
  };
  if (file.model.vocab < BYTES_VOCAB) {
    const rule = `must be at least ${BYTES_VOCAB}: the tokenizer's 256 bytes and the end of a document`;
    range('model.vocab', rule, BYTES_VOCAB);
  } else if (kind === 'bytes' && ownVocab && vocab !== BYTES_VOCAB) {
    range('data.tokenizer.vocab', `must be ${BYTES_VOCAB}: 256 bytes and the end of a document`, BYTES_VOCAB);
  } else if (vocab > file.model.vocab) {
    range('data.tokenizer.vocab', `must be at most model.vocab ${file.model.vocab}`, file.model.vocab);
  }
  return findings;
}

/** Keys that some optimizers alone have. */
const ownKeys = {
  momentum: ['sgd', 'muon'],
  nesterov: ['sgd', 'muon'],
  stepScale: ['muon'],
  relativeStep: ['adafactor'],
} as const;

/** A number that is read by nobody is a mistake of whoever wrote it. */
function optimizerRules(optimizer: FilledTopology['train']['optimizer']): readonly Finding[] {
  return (Object.keys(ownKeys) as (keyof typeof ownKeys)[]).flatMap((key) => {
    const owners: readonly string[] = ownKeys[key];
    if (optimizer[key] === undefined || owners.includes(optimizer.kind)) return [];
    return [
      {
        code: 'TROUPE_TOPOLOGY_CONFLICT',
        keys: [`train.optimizer.${key}`, 'train.optimizer.kind'],
        rule: `only optimizer ${owners.join(' or ')} has ${key}; ${optimizer.kind} has none`,
        nearest: null,
      },
    ];
  });
}

/** A tensor that is divided is nowhere whole, as these optimizers need it. */
function wholeRules({ train, parallel }: FilledTopology): readonly Finding[] {
  const { kind } = train.optimizer;
  if (!hasWholeTensors(kind)) return [];
  const rule = (key: 'parallel.tp' | 'train.tensorSegments', found: number): readonly Finding[] =>
    found === 1
      ? []
      : [
          {
            code: 'TROUPE_TOPOLOGY_CONFLICT',
            keys: [key, 'train.optimizer.kind'],
            rule: `must be 1 with optimizer ${kind}, which needs whole matrices; or use adamw or sgd`,
            nearest: 1,
          },
        ];
  return [...rule('parallel.tp', parallel.tp), ...rule('train.tensorSegments', train.tensorSegments)];
}

/** Only wsd has a decay of its own length, and warm-up and decay are shares of the same steps. */
function decayRules({ schedule, warmup, decay }: FilledTopology['train']['optimizer']): readonly Finding[] {
  if (decay === undefined) return [];
  if (schedule !== 'wsd')
    return [
      {
        code: 'TROUPE_TOPOLOGY_CONFLICT',
        keys: ['train.optimizer.decay', 'train.optimizer.schedule'],
        rule: `only schedule wsd has a decay of its own; ${schedule} has none`,
        nearest: null,
      },
    ];
  if (warmup + decay <= 1) return [];
  return [
    {
      code: 'TROUPE_TOPOLOGY_RANGE',
      keys: ['train.optimizer.decay', 'train.optimizer.warmup'],
      rule: `must be at most 1 - warmup, ${1 - warmup}: both are shares of the same steps`,
      nearest: 1 - warmup,
    },
  ];
}

function trainRules(file: FilledTopology): Finding[] {
  const { batch, grains, microbatches, optimizer } = file.train;
  const parts = file.parallel.dp * microbatches;
  const legal = divisors(batch).filter((each) => each % parts === 0 && each <= 128);
  const findings = [
    ...indivisible({
      of: ['batch', batch],
      by: ['grains', grains],
      keys: ['train.grains', 'train.batch'],
      nearest: nearestNumber(grains, legal.length > 0 ? legal : divisors(batch)),
      hint: `or choose batch ${neighbours(batch, grains)}`,
    }),
    ...indivisible({
      of: ['grains', grains],
      by: [`dp ${file.parallel.dp} × microbatches ${microbatches} =`, parts],
      keys: ['train.grains', 'parallel.dp', 'train.microbatches', 'train.batch'],
      nearest: nearestNumber(grains, legal),
      ...(legal.length > 0 ? {} : { hint: `batch must be a multiple of ${parts} too, now ${batch}` }),
    }),
  ];
  if (file.train.scheduleFrom >= file.train.steps)
    findings.push({
      code: 'TROUPE_TOPOLOGY_CONFLICT',
      keys: ['train.scheduleFrom', 'train.steps'],
      rule: `must lie before the last of ${file.train.steps} steps`,
      nearest: 0,
    });
  if (optimizer.lrMin > optimizer.lr) {
    const rule = `must be at most lr ${optimizer.lr}`;
    const keys = ['train.optimizer.lrMin', 'train.optimizer.lr'] as const;
    findings.push({
      code: 'TROUPE_TOPOLOGY_RANGE',
      keys,
      rule,
      nearest: optimizer.lr,
    });
  }
  return [...findings, ...decayRules(optimizer), ...optimizerRules(optimizer), ...wholeRules(file)];
}

/** Only shards match. */
const isOfShards = (pattern: string): boolean => pattern.startsWith('optimizer/');

function placementRules(file: FilledTopology): readonly Finding[] {
  const { placement, machines } = file;
  const rules = Object.entries(placement);
  const numPatterns = rules.filter(([rule]) => isPattern(rule)).length;
  const sizes = [
    { found: rules.length, most: limits.placementRules, what: 'rules; one with * places many actors' },
    { found: numPatterns, most: limits.placementPatterns, what: 'rules with *; those without are looked up' },
  ];
  const excess = sizes.find(({ found, most }) => found > most);
  if (excess !== undefined) {
    const rule = `holds ${excess.found} of at most ${excess.most} ${excess.what}`;
    return [{ code: 'TROUPE_TOPOLOGY_RANGE', keys: ['placement'], rule, nearest: excess.most }];
  }
  const resolved = resolveMachines(machines);
  const targets = new DeviceTargets(resolved);
  const findings: Finding[] = [];
  for (const [pattern, target] of rules) {
    const key = `placement.${pattern}`;
    const doubt = twoMachines(resolved, target.split('/')[0] ?? '');
    if (doubt !== null)
      findings.push({
        code: 'TROUPE_TOPOLOGY_PLACEMENT',
        keys: [key, 'machines'],
        rule: doubt,
        nearest: null,
      });
    else if (/^(?:gate|pass)\b/.test(pattern)) {
      const rule = 'passes and gates live where their stage lives; place the stage';
      findings.push({
        code: 'TROUPE_TOPOLOGY_PLACEMENT',
        keys: [key],
        rule,
        nearest: pattern.replace(/^(?:gate|pass)/u, 'stage'),
      });
    } else if (targets.isHost(target) && !isOfShards(pattern)) {
      const rule = 'a host has optimizer shards alone; say optimizer/… in the pattern';
      findings.push({ code: 'TROUPE_TOPOLOGY_PLACEMENT', keys: [key], rule, nearest: 'optimizer/*' });
    } else if (!targets.has(target)) {
      const { devices, hosts } = targets;
      const rule = `no machine has this device; there are ${devices.slice(0, 8).join(', ')}${devices.length > 8 ? ' …' : ''}, and for optimizer shards ${[HOST_TARGET, ...hosts.slice(0, 1)].join(', ')}`;
      findings.push({
        code: 'TROUPE_TOPOLOGY_PLACEMENT',
        keys: [key, 'machines'],
        rule,
        nearest: findings.length < limits.problems ? nearestName(target, targets.all) : null,
      });
    }
  }
  return findings.length > 0 ? findings : placedWorkers(file).findings;
}

/** Judges keys against each other. `written` tells what the file says from what is a default. */
export function crossKeyFindings(file: FilledTopology, written: TopologyValues): readonly Finding[] {
  return [
    ...modelRules(file, written),
    ...encoderRules(file),
    ...positionRules(file),
    ...moeRules(file),
    ...choiceRules(file),
    ...capacityRules(file),
    ...dataRules(file, written),
    ...taskRules(written.data, file.model.encoder !== null),
    ...trainRules(file),
    ...parallelRules(file, written),
    ...machineRules(file),
    ...launcherRules(file),
    ...placementRules(file),
    ...wireRules(file),
    ...faultRules(file),
  ];
}
