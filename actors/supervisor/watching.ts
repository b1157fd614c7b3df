import { assert, type Address, type NodeId } from '@troupe/core';
import { systemAddress } from '@troupe/runtime';
import { addresses } from '@troupe/topology/layout';
import type { SupervisorSelf } from './events.ts';
import type { SupervisorContext, SupervisorEffects } from './machine.ts';
import type { SupervisorOptions } from './options.ts';
import { lossSentence } from './sentences.ts';
import type { Timers } from './timers.ts';

type WatchingEffects = Pick<SupervisorEffects, 'ping' | 'restart' | 'reopen' | 'welcome'>;

const livesOf = ({ lives }: SupervisorContext, node: string): number => lives.get(node) ?? 1;

/** Asks a node what its actors do. */
export function describe(
  self: SupervisorSelf,
  { silenceMs }: SupervisorOptions,
  context: SupervisorContext,
  node: NodeId,
): void {
  const body = { node, incarnation: livesOf(context, node) };
  const to: Address = systemAddress(node);
  self.ask(to, 'system.describe', { body }, { deadlineMs: silenceMs, reason: 'heartbeat' });
}

/** Heartbeats, and what follows from a loss that is tolerated. */
export function watchingEffects(
  self: SupervisorSelf,
  options: SupervisorOptions,
  timers: Timers,
): WatchingEffects {
  const { workers, limit, joinMs } = options;
  const workerOf = (node: string) => {
    const found = workers.get(node as NodeId);
    assert(found, 'a worker is one of this run', { node });
    return found.worker;
  };
  return {
    ping: (_event, context) => {
      for (const node of workers.keys()) if (!context.away.has(node)) describe(self, options, context, node);
    },
    restart: (event, context) => {
      timers.after(limit.periodMs, () => self.post('loss.aged'));
      const node = event.body.node as NodeId;
      const incarnation = livesOf(context, node);
      timers.after(joinMs, () => self.post('join.due', { body: { node, incarnation } }));
      const sentence = lossSentence(event, options);
      self.tell(addresses.trainer, 'worker.down', { body: { worker: workerOf(node), node, sentence } });
      options.restart(node, incarnation);
    },
    reopen: ({ body: { node, by, reason } }) => {
      timers.after(limit.periodMs, () => self.post('break.aged'));
      const sentence = `the connection of ${by} to ${node} broke (${reason})`;
      self.tell(addresses.trainer, 'link.down', { body: { node, sentence } });
    },
    welcome: ({ body }) =>
      self.tell(addresses.trainer, 'worker.up', { body: { worker: workerOf(body.node) } }),
  };
}
