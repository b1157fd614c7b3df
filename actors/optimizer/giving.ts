import { chunks } from '../gradients.ts';
import type { OptimizerEffects } from './machine.ts';
import type { OptimizerSelf } from './events.ts';
import type { ShardParts } from './shard-parts.ts';

type GivingEffects = Pick<OptimizerEffects, 'giveWeights'>;

/** Weights of the own slice for couriers that gather them (ZeRO 3). */
export function givingEffects(self: OptimizerSelf, { shard, memory }: ShardParts): GivingEffects {
  const { device } = shard.worker;
  return {
    giveWeights: ({ from, step, attempt, version, layer, microbatch, body }) => {
      for (const slice of memory.weights.slices(body, version))
        for (const part of chunks(slice))
          self.tell(from, 'weights.part', {
            step,
            attempt,
            version,
            layer,
            microbatch,
            body: part,
            tensors: {
              weights: device.read(slice.values.subarray(part.from - slice.from, part.to - slice.from)),
            },
          });
    },
  };
}
