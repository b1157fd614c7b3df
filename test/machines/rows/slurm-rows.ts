import { deepStrictEqual, match, ok } from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { slurmLauncher, slurmNodes } from 'troupe/launch';
import type { Lab } from '../lab/lab.ts';
import type { Machine } from '../lab/machine.ts';
import { Slurm, slurmEnvironment, slurmPackages } from '../lab/slurm.ts';
import { milliseconds, pass, type Row } from './row.ts';

/** Lists of nodes with everything that Slurm writes into one. */
const lists = [
  'gpu[001-003,007],login1',
  'n[8-11],n[08-11],n[098-101],n[998-1001]',
  'r[1-2]n[01-02,5],b-1.x,a_2',
  'n[9,3,1-2],n9,x[7]',
] as const;

const listsRow: Row = {
  name: 'slurm: node lists are read as scontrol reads them',
  lab: { machines: 1, ssh: false },
  needs: slurmPackages,
  play: async (lab) => {
    const slurm = await Slurm.open(lab);
    let count = 0;
    for (const list of lists) {
      const names = (await slurm.says(['scontrol', 'show', 'hostnames', list])).split('\n');
      deepStrictEqual(slurmNodes(list, 'LIST'), names);
      count += names.length;
    }
    return `${count} names of ${lists.length} lists`;
  },
};

/** What stands for an agent: says its machine and its number there, and sends back what it is told. */
const agent = ['sh', '-c', 'echo "$(hostname) $$"; exec grep --line-buffered .'];

/** A step with it, over the pipes that a lead would have. */
class Echo {
  readonly ended: Promise<number | null>;
  readonly #child: ReturnType<Machine['start']>;
  readonly #lines: AsyncIterator<string>;

  constructor(lab: Lab, machine: number) {
    const nodes = lab.machines.map(({ name }) => name);
    const { file, args } = slurmLauncher(nodes, agent).command(machine, nodes[machine] ?? '');
    this.#child = lab.at(0).start([file, ...args], { env: { ...slurmEnvironment, SLURM_JOB_ID: '1' } });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
    this.ended = new Promise((resolve) => this.#child.once('close', resolve));
  }

  async hears(): Promise<string> {
    const line = await this.#lines.next();
    return line.done === true ? 'the end' : line.value;
  }

  /** Where it is, and its number there. */
  async place(): Promise<readonly [host: string, pid: string]> {
    const [host = '', pid = ''] = (await this.hears()).split(' ');
    match(pid, /^[1-9]\d*$/u);
    return [host, pid];
  }

  async echoes(text: string): Promise<void> {
    this.#child.stdin.write(`${text}\n`);
    ok((await this.hears()) === text, 'a line comes back as it went');
  }

  closePipe(): void {
    this.#child.stdin.end();
  }

  killSrun(): void {
    this.#child.kill('SIGKILL');
  }
}

const agentsLeft = (lab: Lab): readonly string[] =>
  lab.machines.flatMap((machine) =>
    machine.processes().flatMap(({ command }) => (command.startsWith('grep ') ? [machine.name] : [])),
  );

const stepsRow: Row = {
  name: 'slurm: a step a node, with a pipe to here; a dead one gets a new life, and the others do not notice',
  lab: { machines: 3, ssh: false },
  needs: slurmPackages,
  play: async (lab) => {
    const slurm = await Slurm.open(lab);
    // A step that holds every core, as the one does that salloc works in at many sites.
    await slurm.says(['sbatch', '-N3', '--output=/dev/null', '--wrap', 'srun -N3 sleep 600']);
    await slurm.until(['squeue', '-h', '-s', '-o', '%i'], (said) => said.split('\n').includes('1.0'));
    const [first, other] = [new Echo(lab, 1), new Echo(lab, 2)];
    const [host, pid] = await first.place();
    deepStrictEqual([host, (await other.place())[0]], ['h1', 'h2']);
    const startMs = performance.now();
    await first.echoes('x'.repeat(4_000_000));
    const longMs = performance.now() - startMs;
    deepStrictEqual(agentsLeft(lab), ['h1', 'h2']);

    const killedMs = performance.now();
    // By the machine's own user and its own numbers: nothing beyond the machine can be meant.
    deepStrictEqual((await lab.at(1).run(['kill', '-KILL', pid])).code, 0);
    ok((await first.ended) !== 0, 'srun says that its task was killed');
    const next = new Echo(lab, 1);
    deepStrictEqual((await next.place())[0], 'h1');
    const againMs = performance.now() - killedMs;
    await next.echoes('again');
    await other.echoes('still here');

    // The end of the pipe is the end of an agent, whether it is closed or who holds it is killed.
    other.closePipe();
    deepStrictEqual(await other.ended, 0);
    next.killSrun();
    for (const endMs = performance.now() + 10_000; agentsLeft(lab).length > 0 && performance.now() < endMs;)
      await pass(50);
    deepStrictEqual(agentsLeft(lab), []);
    return `a line of 4 MB there and back in ${milliseconds(longMs)}; another life ${milliseconds(againMs)} after a kill`;
  },
};

export const slurmRows: readonly Row[] = [listsRow, stepsRow];
