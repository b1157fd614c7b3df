import { chunks, WEIGHT_ELEMENTS } from '../gradients.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardParts } from './shard-parts.ts';
import type { OptimizerSelf } from './events.ts';

type GivingEffects = Pick<OptimizerEffects, 'giveWeights'>;

/** Weights of the own slice for couriers that gather them (ZeRO 3), as they are read. */
export function givingEffects(self: OptimizerSelf, { shard, memory }: ShardParts): GivingEffects {
  const { device } = shard.worker;
  return {
    giveWeights: ({ from, step, attempt, version, layer, microbatch, body }) => {
      const place = { step, attempt, version, layer, microbatch };
      for (const slice of memory.weights.published(body, version))
        for (const part of chunks(slice, WEIGHT_ELEMENTS[slice.kind])) {
          const values = slice.values.subarray(part.from - slice.from, part.to - slice.from);
          const weights = device.read<'f32' | 'bf16'>(values);
          self.tell(from, 'weights.part', { ...place, body: part, tensors: { weights } });
        }
    },
  };
}
