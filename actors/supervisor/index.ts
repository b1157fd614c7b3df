import { assert, type NodeId } from '@troupe/core';
import { flagIn, systemAddress, type Effects, type Mount, textIn } from '@troupe/runtime';
import type { SupervisorEvent } from './events.ts';
import { supervisorMachine, type SupervisorContext } from './machine.ts';

/** Why a run cannot go on, in one sentence. */
export interface RunFailure {
  readonly kind: 'lost' | 'stuck' | 'failed';
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

export interface SupervisorOptions {
  /** Nodes of the workers, with the actors that live there. */
  readonly workers: ReadonlyMap<NodeId, readonly string[]>;
  readonly failed: (failure: RunFailure) => void;
  /** Milliseconds between two looks at every worker. */
  readonly heartbeatMs: number;
  /** Milliseconds after which a silent worker is lost. */
  readonly silenceMs: number;
  /** Where the job stands: the last opened step. */
  readonly position: () => string;
}

/** At most this many names in a sentence. */
const NAMES_SHOWN = 6;
const listed = (names: readonly string[]): string =>
  names.length <= NAMES_SHOWN
    ? names.join(', ')
    : `${names.slice(0, NAMES_SHOWN).join(', ')} and ${names.length - NAMES_SHOWN} more`;

export function mountSupervisor(options: SupervisorOptions): Mount {
  return (self) => {
    /** Last known state of every actor, from the heartbeats. */
    const states = new Map<string, string>();
    let stuck: SupervisorEvent | null = null;
    const lost = (node: string, reason: string): void => {
      const actors = options.workers.get(node as NodeId) ?? [];
      options.failed({
        kind: 'lost',
        code: 'TROUPE_WORKER_LOST',
        message: `${node} was lost (${reason}) ${options.position()}; it held ${listed(actors)}`,
        retryable: true,
      });
    };
    const describe = (node: NodeId): void =>
      self.ask(
        systemAddress(node),
        'system.describe',
        { body: { node } },
        { deadlineMs: options.silenceMs, reason: 'heartbeat' },
      );
    const effects: Effects<SupervisorContext, SupervisorEvent> = {
      ping: () => {
        for (const node of options.workers.keys()) describe(node);
      },
      remember: (event) => {
        for (const line of (event.body['lines'] ?? []) as readonly string[]) {
          const [actor, state] = line.split(' ');
          if (actor !== undefined && state !== undefined) states.set(actor, state);
        }
      },
      reportLost: (event) => lost(textIn(event, 'node'), textIn(event, 'reason')),
      reportSilent: (event) => lost(textIn(event, 'node'), `no answer within ${options.silenceMs} ms`),
      describeAwaited: (event) => {
        stuck = event;
        const awaited = textIn(event, 'awaited');
        const node = [...options.workers].find(([, actors]) => actors.includes(awaited))?.[0];
        if (node === undefined) self.post('ask.failed', {});
        else describe(node);
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
      reportFailed: (event) => {
        options.failed({
          kind: 'failed',
          code: textIn(event, 'code'),
          message: `${textIn(event, 'actor')}: ${textIn(event, 'message')}`,
          retryable: flagIn(event, 'retryable'),
        });
      },
    };
    return { machine: supervisorMachine, input: { heartbeatMs: options.heartbeatMs }, effects };
  };
}
