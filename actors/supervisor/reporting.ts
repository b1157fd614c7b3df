import { assert, type NodeId } from '@troupe/core';
import type { SupervisorSelf } from './events.ts';
import type { SupervisorEffects } from './machine.ts';
import type { SupervisorOptions } from './options.ts';
import { beyondLimit, lossSentence } from './sentences.ts';
import { describe } from './watching.ts';

type ReportingEffects = Pick<
  SupervisorEffects,
  'remember' | 'reportLost' | 'describeAwaited' | 'reportStuck' | 'reportFailed'
>;

/** Why a run ends, in one sentence. */
export function reportingEffects(self: SupervisorSelf, options: SupervisorOptions): ReportingEffects {
  const { workers } = options;
  /** Last known state of every actor, from the heartbeats. */
  const states = new Map<string, string>();
  let stuck: { readonly sentence: string; readonly awaited: string } | null = null;
  return {
    remember: (event) => {
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
      const node = [...workers].find(([, { actors }]) => actors.includes(body.awaited))?.[0];
      // Nobody to ask: the same as no answer.
      if (node === undefined) self.post('ask.failed', { body: { node: '', incarnation: 0 } });
      else describe(self, options, context, node);
    },
    reportStuck: () => {
      assert(stuck, 'an explanation follows an expired wait');
      const { awaited, sentence } = stuck;
      const message = `${sentence}; ${awaited} was last seen in state ${states.get(awaited) ?? 'unknown'}`;
      options.failed({ kind: 'stuck', code: 'TROUPE_RUN_STUCK', message, retryable: true });
    },
    reportFailed: ({ body: { actor, code, message, retryable, node } }, context) => {
      const wouldPass = retryable && workers.has(node as NodeId);
      const sentence = `${actor}: ${message}${wouldPass ? beyondLimit(context, options) : ''}`;
      options.failed({ kind: 'failed', code, message: sentence, retryable });
    },
  };
}
