import type { Address, NodeId } from '@troupe/core';
import { systemAddress } from '@troupe/runtime';
import { addresses } from '@troupe/topology/layout';
import type { AgentEvent, AgentSelf } from './events.ts';
import type { LeadWatch } from './leading.ts';
import type { AgentEffects } from './machine.ts';
import type { AgentState } from './state.ts';

type WatchingEffects = Pick<
  AgentEffects,
  | 'describe'
  | 'remember'
  | 'reportSilence'
  | 'passJoined'
  | 'passLink'
  | 'passUnreached'
  | 'passStuck'
  | 'passFailure'
>;
type Question = Extract<AgentEvent, { readonly type: 'machine.describe' }>;

/** Heartbeats of the workers of a machine, and what is said of them. */
export function watchingEffects(self: AgentSelf, state: AgentState, lead: LeadWatch | null): WatchingEffects {
  /** What nodes have answered since the supervisor last asked. */
  let lines: string[] = [];
  /** Questions that wait for the answer of one node, by its system. */
  const open = new Map<Address, Question[]>();
  let silenceMs = 0;
  const ask = (node: string, incarnation: number): void =>
    self.ask(
      systemAddress(node as NodeId),
      'system.describe',
      { body: { node, incarnation } },
      { deadlineMs: silenceMs, reason: 'heartbeat' },
    );
  const answer = (system: Address, found: readonly string[]): void => {
    const questions = open.get(system) ?? [];
    open.delete(system);
    for (const question of questions) self.reply(question, 'machine.described', { body: { lines: found } });
  };
  const { supervisor } = addresses;
  return {
    describe: (event, { lives }) => {
      lead?.heard();
      const { nodes, about } = event.body;
      ({ silenceMs } = event.body);
      if (about !== undefined) {
        const system = systemAddress(about as NodeId);
        open.set(system, [...(open.get(system) ?? []), event]);
        ask(about, lives.get(about) ?? 1);
        return;
      }
      self.reply(event, 'machine.described', { body: { lines } });
      lines = [];
      for (const node of nodes) ask(node, lives.get(node) ?? 1);
    },
    remember: ({ from, body }) => {
      lines.push(...body.lines);
      answer(from, body.lines);
    },
    reportSilence: ({ body: { node, incarnation } }) => {
      answer(systemAddress(node as NodeId), []);
      const reason = `no answer within ${silenceMs} ms`;
      self.tell(supervisor, 'worker.lost', { body: { node, incarnation, reason } });
    },
    passJoined: ({ body }) => {
      state.joined.add(body.node);
      self.tell(supervisor, 'worker.joined', { body });
    },
    passLink: ({ body }) => self.tell(supervisor, 'link.lost', { body }),
    passUnreached: ({ body }) => self.tell(supervisor, 'link.unreached', { body }),
    passStuck: ({ body }) => self.tell(supervisor, 'worker.stuck', { body }),
    passFailure: ({ body }) => self.tell(supervisor, 'actor.failed', { body }),
  };
}
