import { assert } from '@troupe/core';
import { addresses } from '@troupe/topology/layout';
import type { SupervisorSelf } from './events.ts';
import type { SupervisorEffects } from './machine.ts';
import type { SupervisorOptions } from './options.ts';
import { beyondLimit, lossSentence } from './sentences.ts';
import { describe, describeMachine } from './watching.ts';

type ReportingEffects = Pick<
  SupervisorEffects,
  'remember' | 'reportLost' | 'describeAwaited' | 'reportStuck' | 'reportFailed'
>;

/** Why a run ends, in one sentence. */
export function reportingEffects(self: SupervisorSelf, options: SupervisorOptions): ReportingEffects {
  const { workers, machines } = options;
  /** Last known state of every actor, from the heartbeats. */
  const states = new Map<string, string>();
  let stuck: { readonly sentence: string; readonly awaited: string } | null = null;
  return {
    remember: (event) => {
      options.described?.(event.body.lines);
      for (const line of event.body.lines) {
        const [actor, state] = line.split(' ');
        if (actor !== undefined && state !== undefined) states.set(actor, state);
      }
    },
    reportLost: (event, context) => {
      const message = `${lossSentence(event, options)}${beyondLimit(context, options)}`;
      options.failed({ kind: 'lost', code: 'TROUPE_WORKER_LOST', message, retryable: true });
    },
    describeAwaited: ({ body }, context) => {
      stuck = body;
      const { awaited } = body;
      const about = [...workers].find(([, { actors }]) => actors.includes(awaited))?.[0];
      for (const [agent, machine] of machines)
        if (about !== undefined && machine.nodes.includes(about)) {
          describeMachine(self, options, context, { agent, machine, about });
          return;
        } else if (addresses.agent(machine.machine) === awaited) {
          describe(self, options, context, agent);
          return;
        }
      // Nobody to ask: the same as no answer.
      self.post('ask.failed', { body: { node: '', incarnation: 0 } });
    },
    reportStuck: () => {
      assert(stuck, 'an explanation follows an expired wait');
      const { awaited, sentence } = stuck;
      const message = `${sentence}; ${awaited} was last seen in state ${states.get(awaited) ?? 'unknown'}`;
      options.failed({ kind: 'stuck', code: 'TROUPE_RUN_STUCK', message, retryable: true });
    },
    reportFailed: ({ body: { actor, code, message, retryable, node } }, context) => {
      const wouldPass = retryable && context.lives.has(node);
      const sentence = `${actor}: ${message}${wouldPass ? beyondLimit(context, options) : ''}`;
      options.failed({ kind: 'failed', code, message: sentence, retryable });
    },
  };
}
