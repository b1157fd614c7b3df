import { kernelFingerprint, loadDevice, type KernelFingerprint } from '@troupe/kernels';
import type { ResolvedTopology } from '@troupe/topology';

/** What the kernels of a machine compute, and which body was asked for. */
export interface MachineKernels extends KernelFingerprint {
  readonly asked: string;
}

/** Operations that a sentence names. */
const NAMED = 4;

/**
 * Opens the body of a machine, calls every kernel once, and closes it; about 0.1 s of one core where it is native.
 *
 * @returns null where there is no such body: whoever computes there says why
 */
export async function machineKernels(
  topology: ResolvedTopology,
  machine: number,
): Promise<MachineKernels | null> {
  const asked = topology.machines[machine]?.body ?? topology.device;
  try {
    const device = await loadDevice({ body: asked, threads: 1 });
    try {
      return { asked, ...(await kernelFingerprint(device, topology.train.precision)) };
    } finally {
      await device.close();
    }
  } catch {
    return null;
  }
}

/**
 * What a machine would compute otherwise than one that came before, as the end of a sentence; null: nothing. Who asks for different bodies
 * gets them.
 */
export function kernelsDifference(
  own: MachineKernels | null,
  other: { readonly host: string; readonly kernels: MachineKernels | null },
): string | null {
  const { host, kernels } = other;
  if (own === null || kernels === null || own.asked !== kernels.asked || own.value === kernels.value)
    return null;
  const differing = Object.keys(own.ops).filter((op) => own.ops[op] !== kernels.ops[op]);
  const more = differing.length > NAMED ? ` and ${differing.length - NAMED} more` : '';
  const where = own.body === kernels.body ? ` in ${differing.slice(0, NAMED).join(', ')}${more}` : '';
  return `computes other numbers than ${host}${where}: its kernels give ${shown(own)}, those of ${host} ${shown(kernels)} (body: ${own.asked})`;
}

const shown = ({ body, value }: MachineKernels): string => `${value} by ${body}`;
