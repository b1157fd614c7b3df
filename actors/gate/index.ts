import { mountOf, type Mount } from '@troupe/runtime';
import type { Passes } from '../passes.ts';
import type { Worker } from '../worker.ts';
import { choiceAnswers } from './choosing.ts';
import { gateEffects } from './effects.ts';
import { fencedByGate, type GateSelf } from './events.ts';
import { gateMachine, type GateInput } from './machine.ts';

export type { GateQuestion, GateRule } from './rule.ts';

/** The gate of a layer, beside the stage whose passes it routes. */
export function mountGate(worker: Worker, passes: Passes, layer: number): Mount {
  return mountOf((self: GateSelf) => {
    const { layout, gate, rowFormat } = worker.job;
    const numRanks = layout.expertsFor(layer, worker.rank).length;
    const numAnswers = numRanks * layout.rowChunks;
    const packs = numRanks > 1 || rowFormat === 'bf16';
    const groups = layout.choiceGroups;
    const shares = groups === null || groups.areLocal ? [] : groups.sharesOf(worker.at.dp);
    const input: GateInput = {
      numAnswers,
      packs,
      choosesItself: gate !== undefined,
      sharesGroups: shares.length > 0,
      ...choiceAnswers(shares),
    };
    return {
      machine: gateMachine,
      input,
      effects: gateEffects(self, { worker, passes, layer }),
      ...worker.fence(fencedByGate),
    };
  });
}
