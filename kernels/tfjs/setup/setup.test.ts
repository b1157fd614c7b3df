import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TensorflowSetupError, type Surroundings } from './program.ts';
import { setupTensorflow } from './setup.ts';
import { stagesOf } from './stages.ts';

const OFFLINE = {
  PIP_INDEX_URL: 'http://127.0.0.1:9',
  PIP_FIND_LINKS: '',
  PIP_RETRIES: '0',
  PIP_NO_CACHE_DIR: '1',
};

function place(t: ExecutionContext, env: NodeJS.ProcessEnv = process.env) {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-setup-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const lines: string[] = [];
  const surroundings: Surroundings = { env, print: (line) => void lines.push(line) };
  const stages = new Map(stagesOf(folder, 'linux-x64').map((stage) => [stage.name, stage]));
  const failure = async (name: string): Promise<string> => {
    const error = await t.throwsAsync(stages.get(name)?.run(surroundings) ?? Promise.resolve(), {
      instanceOf: TensorflowSetupError,
      code: 'TROUPE_TENSORFLOW_SETUP',
    });
    t.log(error.message.split('\n')[0]);
    t.is(error.details['stage'], name);
    return error.message;
  };
  return { folder, lines, surroundings, stages, failure };
}

test('setup: without pip it says where to get one', async (t) => {
  const { failure } = place(t, { ...process.env, PYTHON: '/no/python' });
  t.regex(await failure('libtensorflow'), /no Python with pip.*apt install python3-pip.*PYTHON/);
});

test('setup: without a compiler it says where to get one', async (t) => {
  const { failure } = place(t, { ...process.env, CXX: '/bin/false' });
  t.regex(await failure('binding'), /no C\+\+ compiler answers \(tried \/bin\/false\).*apt install g\+\+/);
});

test('setup: without a network each download says so and leaves nothing that looks finished', async (t) => {
  const { folder, failure } = place(t, {
    ...process.env,
    ...OFFLINE,
    npm_config_registry: 'http://127.0.0.1:9',
    npm_config_cache: join(tmpdir(), 'troupe-setup-no-cache'),
    npm_config_fetch_retries: '0',
  });
  t.teardown(() => rmSync(join(tmpdir(), 'troupe-setup-no-cache'), { recursive: true, force: true }));
  t.regex(await failure('packages'), /cannot be reached.*npm ci failed; the finished steps are kept/);
  t.regex(
    await failure('libtensorflow'),
    /cannot be reached.*pip download failed; the finished steps are kept/,
  );
  t.false(existsSync(join(folder, 'libtensorflow')));
});

test('setup: a wheel with another hash is refused and deleted', async (t) => {
  const { folder, surroundings, stages } = place(t);
  // A pip that leaves a file of its own.
  const pip = join(folder, 'pip.mjs');
  writeFileSync(
    pip,
    `#!${process.execPath}
import { mkdirSync, writeFileSync } from 'node:fs';
const to = process.argv[process.argv.indexOf('--dest') + 1];
if (!process.argv.includes('--version')) { mkdirSync(to, { recursive: true }); writeFileSync(to + '/wheel.whl', 'not it'); }`,
    { mode: 0o755 },
  );
  const env = { ...process.env, PYTHON: pip };
  const error = await t.throwsAsync(
    stages.get('libtensorflow')?.run({ ...surroundings, env }) ?? Promise.resolve(),
    {
      instanceOf: TensorflowSetupError,
    },
  );
  t.regex(error.message, /wheel\.whl has the hash [0-9a-f]{64}, expected [0-9a-f]{64}; it was deleted/);
  t.deepEqual(readdirSync(folder), ['pip.mjs']);
});

test('setup: a platform without a pinned library is refused by name', (t) => {
  const error = t.throws(() => stagesOf('/x', 'sunos-sparc'), { instanceOf: TensorflowSetupError });
  t.regex(
    error.message,
    /no library is pinned for sunos-sparc, only for linux-x64; install @tensorflow\/tfjs-node itself/,
  );
});

test('setup: a step that is done is not done again; one that failed is where the next run goes on', async (t) => {
  const { folder, lines, surroundings, stages } = place(t, { ...process.env, CXX: '/bin/false' });
  mkdirSync(folder, { recursive: true });
  const keyOf = (name: string): string => stages.get(name)?.key ?? '';
  for (const name of ['packages', 'libtensorflow']) writeFileSync(join(folder, `${name}.done`), keyOf(name));
  const run = () => setupTensorflow({ folder, ...surroundings });
  await t.throwsAsync(run(), { instanceOf: TensorflowSetupError, message: /^binding: no C\+\+ compiler/ });
  t.deepEqual(
    lines.map((line) => line.endsWith(': done before')),
    [true, true, false],
  );
  t.false(existsSync(join(folder, 'binding.done')));
  for (const name of ['binding', 'trial']) writeFileSync(join(folder, `${name}.done`), keyOf(name));
  lines.length = 0;
  await run();
  t.is(lines.filter((line) => line.endsWith(': done before')).length, 4);
  writeFileSync(join(folder, 'binding.done'), 'of another version');
  await t.throwsAsync(run(), { message: /^binding:/ });
  t.is(readFileSync(join(folder, 'libtensorflow.done'), 'utf8'), keyOf('libtensorflow'));
});
