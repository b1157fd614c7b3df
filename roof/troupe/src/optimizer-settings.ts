import { assert, InvariantError } from '@troupe/core';
import type { OptimizerSettings } from '@troupe/model';
import type { ResolvedTopology } from '@troupe/topology';

/** What a job says of the optimizer that a topology names. */
export function optimizerSettings(optimizer: ResolvedTopology['train']['optimizer']): OptimizerSettings {
  const { kind, weightDecay, clip, eps, momentum, nesterov } = optimizer;
  const [beta1, beta2] = optimizer.betas;
  const common = { weightDecay, clip };
  switch (kind) {
    case 'adamw':
      return { kind, ...common, beta1, beta2, eps };
    case 'sgd':
      assert(momentum !== undefined && nesterov !== undefined, 'defaults are filled in', { kind });
      return { kind, ...common, momentum, nesterov };
    default:
      throw new InvariantError('what is not built is refused before', { kind });
  }
}
