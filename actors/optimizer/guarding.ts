import { address, assert } from '@troupe/core';
import { addresses } from '@troupe/topology/layout';
import { chunks, chunksOf } from '../gradients.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardParts } from './shard-parts.ts';
import type { OptimizerEvent, OptimizerSelf } from './events.ts';
import type { Ward } from './ward.ts';

type GuardingEffects = Pick<
  OptimizerEffects,
  'guardSum' | 'keepState' | 'keepSum' | 'reportAbandoned' | 'sendState'
>;

/** Copies of what only one shard holds, and what comes of them after a loss. */
export function guardingEffects(self: OptimizerSelf, parts: ShardParts): GuardingEffects {
  const { shard, memory, buddy } = parts;
  const { device, job } = shard.worker;
  const { layout } = job;
  const wardOf = ({ from }: OptimizerEvent): Ward => {
    assert(memory.ward, 'a ward sends what it has to its buddy', { from });
    return memory.ward;
  };
  const acknowledge = (part: Extract<OptimizerEvent, { readonly type: 'ward.state' | 'ward.sum' }>): void => {
    const { step, version, attempt, body } = part;
    self.tell(part.from, 'ward.kept', { step, version, attempt, body });
  };
  return {
    guardSum: ({ step, attempt }) => {
      if (buddy === null) return;
      for (const slice of shard.buffers.gradients.slices(shard.owns.from, shard.owns.to)) {
        for (const body of chunks(slice)) {
          const sums = device.read(slice.values.subarray(body.from - slice.from, body.to - slice.from));
          self.tell(buddy, 'ward.sum', { step, attempt, body, tensors: { sums } });
        }
      }
    },
    keepState: (event) => {
      wardOf(event).keepState(event.body.from, event.tensors);
      acknowledge(event);
    },
    keepSum: (event) => {
      wardOf(event).keepSum(event.body.from, event.tensors.sums);
      acknowledge(event);
    },
    reportAbandoned: (_event, { attempt, version, loaded, ward: copy }) => {
      const kept =
        shard.ward !== null && copy.version >= 0
          ? { ward: layout.shardOf(shard.group, shard.ward.worker), wardVersion: copy.version }
          : {};
      self.tell(addresses.trainer, 'attempt.abandoned', { attempt, version, body: { loaded, ...kept } });
    },
    sendState: ({ version: wanted, body: { to, fromCopy } }, { version, attempt }) => {
      const copy = fromCopy ? memory.ward : null;
      for (const body of chunksOf(copy?.owns ?? shard.owns)) {
        const tensors = copy?.state(body) ?? memory.state(body, version);
        self.tell(address(to), 'state.slice', { version: wanted, attempt, body, tensors });
      }
    },
  };
}
