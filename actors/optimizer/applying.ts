import { assert } from '@troupe/core';
import { addresses } from '@troupe/topology/layout';
import { agentFor } from '../crew.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardParts } from './shard-parts.ts';
import type { OptimizerSelf } from './events.ts';
import { chunksOfPiece, placeOfPiece } from './shard.ts';

type ApplyingEffects = Pick<OptimizerEffects, 'apply' | 'publish' | 'acceptSpread' | 'snapshot'>;

/** From the trainer's decision to new weights where they are read, and to a checkpoint. */
export function applyingEffects(self: OptimizerSelf, parts: ShardParts): ApplyingEffects {
  const { shard, memory, distribution } = parts;
  const { device, job } = shard.worker;
  const store =
    job.parts === true
      ? addresses.part(job.layout.machineOf(shard.worker.rank))
      : job.layout.storeOf(shard.rank);
  const agent = agentFor(job.layout, shard.worker.rank);
  return {
    apply: ({ step, body }, { version, attempt }) => {
      assert(step === version + 1, 'a decision is about the step after what a shard holds (OPT-2)', {
        step,
        version,
      });
      const calls = [...memory.update(body, version), ...memory.sums.reset()];
      self.submit(device, calls, 'weights.applied', { step: version + 1, attempt });
    },
    publish: ({ step, attempt }, context) => {
      const { version } = context;
      distribution.publish(context);
      self.tell(agent, 'commit.applied', { step, attempt, version });
    },
    acceptSpread: ({ version, attempt, body, tensors: { weights } }) => {
      memory.putPublished(version, body.from, weights);
      distribution.acceptWeights(body, weights, { version, attempt });
      if (shard.residentBeside !== null) self.free([weights]);
    },
    snapshot: ({ step, attempt }, { version }) => {
      const place = { step, attempt, version };
      const pieces = shard.pieces(shard.reduces).flatMap(chunksOfPiece);
      for (const piece of pieces)
        for (const { tensors } of memory.state(piece.flat, version))
          self.tell(store, 'snapshot.slice', { ...place, body: placeOfPiece(piece), tensors });
      self.tell(store, 'snapshot.sent', { ...place, body: { pieces: pieces.length } });
    },
  };
}
