import {
  createPlacement,
  machineName,
  matchesAddress,
  resolveTopology,
  type PlacedActor,
  type ResolvedTopology,
} from '@troupe/topology';

/** Roles that have a worker of their own; all others live with one of these. */
const housed: readonly PlacedActor['role'][] = ['stage', 'expert'];

// The same place in all layers: `expert/L1/ep0/edp0` as `expert/*/ep0/edp0`.
const inAllLayers = (address: string): string => address.replace(/\/L\d+\//u, '/*/');

/**
 * Rules for who is in the way: who sits where a group moves to goes where that comes from, since every device has a worker, and a worker one
 * group. Only where one group moves.
 */
function changingPlaces(
  present: ResolvedTopology,
  pattern: string,
  target: string,
): Readonly<Record<string, string>> {
  const { actors, workers } = createPlacement(present);
  const homes = new Map(
    workers.map(({ id, host, machineIndex, device }) => [
      id as string,
      [`${host}/${device.id}`, `${machineName(machineIndex)}/${device.id}`, device.id],
    ]),
  );
  const isAt = ({ node }: PlacedActor, name: string): boolean => homes.get(node)?.includes(name) ?? false;
  const all = actors.filter(({ role }) => housed.includes(role));
  const movers = all.filter(({ address }) => matchesAddress(pattern, address));
  const [role] = new Set(movers.map((mover) => mover.role));
  const sitters = all.filter(
    (actor) => actor.role === role && isAt(actor, target) && !movers.includes(actor),
  );
  const from = new Set(movers.map(({ node }) => node));
  const [home] = from;
  const place = home === undefined ? undefined : homes.get(home)?.[0];
  if (from.size !== 1 || place === undefined) return {};
  return Object.fromEntries(sitters.map(({ address }) => [inAllLayers(address), place]));
}

/**
 * The topology with actors elsewhere: one more rule of `placement`, the last one, which counts.
 *
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID where they cannot live
 */
export function migrated(present: ResolvedTopology, pattern: string, target: string): ResolvedTopology {
  const rules = { [pattern]: target, ...changingPlaces(present, pattern, target) };
  const others = Object.entries(present.placement).filter(([rule]) => !(rule in rules));
  return resolveTopology({
    ...present.file,
    placement: Object.fromEntries([...others, ...Object.entries(rules)]),
  });
}
