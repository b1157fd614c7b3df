import test from 'ava';
import { TopologyError } from './errors.ts';
import { createPlacement } from './placement.ts';
import { resolveTopology } from './resolve.ts';
import type { ResolvedTopology } from './resolved.ts';
import { refuseUnbuilt } from './unbuilt.ts';

const four = { count: 4, devices: ['cpu:0', 'cpu:1'] };
const boxes = [
  { host: 'box', devices: ['cpu:0', 'cpu:1'] },
  { host: 'crate', devices: ['cpu:0', 'cpu:1'] },
];

const resolved = (over: object): ResolvedTopology => resolveTopology({ model: { moe: {} }, ...over });

/** Key, rule and nearest value of every problem. */
function problemsOf(over: object): readonly string[] {
  try {
    return refuseUnbuilt(resolved(over)).map(({ key, rule, nearest }) => `${key}: ${rule} [${nearest}]`);
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    return error.problems.map(({ key, rule, nearest }) => `${key}: ${rule} [${nearest}]`);
  }
}

test('machines: a count of them has names by place, and stays a count in the file and in a manifest', (t) => {
  const topology = resolved({ machines: four });
  t.deepEqual(
    topology.machines.map(({ host, devices }) => [host, devices.length]),
    [0, 1, 2, 3].map((index) => [`m${index}`, 2]),
  );
  t.is(topology.parallel.dp, 8);
  t.deepEqual(topology.joining, { min: 4, spares: 0 });
  for (const written of [topology.file, topology.portable]) {
    const again = resolveTopology(JSON.parse(JSON.stringify(written)));
    t.deepEqual(again.machines, topology.machines);
    t.deepEqual(again.joining, topology.joining);
  }
  t.is(resolved({ machines: boxes }).joining, null);
});

test('machines: a launcher resolves with what it leaves open; without one nothing about it is written', (t) => {
  t.is(resolved({}).launcher, null);
  t.false('launcher' in resolved({}).file);
  t.deepEqual(resolveTopology({ model: {}, machines: boxes }, { set: ['launcher.kind=ssh'] }).launcher, {
    kind: 'ssh',
    ssh: { command: null, workdir: null, env: {}, prelude: null },
  });
  const ssh = { prelude: 'module load node', env: { A: '1' } };
  const { launcher, file } = resolved({ machines: boxes, launcher: { kind: 'ssh', ssh } });
  t.deepEqual(launcher?.ssh, { command: null, workdir: null, ...ssh });
  t.deepEqual(resolveTopology(file).launcher, launcher);
});

test('machines: placement and faults name a machine by its host or by its place', (t) => {
  const over = { machines: boxes, parallel: { dp: 4 } };
  const swapped = (machine: string): readonly number[] =>
    createPlacement(
      resolved({
        ...over,
        placement: { 'stage/*/dp0/*': `${machine}/cpu:1`, 'stage/*/dp3/*': 'box/cpu:0' },
      }),
    ).workers.map(({ deviceIndex }) => deviceIndex);
  t.deepEqual(swapped('crate'), [3, 1, 2, 0]);
  t.deepEqual(swapped('m1'), [3, 1, 2, 0]);
  const shards = { 'optimizer/*/dp0': 'm0/host:0', 'optimizer/*': 'host:0' };
  t.is(resolved({ ...over, placement: shards }).parallel.offload, 'optimizer');
  const targets = ['machine/m1', 'machine/crate', 'machine/1', 'disk/box', 'agent/m1'];
  const faults = targets.map((target) => ({ kind: target.startsWith('disk') ? 'full' : 'crash', target }));
  t.deepEqual(
    resolved({
      ...over,
      faults: faults.filter(({ kind }) => kind === 'crash').map((fault) => ({ ...fault, atStep: 1 })),
    }).faults.map(({ target }) => target),
    ['machine/1', 'machine/1', 'machine/1', 'agent/m1'],
  );
});

const wrong: readonly (readonly [object, string])[] = [
  [
    { machines: [boxes[0], { host: 'BOX', devices: ['cpu:0', 'cpu:1'] }] },
    'machines.1.host: machines m0 and m1 are both BOX, another name of box; write the devices of a host into one machine [null]',
  ],
  [
    {
      launcher: { kind: 'ssh' },
      machines: [{ devices: ['cpu:0'] }, boxes[0], { host: '127.0.0.1', devices: ['cpu:0'] }],
    },
    'machines.2.host: machines m0 and m2 are both 127.0.0.1, another name of localhost; write the devices of a host into one machine [null]',
  ],
  [
    { machines: { count: 2, devices: ['cpu:0', 'cpu:0'] } },
    'machines.devices.1: every machine already lists cpu:0; a device has one worker [null]',
  ],
  [
    { machines: four, recovery: { machines: 'shrink' } },
    'machines.min: is 4 of 4 machines, so the run could never shrink; say with how many it may go on [2]',
  ],
  [{ machines: { ...four, min: 5 } }, 'machines.min: must be at most count 4 [4]'],
  [
    { machines: { ...four, min: 3 } },
    'machines.min: says that 3 of 4 machines will do, and with recovery.machines wait all of them have to be there; use shrink [4]',
  ],
  [
    { machines: { ...four, spares: 1 } },
    'machines.spares: names machines that stand by, and recovery.machines wait uses none; use spare or shrink [0]',
  ],
  [
    { machines: four, recovery: { machines: 'spare' } },
    'recovery.machines: needs machines that stand by: machines with count and spares [wait]',
  ],
  [
    { machines: four, placement: { 'stage/*': 'm4/cpu:0' } },
    'placement.stage/*: no machine has this device; there are m0/cpu:0, m0/cpu:1, m1/cpu:0, m1/cpu:1, m2/cpu:0, m2/cpu:1, m3/cpu:0, m3/cpu:1, and for optimizer shards host:0, m0/host:0 [m0/cpu:0]',
  ],
  [
    {
      machines: [boxes[0], { host: 'm0', devices: ['cpu:0', 'cpu:1'] }],
      placement: { 'stage/*/dp0/*': 'm0/cpu:0' },
    },
    'placement.stage/*/dp0/*: m0 is the host of machine m1, and by its place box; list hosts that are called m0, m1 … in their order [null]',
  ],
  [
    { machines: boxes, faults: [{ kind: 'crash', target: 'machine/creat', atStep: 1 }] },
    'faults.0.target: there is no machine/creat [machine/0]',
  ],
  [
    { machines: boxes, launcher: { kind: 'slurm', ssh: { workdir: '/srv' } } },
    'launcher.ssh: is for launcher ssh, and launcher.kind is slurm [null]',
  ],
  [
    { machines: boxes, launcher: { kind: 'ssh', ssh: { env: { 'A B': '1' } } } },
    'launcher.ssh.env.A B: is no name of an environment variable [null]',
  ],
  [
    { machines: boxes, launcher: { kind: 'kubernetes' } },
    'machines: names hosts, and those of kubernetes have their names from it; use machines with count and devices [null]',
  ],
  [
    { machines: { count: 2, devices: ['cpu:0'] }, launcher: { kind: 'ssh' } },
    'machines: says how many machines there are, and launcher ssh needs their names; list hosts under machines, or name a file of them with --hostfile [null]',
  ],
  [
    { machines: boxes, launcher: { kind: 'ssh' }, wire: { security: 'none' } },
    'wire.security: leaves what machines tell each other open to all on their network, and launcher ssh reaches other machines [auto]',
  ],
  [{ wire: { interface: '10.0.0.256/8' } }, 'wire.interface: 10.0.0.256 is no IP address [null]'],
  [
    { wire: { interface: '10.0.0.0/33' } },
    'wire.interface: an IPv4 network has a length of at most 32 bits [10.0.0.0/32]',
  ],
  [
    { machines: boxes, launcher: { kind: 'shh' } },
    'launcher.kind: must be one of local, ssh, slurm, dial, kubernetes [ssh]',
  ],
  [{ machines: { ...four, conut: 3 } }, 'machines.conut: no such key in machines [count]'],
];

test('machines: every mistake is one sentence that names what, where, and what is legal', (t) => {
  for (const [over, sentence] of wrong) t.deepEqual(problemsOf(over), [sentence], JSON.stringify(over));
});

test('machines: more of them than a topology may have are refused, and not listed one by one', (t) => {
  const machines = { count: 65_536, devices: ['cpu:0', 'cpu:1'] };
  const sentence = 'count 65536 × 2 devices is more than 65536; at most 32768 machines [32768]';
  t.true(problemsOf({ machines, parallel: { dp: 8 } }).includes(`machines.count: ${sentence}`));
});

test('machines: this machine plays several where no launcher reaches for others', (t) => {
  const machines = [{ devices: ['cpu:0'] }, { devices: ['cpu:0'] }];
  t.deepEqual(problemsOf({ machines }), []);
  t.is(resolved({ machines, launcher: { kind: 'local' } }).machines.length, 2);
});

const { launcher: localLauncher } = resolved({ launcher: { kind: 'local' } });

test('refuseUnbuilt: machines without a launcher, and what follows a loss but waiting', (t) => {
  const [lone, ...others] = refuseUnbuilt(resolved({ machines: four }));
  t.like(lone, { code: 'TROUPE_NOT_BUILT', key: 'machines.count', nearest: 'launcher.kind' });
  t.regex(lone?.rule ?? '', /need a launcher/u);
  t.is(others.length, 0);
  t.deepEqual(refuseUnbuilt(resolved({ machines: four }), 'simulate'), []);
  const shrinking = resolved({ machines: { ...four, min: 2 }, recovery: { machines: 'shrink' } });
  t.deepEqual(shrinking.joining, { min: 2, spares: 0 });
  for (const use of ['launch', 'simulate'] as const)
    t.true(refuseUnbuilt(shrinking, use).some(({ key }) => key === 'recovery.machines'));
  const reached = { ...shrinking, launcher: localLauncher };
  t.deepEqual(refuseUnbuilt(reached), []);
  const pods = resolved({ ...shrinking.file, launcher: { kind: 'kubernetes' } });
  t.true(refuseUnbuilt(pods, 'simulate').some(({ key }) => key === 'recovery.machines'));
  const cuda = refuseUnbuilt(resolved({ machines: { count: 4, devices: ['cuda:0'] } }));
  t.deepEqual(
    cuda.map(({ key }) => key),
    ['machines.count', 'machines.devices.0'],
  );
});

test('refuseUnbuilt: other machines are reached by launchers that are built', (t) => {
  const on = (kind: string) => problemsOf({ machines: kind === 'ssh' ? boxes : four, launcher: { kind } });
  for (const kind of ['local', 'ssh', 'slurm', 'dial', 'kubernetes']) t.deepEqual(on(kind), [], kind);
});
