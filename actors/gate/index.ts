import { mountOf, type Mount } from '@troupe/runtime';
import type { Replica } from '../replica.ts';
import { gateEffects } from './effects.ts';
import { fencedByGate, type GateSelf } from './events.ts';
import { gateMachine, type GateInput } from './machine.ts';

export type { GateQuestion, GateRule } from './rule.ts';

export function mountGate(replica: Replica, layer: number): Mount {
  return mountOf((self: GateSelf) => {
    const { layout, gate } = replica.job;
    const input: GateInput = { numRanks: layout.mesh.ep, choosesItself: gate !== undefined };
    return {
      machine: gateMachine,
      input,
      effects: gateEffects(self, replica, layer),
      ...replica.fence(fencedByGate),
    };
  });
}
