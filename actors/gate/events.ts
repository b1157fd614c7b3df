import type { ActorEvent } from '@troupe/runtime';

export interface GateEvent extends ActorEvent {
  readonly type:
    | 'forward.run'
    | 'logits.computed'
    | 'routing.planned'
    | 'tokens.packed'
    | 'rows.return'
    | 'outputs.combined'
    | 'backward.run'
    | 'gradients.packed'
    | 'gradients.return'
    | 'gate.backwarded'
    | 'attempt.abandon';
}
