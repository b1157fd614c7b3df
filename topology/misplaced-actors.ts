import { DeviceTargets } from './device-targets.ts';
import { HOST_TARGET, hostName, isHostTarget } from './host-targets.ts';
import type { PlacedActor, Placement } from './placement.ts';
import { PlacementRules } from './placement-rules.ts';
import type { ResolvedTopology } from './resolved.ts';

/** A rule that would put an actor where it cannot live, or without which one would not live where it does. */
export interface MisplacedActor {
  readonly pattern: string;
  readonly rule: string;
}

const hintOf = ({ role }: PlacedActor, isHosted: boolean): string => {
  if (role === 'expert')
    return 'experts lie beside their stages, or all of them on devices that pp · dp · tp leaves free';
  if (role === 'optimizer' && isHosted)
    return 'shards lie on the host of the machine whose device they update, all of them or none so far';
  return 'rules place stages and experts, and what works with them follows; shards may lie on the host of their machine';
};

/**
 * Rules that put actors elsewhere than beside the stage or the experts whose work they share: one of each, with the first such actor.
 *
 * Passes and gates follow their stage, whatever rules of many addresses say. Shards lie on hosts where rules put all of them there.
 */
export function misplacedActors(
  { placement, machines, file }: ResolvedTopology,
  { actors, workers, hosts }: Placement,
): readonly MisplacedActor[] {
  const targets = new DeviceTargets(machines);
  const rules = Object.entries(placement).map(
    ([pattern, target]) => [pattern, targets.canonical(target)] as const,
  );
  const matching = new PlacementRules(rules.map(([pattern]) => pattern));
  const homes = new Map<string, string>([
    ...workers.map(({ id, deviceIndex }) => [id, targets.devices[deviceIndex] ?? ''] as const),
    ...hosts.map(({ id, host }) => [id, hostName(host)] as const),
  ]);
  const toHosts = rules.find(([, target]) => isHostTarget(target));
  const putsAll = toHosts !== undefined && file.parallel.offload === 'none';
  const found = new Map<string, MisplacedActor>();
  for (const actor of actors) {
    const { address, role, node } = actor;
    if (role === 'gate' || role === 'pass') continue;
    const [pattern, target] = rules[matching.last(address)] ?? [];
    const home = homes.get(node) ?? node;
    const isHosted = role === 'optimizer' && isHostTarget(home);
    if (pattern === undefined) {
      if (putsAll && isHosted && !found.has(toHosts[0]))
        found.set(toHosts[0], {
          pattern: toHosts[0],
          rule: `leaves ${address} on its device: ${hintOf(actor, true)}`,
        });
      continue;
    }
    if (target === home || (target === HOST_TARGET && isHosted) || found.has(pattern)) continue;
    found.set(pattern, { pattern, rule: `${address} lives on ${home}: ${hintOf(actor, isHosted)}` });
  }
  return [...found.values()];
}
