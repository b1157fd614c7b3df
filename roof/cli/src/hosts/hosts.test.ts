import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shellWord } from '@troupe/core';
import test from 'ava';
import { runCli } from '../testing/cli-process.ts';
import { workplace } from '../testing/workplace.ts';
import { hostScript, type HostPlan } from './host-program.ts';
import { machinesOfHostfile } from './host-file.ts';
import { factsOf, hostsOf, type HostReport } from './host-report.ts';
import { hostTable, isSupported, judge } from './judge.ts';

const report = (
  host: string,
  more: HostReport['facts'] = {},
  rest: Partial<HostReport> = {},
): HostReport => ({
  host,
  address: `${host}.lan`,
  failed: null,
  isUnreachable: false,
  facts: {
    user: 'me',
    name: host,
    machine: `id-${host}`,
    path: '/bin',
    workdir: '2048',
    scratch: '4096',
    node: '/bin/node',
    version: 'v20.20.2',
    cores: '8',
    memory: '1073741824',
    port: '7000',
    ...more,
  },
  reached: {},
  seconds: 0.25,
  ...rest,
});

test('hosts: what is in order gives no sentence, and each fault one that says what to do', (t) => {
  t.deepEqual(judge([report('a'), report('b')]), []);
  const faults: readonly (readonly [HostReport, RegExp])[] = [
    [report('a', { node: '', version: '' }), /^a: no node on the PATH of a command over ssh \(\/bin\)/],
    [report('a', { version: 'v18.19.0' }), /^a: node v18.19.0 is too old/],
    [report('a', { workdir: 'missing' }), /^a: its workdir is no folder/],
    [report('a', { scratch: 'readonly' }), /^a: its scratch cannot be written/],
    [report('a', { portError: 'listen EADDRINUSE' }), /^a: its port cannot be opened: listen EADDRINUSE/],
    [report('a', {}, { failed: 'ssh ended with 255: no' }), /^a: ssh ended with 255: no/],
    [report('a', {}, { reached: { b: 'ETIMEDOUT' } }), /^a does not reach b at b.lan:7000: ETIMEDOUT/],
    [report('a', { machine: 'id-b', name: 'b' }), /^a and b are one machine \(b, machine id id-b\)/],
    [report('a', { version: 'v22.1.0' }), /v22.1.0 on a; v20.20.2 on b/],
  ];
  for (const [guilty, says] of faults) {
    const problems = judge([guilty, report('b')]);
    t.regex(problems[0] ?? '', says);
    t.true(problems.length <= 2, problems.join('; '));
  }
});

test('hosts: a run wants its own Node and its own program on each', (t) => {
  const here = { version: 'v20.20.2', troupe: '0.2.0', command: 'npx troupe' };
  const of = (more: HostReport['facts']) =>
    judge([report('a', more), report('b', { troupe: '0.2.0' })], here);
  t.deepEqual(of({ troupe: '0.2.0' }), []);
  t.regex(of({ troupe: '' }).join(), /^a: 'npx troupe' does not run there; install troupe 0\.2\.0/);
  t.deepEqual(of({ troupe: '0.1.0' }), ['a: troupe is 0.1.0 there and 0.2.0 here']);
  t.deepEqual(of({ troupe: '0.2.0', version: 'v22.1.0' }), ['a: node is v22.1.0 there and v20.20.2 here']);
});

test('hosts: a hostfile has a machine a line, and what is wrong names the line', (t) => {
  const text = '# two\nworker-1 slots=2\n\n  worker-2   slots=1 # last\r\n';
  t.deepEqual(machinesOfHostfile(text, 'hosts'), [
    { host: 'worker-1', devices: ['cpu:0', 'cpu:1'] },
    { host: 'worker-2', devices: ['cpu:0'] },
  ]);
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['', /^hosts names no host/],
    ['a slots=1\nb', /^hosts:2: found 'b', expected 'HOST slots=N'$/],
    ['a slots=1 max=2', /^hosts:1: found 'a slots=1 max=2'/],
    ['me@a slots=1', /^hosts:1: 'me@a' has a user/],
    ['a slots=0', /^hosts:1: slots=0 is not from 1 to 4096/],
    ['a slots=1e9', /^hosts:1: found/],
    ['-oProxyCommand=x slots=1', /^hosts:1: '-oProxyCommand=x' is no name/],
    ['a slots=1\nb slots=1\na slots=2', /^hosts:3: a is in line 1 already/],
  ];
  for (const [given, says] of wrong)
    t.regex(t.throws(() => machinesOfHostfile(given, 'hosts')).message, says);
});

test('hosts: the table has a line for each, whatever is known of it', (t) => {
  const lost = { ...report('far'), failed: 'ssh ended with 255', facts: {} };
  const lines = hostTable([report('a', {}, { reached: { far: '' } }), lost]);
  t.regex(lines[0] ?? '', /^host +address +ssh +user +node/);
  t.regex(
    lines[1] ?? '',
    /^a +a.lan +0.3 s +me +v20.20.2 +8 +1.00 GiB +2.00 MiB free +4.00 MiB free +7000 +1 of 1$/,
  );
  t.regex(lines[2] ?? '', /^far +far.lan +failed +0 of 1$/);
});

test('hosts: facts are lines with a tab, and a greeting between them is none', (t) => {
  const { facts, reached } = factsOf([
    'Welcome!',
    'user\tme',
    'reach\tb ',
    'reach\tc no answer within 5 s',
    'a b\tc',
  ]);
  t.deepEqual(facts, { user: 'me' });
  t.deepEqual(reached, { b: '', c: 'no answer within 5 s' });
  t.deepEqual(hostsOf(' a,b ,,a'), ['a', 'b']);
  t.deepEqual(['v20.19.0', 'v21.0.0', 'v20.18.9', ''].map(isSupported), [true, true, false, false]);
});

test('hosts: what runs on a host says what is there, in a folder of any name, and leaves nothing', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'it\'s a "host" $HOME '));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const look = (workdir: string, prelude: string | null, troupe?: HostPlan['troupe']) =>
    factsOf(
      execFileSync(
        'sh',
        [
          '-c',
          hostScript({
            workdir,
            scratch: folder,
            port: 0,
            prelude,
            ...(troupe === undefined ? {} : { troupe }),
          }),
        ],
        {
          input: '[]\n',
          encoding: 'utf8',
        },
      ).split('\n'),
    ).facts;
  const found = look(folder, 'greeting=hello');
  t.is(found['version'], process.version);
  t.regex(found['workdir'] ?? '', /^\d+$/);
  t.true(Number(found['port']) > 0 && 'dialled' in found);
  t.is(look(join(folder, 'none'), null)['workdir'], 'missing');
  t.true('dialled' in look(folder, 'cat'), 'a prelude takes nothing of what is said to the program');
  const troupe = {
    command: 'node --input-type=module -e "console.log(1); console.log(process.env.X)" --',
    env: { X: `'$PATH'` },
  };
  t.is(look(folder, null, troupe)['troupe'], troupe.env.X);
  t.is(look(folder, null, { ...troupe, command: '/no/troupe' })['troupe'], '');
  t.is(look(folder, 'PATH=/nowhere:$PATH; command() { false; }')['node'], '');
  t.is(execFileSync('sh', ['-c', `ls -A ${shellWord(folder)}`], { encoding: 'utf8' }), '');
});

test('doctor --hosts: a name that is none is a usage error', async (t) => {
  for (const hosts of [',', '-oProxyCommand=x']) {
    const { code, stderr } = await runCli(['doctor', `--hosts=${hosts}`], { cwd: tmpdir() });
    t.is(code, 2, stderr);
  }
});

test('launch --dry-run: prints what would reach each machine of a hostfile, and runs nothing', async (t) => {
  const place = workplace(t);
  writeFileSync(join(place.folder, 'hosts'), 'gpu-1 slots=1\ngpu-2 slots=1\n');
  const line = ['launch', 'small.yaml', '--hostfile', 'hosts', '--launcher', 'ssh', '--dry-run'];
  const set = ['--set', "launcher.ssh={workdir: /data, prelude: it's, command: npx troupe}"];
  const { code, stdout, stderr } = await runCli([...line, ...set], { cwd: place.folder });
  t.is(code, 0, stderr);
  t.regex(
    stdout,
    /^# machine 0, gpu-1\nssh -T .* -- gpu-1 'exec sh -c [^]*\n# machine 1, gpu-2\nssh -T .* -- gpu-2 '/,
  );
  t.false(existsSync(join(place.folder, 'run')));
  const none = await runCli(['launch', 'small.yaml', '--dry-run'], { cwd: place.folder });
  t.is(none.code, 2, none.stderr);
  t.regex(none.stderr, /this run starts processes of this one/);
});
