import { assert, type NodeId, type TimerHandle } from '@troupe/core';
import { systemAddress, type EffectsOf } from '@troupe/runtime';
import { addresses } from '@troupe/topology/layout';
import type { LossEvent, SupervisorEvent, SupervisorSelf } from './events.ts';
import type { supervisorActions, SupervisorContext } from './machine.ts';
import type { SupervisorOptions } from './options.ts';

/** At most this many names in a sentence. */
const NAMES_SHOWN = 6;
const listed = (names: readonly string[]): string =>
  names.length <= NAMES_SHOWN
    ? names.join(', ')
    : `${names.slice(0, NAMES_SHOWN).join(', ')} and ${names.length - NAMES_SHOWN} more`;

/** What the supervisor does, and `dispose`, which stops its timers. */
type SupervisorEffects = EffectsOf<typeof supervisorActions, SupervisorContext, SupervisorEvent>;

export function supervisorEffects(
  self: SupervisorSelf,
  options: SupervisorOptions,
): { readonly effects: SupervisorEffects; readonly dispose: () => void } {
  const { intensity, periodMs } = options.limit;
  /** Last known state of every actor, from the heartbeats. */
  const states = new Map<string, string>();
  let stuck: { readonly sentence: string; readonly awaited: string } | null = null;
  const timers = new Set<TimerHandle>();
  const later = (delayMs: number, post: () => void): void => {
    const timer = self.clock.after(delayMs, () => {
      timers.delete(timer);
      post();
    });
    timers.add(timer);
  };
  const lives = (context: SupervisorContext, node: string): number => context.lives.get(node) ?? 1;
  const reasonOf = (event: LossEvent): string => {
    if (event.type === 'join.due') return `its next life did not join within ${options.joinMs / 1000} s`;
    if (event.type === 'ask.failed') return `no answer within ${options.silenceMs} ms`;
    if (event.type === 'actor.failed') return `${event.body.actor}: ${event.body.message}`;
    return event.body.reason;
  };
  const sentence = (event: LossEvent): string => {
    const { node } = event.body;
    const actors = options.workers.get(node as NodeId)?.actors ?? [];
    return `${node} was lost (${reasonOf(event)}) ${options.position()}; it held ${listed(actors)}`;
  };
  /** How the limit was passed, in words; nothing where none was set. */
  const beyond = ({ losses }: SupervisorContext): string =>
    intensity === 0 ? '' : `; that is loss ${losses + 1} within ${periodMs / 1000} s, ${intensity} tolerated`;
  const describe = (node: NodeId, context: SupervisorContext): void =>
    self.ask(
      systemAddress(node),
      'system.describe',
      { body: { node, incarnation: lives(context, node) } },
      { deadlineMs: options.silenceMs, reason: 'heartbeat' },
    );
  const effects: SupervisorEffects = {
    ping: (_event, context) => {
      for (const node of options.workers.keys()) if (!context.away.has(node)) describe(node, context);
    },
    remember: (event) => {
      for (const line of event.body.lines) {
        const [actor, state] = line.split(' ');
        if (actor !== undefined && state !== undefined) states.set(actor, state);
      }
    },
    restart: (event, context) => {
      later(periodMs, () => self.post('loss.aged'));
      const node = event.body.node as NodeId;
      const body = { node, incarnation: lives(context, node) };
      later(options.joinMs, () => self.post('join.due', { body }));
      const worker = options.workers.get(node);
      assert(worker, 'a worker of this run was lost', { node });
      self.tell(addresses.trainer, 'worker.down', {
        body: { worker: worker.worker, node, sentence: sentence(event) },
      });
      options.restart(node, lives(context, node));
    },
    reopen: (event) => {
      later(periodMs, () => self.post('break.aged'));
      const { node, by, reason } = event.body;
      self.tell(addresses.trainer, 'link.down', {
        body: { node, sentence: `the connection of ${by} to ${node} broke (${reason})` },
      });
    },
    welcome: (event) => {
      const worker = options.workers.get(event.body.node as NodeId);
      assert(worker, 'a worker of this run joined');
      self.tell(addresses.trainer, 'worker.up', { body: { worker: worker.worker } });
    },
    reportLost: (event, context) => {
      options.failed({
        kind: 'lost',
        code: 'TROUPE_WORKER_LOST',
        message: `${sentence(event)}${beyond(context)}`,
        retryable: true,
      });
    },
    describeAwaited: (event, context) => {
      stuck = event.body;
      const { awaited } = event.body;
      const node = [...options.workers].find(([, { actors }]) => actors.includes(awaited))?.[0];
      // Nobody to ask: the same as no answer.
      if (node === undefined) self.post('ask.failed', { body: { node: '', incarnation: 0 } });
      else describe(node, context);
    },
    reportStuck: () => {
      assert(stuck, 'an explanation follows an expired wait');
      const { awaited } = stuck;
      options.failed({
        kind: 'stuck',
        code: 'TROUPE_RUN_STUCK',
        message: `${stuck.sentence}; ${awaited} was last seen in state ${states.get(awaited) ?? 'unknown'}`,
        retryable: true,
      });
    },
    reportFailed: (event, context) => {
      const { actor, code, message, retryable, node } = event.body;
      const wouldPass = retryable && options.workers.has(node as NodeId);
      options.failed({
        kind: 'failed',
        code,
        message: `${actor}: ${message}${wouldPass ? beyond(context) : ''}`,
        retryable,
      });
    },
  };
  const dispose = (): void => {
    for (const timer of timers) self.clock.cancel(timer);
  };
  return { effects, dispose };
}
