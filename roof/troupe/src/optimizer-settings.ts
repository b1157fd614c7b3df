import { assert } from '@troupe/core';
import type { OptimizerSettings } from '@troupe/model';
import type { ResolvedTopology } from '@troupe/topology';

type Resolved = ResolvedTopology['train']['optimizer'];

/** A number that the schema fills in for the optimizers that have it. */
function own<K extends keyof Resolved>(optimizer: Resolved, key: K): NonNullable<Resolved[K]> {
  const value = optimizer[key];
  assert(value !== undefined, 'defaults are filled in', { kind: optimizer.kind, key });
  return value;
}

/** What a job says of the optimizer that a topology names. */
export function optimizerSettings(optimizer: Resolved): OptimizerSettings {
  const { kind, weightDecay, clip, eps } = optimizer;
  const [beta1, beta2] = optimizer.betas;
  const common = { weightDecay, clip };
  const adamw = { beta1, beta2, eps };
  const momentum = () => ({ momentum: own(optimizer, 'momentum'), nesterov: own(optimizer, 'nesterov') });
  switch (kind) {
    case 'adamw':
      return { kind, ...common, ...adamw };
    case 'sgd':
      return { kind, ...common, ...momentum() };
    case 'adafactor':
      return { kind, ...common, relativeStep: own(optimizer, 'relativeStep') };
    case 'muon':
      break;
  }
  return { kind, ...common, ...adamw, ...momentum(), stepScale: own(optimizer, 'stepScale') };
}
