import type { Device } from '@troupe/kernel-set';
import { loadDevice } from '@troupe/kernels';
import { createPlacement, type ResolvedTopology } from '@troupe/topology';
import type { ClusterOptions } from '../cluster-options.ts';
import { ExpertDeviceError } from '../errors.ts';
import { openOwnDevice } from '../own-device.ts';

/**
 * Opens one device a worker, and one a host; when one does not open, or does not suit the own expert, those that did are closed.
 *
 * @throws {ExpertDeviceError} TROUPE_EXPERT_DEVICE, or whatever a device throws that does not open
 */
export async function openDevices(
  topology: ResolvedTopology,
  { openDevice: own, expert }: Pick<ClusterOptions, 'openDevice' | 'expert'>,
): Promise<readonly Device[]> {
  const { workers, hosts } = createPlacement(topology);
  const threads = [...workers.map(({ device }) => device.threads), ...hosts.map((host) => host.threads)];
  const open = async (rank: number): Promise<Device> =>
    own === undefined
      ? loadDevice({ body: topology.device, threads: threads[rank] ?? 1 })
      : openOwnDevice(own, rank);
  const opened = await Promise.allSettled(threads.map((_, rank) => open(rank)));
  const devices = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  try {
    const failed = opened.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    for (const { info } of devices)
      if (expert?.body !== undefined && info.body !== expert.body)
        throw new ExpertDeviceError(expert.name, expert.body, info);
    return devices;
  } catch (error) {
    await Promise.all(devices.map((device) => device.close()));
    throw error;
  }
}
