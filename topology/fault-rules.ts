import { faultInfo, type Fault, type FaultAim } from '@troupe/core';
import type { FilledTopology } from './fill.ts';
import { nearestName } from './nearest.ts';
import type { Finding } from './finding.ts';

const triggers = ['atMs', 'atStep', 'when'] as const;
const qualities = ['forMs', 'restartAfterMs', 'factor', 'oneWay'] as const;

const forms: Readonly<Record<FaultAim, string>> = {
  process: 'worker/0, agent/0, machine/0',
  device: 'worker/0',
  actor: 'an address such as expert/L0/ep0/edp0',
  link: 'worker/0,worker/1',
  disk: 'disk/0',
};

const roles = ['trainer', 'supervisor', 'store', 'feeder', 'stage', 'gate', 'expert', 'optimizer'];

/** What a target names, by its form. */
function aimsOf(target: string): readonly FaultAim[] {
  if (target.includes(',')) return ['link'];
  const [role = ''] = target.split('/');
  if (role === 'worker') return ['process', 'device'];
  if (role === 'agent' || role === 'machine') return ['process'];
  if (role === 'disk') return ['disk'];
  return roles.includes(role) ? ['actor'] : [];
}

/** Names of nodes, machines and disks; null: an actor's, which the placement judges. */
function namesFor(file: FilledTopology, target: string): readonly string[] | null {
  const machines = file.machines.map((_, index) => index);
  const workers = Array.from(
    { length: file.machines.reduce((sum, machine) => sum + machine.devices.length, 0) },
    (_, index) => `worker/${index}`,
  );
  const [role = ''] = target.split('/');
  if (role === 'machine' || role === 'disk') return machines.map((index) => `${role}/${index}`);
  if (role === 'worker' || role === 'agent')
    return [...workers, ...machines.map((index) => `agent/${index}`)];
  return null;
}

function faultFindings(file: FilledTopology, fault: Fault, index: number): Finding[] {
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
  const parts = fault.target.split(',');
  if (parts.length > 2 || (parts.length === 2 && parts[0] === parts[1]))
    add('target', 'a link has two ends: worker/0,worker/1', 'TROUPE_TOPOLOGY_FORMAT');
  for (const part of parts) {
    const names = namesFor(file, part);
    if (names === null || names.includes(part)) continue;
    add('target', `there is no ${part}`, 'TROUPE_TOPOLOGY_RANGE', nearestName(part, names));
  }
  return findings;
}

/** Judges each fault: when it strikes, what it may be aimed at, what it takes. */
export const faultRules = (file: FilledTopology): Finding[] =>
  file.faults.flatMap((fault, index) => faultFindings(file, fault, index));
