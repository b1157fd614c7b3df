import { execFileSync, fork } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { Lab, type LabOptions } from './lab/lab.ts';
import { Faults, rulesOf } from './lab/link-rules.ts';
import type { Machine } from './lab/machine.ts';
import { outputOf } from './lab/namespaces.ts';
import { whyNoLab } from './lab/permitted.ts';
import { PROGRAM, SHARED } from './lab/scripts.ts';
import { hostProgram } from './lab/talk.ts';
import { doctorRow } from './rows/doctor-row.ts';
import { playRow } from './rows/row.ts';
import { runRows } from './rows/run-rows.ts';

const reason = await whyNoLab();

/** A test that needs machines; where there can be none it says why, and passes. */
const withLab = (title: string, run: (t: ExecutionContext) => Promise<void>): void =>
  test.serial(`machines: ${title}`, async (t) => {
    if (reason === null) return run(t);
    t.log(`skipped: ${reason}`);
    t.pass();
  });

async function openLab(t: ExecutionContext, options: LabOptions): Promise<Lab> {
  const lab = await Lab.open(options);
  t.teardown(() => lab.close());
  return lab;
}

/** Whether a machine reaches the ssh server of another one; what should fail is waited for half a second, what should not for long. */
const reaches = async (from: Machine, to: Machine, should: boolean): Promise<boolean> => {
  const limit = should ? '15' : '0.5';
  return (await from.run(['timeout', limit, 'bash', '-c', `exec 3<>/dev/tcp/${to.name}/22`])).code === 0;
};

/** Asserts which ways of a lab are open, as `FROM TO` by their indices. */
async function assertOpen(t: ExecutionContext, { machines }: Lab, open: readonly string[]): Promise<void> {
  const pairs = machines.flatMap((from) =>
    machines.filter((to) => to !== from).map((to) => ({ from, to, way: `${from.index} ${to.index}` })),
  );
  const seen = await Promise.all(pairs.map(({ from, to, way }) => reaches(from, to, open.includes(way))));
  t.deepEqual(
    pairs.filter((_, index) => seen[index]).map(({ way }) => way),
    open,
  );
}

/** How many others a machine hears nothing of, as its kernel has it. */
const drops = async ({ spaces }: Machine): Promise<number> =>
  (await outputOf(spaces.entered(['nft', 'list', 'ruleset'], ['net']))).split('drop').length - 1;

test('machines: rules drop by hardware address, all frames or a share of them, and only what comes from there', (t) => {
  const faults = new Faults();
  faults.set(0, 2, { lossPpm: 1_000_000 });
  faults.set(1, 2, { lossPpm: 20_000 });
  faults.set(2, 1, { lossPpm: 5 });
  faults.set(2, 1, null);
  const drops = (to: number) => rulesOf(faults.into(to)).match(/ether .*/gu);
  t.deepEqual(drops(2), [
    'ether saddr 02:00:00:00:00:00 drop',
    'ether saddr 02:00:00:00:00:01 numgen random mod 1000000 < 20000 drop',
  ]);
  t.is(drops(1), null);
  t.regex(rulesOf(faults.into(0)), /^table netdev lab\ndelete table netdev lab\n/);
});

withLab('each is its own, logs in at the others, and reaches only whom its links let it reach', async (t) => {
  const lab = await openLab(t, { machines: 3, sharedDisk: false });
  const [a, b, c] = [lab.at(0), lab.at(1), lab.at(2)];
  const look = `hostname; id -u; cat /etc/machine-id; ls /tmp ~ ${SHARED}; touch ${PROGRAM}/x; ip -o addr show docker0 | grep -c 172.17.0.1; node --version`;
  writeFileSync(a.path('/tmp/mine'), '');
  writeFileSync(a.path(`${SHARED}/mine`), '');
  const [seenByA, seenByB] = [await a.ssh(a, look), await a.ssh(b, look)];
  t.is(seenByB.code, 0, seenByB.stderr);
  t.regex(seenByB.stdout, /^h1\n4242\n[0-9a-f]{32}\n\/home\/troupe:\nwork\n\n\/srv\/shared:\n\n\/tmp:\n1\nv/);
  t.regex(
    seenByA.stdout,
    /^h0\n4242\n[0-9a-f]{32}\n\/home\/troupe:\nwork\n\n\/srv\/shared:\nmine\n\n\/tmp:\nmine\n1\nv/,
  );
  t.not(seenByA.stdout.split('\n')[2], seenByB.stdout.split('\n')[2]);
  t.regex(seenByB.stderr, /Read-only file system/);
  t.true((await a.run(['ssh', '-o', 'BatchMode=yes', 'root@h1', 'true'])).code === 255, 'root logs in');

  await lab.links.cut(a, b);
  await lab.links.cutOneWay(c, a);
  // A connection needs both ways.
  await assertOpen(t, lab, ['1 2', '2 1']);
  t.deepEqual([await drops(a), await drops(b), await drops(c)], [2, 1, 0]);
  await lab.links.heal(a);
  await lab.links.isolate(b);
  await assertOpen(t, lab, ['0 2', '2 0']);
  await lab.links.heal();
  await assertOpen(t, lab, ['0 1', '0 2', '1 0', '1 2', '2 0', '2 1']);
});

withLab(
  'a shared disk is one for all; a machine that ends takes everything with it and returns empty',
  async (t) => {
    const lab = await openLab(t, { machines: 2, ssh: false, sharedDisk: true });
    const [a, b] = [lab.at(0), lab.at(1)];
    writeFileSync(a.path(`${SHARED}/both`), 'x');
    writeFileSync(a.path('/home/troupe/mine'), 'x');
    t.is((await b.run(['cat', `${SHARED}/both`])).stdout, 'x');
    // It leaves its parent and its session, as what must not be left behind would.
    await a.run(['sh', '-c', 'setsid sleep 600 >/dev/null 2>&1 </dev/null & exit 0']);
    // Its command line may be that of before, or none, while it is being started.
    t.is(a.processes().length, 1);
    t.deepEqual(b.processes(), []);
    const before = a.spaces;
    await lab.powerOff(a);
    t.deepEqual(before.processes(), []);
    await lab.powerOn(a);
    t.false(existsSync(a.path('/home/troupe/mine')));
    t.is((await a.run(['cat', `${SHARED}/both`])).stdout, 'x');
    t.is((await a.run(['hostname'])).stdout, 'h0\n');
    t.is(
      (await b.run(['timeout', '5', 'bash', '-c', 'exec 3<>/dev/tcp/h0/9'])).stderr.includes('refused'),
      true,
    );
  },
);

withLab('whatever ends its program ends a lab, and nothing of it is seen on the host', async (t) => {
  const hostSees = (): string =>
    `${execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' })}${readFileSync('/proc/self/mountinfo', 'utf8')}`;
  const before = hostSees();
  const holder = fork(hostProgram('holder'), [], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const pids = await new Promise<readonly number[]>((resolve, reject) => {
    holder.stdout?.once('data', (text: Buffer) => resolve(JSON.parse(text.toString()) as number[]));
    holder.once('exit', (code) => reject(new Error(`the holder ended with ${code}`)));
  });
  t.true(pids.length >= 8 && pids.every((pid) => existsSync(`/proc/${pid}/exe`)));
  t.is(hostSees(), before);
  holder.kill('SIGKILL');
  // What has ended and is not yet waited for has no program any more.
  const left = (): readonly number[] => pids.filter((pid) => existsSync(`/proc/${pid}/exe`));
  for (const end = performance.now() + 10_000; left().length > 0 && performance.now() < end;);
  t.deepEqual(left(), []);
});

const [firstRun] = runRows;
if (firstRun !== undefined)
  withLab(firstRun.name, async (t) => {
    t.log(await playRow(firstRun));
    t.pass();
  });

withLab(doctorRow.name, async (t) => {
  t.log(await playRow(doctorRow));
  t.pass();
});
