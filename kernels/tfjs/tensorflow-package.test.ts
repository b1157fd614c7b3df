import { execFileSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { openBackend } from './backend.ts';
import { builtTensorflowFolder, setTensorflowEnvironment } from './tensorflow-environment.ts';
import {
  isWholeElf,
  openTensorflow,
  TensorflowPackageError,
  type TensorflowPackageName,
} from './tensorflow-package.ts';

const GPU = '@tensorflow/tfjs-node-gpu';
const CPU = '@tensorflow/tfjs-node';
const LIB = 'node_modules/@tensorflow/tfjs-node';

function folderOf(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-tensorflow-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A folder with a package of that name whose main module is `main`. */
function fixture(t: ExecutionContext, name: string, main: string): string {
  const folder = folderOf(t);
  const at = join(folder, 'node_modules', name);
  mkdirSync(join(at, 'dist'), { recursive: true });
  writeFileSync(join(at, 'package.json'), JSON.stringify({ name, main: 'dist/index.js' }));
  writeFileSync(join(at, 'dist', 'index.js'), main);
  return folder;
}

const problemIn = (t: ExecutionContext, name: TensorflowPackageName, folders: readonly string[]) => {
  const error = t.throws(() => openTensorflow(name, folders), { instanceOf: TensorflowPackageError });
  t.is(error.code, 'TROUPE_DEVICE_UNAVAILABLE');
  t.true(error.message.startsWith(name), error.message);
  return error;
};

const throwing = (message: string, code?: string): string =>
  `throw Object.assign(new Error(${JSON.stringify(message)}), ${JSON.stringify({ code })});`;
/** A package that opens, with what the loader asks it. */
const working = (isGpu: boolean): string => `
  const { isNullOrUndefined } = require('util');
  exports.isNullOrUndefined = isNullOrUndefined;
  exports.backend = () => ({ isUsingGpuDevice: ${isGpu}, binding: { TF_Version: '2.0.0' } });`;

test('tensorflow package: absent, and what to do', (t) => {
  const folder = folderOf(t);
  t.is(problemIn(t, GPU, [folder]).problem, 'package-absent');
  const error = problemIn(t, CPU, [folder]);
  t.is(error.problem, 'package-absent');
  t.regex(error.message, /is not installed \(`npm run setup:tensorflow` builds it\)/);
});

for (const [what, problem, main, says] of [
  [
    'installed without its binding',
    'binding-absent',
    throwing('The Node.js native addon module (tfjs_binding.node) can not be found at path: /x'),
    /npm rebuild @tensorflow\/tfjs-node --build-addon-from-source/,
  ],
  [
    'a binding without libtensorflow',
    'library-absent',
    throwing('libtensorflow.so.2: cannot open shared object file: No such file', 'ERR_DLOPEN_FAILED'),
    /no libtensorflow.*cannot open shared object/,
  ],
  [
    'a libtensorflow of another version',
    'library-differs',
    throwing('tfjs_binding.node: undefined symbol: TFE_ContextOptionsSetTfrt', 'ERR_DLOPEN_FAILED'),
    /another version.*undefined symbol/,
  ],
  ['a failure of another kind', 'other', throwing('out of luck'), /does not start \(out of luck\)/],
] as const) {
  test(`tensorflow package: ${what}`, (t) => {
    const error = problemIn(t, CPU, [fixture(t, CPU, main)]);
    t.is(error.problem, problem);
    t.regex(error.message, says);
  });
}

test('tensorflow package: the GPU package without a CUDA device is refused, with one it opens', (t) => {
  t.is(problemIn(t, GPU, [fixture(t, GPU, working(false))]).problem, 'no-gpu');
  t.true(openTensorflow(GPU, [fixture(t, GPU, working(true))]).isGpu);
  t.false(openTensorflow(CPU, [fixture(t, CPU, working(false))]).isGpu);
});

test('tensorflow package: the first folder that has it decides', (t) => {
  const broken = fixture(t, CPU, throwing('broken'));
  const whole = fixture(t, CPU, working(false));
  t.is(problemIn(t, CPU, [folderOf(t), broken, whole]).problem, 'other');
  t.is(openTensorflow(CPU, [folderOf(t), whole, broken]).version, '2.0.0');
});

test('tensorflow package: a binding that is cut short is found before it is mapped', (t) => {
  const folder = fixture(t, CPU, throwing('must not be loaded'));
  const at = join(folder, LIB, 'lib', 'napi-v8');
  mkdirSync(at, { recursive: true });
  // The head of a real binary, whose section table lies far behind.
  const head = Buffer.alloc(100_000);
  const file = openSync(process.execPath, 'r');
  readSync(file, head);
  closeSync(file);
  writeFileSync(join(at, 'tfjs_binding.node'), head);
  t.is(problemIn(t, CPU, [folder]).problem, process.platform === 'linux' ? 'binding-damaged' : 'other');
  t.is(isWholeElf(process.execPath), true);
});

const module = JSON.stringify(fileURLToPath(new URL('tensorflow-package.js', import.meta.url)));

/** What a process of its own says of a package; `before` runs first. */
function asked(name: string, folder: string, before = ''): Readonly<Record<string, unknown>> {
  const script = `
    import util from 'node:util';
    ${before}
    const { openTensorflow } = await import(${module});
    try {
      const { tf, ...found } = openTensorflow(${JSON.stringify(name)}, [${JSON.stringify(folder)}]);
      const product = tf.matMul && [...tf.matMul(tf.ones([2, 2]), tf.ones([2, 2])).dataSync()];
      console.log(JSON.stringify({ ...found, product, works: tf.isNullOrUndefined?.(null) }));
    } catch (error) {
      console.log(JSON.stringify({ problem: error.problem, message: error.message }));
    }`;
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' },
  });
  return JSON.parse(printed.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
}

/** As Node 23 and later are. */
const NEWER_NODE = 'delete util.isNullOrUndefined;';

test('tensorflow package: on Node 23 and later it gets back what it calls', (t) => {
  const folder = fixture(t, CPU, working(false));
  t.like(asked(CPU, folder, NEWER_NODE), { shimmed: true, works: true });
  t.like(asked(CPU, folder), { shimmed: Number(process.versions.node.split('.')[0]) >= 23, works: true });
});

/** The real package of `npm run setup:tensorflow`, in a folder of its own where parts may be taken away. */
function realCopy(t: ExecutionContext, name = CPU): string {
  const built = join(builtTensorflowFolder(), 'node_modules');
  const folder = folderOf(t);
  for (const group of ['', '@tensorflow'])
    mkdirSync(join(folder, 'node_modules', group), { recursive: true });
  const link = (path: string): void => symlinkSync(join(built, path), join(folder, 'node_modules', path));
  for (const entry of readdirSync(built)) if (entry !== '@tensorflow') link(entry);
  for (const entry of readdirSync(join(built, '@tensorflow')))
    if (entry !== 'tfjs-node') link(join('@tensorflow', entry));
  const [from, to] = [join(built, CPU), join(folder, 'node_modules', name)];
  for (const part of ['dist', 'lib', 'deps'])
    cpSync(join(from, part), join(to, part), { recursive: true, verbatimSymlinks: true });
  const manifest = readFileSync(join(from, 'package.json'), 'utf8');
  writeFileSync(join(to, 'package.json'), manifest.replace(`"name": "${CPU}"`, `"name": "${name}"`));
  return folder;
}

const isSetUp = existsSync(join(builtTensorflowFolder(), 'trial.done'));
const withReal = isSetUp || process.env['TROUPE_REQUIRE_TENSORFLOW'] === '1' ? test : test.skip;
const title = (what: string): string =>
  `the real tensorflow package: ${what}${isSetUp ? '' : ' (skipped: `npm run setup:tensorflow` was not run)'}`;

withReal(title('whole, and on Node 23 and later'), (t) => {
  const found = { version: '2.15.1', isGpu: false, product: [2, 2, 2, 2] };
  t.like(asked(CPU, realCopy(t)), found);
  t.like(asked(CPU, realCopy(t), NEWER_NODE), { ...found, shimmed: true });
});

withReal(title('every state that it can be in is told apart'), (t) => {
  const without = (...parts: readonly string[]): string => {
    const folder = realCopy(t);
    for (const part of parts) rmSync(join(folder, LIB, part), { recursive: true });
    return folder;
  };
  t.is(asked(CPU, without('lib'))['problem'], 'binding-absent');
  t.is(asked(CPU, without('deps'))['problem'], 'library-absent');
  const other = without('deps/lib/libtensorflow.so.2', 'deps/lib/libtensorflow_cc.so.2');
  for (const name of ['libtensorflow.so.2', 'libtensorflow_cc.so.2'])
    symlinkSync('libtensorflow_framework.so.2', join(other, LIB, 'deps/lib', name));
  t.is(asked(CPU, other)['problem'], 'library-differs');
  const short = realCopy(t);
  truncateSync(join(short, LIB, 'lib/napi-v8/tfjs_binding.node'), 50_000);
  t.is(asked(CPU, short)['problem'], 'binding-damaged');
  t.is(asked(GPU, realCopy(t, GPU))['problem'], 'no-gpu');
});

test('backend: without a TensorFlow wasm serves, and says what kept the ones before it and how slow it is', async (t) => {
  const { backend, reason, tensors } = await openBackend({ backend: 'auto', tensorflowFolder: folderOf(t) });
  t.log(reason);
  t.is(backend, 'wasm');
  t.regex(reason, /about \d+ times slower than the native kernels/);
  t.regex(reason, /not used: tfjs-node-gpu is not installed .*; tfjs-node is not installed /);
  t.is(tensors.memory().numTensors, 0);
});

test('backend: one that was asked for by name and does not open is an error, never another', async (t) => {
  const wish = { backend: 'tfjs-node-gpu', tensorflowFolder: folderOf(t) } as const;
  await t.throwsAsync(openBackend(wish), { instanceOf: TensorflowPackageError });
});

test('tensorflow environment: what the user set stays', (t) => {
  const env: NodeJS.ProcessEnv = { TF_NUM_INTRAOP_THREADS: '7' };
  t.is(setTensorflowEnvironment(2, env), 7);
  t.deepEqual(env, { TF_NUM_INTRAOP_THREADS: '7', TF_NUM_INTEROP_THREADS: '1', TF_CPP_MIN_LOG_LEVEL: '2' });
  t.is(setTensorflowEnvironment(2, {}), 2);
  t.is(builtTensorflowFolder({ TROUPE_TENSORFLOW: '/there' }), '/there');
  t.regex(
    builtTensorflowFolder({ XDG_CACHE_HOME: '/cache' }),
    /^\/cache\/troupe\/tfjs-node-4\.22\.0-libtensorflow-2\.15\.1-/,
  );
  for (const XDG_CACHE_HOME of ['', 'relative'])
    t.is(builtTensorflowFolder({ XDG_CACHE_HOME }), builtTensorflowFolder({}));
});
