import { address } from '@troupe/core';
import { agentFor } from '../crew.ts';
import { chunks, type Range } from '../gradients.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardParts } from './shard-parts.ts';
import type { OptimizerSelf } from './events.ts';

type GuardingEffects = Pick<OptimizerEffects, 'guardSum' | 'reportAbandoned' | 'sendState'>;

/** Sends the copy of this shard a part of the finished sum. */
export function guardPart(
  self: OptimizerSelf,
  { shard, memory, ward }: ShardParts,
  range: Range,
  at: { readonly step: number; readonly attempt: number },
): void {
  if (ward === null) return;
  const group = shard.group.name;
  for (const slice of memory.sums.slices(range.from, range.to)) {
    const kind = slice.kind === 'stored' ? 'f32' : 'int64';
    for (const part of chunks(slice)) {
      const first = part.from - slice.from;
      const sums = shard.worker.device.read(slice.values.subarray(first, part.to - slice.from));
      self.tell(ward, 'ward.sum', { ...at, body: { group, ...part, kind }, tensors: { sums } });
    }
  }
}

/** A copy of what only this shard holds, and what comes of it after a loss. */
export function guardingEffects(self: OptimizerSelf, parts: ShardParts): GuardingEffects {
  const { shard, memory, moving } = parts;
  const agent = agentFor(shard.worker.job.layout, shard.worker.rank);
  return {
    // Of what others sum up (ZeRO 0) their parts follow, as they come.
    guardSum: ({ step, attempt }) => guardPart(self, parts, shard.reduces, { step, attempt }),
    reportAbandoned: (_event, { attempt, version, loaded }) =>
      self.tell(agent, 'attempt.abandoned', {
        attempt,
        version,
        body: { loaded: loaded && moving.holds },
      }),
    sendState: ({ version: wanted, body: { to } }, { version, attempt }) => {
      for (const part of memory.state(shard.owns, version))
        self.tell(address(to), 'state.slice', { version: wanted, attempt, ...part });
    },
  };
}
