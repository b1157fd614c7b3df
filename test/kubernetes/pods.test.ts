import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { objectsOf, troupe, type Said } from './printed.ts';

const topology = (machines: string): string => `extends: tiny
name: small
data: { synthetic: zipf }
model: { vocab: 64, dModel: 16, seqLen: 8, ffn: { dFf: 24 } }
train: { steps: 4, batch: 4, grains: 4 }
parallel: { dp: 2, ep: 2 }
eval: { every: 0 }
machines: ${machines}
`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const losses = (folder: string): readonly unknown[] =>
  readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; step: number; loss: number })
    .filter(({ event }) => event === 'step')
    .map(({ step, loss }) => [step, loss]);

/** A node: what the kubelet makes of a pod, with folders in place of volumes and this host in place of the cluster's names. */
class Node {
  readonly #folder: string;
  readonly #port: number;
  readonly #agent;

  constructor(folder: string, port: number, manifest: string) {
    this.#folder = folder;
    this.#port = port;
    const objects = objectsOf(manifest);
    const job = objects.find(({ kind }) => kind === 'Job');
    const [config] = Object.entries(objects.find(({ kind }) => kind === 'ConfigMap')?.data ?? {});
    if (job === undefined || config === undefined) throw new Error('no job, or no topology');
    [this.#agent] = job.spec.template.spec.containers;
    mkdirSync(this.#place('/etc/troupe'), { recursive: true });
    writeFileSync(join(this.#place('/etc/troupe'), config[0]), config[1]);
  }

  #place(path: string): string {
    return join(this.#folder, path);
  }

  /** The Secret's file: of another owner, for a group, as `fsGroup` makes it. */
  async mountKey(): Promise<void> {
    mkdirSync(this.#place('/etc/troupe-key'));
    const path = this.#place('/etc/troupe-key/run.key');
    await troupe(['key', 'new', path], { cwd: this.#folder });
    if (process.getuid?.() !== 0) return;
    chownSync(path, 1000, 1000);
    chmodSync(path, 0o440);
  }

  /** Runs the pod of an index to its end. */
  async run(index: number): Promise<Said> {
    const { command, args, env } = this.#agent;
    const scratch = `/scratch-${index}`;
    mkdirSync(this.#place(scratch), { recursive: true });
    const mounted = (word: string): string =>
      /^\/(?:etc|troupe|scratch)\b/u.test(word)
        ? this.#place(word.replace('/scratch', scratch))
        : word.replace(/^small-0\.small$/u, `127.0.0.1:${this.#port}`);
    const [program, ...words] = [...command, ...args].map(mounted);
    if (program !== 'troupe' || !words.includes(`127.0.0.1:${this.#port}`)) throw new Error(words.join(' '));
    return troupe(words, {
      cwd: this.#place(scratch),
      env: {
        ...Object.fromEntries(env.map(({ name, value }) => [name, mounted(value)])),
        JOB_COMPLETION_INDEX: String(index),
        HOSTNAME: `small-${index}`,
      },
    });
  }
}

function folderOf(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-pods-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('kubernetes: pods of the printed Job compute what one process does, and one that comes later ends as they did', async (t) => {
  const cwd = folderOf(t);
  writeFileSync(join(cwd, 'pods.yaml'), topology('{ count: 2, devices: [cpu:0] }'));
  writeFileSync(join(cwd, 'one.yaml'), topology('[{ devices: [cpu:0, cpu:1] }]'));
  const line = ['launch', 'pods.yaml', '--launcher', 'kubernetes', '--image', 'i', '--claim', 'runs'];
  const { code, stdout, stderr } = await troupe([...line, '--dry-run'], { cwd });
  t.is(code, 0, stderr);
  const node = new Node(cwd, await freePort(), stdout);
  await node.mountKey();
  for (const pod of await Promise.all([node.run(0), node.run(1)])) t.is(pod.code, 0, pod.stderr);
  const one = await troupe(['launch', 'one.yaml', '--run-dir', 'one', '--quiet'], { cwd });
  t.is(one.code, 0, one.stderr);
  const found = losses(join(cwd, 'troupe/small'));
  t.is(found.length, 4);
  t.deepEqual(found, losses(join(cwd, 'one')));
  const late = await node.run(1);
  t.is(late.code, 0);
  t.regex(late.stderr, /machine 1 of 2.*JOB_COMPLETION_INDEX[^]*has ended with 0/u);
});

/** A kubectl that notes what it is told, and answers as it is asked to. */
function kubectlIn(folder: string, script: string): Readonly<Record<string, string>> {
  mkdirSync(join(folder, 'bin'));
  writeFileSync(
    join(folder, 'bin/kubectl'),
    `#!/bin/sh\necho "== $*" >> ${folder}/told\ntr -d '\\r' >> ${folder}/told\n${script}\n`,
    { mode: 0o755 },
  );
  return { PATH: `${join(folder, 'bin')}:${process.env['PATH']}` };
}

const apply = ['launch', 'pods.yaml', '--launcher', 'kubernetes', '--image', 'i', '--apply'];
const calls = (told: string): readonly string[] =>
  told.split('\n').flatMap((line) => (line.startsWith('== ') ? [line.slice(3)] : []));

test('kubernetes: --apply makes the Secret over standard input, and then the rest, which holds no key', async (t) => {
  const cwd = folderOf(t);
  writeFileSync(join(cwd, 'pods.yaml'), topology('{ count: 2, devices: [cpu:0] }'));
  const { code, stdout, stderr } = await troupe(apply, { cwd, env: kubectlIn(cwd, 'echo made $1') });
  t.is(code, 0, stderr);
  t.regex(stdout, /^made create\nmade apply\nkubectl logs/u);
  const told = readFileSync(join(cwd, 'told'), 'utf8');
  t.deepEqual(calls(told), ['create -f -', 'apply -f -']);
  const [, secret = '', rest = ''] = told.split(/^== .*\n/mu);
  t.regex(secret, /kind: Secret[^]*troupe-key-1 [\w-]{43}/u);
  t.notRegex(rest + stdout + stderr, /troupe-key-1/u);
});

test('kubernetes: what kubectl refuses is said, and leaves no key behind', async (t) => {
  const cwd = folderOf(t);
  writeFileSync(join(cwd, 'pods.yaml'), topology('{ count: 2, devices: [cpu:0] }'));
  const env = kubectlIn(cwd, '[ "$1" != apply ] || { echo "no such kind" >&2; exit 1; }');
  const refused = await troupe(apply, { cwd, env });
  t.is(refused.code, 1);
  t.regex(refused.stderr, /^troupe: kubectl apply: no such kind$/mu);
  t.deepEqual(calls(readFileSync(join(cwd, 'told'), 'utf8')), [
    'create -f -',
    'apply -f -',
    'delete --ignore-not-found -f -',
  ]);
  writeFileSync(join(cwd, 'bin/kubectl'), '#!/bin/sh\necho "secrets x: AlreadyExists" >&2\nexit 1\n');
  const twice = await troupe(apply, { cwd, env });
  t.is(twice.code, 1);
  t.regex(twice.stderr, /AlreadyExists; a run of this name is there: .*--set name=/u);
  const none = await troupe(apply, { cwd, env: { PATH: join(cwd, 'nowhere') } });
  t.is(none.code, 1);
  t.regex(none.stderr, /there is no kubectl on the PATH; print the manifest with --dry-run/u);
});
