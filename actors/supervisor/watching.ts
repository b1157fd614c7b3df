import { assert, type NodeId } from '@troupe/core';
import { systemAddress } from '@troupe/runtime';
import { addresses } from '@troupe/topology/layout';
import type { SupervisorSelf } from './events.ts';
import type { SupervisorContext, SupervisorEffects } from './machine.ts';
import type { SupervisedMachine, SupervisorOptions } from './options.ts';
import { lossSentence, machineName } from './sentences.ts';
import type { Timers } from './timers.ts';

type WatchingEffects = Pick<SupervisorEffects, 'ping' | 'restart' | 'reopen' | 'welcome'>;

const lifeOf = ({ lives }: SupervisorContext, node: string): number => lives.get(node) ?? 1;

/** Asks a node itself what its actors do. */
export function describe(
  self: SupervisorSelf,
  { silenceMs }: SupervisorOptions,
  context: SupervisorContext,
  node: NodeId,
): void {
  const body = { node, incarnation: lifeOf(context, node) };
  const ask = { deadlineMs: silenceMs, reason: 'what its actors do' };
  self.ask(systemAddress(node), 'system.describe', { body }, ask);
}

/** Asks an agent about its machine, or about one node of it, whose answer it then waits for. */
export function describeMachine(
  self: SupervisorSelf,
  { silenceMs }: SupervisorOptions,
  context: SupervisorContext,
  {
    agent,
    machine,
    about,
  }: { readonly agent: NodeId; readonly machine: SupervisedMachine; readonly about?: NodeId },
): void {
  const body = {
    node: agent,
    incarnation: lifeOf(context, agent),
    nodes: machine.nodes.filter((node) => !context.away.has(node)),
    silenceMs,
    ...(about === undefined ? {} : { about }),
  };
  const ask = { deadlineMs: about === undefined ? silenceMs : 2 * silenceMs, reason: 'heartbeat' };
  self.ask(addresses.agent(machine.machine), 'machine.describe', { body }, ask);
}

/** Heartbeats, and what follows from a loss that is tolerated. */
export function watchingEffects(
  self: SupervisorSelf,
  options: SupervisorOptions,
  timers: Timers,
): WatchingEffects {
  const { workers, machines, limit, joinMs } = options;
  const workerOf = (node: string) => {
    const found = workers.get(node as NodeId);
    assert(found, 'a worker is one of this run', { node });
    return found.worker;
  };
  const restart = (node: NodeId, incarnation: number): void => {
    timers.after(joinMs, () => self.post('join.due', { body: { node, incarnation } }));
    options.restart(node, incarnation);
  };
  return {
    ping: (_event, context) => {
      for (const [agent, machine] of machines)
        if (!context.away.has(agent)) describeMachine(self, options, context, { agent, machine });
    },
    restart: (event, context) => {
      timers.after(limit.periodMs, () => self.post('loss.aged'));
      const node = event.body.node as NodeId;
      const sentence = lossSentence(event, options);
      const lost = machines.get(node);
      if (lost === undefined)
        self.tell(addresses.trainer, 'worker.down', { body: { worker: workerOf(node), node, sentence } });
      else {
        const { machine } = lost;
        const body = { machine, node: machineName(lost), sentence };
        self.tell(addresses.trainer, 'machine.down', { body });
      }
      for (const each of [node, ...(lost?.nodes ?? [])]) restart(each, lifeOf(context, each));
    },
    reopen: ({ body: { node, by, reason } }) => {
      timers.after(limit.periodMs, () => self.post('break.aged'));
      const sentence = `the connection of ${by} to ${node} broke (${reason})`;
      self.tell(addresses.trainer, 'link.down', { body: { node, sentence } });
    },
    welcome: ({ body }) => {
      const machine = machines.get(body.node as NodeId)?.machine;
      if (machine === undefined)
        self.tell(addresses.trainer, 'worker.up', { body: { worker: workerOf(body.node) } });
      else self.tell(addresses.trainer, 'machine.up', { body: { machine } });
    },
  };
}
