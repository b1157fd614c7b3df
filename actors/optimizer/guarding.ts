import { address } from '@troupe/core';
import { addresses } from '@troupe/topology/layout';
import { chunks } from '../gradients.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardParts } from './shard-parts.ts';
import type { OptimizerSelf } from './events.ts';

type GuardingEffects = Pick<OptimizerEffects, 'guardSum' | 'reportAbandoned' | 'sendState'>;

/** A copy of what only this shard holds, and what comes of it after a loss. */
export function guardingEffects(self: OptimizerSelf, parts: ShardParts): GuardingEffects {
  const { shard, memory, ward } = parts;
  const { device } = shard.worker;
  return {
    guardSum: ({ step, attempt }) => {
      if (ward === null) return;
      const group = shard.group.name;
      for (const slice of memory.sums.slices(shard.owns.from, shard.owns.to)) {
        const kind = slice.kind === 'stored' ? 'f32' : 'int64';
        for (const part of chunks(slice)) {
          const sums = device.read(slice.values.subarray(part.from - slice.from, part.to - slice.from));
          const body = { group, ...part, kind } as const;
          self.tell(ward, 'ward.sum', { step, attempt, body, tensors: { sums } });
        }
      }
    },
    reportAbandoned: (_event, { attempt, version, loaded }) =>
      self.tell(addresses.trainer, 'attempt.abandoned', { attempt, version, body: { loaded } }),
    sendState: ({ version: wanted, body: { to } }, { version, attempt }) => {
      for (const part of memory.state(shard.owns, version))
        self.tell(address(to), 'state.slice', { version: wanted, attempt, ...part });
    },
  };
}
