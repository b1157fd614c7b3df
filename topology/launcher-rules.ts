import { isIP } from 'node:net';
import type { FilledTopology } from './fill.ts';
import type { Finding } from './finding.ts';

const conflict = (keys: Finding['keys'], rule: string, nearest: Finding['nearest']): Finding => ({
  code: 'TROUPE_TOPOLOGY_CONFLICT',
  keys,
  rule,
  nearest,
});

const format = (keys: Finding['keys'], rule: string, nearest: Finding['nearest'] = null): Finding => ({
  code: 'TROUPE_TOPOLOGY_FORMAT',
  keys,
  rule,
  nearest,
});

function sshRules({ kind, ssh }: NonNullable<FilledTopology['launcher']>): readonly Finding[] {
  if (ssh === undefined) return [];
  const findings = Object.keys(ssh.env ?? {}).flatMap((name) =>
    /^[A-Za-z_][A-Za-z0-9_]*$/u.test(name)
      ? []
      : [format([`launcher.ssh.env.${name}`, 'launcher.ssh.env'], 'is no name of an environment variable')],
  );
  if (kind !== 'ssh')
    findings.push(
      conflict(['launcher.ssh', 'launcher.kind'], `is for launcher ssh, and launcher.kind is ${kind}`, null),
    );
  return findings;
}

/** A network `10.1.0.0/16` whose address and length are ones; a name is the business of the machines. */
function interfaceRules(name: string | null): readonly Finding[] {
  const [address = '', length] = name?.split('/') ?? [];
  if (name === null || length === undefined) return [];
  const version = isIP(address);
  const most = version === 6 ? 128 : 32;
  if (version === 0) return [format(['wire.interface'], `${address} is no IP address`)];
  if (Number(length) <= most) return [];
  return [
    format(
      ['wire.interface'],
      `an IPv${version} network has a length of at most ${most} bits`,
      `${address}/${most}`,
    ),
  ];
}

/** Judges how machines are reached, and how they speak. */
export function launcherRules({ launcher, machines, wire }: FilledTopology): readonly Finding[] {
  const findings = [...interfaceRules(wire.interface)];
  if (launcher === undefined) return findings;
  findings.push(...sshRules(launcher));
  if (launcher.kind === 'kubernetes' && Array.isArray(machines))
    findings.push(
      conflict(
        ['machines', 'launcher.kind'],
        'names hosts, and those of kubernetes have their names from it; use machines with count and devices',
        null,
      ),
    );
  if (launcher.kind === 'ssh' && !Array.isArray(machines))
    findings.push(
      conflict(
        ['machines', 'launcher.kind'],
        'says how many machines there are, and launcher ssh needs their names; list hosts under machines, or name a file of them with --hostfile',
        null,
      ),
    );
  if (launcher.kind !== 'local' && wire.security === 'none')
    findings.push(
      conflict(
        ['wire.security', 'launcher.kind'],
        `leaves what machines tell each other open to all on their network, and launcher ${launcher.kind} reaches other machines`,
        'auto',
      ),
    );
  return findings;
}
