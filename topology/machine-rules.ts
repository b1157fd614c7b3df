import type { FilledTopology } from './fill.ts';
import type { Finding } from './finding.ts';
import { offloadOf } from './host-targets.ts';
import { isLocalHost } from './layout/machine-row.ts';
import {
  areJoining,
  machineName,
  parseDevice,
  resolveMachines,
  type JoiningMachines,
  type ResolvedMachine,
} from './machines.ts';
import { PORTS_A_PROCESS } from './ports.ts';
import { MAX_WORLD } from './schema-fields.ts';

type Keys = Finding['keys'];

const finding = (
  code: Finding['code'],
  keys: Keys,
  rule: string,
  nearest: Finding['nearest'] = null,
): Finding => ({ code, keys, rule, nearest });

function duplicateDevices(where: string, host: string, devices: readonly string[]): readonly Finding[] {
  const seen = new Set<string>();
  return devices.flatMap((text, index) => {
    const { id } = parseDevice(text);
    const isSeen = seen.has(id);
    seen.add(id);
    const rule = `${host} already lists ${id}; a device has one worker`;
    return isSeen ? [finding('TROUPE_TOPOLOGY_DUPLICATE_DEVICE', [`${where}.devices.${index}`], rule)] : [];
  });
}

/** How a name is compared: case means nothing, and every name of the loopback is the same machine. */
const comparable = (host: string): string => (isLocalHost(host) ? 'localhost' : host.toLowerCase());

/** One host has one agent; only this machine plays several, and only where no launcher reaches for others. */
function sameHosts({ machines, launcher }: FilledTopology): readonly Finding[] {
  if (areJoining(machines)) return [];
  const playsSeveral = launcher === undefined || launcher.kind === 'local';
  const first = new Map<string, number>();
  return machines.flatMap(({ host }, index) => {
    const name = comparable(host);
    const other = first.get(name);
    if (other === undefined) first.set(name, index);
    if (other === undefined || (playsSeveral && name === 'localhost')) return [];
    const before = machines[other]?.host ?? '';
    const alias = before === host ? '' : `, another name of ${before}`;
    const rule = `machines ${machineName(other)} and ${machineName(index)} are both ${host}${alias}; write the devices of a host into one machine`;
    return [finding('TROUPE_TOPOLOGY_CONFLICT', [`machines.${index}.host`, `machines.${other}.host`], rule)];
  });
}

/** Numbers of machines that a launcher brings, and what happens when one of them is lost. */
function joiningRules(machines: JoiningMachines, policy: FilledTopology['recovery']['machines']): Finding[] {
  const { count, devices, min, spares } = machines;
  const findings: Finding[] = [];
  if (count * devices.length > MAX_WORLD) {
    const most = Math.floor(MAX_WORLD / devices.length);
    const rule = `count ${count} × ${devices.length} devices is more than ${MAX_WORLD}; at most ${most} machines`;
    findings.push(finding('TROUPE_TOPOLOGY_RANGE', ['machines.count', 'machines.devices'], rule, most));
  }
  if (min > count) {
    const rule = `must be at most count ${count}`;
    findings.push(finding('TROUPE_TOPOLOGY_RANGE', ['machines.min', 'machines.count'], rule, count));
  } else if (min < count && policy !== 'shrink') {
    const rule = `says that ${min} of ${count} machines will do, and with recovery.machines ${policy} all of them have to be there; use shrink`;
    findings.push(finding('TROUPE_TOPOLOGY_CONFLICT', ['machines.min', 'recovery.machines'], rule, count));
  }
  if (min === count && policy === 'shrink') {
    const rule = `is ${min} of ${count} machines, so the run could never shrink; say with how many it may go on`;
    const keys: Keys = ['machines.min', 'recovery.machines'];
    findings.push(finding('TROUPE_TOPOLOGY_CONFLICT', keys, rule, Math.max(1, Math.ceil(count / 2))));
  }
  if (spares > 0 && policy === 'wait') {
    const rule = `names machines that stand by, and recovery.machines wait uses none; use spare or shrink`;
    findings.push(finding('TROUPE_TOPOLOGY_CONFLICT', ['machines.spares', 'recovery.machines'], rule, 0));
  }
  return findings;
}

function policyRules({ machines, recovery }: FilledTopology): readonly Finding[] {
  const joining = areJoining(machines) ? machines : null;
  const findings = joining === null ? [] : joiningRules(joining, recovery.machines);
  if (recovery.machines === 'spare' && (joining?.spares ?? 0) === 0) {
    const rule = 'needs machines that stand by: machines with count and spares';
    findings.push(
      finding('TROUPE_TOPOLOGY_CONFLICT', ['recovery.machines', 'machines.spares'], rule, 'wait'),
    );
  }
  return findings;
}

/** Judges machines and their devices, and what is to happen without one of them. */
export function machineRules(file: FilledTopology): readonly Finding[] {
  const { machines } = file;
  const devices = areJoining(machines)
    ? duplicateDevices('machines', 'every machine', machines.devices)
    : machines.flatMap((machine, index) =>
        duplicateDevices(`machines.${index}`, machine.host, machine.devices),
      );
  return [...devices, ...sameHosts(file), ...policyRules(file)];
}

/** Why a name is of two machines: the host of one that stands at another place; null: it is not. */
export function twoMachines(machines: readonly ResolvedMachine[], name: string): string | null {
  const place = /^m(0|[1-9]\d*)$/u.exec(name)?.[1];
  if (place === undefined || Number(place) >= machines.length) return null;
  const host = machines.findIndex((machine) => machine.host === name);
  if (host < 0 || host === Number(place)) return null;
  return `${name} is the host of machine ${machineName(host)}, and by its place ${machines[Number(place)]?.host ?? ''}; list hosts that are called m0, m1 … in their order`;
}

/**
 * Each process listens on two ports: of a machine an agent, workers and a host, and on one of them the lead. Without a launcher all are on
 * this machine, and agents in the process of the lead.
 */
function portsNeeded(file: FilledTopology): number {
  const host = offloadOf(file) === 'none' ? 0 : 1;
  const { launcher } = file;
  const agent = launcher === undefined ? 0 : 1;
  const each = resolveMachines(file.machines).map(({ devices }) => agent + devices.length + host);
  const isOneHost = launcher === undefined || launcher.kind === 'local';
  const all = isOneHost
    ? each.reduce((sum, processes) => sum + processes, 0)
    : each.reduce((most, processes) => Math.max(most, processes), 0);
  return PORTS_A_PROCESS * (1 + all);
}

/** Ports end at 65,535. */
export function wireRules(file: FilledTopology): readonly Finding[] {
  const { wire } = file;
  if (wire.port === 'auto') return [];
  const ports = portsNeeded(file);
  const last = 65_536 - ports;
  if (wire.port <= last) return [];
  const rule = `${ports} ports are needed from here on, so at most ${last}`;
  return [finding('TROUPE_TOPOLOGY_RANGE', ['wire.port', 'machines'], rule, Math.max(last, 1))];
}
