import { addresses, messageKinds } from '@troupe/actors';
import { serializeError } from '@troupe/core';
import { ActorSystem, Directory, type SystemOptions } from '@troupe/runtime';
import { createPlacement, type Placement, type ResolvedTopology } from '@troupe/topology';
import { createCodec, type Codec } from '@troupe/wire';

type JobSystemOptions = Omit<SystemOptions, 'codec' | 'directory' | 'onFailure' | 'onStuck'> & {
  readonly topology: ResolvedTopology;
  /** Default: msgpack headers with a checksum. */
  readonly codec?: Codec;
  /** Where actors start. Default: computed from the topology. */
  readonly placement?: Placement;
};

/** The actors of one node of a job; what fails or hangs among them is the supervisor's to judge, wherever it lives. */
export function createJobSystem({ topology, codec, placement, ...ports }: JobSystemOptions): ActorSystem {
  const system: ActorSystem = new ActorSystem({
    ...ports,
    codec: codec ?? createCodec({ kinds: messageKinds, checksum: 'header' }),
    directory: new Directory((placement ?? createPlacement(topology)).nodeOf),
    onFailure: (error, actor) => {
      const { code, message, retryable } = serializeError(error, actor);
      system.tell(addresses.supervisor, 'actor.failed', { body: { actor, code, message, retryable } });
    },
    onStuck: (error, wait) =>
      system.tell(addresses.supervisor, 'worker.stuck', {
        body: { sentence: error.message, awaited: wait.awaited[0] ?? '' },
      }),
  });
  return system;
}
