import type { Command } from 'commander';
import type { HostPlan } from '../hosts/host-program.ts';
import { Ended, UsageError } from '../errors.ts';
import { print, printError, printJson } from '../output.ts';
import { factor, integer, named, verb, type CommonOptions } from '../verb.ts';

interface DoctorOptions extends CommonOptions, Partial<HostPlan> {
  readonly hosts?: string;
  readonly deadline: number;
}

async function examineHosts(list: string, options: DoctorOptions): Promise<void> {
  const { hostsOf } = await import('../hosts/host-report.ts');
  const { probeHosts } = await import('../hosts/probe-hosts.ts');
  const { judge, hostTable } = await import('../hosts/judge.ts');
  const hosts = hostsOf(list);
  if (hosts.length === 0) throw new UsageError('--hosts names no host, e.g. --hosts gpu-1,gpu-2');
  const { isSshHost } = await import('troupe/launch');
  const flag = hosts.find((host) => !isSshHost(host));
  if (flag !== undefined) throw new UsageError(`--hosts: '${flag}' is no name that ssh takes`);
  const { workdir = null, scratch = null, port = 0, prelude = null, deadline } = options;
  const reports = await probeHosts(hosts, { workdir, scratch, port, prelude }, deadline);
  const problems = judge(reports);
  if (options.json === true) printJson({ event: 'hosts', hosts: reports, problems });
  else {
    print(...hostTable(reports));
    if (problems.length > 0) printError(...problems);
  }
  if (problems.length > 0) throw new Ended(1);
}

async function doctor(options: DoctorOptions): Promise<void> {
  if (options.hosts !== undefined) return examineHosts(options.hosts, options);
  const stray = (['workdir', 'scratch', 'port', 'prelude'] as const).find(
    (name) => options[name] !== undefined,
  );
  if (stray !== undefined) throw new UsageError(`--${stray} goes with --hosts`);
  const { examine } = await import('../doctor/examine.ts');
  const { describe } = await import('../doctor/describe.ts');
  const findings = await examine();
  if (options.json === true) printJson({ event: 'doctor', ...findings });
  else print(...describe(findings));
}

export function registerDoctor(program: Command): void {
  verb(
    program,
    'doctor',
    'Show what this machine has and which device a run would use, and why; or what other hosts lack.',
    'npx troupe doctor\n  npx troupe doctor --hosts gpu-1,gpu-2 --workdir runs',
  )
    .option('--hosts <list>', 'look at these hosts over ssh instead, all at once', named)
    .option('--workdir <folder>', 'on each host, where a run would work (default: where ssh comes in)', named)
    .option(
      '--scratch <folder>',
      'on each host, for what can be made again (default: its TMPDIR or /tmp)',
      named,
    )
    .option(
      '--port <number>',
      'the port that each opens, and the others dial (default: any)',
      integer(1, 65535),
    )
    .option('--prelude <line>', "a line of sh before Node is looked for: 'module load node'", named)
    .option('--deadline <seconds>', 'a host that has not answered by then has failed', factor, 60)
    .action(doctor);
}
