import { bytes } from '../run/numbers.ts';
import type { HostReport } from './host-report.ts';

const KIB = 1024;

/** Node as {@link judge} wants it; `v20.19.0` is. */
export function isSupported(version: string): boolean {
  const [major = 0, minor = 0] = version.replace(/^v/u, '').split('.').map(Number);
  return major > 20 || (major === 20 && minor >= 19);
}

function folderProblem(what: 'workdir' | 'scratch', found: string | undefined): string | null {
  if (found === 'missing')
    return `its ${what} is no folder that can be entered; make it, or name another one with --${what}`;
  if (found === 'readonly') return `its ${what} cannot be written; name another one with --${what}`;
  return null;
}

/** What every host has to have as this machine has it; without it hosts are compared with each other. */
export interface Expected {
  /** Of Node. */
  readonly version: string;
  /** Version of `troupe`. */
  readonly troupe: string;
  /** How it is called there. */
  readonly command: string;
}

/** Whether the program that is here is there, under the same Node. */
function programProblem({ facts }: HostReport, { version, troupe, command }: Expected): string | null {
  if (facts['troupe'] === '')
    return `'${command}' does not run there; install troupe ${troupe} under that path, or say in launcher.ssh.command how it is called`;
  if (facts['troupe'] !== troupe) return `troupe is ${facts['troupe']} there and ${troupe} here`;
  return facts['version'] === version ? null : `node is ${facts['version']} there and ${version} here`;
}

/** What is wrong with one host by itself. */
function problemsOf(report: HostReport, expected: Expected | null): readonly string[] {
  const { failed, facts } = report;
  if (failed !== null) return [failed];
  const { node = '', version = '', path = '', portError } = facts;
  const problems = [folderProblem('workdir', facts['workdir']), folderProblem('scratch', facts['scratch'])];
  if (node === '')
    problems.push(
      `no node on the PATH of a command over ssh (${path}); put it there, or load it with --prelude`,
    );
  else if (!isSupported(version)) problems.push(`node ${version} is too old: 20.19 or newer is needed`);
  else if (expected !== null) problems.push(programProblem(report, expected));
  if (portError !== undefined) problems.push(`its port cannot be opened: ${portError}`);
  return problems.filter((each) => each !== null);
}

/** Reports by a text that is made of each, without those that have none. */
function groupsOf(
  reports: readonly HostReport[],
  textOf: (report: HostReport) => string,
): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const report of reports) {
    const text = textOf(report);
    if (text !== '') groups.set(text, [...(groups.get(text) ?? []), report.host]);
  }
  return groups;
}

/** Names that lead to the same machine: two agents there would take each other's ports, memory and cores. */
function sameMachines(reports: readonly HostReport[]): readonly string[] {
  const identity = ({ facts }: HostReport): string =>
    (facts['machine'] ?? '') === '' ? '' : `${facts['name']}, machine id ${facts['machine']}`;
  return [...groupsOf(reports, identity)]
    .filter(([, twins]) => twins.length > 1)
    .map(([machine, twins]) => `${twins.join(' and ')} are one machine (${machine}); name it once`);
}

/** Everything that is wrong, a sentence each. */
export function judge(reports: readonly HostReport[], expected: Expected | null = null): readonly string[] {
  const versions = [...groupsOf(reports, ({ facts }) => facts['version'] ?? '')];
  const differ = versions.map(([version, hosts]) => `${version} on ${hosts.join(', ')}`);
  const places = new Map(reports.map(({ host, address, facts }) => [host, `${address}:${facts['port']}`]));
  return [
    ...reports.flatMap((report) =>
      problemsOf(report, expected).map((problem) => `${report.host}: ${problem}`),
    ),
    ...sameMachines(reports),
    ...(differ.length > 1 && expected === null
      ? [`hosts have different versions of node, and a run wants one: ${differ.join('; ')}`]
      : []),
    ...reports.flatMap(({ host, reached }) =>
      Object.entries(reached)
        .filter(([, how]) => how !== '')
        .map(
          ([other, how]) =>
            `${host} does not reach ${other} at ${places.get(other)}: ${how}; machines of a run connect to each other directly`,
        ),
    ),
  ];
}

const head = [
  'host',
  'address',
  'ssh',
  'user',
  'node',
  'cores',
  'memory',
  'workdir',
  'scratch',
  'port',
  'reaches',
];

const folder = (found: string | undefined): string =>
  found === undefined ? '' : /^\d+$/u.test(found) ? `${bytes(Number(found) * KIB)} free` : found;

/** The reports as a table, a line each. */
export function hostTable(reports: readonly HostReport[]): readonly string[] {
  const rows = reports.map(({ host, address, failed, facts, reached, seconds }) => {
    const others = Object.values(reached);
    return [
      host,
      address,
      failed === null ? `${seconds.toFixed(1)} s` : 'failed',
      facts['user'] ?? '',
      facts['version'] ?? '',
      facts['cores'] ?? '',
      facts['memory'] === undefined ? '' : bytes(Number(facts['memory'])),
      folder(facts['workdir']),
      folder(facts['scratch']),
      facts['port'] ?? '',
      `${others.filter((how) => how === '').length} of ${reports.length - 1}`,
    ];
  });
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
