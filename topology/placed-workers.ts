import { DeviceTargets } from './device-targets.ts';
import type { Finding } from './finding.ts';
import { layersWithExperts, type FilledTopology } from './fill.ts';
import { indivisible } from './indivisible.ts';
import { addresses } from './layout/address.ts';
import { resolveMachines } from './machines.ts';
import { divisors, nearestNumber } from './nearest.ts';
import { matchesAddress, PlacementRules } from './placement-rules.ts';

/** Which workers there are, and which device each has. */
export interface PlacedWorkers {
  /** Workers that hold no stage, and all experts; 0: experts lie beside stages. */
  readonly expertWorkers: number;
  /** Of each worker, in the order of all machines' devices; null: that of its number. */
  readonly devices: readonly number[] | null;
}

interface Judged {
  readonly placed: PlacedWorkers;
  readonly findings: readonly Finding[];
}

const asTheyAre: PlacedWorkers = { expertWorkers: 0, devices: null };

/** The `placement` of a topology, asked for one address at a time. */
class Targets {
  readonly names: readonly string[];
  readonly #targets: readonly (readonly [pattern: string, device: number])[];
  readonly #rules: PlacementRules;

  constructor({ placement, machines }: FilledTopology) {
    const targets = new DeviceTargets(resolveMachines(machines));
    this.names = targets.devices;
    this.#targets = Object.entries(placement).map(([pattern, name]) => [
      pattern,
      targets.deviceOf(name) ?? -1,
    ]);
    this.#rules = new PlacementRules(this.#targets.map(([pattern]) => pattern));
  }

  /** Where the last rule that matches puts an actor; null: none does. */
  of(address: string): { readonly key: string; readonly device: number } | null {
    const [pattern, device] = this.#targets[this.#rules.last(address)] ?? [];
    return pattern === undefined || device === undefined ? null : { key: `placement.${pattern}`, device };
  }

  /** Rules that speak of experts, with the device that they name. */
  get ofExperts(): readonly { readonly key: string; readonly device: number }[] {
    return this.#targets.flatMap(([pattern, device]) =>
      matchesAddress(pattern.split('/')[0] ?? '', 'expert') ? [{ key: `placement.${pattern}`, device }] : [],
    );
  }

  name(device: number): string {
    return this.names[device] ?? '';
  }
}

const misplaced = (key: string, rule: string, also: readonly string[] = []): Finding => ({
  code: 'TROUPE_TOPOLOGY_PLACEMENT',
  keys: [key, 'machines', 'parallel.ep', ...also],
  rule,
  nearest: null,
});

/** The device of every stage, by rank of the mesh: its own number where no rule says another. */
function stageDevices({ parallel }: FilledTopology, targets: Targets): Finding | readonly number[] {
  const { pp, dp, tp } = parallel;
  const devices: number[] = [];
  const holders = new Map<number, string>();
  for (let rank = 0; rank < pp * dp * tp; rank++) {
    const at = { pp: Math.floor(rank / (dp * tp)), dp: Math.floor(rank / tp) % dp, tp: rank % tp };
    const address = addresses.stage(at);
    const target = targets.of(address);
    const device = target?.device ?? rank;
    const other = holders.get(device);
    if (other !== undefined) {
      const key = target?.key ?? targets.of(other)?.key ?? 'placement';
      return misplaced(
        key,
        `puts ${other} and ${address} on ${targets.name(device)}; a worker has one stage at most`,
      );
    }
    holders.set(device, address);
    devices.push(device);
  }
  return devices;
}

/** The device of every group and copy of experts: the same for all layers, and of nobody else. */
function expertDevices(
  file: FilledTopology,
  targets: Targets,
  { free, key }: { readonly free: ReadonlySet<number>; readonly key: string },
): Finding | readonly number[] {
  const { ep, rankOrder } = file.parallel;
  const edp = free.size / ep;
  const devices: number[] = [];
  const holders = new Map<number, string>();
  for (let index = 0; index < ep * edp; index++) {
    const place =
      rankOrder === 'ep-inner'
        ? { ep: index % ep, edp: Math.floor(index / ep) }
        : { ep: Math.floor(index / edp), edp: index % edp };
    const name = `ep${place.ep}/edp${place.edp}`;
    for (const layer of layersWithExperts(file.model)) {
      const address = addresses.expert(layer, place);
      const target = targets.of(address);
      if (target === null || !free.has(target.device))
        return misplaced(
          target?.key ?? key,
          `leaves ${address} on a worker with a stage, and other experts on workers without one; place all of them, or none`,
        );
      const { device } = target;
      if (holders.has(device) && holders.get(device) !== name)
        return misplaced(
          target.key,
          `puts experts of ${holders.get(device) ?? ''} and ${name} on ${targets.name(device)}; a worker has those of one group and copy`,
        );
      if (devices[index] !== undefined && devices[index] !== device)
        return misplaced(
          target.key,
          `puts experts of ${name} on ${targets.name(devices[index] ?? 0)} and ${targets.name(device)}; a worker has those of all layers`,
        );
      holders.set(device, name);
      devices[index] = device;
    }
  }
  return devices;
}

/** What experts on workers without a stage have to be divided into. */
function apartFindings({ parallel, model }: FilledTopology, workers: number, key: string): Finding[] {
  const { ep, dp, tp } = parallel;
  const experts = model.moe?.experts ?? 1;
  const findings = indivisible({
    of: ['workers without a stage', workers],
    by: ['ep', ep],
    keys: ['parallel.ep', key, 'machines'],
    nearest: nearestNumber(
      ep,
      divisors(experts).filter((each) => workers % each === 0),
    ),
  });
  if (tp > 1 && parallel.expertsSliced === true)
    findings.push({
      code: 'TROUPE_TOPOLOGY_CONFLICT',
      keys: ['parallel.expertsSliced', 'parallel.tp', key],
      rule: `experts on workers without a stage are whole, and true divides them over tp ${tp}; use false, or leave it out`,
      nearest: 'false',
    });
  const sources = dp * tp;
  if (findings.length > 0 || workers / ep <= sources) return findings;
  const each = tp === 1 ? `dp ${dp} replicas` : `dp ${dp} × tp ${tp} workers of a stage`;
  const rule = `${workers} workers without a stage have ${workers / ep} copies of ${ep} groups, and ${each} use one each at most`;
  return [
    {
      code: 'TROUPE_TOPOLOGY_RANGE',
      keys: ['parallel.ep', key, 'machines', 'parallel.dp', 'parallel.tp'],
      rule,
      nearest: nearestNumber(
        ep,
        divisors(experts).filter((size) => workers % size === 0 && workers / size <= sources),
      ),
    },
  ];
}

const isFinding = (found: Finding | readonly number[]): found is Finding => 'code' in found;
const isIdentity = (devices: readonly number[]): boolean => devices.every((device, rank) => device === rank);

/**
 * Which workers the rules make: stages on other devices than those of their numbers, each on one; and experts all beside their stages, or
 * all on workers that hold no stage, which then are as many as the devices that no stage has.
 *
 * Judges only what {@link placementRules} leaves: rules whose devices exist.
 */
export function placedWorkers(file: FilledTopology): Judged {
  const nothing = { placed: asTheyAre, findings: [] };
  if (Object.keys(file.placement).length === 0) return nothing;
  const { pp, dp, tp } = file.parallel;
  const targets = new Targets(file);
  if (pp * dp * tp > targets.names.length) return nothing;
  const stages = stageDevices(file, targets);
  if (isFinding(stages)) return { placed: asTheyAre, findings: [stages] };
  const taken = new Set(stages);
  const free = new Set(targets.names.flatMap((_, device) => (taken.has(device) ? [] : [device])));
  const apart = targets.ofExperts.find(({ device }) => free.has(device));
  if (apart === undefined || file.model.moe === null)
    return { placed: { expertWorkers: 0, devices: isIdentity(stages) ? null : stages }, findings: [] };
  const placed = { expertWorkers: free.size, devices: null };
  const findings = apartFindings(file, free.size, apart.key);
  if (findings.length > 0) return { placed, findings };
  const experts = expertDevices(file, targets, { free, key: apart.key });
  if (isFinding(experts)) return { placed, findings: [experts] };
  const devices = [...stages, ...experts];
  return {
    placed: { expertWorkers: free.size, devices: isIdentity(devices) ? null : devices },
    findings: [],
  };
}

/** Tensor peers divide the matrices of experts: unless these lie on workers without a stage, or a file says otherwise. */
export const areExpertsSliced = (file: FilledTopology): boolean =>
  file.parallel.expertsSliced ?? placedWorkers(file).placed.expertWorkers === 0;
