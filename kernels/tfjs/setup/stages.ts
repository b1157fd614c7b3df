/** The steps that make a working TensorFlow, each with a key of what it depends on: a step whose key is on disk is not done again. */
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram, runProgram, TensorflowSetupError, type Surroundings } from './program.ts';
import { libraryNames, wheelMembers, wheels, type WheelPin } from './pins.ts';

export interface Stage {
  readonly name: string;
  /** For the progress line. */
  readonly says: string;
  /** Changes when the step has to be done again. */
  readonly key: string;
  readonly run: (surroundings: Surroundings) => Promise<void>;
}

/** Compiled code lies in kernels/dist/tfjs/setup; the pinned package tree stays beside the source. */
const TREE = fileURLToPath(new URL('../../../tfjs/setup/tree/', import.meta.url));
const PACKAGE = 'node_modules/@tensorflow/tfjs-node';
/** The package picks its binding by the highest N-API version that it and Node know; 8 on every Node since 12.22. */
const BINDING = `${PACKAGE}/lib/napi-v8/tfjs_binding.node`;
const MEGABYTE = 1e6;

const treeFiles = ['package.json', 'package-lock.json'] as const;

const digest = (...parts: readonly string[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const isOffline = (message: string): boolean =>
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|ENETUNREACH|NewConnectionError|Max retries exceeded|Temporary failure in name resolution|Connection refused|Could not find a version that satisfies/.test(
    message,
  );

/** Runs a program of a step; what goes wrong is told with what to do. */
async function step(
  stage: string,
  hint: string,
  ...[program, surroundings]: Parameters<typeof runProgram>
): Promise<void> {
  try {
    await runProgram(program, surroundings);
  } catch (error) {
    const message = messageOf(error);
    const network = isOffline(message) ? 'its server cannot be reached or does not have it; ' : '';
    throw new TensorflowSetupError(stage, `${network}${hint}\n${message}`, error);
  }
}

/** The package, its JavaScript and the Node-API headers, from npm, at the versions and hashes of the lock file. */
function packages(folder: string): Stage {
  const texts = treeFiles.map((name) => readFileSync(join(TREE, name), 'utf8'));
  return {
    name: 'packages',
    says: '@tensorflow/tfjs-node and its packages from npm (300 MB on disk)',
    key: digest(...texts),
    run: async (surroundings) => {
      treeFiles.forEach((name, i) => writeFileSync(join(folder, name), texts[i] ?? ''));
      const own = surroundings.env['npm_execpath'];
      const npm =
        own !== undefined && own.endsWith('.js')
          ? { command: process.execPath, args: [own] }
          : { command: 'npm', args: [] };
      const flags = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder];
      await step(
        'packages',
        'npm ci failed; the finished steps are kept, run this again',
        { command: npm.command, args: [...npm.args, ...flags], cwd: folder },
        surroundings,
      );
    },
  };
}

function findPython(surroundings: Surroundings): readonly string[] {
  const own = surroundings.env['PYTHON'];
  const pythons = own === undefined ? ['python3', 'python'] : [own];
  const python = findProgram(
    pythons.map((name) => [name, '-m', 'pip']),
    surroundings,
  );
  if (python === null)
    throw new TensorflowSetupError(
      'libtensorflow',
      `no Python with pip answers (tried ${pythons.join(', ')}); install one (Debian: apt install python3-pip), or name it in PYTHON`,
    );
  return python;
}

/** Bytes that lie under a folder: how far a download has come. */
function bytesUnder(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => {
      // pip renames and deletes while this looks.
      const file = statSync(join(parentPath, name), { throwIfNoEntry: false });
      return sum + (file?.size ?? 0);
    }, 0);
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Takes members of a wheel out of it; Python has what it needs for that, and no unzip has to be there. */
const UNPACK = `
import sys, zipfile
wheel, folder, *kept = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(folder, [name for name in archive.namelist() if name.startswith(tuple(kept))])
`;

/** The C library of TensorFlow and its headers, out of the wheel. */
function libtensorflow(folder: string, wheel: WheelPin): Stage {
  const partial = join(folder, 'libtensorflow.partial');
  const done = join(folder, 'libtensorflow');
  return {
    name: 'libtensorflow',
    says: `${wheel.requirement} from PyPI (${Math.round(wheel.bytes / MEGABYTE)} MB to load, 620 MB on disk)`,
    key: digest(wheel.sha256, ...wheelMembers),
    run: async (surroundings) => {
      const [python = '', ...pip] = findPython(surroundings);
      rmSync(partial, { recursive: true, force: true });
      const loading = join(partial, 'wheel');
      mkdirSync(join(partial, 'tmp'), { recursive: true });
      let shown = 0;
      const watch = (): void => {
        const megabytes = Math.floor(Math.min(bytesUnder(partial), wheel.bytes) / MEGABYTE / 20) * 20;
        if (megabytes > shown)
          surroundings.print(`    ${megabytes} of ${Math.round(wheel.bytes / MEGABYTE)} MB`);
        shown = Math.max(shown, megabytes);
      };
      const flags = [
        '--no-deps',
        '--only-binary=:all:',
        '--platform',
        wheel.platform,
        '--python-version',
        wheel.python,
      ];
      await step(
        'libtensorflow',
        'pip download failed; the finished steps are kept, run this again',
        {
          command: python,
          args: [...pip, 'download', '--quiet', ...flags, '--dest', loading, wheel.requirement],
          env: { TMPDIR: join(partial, 'tmp') },
          watch,
        },
        surroundings,
      );
      const [name] = readdirSync(loading);
      if (name === undefined) throw new TensorflowSetupError('libtensorflow', 'pip left no wheel behind');
      const path = join(loading, name);
      const hash = await hashOf(path);
      if (hash !== wheel.sha256) {
        rmSync(partial, { recursive: true });
        throw new TensorflowSetupError(
          'libtensorflow',
          `${name} has the hash ${hash}, expected ${wheel.sha256}; it was deleted`,
        );
      }
      await step(
        'libtensorflow',
        'the wheel cannot be unpacked; is the disk full?',
        { command: python, args: ['-c', UNPACK, path, join(partial, 'unpacked'), ...wheelMembers] },
        surroundings,
      );
      rmSync(done, { recursive: true, force: true });
      renameSync(join(partial, 'unpacked', 'tensorflow'), done);
      rmSync(partial, { recursive: true });
    },
  };
}

function findCompiler(surroundings: Surroundings): string {
  const own = surroundings.env['CXX'];
  const compilers = own === undefined ? ['c++', 'g++', 'clang++'] : [own];
  const found = findProgram(
    compilers.map((name) => [name]),
    surroundings,
  );
  if (found?.[0] === undefined)
    throw new TensorflowSetupError(
      'binding',
      `no C++ compiler answers (tried ${compilers.join(', ')}); install one (Debian: apt install g++), or name it in CXX`,
    );
  return found[0];
}

/** The package's own binding, compiled against the library, which is linked into the package. */
function binding(folder: string, key: string): Stage {
  return {
    name: 'binding',
    says: 'the package’s binding, compiled and linked',
    key,
    run: async (surroundings) => {
      const compiler = findCompiler(surroundings);
      const library = join(folder, PACKAGE, 'deps', 'lib');
      rmSync(join(folder, PACKAGE, 'deps'), { recursive: true, force: true });
      mkdirSync(library, { recursive: true });
      symlinkSync(join(folder, 'libtensorflow', 'include'), join(folder, PACKAGE, 'deps', 'include'));
      for (const [name, file] of Object.entries(libraryNames))
        symlinkSync(join(folder, 'libtensorflow', file), join(library, name));
      const target = join(folder, BINDING);
      const partial = `${target}.partial`;
      mkdirSync(join(target, '..'), { recursive: true });
      const flags = ['-shared', '-fPIC', '-O2', '-std=c++17', '-DNAPI_VERSION=8'];
      const includes = ['node_modules/node-api-headers/include', `${PACKAGE}/deps/include`].map(
        (path) => `-I${join(folder, path)}`,
      );
      const sources = readdirSync(join(folder, PACKAGE, 'binding'))
        .filter((name) => name.endsWith('.cc'))
        .map((name) => join(folder, PACKAGE, 'binding', name));
      const libraries = [
        `-L${library}`,
        '-ltensorflow',
        '-ltensorflow_framework',
        '-Wl,-rpath,$ORIGIN/../../deps/lib',
      ];
      await step(
        'binding',
        'the binding does not compile',
        {
          command: compiler,
          args: [...flags, ...includes, ...sources, ...libraries, '-o', partial],
        },
        surroundings,
      );
      // A half-written binding would kill the process that loads it.
      renameSync(partial, target);
    },
  };
}

/** A first product, in a process of its own: what kills it must not kill this one. */
function trial(folder: string, key: string): Stage {
  return {
    name: 'trial',
    says: 'a first product on it',
    key,
    run: (surroundings) =>
      step(
        'trial',
        'TensorFlow is built and does not run',
        { command: process.execPath, args: [fileURLToPath(new URL('./trial.js', import.meta.url)), folder] },
        surroundings,
      ),
  };
}

/** @throws {TensorflowSetupError} TROUPE_TENSORFLOW_SETUP on a platform without a pinned library */
export function stagesOf(folder: string, platform = `${process.platform}-${process.arch}`): readonly Stage[] {
  const wheel = wheels[platform];
  if (wheel === undefined)
    throw new TensorflowSetupError(
      'libtensorflow',
      `no library is pinned for ${platform}, only for ${Object.keys(wheels).join(', ')}; install @tensorflow/tfjs-node itself (npm install --no-save @tensorflow/tfjs-node), which the loader finds`,
    );
  const first = packages(folder);
  const second = libtensorflow(folder, wheel);
  const third = binding(folder, digest(first.key, second.key));
  return [first, second, third, trial(folder, digest(third.key, process.version))];
}
