import { networkInterfaces } from 'node:os';
import type { ResolvedTopology } from '@troupe/topology';
import { addressesToOffer, type Listen } from '@troupe/transport';

/** What decides where the processes of a machine listen. */
export interface MachineListening {
  readonly wire: Pick<ResolvedTopology['wire'], 'interface'>;
  /** All machines of the run are this very one. */
  readonly isOnLoopback: boolean;
  /** What others call this machine; null: they have to be told addresses. */
  readonly name: string | null;
  /** First TCP port, two a process (control, data); null: any free ones. */
  readonly port: number | null;
}

/**
 * Where the processes of this machine listen, by their number on it.
 *
 * @throws {AddressError} TROUPE_TRANSPORT_ADDRESS when the machine has no address that others could reach, or not the chosen one
 */
export function machineListening({
  wire,
  isOnLoopback,
  name,
  port,
}: MachineListening): (process: number) => Listen {
  const ports = (process: number): Pick<Extract<Listen, { kind: 'tcp' }>, 'ports'> =>
    port === null ? {} : { ports: { control: port + 2 * process, data: port + 2 * process + 1 } };
  if (isOnLoopback) return (process) => ({ kind: 'tcp', host: '127.0.0.1', ...ports(process) });
  const advertise = addressesToOffer(networkInterfaces(), {
    ...(wire.interface === null ? {} : { interface: wire.interface }),
    ...(name === null ? {} : { name }),
  });
  // A machine without IPv6 cannot bind both.
  const host = advertise.some((each) => each.startsWith('[')) ? '*' : '0.0.0.0';
  return (process) => ({ kind: 'tcp', host, advertise, ...ports(process) });
}
