import { assert, type NodeId, type TimerHandle } from '@troupe/core';
import { flagIn, systemAddress, textIn, type Effects, type MessageFields, type Self } from '@troupe/runtime';
import { addresses } from '../addresses.ts';
import type { SupervisorEvent } from './events.ts';
import type { SupervisorContext } from './machine.ts';
import type { SupervisorOptions } from './options.ts';

/** At most this many names in a sentence. */
const NAMES_SHOWN = 6;
const listed = (names: readonly string[]): string =>
  names.length <= NAMES_SHOWN
    ? names.join(', ')
    : `${names.slice(0, NAMES_SHOWN).join(', ')} and ${names.length - NAMES_SHOWN} more`;

/** What the supervisor does, and `dispose`, which stops its timers. */
export function supervisorEffects(
  self: Self,
  options: SupervisorOptions,
): { readonly effects: Effects<SupervisorContext, SupervisorEvent>; readonly dispose: () => void } {
  const { intensity, periodMs } = options.limit;
  /** Last known state of every actor, from the heartbeats. */
  const states = new Map<string, string>();
  let stuck: SupervisorEvent | null = null;
  const timers = new Set<TimerHandle>();
  const later = (
    delayMs: number,
    type: 'join.due' | 'loss.aged' | 'break.aged',
    fields?: MessageFields,
  ): void => {
    const timer = self.clock.after(delayMs, () => {
      timers.delete(timer);
      self.post(type, fields);
    });
    timers.add(timer);
  };
  const lives = (context: SupervisorContext, node: string): number => context.lives.get(node) ?? 1;
  const reasonOf = (event: SupervisorEvent): string => {
    if (event.type === 'join.due') return `its next life did not join within ${options.joinMs / 1000} s`;
    if (event.type === 'ask.failed') return `no answer within ${options.silenceMs} ms`;
    if (event.type === 'actor.failed') return `${textIn(event, 'actor')}: ${textIn(event, 'message')}`;
    return textIn(event, 'reason');
  };
  const sentence = (event: SupervisorEvent): string => {
    const node = textIn(event, 'node');
    const actors = options.workers.get(node as NodeId)?.actors ?? [];
    return `${node} was lost (${reasonOf(event)}) ${options.position()}; it held ${listed(actors)}`;
  };
  /** How the limit was passed, in words; nothing where none was set. */
  const beyond = ({ losses }: SupervisorContext): string =>
    intensity === 0
      ? ''
      : `; that is loss ${losses + 1} within ${periodMs / 1000} s, ${intensity} are made good`;
  const describe = (node: NodeId, context: SupervisorContext): void =>
    self.ask(
      systemAddress(node),
      'system.describe',
      { body: { node, incarnation: lives(context, node) } },
      { deadlineMs: options.silenceMs, reason: 'heartbeat' },
    );
  const effects: Effects<SupervisorContext, SupervisorEvent> = {
    ping: (_event, context) => {
      for (const node of options.workers.keys()) if (!context.away.has(node)) describe(node, context);
    },
    remember: (event) => {
      for (const line of (event.body['lines'] ?? []) as readonly string[]) {
        const [actor, state] = line.split(' ');
        if (actor !== undefined && state !== undefined) states.set(actor, state);
      }
    },
    restart: (event, context) => {
      later(periodMs, 'loss.aged');
      const node = textIn(event, 'node') as NodeId;
      later(options.joinMs, 'join.due', { body: { node, incarnation: lives(context, node) } });
      const worker = options.workers.get(node);
      assert(worker, 'a worker of this run was lost', { node });
      self.tell(addresses.trainer, 'worker.lost', {
        body: { dp: worker.dp, node, sentence: sentence(event) },
      });
      options.restart(node, lives(context, node));
    },
    reopen: (event) => {
      later(periodMs, 'break.aged');
      const node = textIn(event, 'node');
      self.tell(addresses.trainer, 'link.lost', {
        body: {
          node,
          sentence: `the connection of ${textIn(event, 'by')} to ${node} broke (${textIn(event, 'reason')})`,
        },
      });
    },
    welcome: (event) => {
      const worker = options.workers.get(textIn(event, 'node') as NodeId);
      assert(worker, 'a worker of this run joined');
      self.tell(addresses.trainer, 'worker.joined', { body: { dp: worker.dp } });
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
      stuck = event;
      const awaited = textIn(event, 'awaited');
      const node = [...options.workers].find(([, { actors }]) => actors.includes(awaited))?.[0];
      if (node === undefined) self.post('ask.failed', {});
      else describe(node, context);
    },
    reportStuck: () => {
      assert(stuck, 'an explanation follows an expired wait');
      const awaited = textIn(stuck, 'awaited');
      options.failed({
        kind: 'stuck',
        code: 'TROUPE_RUN_STUCK',
        message: `${textIn(stuck, 'sentence')}; ${awaited} was last seen in state ${states.get(awaited) ?? 'unknown'}`,
        retryable: true,
      });
    },
    reportFailed: (event, context) => {
      const wouldPass = flagIn(event, 'retryable') && options.workers.has(textIn(event, 'node') as NodeId);
      options.failed({
        kind: 'failed',
        code: textIn(event, 'code'),
        message: `${textIn(event, 'actor')}: ${textIn(event, 'message')}${wouldPass ? beyond(context) : ''}`,
        retryable: flagIn(event, 'retryable'),
      });
    },
  };
  const dispose = (): void => {
    for (const timer of timers) self.clock.cancel(timer);
  };
  return { effects, dispose };
}
