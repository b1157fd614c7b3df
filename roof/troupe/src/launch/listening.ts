import type { Listen } from '@troupe/transport';

/** Where the nodes of one machine listen. */
export interface ListeningPlan {
  /** Folder of the run's ipc sockets. */
  readonly socketFolder: string;
  /** First TCP port on loopback, two a node (control, data), the agent first; null: ipc. */
  readonly port: number | null;
}

/** @param index - 0 for the agent, rank + 1 for a worker */
export function listenAs(plan: ListeningPlan, index: number): Listen {
  const { socketFolder, port } = plan;
  if (port === null)
    return { kind: 'ipc', directory: socketFolder, name: index === 0 ? 'agent' : `w${index - 1}` };
  const first = port + 2 * index;
  return { kind: 'tcp', host: '127.0.0.1', ports: { control: first, data: first + 1 } };
}
