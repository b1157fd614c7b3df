import type { FilledTopology } from './fill.ts';

/** In `placement`, the process that has the optimizer of a machine's devices: of whatever machine a device is on, or of a named one. */
export const HOST_TARGET = 'host:0';

/** `localhost/host:0` */
export const hostName = (host: string): string => `${host}/${HOST_TARGET}`;

export const isHostTarget = (target: string): boolean =>
  target === HOST_TARGET || target.endsWith(`/${HOST_TARGET}`);

/** What lives in host memory: what `parallel.offload` says, or what a rule puts there. */
export const offloadOf = ({
  parallel,
  placement,
}: Pick<FilledTopology, 'parallel' | 'placement'>): FilledTopology['parallel']['offload'] =>
  Object.values(placement).some(isHostTarget) ? 'optimizer' : parallel.offload;
