import { deviceNames } from './machines.ts';
import type { Placement } from './placement.ts';
import { PlacementRules } from './placement-rules.ts';
import type { ResolvedTopology } from './resolved.ts';

/** A rule that would put an actor where it cannot live. */
export interface MisplacedActor {
  readonly pattern: string;
  readonly rule: string;
}

/**
 * Rules that put actors elsewhere than beside the stage or the experts whose work they share: one of each, with the first such actor.
 *
 * Passes and gates follow their stage, whatever rules of many addresses say.
 */
export function misplacedActors(
  { placement, machines }: ResolvedTopology,
  { actors, workers }: Placement,
): readonly MisplacedActor[] {
  const rules = Object.entries(placement);
  const matching = new PlacementRules(rules.map(([pattern]) => pattern));
  const names = deviceNames(machines);
  const homes = new Map<string, string>(workers.map(({ id, deviceIndex }) => [id, names[deviceIndex] ?? '']));
  const found = new Map<string, MisplacedActor>();
  for (const { address, role, node } of actors) {
    if (role === 'gate' || role === 'pass') continue;
    const [pattern, target] = rules[matching.last(address)] ?? [];
    const home = homes.get(node) ?? node;
    if (pattern === undefined || target === home || found.has(pattern)) continue;
    const hint =
      role === 'expert'
        ? 'experts lie beside their stages, or all of them on devices that pp · dp · tp leaves free'
        : 'rules place stages and experts, and what works with them follows';
    found.set(pattern, { pattern, rule: `${address} lives on ${home}: ${hint}` });
  }
  return [...found.values()];
}
