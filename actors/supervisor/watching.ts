import { assert, type NodeId } from '@troupe/core';
import { systemAddress } from '@troupe/runtime';
import { addresses } from '@troupe/topology/layout';
import { lostByLinks } from './broken-links.ts';
import type { SupervisorSelf } from './events.ts';
import type { SupervisorContext, SupervisorEffects } from './machine.ts';
import type { SupervisedMachine, SupervisorOptions } from './options.ts';
import { lossSentence, machineName } from './sentences.ts';
import type { Timers } from './timers.ts';

type WatchingEffects = Pick<
  SupervisorEffects,
  'ping' | 'restart' | 'reopen' | 'judgeSoon' | 'judgeLinks' | 'welcome' | 'adopt' | 'reportOverdue'
>;

const lifeOf = ({ lives }: SupervisorContext, node: string): number => lives.get(node) ?? 1;

/** Until all who do not reach somebody have said so: they began to look at about the same time. */
const JUDGE_HEARTBEATS = 2;

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

/** SUP-10: of two machines that do not reach each other one counts as lost. */
function judgeLinks(self: SupervisorSelf, context: SupervisorContext): void {
  const { broken, away, machines } = context;
  const between = broken.filter(({ node, by }) => !away.has(node) && !away.has(by));
  const lost = lostByLinks(between, machines);
  if (lost === null) return;
  const { agent: node, reason } = lost;
  self.post('machine.cut', { body: { node, incarnation: lifeOf(context, node), reason } });
}

/** Heartbeats, and what follows from a loss that is tolerated. */
export function watchingEffects(
  self: SupervisorSelf,
  options: SupervisorOptions,
  timers: Timers,
): WatchingEffects {
  const { workers, machines, limit, joinMs, waitMs, overdue } = options;
  const workerOf = (node: string) => {
    const found = workers.get(node as NodeId);
    assert(found, 'a worker is one of this run', { node });
    return found.worker;
  };
  const restart = (node: NodeId, incarnation: number): void => {
    timers.after(joinMs, () => self.post('join.due', { body: { node, incarnation } }));
    options.restart(node, incarnation);
  };
  const tellDown = (node: NodeId, sentence: string): void => {
    const lost = machines.get(node);
    if (lost === undefined)
      self.tell(addresses.trainer, 'worker.down', { body: { worker: workerOf(node), node, sentence } });
    else
      self.tell(addresses.trainer, 'machine.down', {
        body: { machine: lost.machine, node: machineName(lost), sentence },
      });
  };
  const tellUp = (node: string): void => {
    const machine = machines.get(node as NodeId)?.machine;
    if (machine === undefined)
      self.tell(addresses.trainer, 'worker.up', { body: { worker: workerOf(node) } });
    else self.tell(addresses.trainer, 'machine.up', { body: { machine } });
  };
  return {
    ping: (_event, context) => {
      for (const [agent, machine] of machines)
        if (!context.away.has(agent)) describeMachine(self, options, context, { agent, machine });
    },
    restart: (event, context) => {
      timers.after(limit.periodMs, () => self.post('loss.aged'));
      const node = event.body.node as NodeId;
      const { incarnation } = event.body;
      if (waitMs !== undefined && context.waits.get(node) === incarnation)
        timers.after(waitMs, () => self.post('wait.over', { body: { node, incarnation } }));
      tellDown(node, lossSentence(event, options));
      for (const each of [node, ...(machines.get(node)?.nodes ?? [])]) restart(each, lifeOf(context, each));
    },
    reopen: ({ body: { node, by, reason } }) => {
      timers.after(limit.periodMs, () => self.post('break.aged'));
      const sentence = `the connection of ${by} to ${node} broke (${reason})`;
      self.tell(addresses.trainer, 'link.down', { body: { node, sentence } });
    },
    judgeSoon: () => timers.after(JUDGE_HEARTBEATS * options.heartbeatMs, () => self.post('links.due')),
    judgeLinks: (_event, context) => judgeLinks(self, context),
    reportOverdue: (_event, context) =>
      overdue?.(
        Array.from(context.waits.keys(), (node) => ({
          machine: machines.get(node as NodeId)?.machine ?? -1,
          isOverdue: context.overdue.has(node),
        })),
      ),
    welcome: ({ body }) => tellUp(body.node),
    adopt: ({ body: { node, incarnation } }) => {
      tellDown(node as NodeId, `${node} is in life ${incarnation}, which the lead before this one began`);
      tellUp(node);
    },
  };
}
