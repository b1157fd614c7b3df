import { faultInfo, type Fault, type FaultAim } from '@troupe/sim/faults';
import type { FilledTopology } from './fill.ts';
import type { Finding } from './finding.ts';
import { offloadOf } from './host-targets.ts';
import { twoMachines } from './machine-rules.ts';
import { machineName, resolveMachines, type ResolvedMachine } from './machines.ts';

const triggers = ['atMs', 'atStep', 'when'] as const;
const qualities = ['forMs', 'restartAfterMs', 'factor', 'oneWay'] as const;

const forms: Readonly<Record<FaultAim, string>> = {
  process: 'worker/0, agent/0, lead/0, machine/0 (or machine/HOST)',
  device: 'worker/0',
  actor: 'an address such as expert/L0/ep0/edp0',
  link: 'worker/0,worker/1',
  disk: 'disk/0',
};

const roles = [
  'trainer',
  'supervisor',
  'store',
  'feeder',
  'stage',
  'pass',
  'gate',
  'expert',
  'optimizer',
  'courier',
  'ward',
];

/** What a target names, by its form. */
function aimsOf(target: string): readonly FaultAim[] {
  if (target.includes(',')) return ['link'];
  const [role = ''] = target.split('/');
  if (role === 'worker' || role === 'host') return ['process', 'device'];
  // `agent/0` is the process, `agent/m0` the actor in it.
  if (role === 'agent' && /^agent\/m\d+$/u.test(target)) return ['actor'];
  if (role === 'agent' || role === 'lead' || role === 'machine') return ['process'];
  if (role === 'disk') return ['disk'];
  return roles.includes(role) ? ['actor'] : [];
}

/** `box` of `machine/box` and `disk/box`. */
const machineIn = (target: string): string | null => /^(?:machine|disk)\/([^,]+)$/u.exec(target)?.[1] ?? null;

/** `machine/1` of `machine/box` and `machine/m1`; other targets, and names of no machine, as they are. */
function byNumber(machines: readonly ResolvedMachine[], target: string): string {
  const name = machineIn(target);
  if (name === null) return target;
  const host = machines.findIndex((machine) => machine.host === name);
  const index = host < 0 ? machines.findIndex((_, each) => machineName(each) === name) : host;
  return index < 0 ? target : `${target.split('/')[0] ?? ''}/${index}`;
}

/** Faults as a simulation has them: it knows machines and disks by number. */
export function faultsByNumber({ faults, machines }: FilledTopology): FilledTopology['faults'] {
  const resolved = resolveMachines(machines);
  return faults.map((fault) => ({ ...fault, target: byNumber(resolved, fault.target) }));
}

/** How many there are of each kind of node, machine and disk: `worker/0`, `worker/1` … */
type Counts = Readonly<Record<string, number>>;

function countsOf(file: FilledTopology, machines: readonly ResolvedMachine[]): Counts {
  const workers = machines.reduce((sum, machine) => sum + machine.devices.length, 0);
  const count = machines.length;
  const hosts = offloadOf(file) === 'none' ? 0 : count;
  return { worker: workers, host: hosts, lead: 1, agent: count, machine: count, disk: count };
}

/** What is wrong with the name of a node, machine or disk; null: nothing, or an actor's, which the placement judges. */
function unknownName(counts: Counts, part: string): { readonly nearest: string } | null {
  const [role = '', position = ''] = part.split('/');
  const count = counts[role];
  if (count === undefined || aimsOf(part).includes('actor')) return null;
  if (part === `${role}/${Number(position)}` && Number(position) < count && /^\d+$/u.test(position))
    return null;
  const wanted = Number.parseInt(position, 10);
  return {
    nearest: `${role}/${Number.isNaN(wanted) ? 0 : Math.min(Math.max(wanted, 0), Math.max(count - 1, 0))}`,
  };
}

function faultFindings(
  { counts, machines }: { readonly counts: Counts; readonly machines: readonly ResolvedMachine[] },
  fault: Fault,
  index: number,
): Finding[] {
  const key = `faults.${index}`;
  const findings: Finding[] = [];
  const add = (name: string, rule: string, code: Finding['code'], nearest: string | null = null): void => {
    findings.push({ code, keys: [`${key}.${name}`, key], rule, nearest });
  };
  const info = faultInfo(fault.kind);
  const named = triggers.filter((each) => fault[each] !== undefined);
  if (named.length !== 1) {
    const rule = `${named.length === 0 ? 'nothing says' : `${named.join(' and ')} say`} when it strikes; give one of ${triggers.join(', ')}`;
    add(named[1] ?? 'kind', rule, 'TROUPE_TOPOLOGY_CONFLICT');
  }
  for (const quality of qualities) {
    if (fault[quality] !== undefined && !info.takes.includes(quality)) {
      const takes = info.takes.length === 0 ? 'nothing more' : info.takes.join(', ');
      add(quality, `${fault.kind} takes ${takes}`, 'TROUPE_TOPOLOGY_CONFLICT');
    }
  }
  if (!aimsOf(fault.target).some((aim) => info.aims.includes(aim))) {
    const rule = `${fault.kind} takes ${info.aims.map((aim) => forms[aim]).join('; or ')}`;
    add('target', rule, 'TROUPE_TOPOLOGY_FORMAT');
    return findings;
  }
  const parts = byNumber(machines, fault.target).split(',');
  if (parts.length > 2 || (parts.length === 2 && parts[0] === parts[1]))
    add('target', 'a link has two ends: worker/0,worker/1', 'TROUPE_TOPOLOGY_FORMAT');
  const doubt = twoMachines(machines, machineIn(fault.target) ?? '');
  if (doubt !== null) add('target', doubt, 'TROUPE_TOPOLOGY_CONFLICT');
  for (const part of parts) {
    const unknown = unknownName(counts, part);
    if (unknown !== null) add('target', `there is no ${part}`, 'TROUPE_TOPOLOGY_RANGE', unknown.nearest);
  }
  return findings;
}

/** Judges each fault: when it strikes, what it may be aimed at, what it takes. */
export function faultRules(file: FilledTopology): Finding[] {
  const machines = resolveMachines(file.machines);
  const counts = countsOf(file, machines);
  return file.faults.flatMap((fault, index) => faultFindings({ counts, machines }, fault, index));
}
