/** Marks a primitive with its meaning, so that an expert's index cannot be passed as a rank. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** Name of an actor, e.g. `expert/L3/ep0/edp1`: survives restart and migration, says nothing of a socket. */
export type Address = Brand<string, 'Address'>;

/** Name of a process (or of an in-process stand-in for one): `agent/0`, `worker/3`. Transports connect these. */
export type NodeId = Brand<string, 'NodeId'>;

export const address = (name: string): Address => name as Address;
export const nodeId = (name: string): NodeId => name as NodeId;
