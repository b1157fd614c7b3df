import { agentMachine } from './agent/machine.ts';
import { courierMachine } from './courier/machine.ts';
import { expertMachine } from './expert/machine.ts';
import { feederMachine } from './feeder/machine.ts';
import { gateMachine } from './gate/machine.ts';
import { optimizerMachine } from './optimizer/machine.ts';
import { passMachine } from './pass/machine.ts';
import { partMachine } from './part/machine.ts';
import { stageMachine } from './stage/machine.ts';
import { storeMachine } from './store/machine.ts';
import { supervisorMachine } from './supervisor/machine.ts';
import { trainerMachine } from './trainer/machine.ts';
import { wardMachine } from './ward/machine.ts';

/** States by name, each with its own; what xstate's machines have, without its types, which programs would have to compile. */
interface States {
  readonly states: Readonly<Record<string, States>>;
}

/** Names of a machine's states without children, as reports spell them. */
export function leafStates(machine: { readonly root: States }): readonly string[] {
  const below = (node: States, prefix: string): readonly string[] =>
    Object.entries(node.states).flatMap(([key, child]) => {
      const name = prefix === '' ? key : `${prefix}.${key}`;
      return Object.keys(child.states).length === 0 ? [name] : below(child, name);
    });
  return below(machine.root, '');
}

/** Every state that an actor of a role can be seen in: `expert` → `loading`, `serving.gathering`, … */
export const roleStates: Readonly<Record<string, readonly string[]>> = {
  trainer: leafStates(trainerMachine),
  agent: leafStates(agentMachine),
  feeder: leafStates(feederMachine),
  stage: leafStates(stageMachine),
  pass: leafStates(passMachine),
  gate: leafStates(gateMachine),
  expert: leafStates(expertMachine),
  optimizer: leafStates(optimizerMachine),
  ward: leafStates(wardMachine),
  courier: leafStates(courierMachine),
  store: leafStates(storeMachine),
  part: leafStates(partMachine),
  supervisor: leafStates(supervisorMachine),
};
