import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { nodesOfMachines, slurmAllocation, slurmLauncher } from './slurm-launcher.ts';
import { secondsToSave, slurmBatchScript } from './slurm-batch-script.ts';

const hosts = (...names: readonly string[]) => names.map((host) => ({ host }));

test('slurm: machines are nodes of the allocation, in its order or by name', (t) => {
  const nodes = slurmAllocation({ SLURM_JOB_ID: '7', SLURM_JOB_NODELIST: 'h[2-4]' });
  t.deepEqual(nodesOfMachines({ machines: hosts('m0', 'm1'), joining: {} }, nodes), ['h2', 'h3']);
  t.deepEqual(nodesOfMachines({ machines: hosts('h4', 'h2'), joining: null }, nodes), ['h4', 'h2']);
  const refused = (act: () => unknown): string => t.throws(act, { code: 'TROUPE_LAUNCHER' })?.message ?? '';
  t.regex(
    refused(() => slurmAllocation({ SLURM_JOB_NODELIST: 'h0' })),
    /no SLURM_JOB_ID.*--dry-run/u,
  );
  t.regex(
    refused(() => nodesOfMachines({ machines: hosts('m0', 'm1', 'm2', 'm3'), joining: {} }, nodes)),
    /wants 4 machines, and the allocation has 3: h2, h3, h4; ask for --nodes=4/u,
  );
  t.regex(
    refused(() => nodesOfMachines({ machines: hosts('h2', 'gpu1', 'gpu2'), joining: null }, nodes)),
    /^no node of the allocation is called gpu1, gpu2; the allocation has 3: h2, h3, h4/u,
  );
});

test('slurm: an agent is a step of one node, whose end ends nothing else', (t) => {
  const { file, args } = slurmLauncher(['h2', 'h3'], ['node', 'troupe.js', 'agent']).command(1, 'm1');
  t.is(file, 'srun');
  t.deepEqual(args.slice(-4), ['--nodelist=h3', 'node', 'troupe.js', 'agent']);
  for (const each of ['--nodes=1', '--ntasks=1', '--overlap', '--kill-on-bad-exit=0', '--no-kill'])
    t.true(args.includes(each), each);
  // It would give a step a terminal, whose one stream is no protocol, and one core, where a node has many.
  t.false(args.some((each) => /^(?:-u|--unbuffered|--pty|--exact|--cpus-per-task.*)$/u.test(each)));
});

const nasty = `it's "a" $HOME \`id\` $(id); *`;

/** Runs a printed script with programs of our own in place of troupe and scontrol; what they were told, and its exit code. */
async function played(
  t: ExecutionContext,
  run: { readonly exit: number; readonly signal?: string; readonly life?: number; readonly folder?: string },
): Promise<{ readonly code: number; readonly said: readonly string[]; readonly folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-slurm-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const work = join(folder, nasty);
  mkdirSync(work);
  const program = (name: string, text: string): string => {
    writeFileSync(join(folder, name), `#!/bin/bash\n${text}`);
    chmodSync(join(folder, name), 0o755);
    return join(folder, name);
  };
  program('scontrol', `echo "scontrol $*" >> ${folder}/said`);
  // It signals the script that started it, as Slurm does, and ends by what that makes of it.
  const troupe = program(
    'troupe',
    `trap 'echo saved >> ${folder}/said; exit 143' TERM
printf '%s\\n' "$@" >> ${folder}/said
${run.signal === undefined ? '' : `kill -${run.signal} $PPID; kill -${run.signal} $PPID; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.3; done`}
exit ${run.exit}`,
  );
  if (run.folder !== undefined) mkdirSync(join(work, run.folder), { recursive: true });
  const script = slurmBatchScript({
    name: nasty,
    nodes: 3,
    cpus: 4,
    checkpointBytes: 1e9,
    program: [troupe],
    workdir: work,
    topology: nasty,
    set: [`name=${nasty}`],
    from: null,
    further: [],
    runFolder: 'runs/a b',
  });
  t.regex(script, /^#SBATCH --signal=B:USR1@130$/mu);
  writeFileSync(join(folder, 'job'), script);
  const env = { ...process.env, SLURM_JOB_ID: '7', SLURM_RESTART_COUNT: String(run.life ?? 0) };
  const code = await new Promise<number>((resolve) => {
    const options = { env: { ...env, PATH: `${folder}:${process.env['PATH']}` } };
    execFile('bash', [join(folder, 'job')], options, (error) =>
      resolve(error === null ? 0 : Number(error.code)),
    );
  });
  return { code, said: readFileSync(join(folder, 'said'), 'utf8').trimEnd().split('\n'), folder };
}

test('slurm: the script launches, saves once when it is told, and has the job queued again when that helps', async (t) => {
  const further = ['--set', `name=${nasty}`, '--grace', '70'];
  const launch = ['launch', nasty, '--run-dir', 'runs/a b-7', ...further];
  const again = 'scontrol requeue 7';
  const [done, failed, lost, often, over, cancelled, torn, next] = await Promise.all([
    played(t, { exit: 0 }),
    played(t, { exit: 1 }),
    played(t, { exit: 76 }),
    played(t, { exit: 75, life: 20 }),
    played(t, { exit: 9, signal: 'USR1' }),
    played(t, { exit: 9, signal: 'TERM' }),
    played(t, { exit: 0, life: 1, folder: 'runs/a b-7' }),
    played(t, { exit: 0, life: 1, folder: 'runs/a b-7/step-000010' }),
  ]);
  const seen = ({ code, said }: typeof done): readonly unknown[] => [code, ...said];
  t.deepEqual(seen(done), [0, ...launch]);
  t.deepEqual(seen(failed), [1, ...launch]);
  t.deepEqual(seen(lost), [76, ...launch, again]);
  t.deepEqual(seen(often), [75, ...launch]);
  t.deepEqual(seen(over), [143, ...launch, 'saved', again]);
  t.deepEqual(seen(cancelled), [143, ...launch, 'saved']);
  t.deepEqual(seen(torn), [0, ...launch]);
  t.deepEqual(seen(next), [0, 'resume', 'runs/a b-7', ...further]);
  t.is(secondsToSave(1e9), 70);
});
