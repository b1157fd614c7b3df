import type { Lane } from '@troupe/core';

/** One direction of the connection between two nodes. */
export interface LinkModel {
  /** Least time of a packet on its way, milliseconds. Default 0.1. */
  readonly latencyMs: number;
  /** Spread of the time on top of it, milliseconds. Default 0.1. */
  readonly jitterMs: number;
  /**
   * How the spread is drawn for each packet: `uniform` in [0, jitterMs); `exponential` with mean jitterMs, as queues in switches give
   * (rare long ones). Default uniform.
   */
  readonly jitter: 'uniform' | 'exponential';
  /** Bytes a millisecond; packets of one direction and lane follow each other. Default 1.5e6 (1.5 GB/s). ∞: no limit. */
  readonly bytesPerMs: number;
  /** Most bytes on the way and not yet released, by lane, as the transport's window. A larger packet enters an empty one. Default 4 and 65 MiB. */
  readonly windowBytes: Readonly<Record<Lane, number>>;
  /** Probability that a packet is lost on its first way and sent again, as TCP does; repeated for the next way. Default 0. */
  readonly loss: number;
  /** Time after which TCP sends again, milliseconds, doubled every time. Default 200. */
  readonly retransmitMs: number;
  /** Silence after which a connection is lost, milliseconds. Default 5000, as the ZeroMQ body. */
  readonly silenceMs: number;
}

export const defaultLink: LinkModel = {
  latencyMs: 0.1,
  jitterMs: 0.1,
  jitter: 'uniform',
  bytesPerMs: 1.5e6,
  windowBytes: { control: 4 * 2 ** 20, data: 65 * 2 ** 20 },
  loss: 0,
  retransmitMs: 200,
  silenceMs: 5000,
};

/** Time of one packet from its start to its arrival, without its bytes. `draw` gives the next uniform number. */
export function travelMs(model: LinkModel, draw: () => number): number {
  const { latencyMs, jitterMs, jitter, loss, retransmitMs } = model;
  const spread = draw();
  let ms = latencyMs + jitterMs * (jitter === 'uniform' ? spread : -Math.log(1 - spread));
  if (loss === 0) return ms;
  for (let wait = retransmitMs; draw() < loss; wait *= 2) ms += wait;
  return ms;
}
