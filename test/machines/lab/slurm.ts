import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Lab } from './lab.ts';
import type { Machine } from './machine.ts';
import { systemEnvironment, type Outcome } from './namespaces.ts';

/** Packages of the programs that this needs beside those of a lab. */
export const slurmPackages: Readonly<Record<string, string>> = {
  slurmctld: 'slurm-wlm',
  slurmd: 'slurm-wlm',
  sbatch: 'slurm-wlm',
  munged: 'munge',
};

/** Where each machine has what belongs to Slurm, in memory. */
const FOLDER = '/run/slurm';
const SOCKET = `${FOLDER}/munge.sock`;

/** What a command of Slurm's finds its servers by. */
export const slurmEnvironment = { SLURM_CONF: `${FOLDER}/slurm.conf` };

const configuration = (machines: readonly Machine[]): string => `ClusterName=lab
SlurmctldHost=${machines[0]?.name}(${machines[0]?.address})
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=${SOCKET}
StateSaveLocation=${FOLDER}/state
SlurmctldPidFile=${FOLDER}/slurmctld.pid
SlurmctldLogFile=${FOLDER}/slurmctld.log
SlurmdSpoolDir=${FOLDER}/spool
SlurmdPidFile=${FOLDER}/slurmd.pid
SlurmdLogFile=${FOLDER}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
SwitchType=switch/none
SlurmdTimeout=10
KillWait=20
${machines.map(({ name, address }) => `NodeName=${name} NodeAddr=${address} NodeHostname=${name} CPUs=4 RealMemory=4000 State=UNKNOWN\n`).join('')}PartitionName=lab Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;

/** Slurm on the machines of a lab: its controller on the first one, and all of them nodes. */
export class Slurm {
  readonly #lab: Lab;

  private constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** Starts it, and waits until every node takes jobs; it ends with the lab. */
  static async open(lab: Lab): Promise<Slurm> {
    const slurm = new Slurm(lab);
    const key = randomBytes(128);
    const text = configuration(lab.machines);
    for (const machine of lab.machines) {
      mkdirSync(machine.path(`${FOLDER}/state`), { recursive: true });
      mkdirSync(machine.path(`${FOLDER}/spool`), { recursive: true });
      writeFileSync(machine.path(`${FOLDER}/slurm.conf`), text);
      mkdirSync(machine.path(`${FOLDER}/munge`), { mode: 0o700 });
      writeFileSync(machine.path(`${FOLDER}/munge/key`), key, { mode: 0o400 });
    }
    await Promise.all(
      lab.machines.map((machine) =>
        succeeds(
          machine,
          'munged',
          '--force',
          `--socket=${SOCKET}`,
          ...['key', 'pid', 'log', 'seed'].map((each) => `--${each}-file=${FOLDER}/munge/${each}`),
        ),
      ),
    );
    await succeeds(lab.at(0), 'slurmctld', '-c');
    await Promise.all(lab.machines.map((machine) => succeeds(machine, 'slurmd', '-N', machine.name)));
    const all = lab.machines.length;
    await slurm.until(['sinfo', '-h', '-o', '%D %t'], (said) => said === `${all} idle`);
    return slurm;
  }

  /** A command of Slurm's on the first machine, as its user. */
  run(argv: readonly string[]): Promise<Outcome> {
    return this.#lab.at(0).run(argv, { env: slurmEnvironment, deadlineMs: 120_000 });
  }

  /** As {@link run}, for what has to succeed; what it printed, without the last line's end. */
  async says(argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv);
    if (code === 0) return stdout.trimEnd();
    throw new Error(`${argv.join(' ').slice(0, 200)} ended with ${code}: ${stderr.trim()}`);
  }

  /** Asks until the answer is as wanted. */
  async until(argv: readonly string[], isWanted: (said: string) => boolean, limitMs = 60_000): Promise<void> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      const said = await this.says(argv);
      if (isWanted(said)) return;
      if (performance.now() > endMs)
        throw new Error(`${argv.join(' ')} still says '${said}' after ${limitMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** A server that puts itself in the background when it is up. */
async function succeeds(machine: Machine, ...argv: readonly string[]): Promise<void> {
  const env = { ...slurmEnvironment, PATH: systemEnvironment.PATH };
  const { code, stderr } = await machine.run(argv, { user: 'root', env });
  if (code !== 0)
    throw new Error(`${argv.join(' ')} on ${machine.name} ended with ${code}: ${stderr.trim()}`);
}
