import { assert, deserializeError } from '@troupe/core';
import { agentFor } from '../crew.ts';
import { lengthOf } from '../gradients.ts';
import type { OptimizerEffects } from './machine.ts';
import { placeOfPiece } from './shard.ts';
import type { ShardParts } from './shard-parts.ts';
import type { OptimizerSelf } from './events.ts';

type LoadingEffects = Pick<
  OptimizerEffects,
  | 'initialise'
  | 'askSlices'
  | 'acceptSlice'
  | 'acceptState'
  | 'roundWeights'
  | 'failLoading'
  | 'publishFirst'
  | 'reportLoaded'
>;

/** Where the state of a shard comes from: drawn, read from a checkpoint, or sent by another shard. */
export function loadingEffects(self: OptimizerSelf, parts: ShardParts): LoadingEffects {
  const { shard, memory, distribution, ward, moving } = parts;
  const { job, device } = shard.worker;
  const store = job.layout.storeOf(shard.rank);
  const agent = agentFor(job.layout, shard.worker.rank);
  return {
    initialise: (_event, { version, attempt }) =>
      self.submit(device, memory.draw(version), 'parameters.initialised', { attempt }),
    askSlices: (_event, { attempt }) => {
      for (const piece of shard.pieces(shard.owns)) {
        const { name, flat } = piece;
        const body = { ...placeOfPiece(piece), length: lengthOf(flat), from: flat.from };
        const options = { deadlineMs: job.deadlines.loadMs, reason: `state of ${name}` };
        self.ask(store, 'slices.read', { attempt, body }, options);
      }
    },
    acceptSlice: ({ body, tensors }, { version }) => memory.putState(version, body.from, tensors),
    acceptState: ({ body, tensors }, { version }) => memory.putState(version, body.from, tensors),
    failLoading: ({ error }) => {
      assert(error, 'a failed ask carries its error');
      self.fail(deserializeError(error));
    },
    roundWeights: (_event, { rounds, version, attempt }) => {
      if (rounds) self.submit(device, memory.publish(version), 'weights.rounded', { attempt });
    },
    publishFirst: (_event, { version, attempt }) => {
      moving.settle();
      distribution.publish({ version, attempt });
      if (ward === null) return;
      for (const { body: part, tensors } of memory.state(shard.owns, version)) {
        const body = { group: shard.group.name, ...part, optimizer: job.optimizer.kind };
        self.tell(ward, 'ward.state', { version, attempt, body, tensors });
      }
    },
    reportLoaded: (_event, { version, attempt }) => self.tell(agent, 'shard.loaded', { version, attempt }),
  };
}
