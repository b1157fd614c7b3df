import { realpathSync } from 'node:fs';
import { shellWord } from '@troupe/core';
import type { ResolvedLauncher, ResolvedTopology } from '@troupe/topology';
import {
  nodesOfMachines,
  sameCommand,
  slurmAllocation,
  slurmLauncher,
  sshLauncher,
  type Launcher,
  type SshSettings,
} from 'troupe/launch';
import { HostsError, HostsUnreachableError, UsageError } from '../errors.ts';
import { hostTable, judge } from '../hosts/judge.ts';
import { probeHosts } from '../hosts/probe-hosts.ts';
import { print, printError, printJson } from '../output.ts';
import { VERSION } from '../version.ts';
import { printJob, type BatchOptions } from './batch-job.ts';

/** Seconds in which every host has to have answered. */
const PROBE_SECONDS = 60;

/** How troupe is called on the other machines, where the topology does not say it: as it is here. */
function settingsOf({ command, workdir, env, prelude }: ResolvedLauncher['ssh']): SshSettings {
  return {
    command: command ?? sameCommand(realpathSync(process.argv[1] ?? '')),
    workdir: workdir ?? process.cwd(),
    env,
    prelude,
  };
}

/** Machines that stand by, by name: they follow the others. */
const spareHosts = ({
  machines,
  joining,
}: Pick<ResolvedTopology, 'machines' | 'joining'>): readonly string[] =>
  Array.from({ length: joining?.spares ?? 0 }, (_, index) => `m${machines.length + index}`);

/**
 * What reaches the machines of a topology from here; null when all of them are this one.
 *
 * @throws {UsageError} machines without names
 * @throws {LauncherError} no allocation, or one without the nodes that the topology wants
 */
export function launcherOf({ launcher, joining, machines }: ResolvedTopology): Launcher | null {
  if (launcher?.kind === 'slurm') {
    const all = [...machines.map(({ host }) => host), ...spareHosts({ machines, joining })];
    const wanted = { machines: all.map((host) => ({ host })), joining };
    const nodes = nodesOfMachines(wanted, slurmAllocation(process.env));
    const slurm = slurmLauncher(nodes, [process.execPath, realpathSync(process.argv[1] ?? ''), 'agent']);
    // In a later layout machines have other places, and their names.
    return { ...slurm, command: (_machine, host) => slurm.command(all.indexOf(host), host) };
  }
  if (launcher?.kind === 'dial')
    throw new UsageError(
      'launcher dial waits for machines that something else starts; run npx troupe agent FILE on each of them, the first of which leads',
    );
  if (launcher?.kind === 'kubernetes')
    throw new UsageError(
      'launcher kubernetes starts nothing from here; npx troupe launch FILE --image IMAGE prints the manifest of its pods with --dry-run, and hands it to kubectl with --apply',
    );
  if (launcher?.kind !== 'ssh') return null;
  if (joining === null) return sshLauncher(settingsOf(launcher.ssh));
  throw new UsageError(
    'launcher ssh needs the names of its machines; list hosts under machines, or name a file of them with --hostfile',
  );
}

/**
 * Looks at every machine over ssh, all at once, before anything is made or started.
 *
 * @throws {HostsError | HostsUnreachableError} with everything that is wrong, below a table of what is known
 */
export async function probeMachines({ machines, launcher, wire }: ResolvedTopology): Promise<void> {
  if (launcher?.kind !== 'ssh') return;
  const { command, env, workdir, prelude } = settingsOf(launcher.ssh);
  const port = wire.port === 'auto' ? 0 : wire.port;
  const plan = { workdir, scratch: null, port, prelude, troupe: { command, env } };
  const reports = await probeHosts(
    machines.map(({ host }) => host),
    plan,
    PROBE_SECONDS,
  );
  const problems = judge(reports, { version: process.version, troupe: VERSION, command });
  if (problems.length === 0) return;
  printError(...hostTable(reports));
  const unreachable = reports.filter(({ isUnreachable }) => isUnreachable).length;
  throw problems.length === unreachable ? new HostsUnreachableError(problems) : new HostsError(problems);
}

/** A word for people who paste it: quoted only where a shell would not take it as it is. */
const plainWord = (word: string): string => (/^[\w@%+=:,./-]+$/u.test(word) ? word : shellWord(word));

/**
 * Prints what would be run to reach each machine, or for a batch system the job that would. Keys are not in it: they go over the pipe.
 * With `apply` the job is handed to its system.
 *
 * @param batch - how the run was asked for; null: it goes on, and is no job of its own
 * @throws {UsageError} for a topology without a launcher that runs something
 */
export async function printReach(
  topology: ResolvedTopology,
  { json, batch }: { readonly json?: boolean; readonly batch?: BatchOptions | null },
): Promise<void> {
  if (topology.launcher?.kind === 'kubernetes' && batch != null) {
    const { runInPods } = await import('./kubernetes-job.ts');
    await runInPods(topology, batch, { apply: batch.pods.apply === true, json: json === true });
    return;
  }
  if (topology.launcher?.kind === 'slurm' && process.env['SLURM_JOB_ID'] === undefined && batch != null) {
    printJob(topology, batch, json === true);
    return;
  }
  const launcher = launcherOf(topology);
  if (launcher === null)
    throw new UsageError(
      '--dry-run prints what reaches other machines, and this run starts processes of this one; npx troupe plan shows them',
    );
  const commands = topology.machines.map(({ host }, machine) => ({
    machine,
    host,
    ...launcher.command(machine, host),
  }));
  if (json === true) printJson({ event: 'machines', launcher: launcher.name, commands });
  else
    for (const { machine, host, file, args } of commands)
      print(`# machine ${machine}, ${host}`, [file, ...args].map(plainWord).join(' '));
}
