// Builds kernels/native/build/troupe_native.node with nothing but a C++ compiler and the headers in node_modules.
//
//   node kernels/native/build.mjs [--optional] [--force]
//
// Every instruction set is its own object with its own flags; which one runs is decided at run time, so one binary serves all CPUs of
// an architecture (never -march=native). Objects are compiled side by side and again only when a source or a flag changed.
// --optional: without a compiler, or when the build fails, prints one line and exits 0; the loader then falls back and says so.
// --first-start: called by a command that found no addon: silent where there is no compiler, one line before a build begins.
// A build that failed leaves build/failed.txt, so that not every start tries it again; the next one without --first-start removes it.
// Tried: Linux on x64 with g++ 12. Linux on arm64 only by a cross compiler under qemu (cross-arm64.mjs).
// macOS, untested: clang++ of the command line tools takes the same flags (-Wno- flags that it does not know are warnings); the link is
// -bundle -undefined dynamic_lookup; Apple silicon builds isa-neon.cc. Threads are not pinned.
// Windows, untested and not built here: the sources use mmap and gcc's pragmas and builtins, so clang-cl or MinGW-w64, not MSVC. What it would
// take: VirtualAlloc(MEM_RESERVE | MEM_COMMIT) for allocate_aligned in pool.cc; /std:c++17 /O2 /EHsc, /clang:-ffp-contract=off, per file
// /arch:AVX2 or /arch:AVX512 (clang-cl) or the flags below (MinGW); -shared against node.lib, from `node_api.def` by dlltool.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));

/** A build problem that a person can act on: one line. */
class BuildProblem extends Error {}

/** Sources and flags of an architecture. The portable object comes first: of inline functions the linker keeps the first copy. */
export function plan(arch = process.arch) {
  const common = [
    '-std=c++17',
    '-ffp-contract=off',
    '-fno-math-errno',
    '-fPIC',
    '-pthread',
    '-Wall',
    '-Wextra',
  ];
  // gcc 12 takes the undefined operand of AVX-512 intrinsics for a variable read before it is set (gcc bug 105593).
  const quiet = ['-Wno-maybe-uninitialized', '-Wno-uninitialized'];
  const avx2 = ['-mavx2', '-mfma'];
  const avx512 = [...avx2, '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq'];
  const isas = {
    x64: [
      { source: 'isa-avx2.cc', flags: ['-O3', ...avx2] },
      { source: 'isa-avx512.cc', flags: ['-O3', ...quiet, ...avx512] },
      { source: 'isa-avx512bf16.cc', flags: ['-O3', ...quiet, ...avx512, '-mavx512bf16'] },
    ],
    arm64: [{ source: 'isa-neon.cc', flags: ['-O3'] }],
  };
  const kernels = [
    { source: 'isa-portable.cc', flags: ['-O2', '-ftree-vectorize'] },
    ...(isas[arch] ?? []),
    ...['pool.cc', 'cores.cc', 'errors.cc', 'cpu.cc'].map((source) => ({ source, flags: ['-O2'] })),
    // Its functions name their instruction sets themselves.
    { source: 'crc32.cc', flags: ['-O2', ...quiet] },
  ];
  const binding = [
    'calls.cc',
    'reader.cc',
    'parse.cc',
    'parse-dense.cc',
    'parse-capacity.cc',
    'parse-moe.cc',
    'parse-choice.cc',
    'parse-optimizers.cc',
    'queue.cc',
    'addon.cc',
  ].map((name) => ({
    source: join('binding', name),
    flags: ['-O2'],
  }));
  return { common, kernels, binding };
}

/** The first compiler that answers; CXX when set, and only that. */
export function findCompiler(env = process.env) {
  const candidates = env.CXX ? [env.CXX] : ['c++', 'g++', 'clang++'];
  for (const compiler of candidates) {
    const probe = spawnSync(compiler, ['--version'], { encoding: 'utf8' });
    if (probe.status === 0) return { compiler, version: probe.stdout };
  }
  throw new BuildProblem(
    `no C++ compiler (tried ${candidates.join(', ')}); install g++ or clang++, or set CXX`,
  );
}

function headersDirectory() {
  const require = createRequire(import.meta.url);
  try {
    return require('node-api-headers').include_dir;
  } catch {
    throw new BuildProblem('node-api-headers is not in node_modules; run npm install');
  }
}

/** Hash of every file that a source may include, so that a changed header rebuilds what uses it; those of tests are not packed. */
function headerHash(hasTests) {
  const hash = createHash('sha256');
  const visit = (directory) => {
    for (const entry of readdirSync(join(root, directory), { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== 'build' && (hasTests || entry.name !== 'test')) visit(path);
      } else if (/\.(h|inc)$/.test(entry.name)) hash.update(path).update(readFileSync(join(root, path)));
    }
  };
  visit('.');
  return hash.digest('hex');
}

function run(compiler, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(compiler, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', (error) => reject(new BuildProblem(`cannot run ${compiler}: ${error.message}`)));
    child.on('close', (code) => {
      if (code === 0) {
        if (output) process.stderr.write(output);
        resolve();
      } else
        reject(
          Object.assign(new BuildProblem(`${compiler} failed on ${args.at(-1)} (exit ${code})`), { output }),
        );
    });
  });
}

/** Compiles `units` into `directory`, at most one compiler per core; returns the objects in the order of the units. */
export async function compile(compiler, version, units, common, directory, force = false) {
  mkdirSync(directory, { recursive: true });
  const headers = headerHash(units.some(({ source }) => source.startsWith('test')));
  // What takes longest starts first.
  const weight = (unit) => (unit.source.startsWith('isa-') ? 0 : 1);
  const waiting = [...units].sort((a, b) => weight(a) - weight(b));
  const object = (unit) => join(directory, `${unit.source.replaceAll(/[\\/]/g, '-')}.o`);
  let compiled = 0;
  const worker = async () => {
    for (let unit = waiting.shift(); unit !== undefined; unit = waiting.shift()) {
      const out = object(unit);
      const flags = [...common, ...unit.flags];
      const key = createHash('sha256')
        .update(JSON.stringify([compiler, version, flags, headers]))
        .update(readFileSync(join(root, unit.source)))
        .digest('hex');
      const stamp = `${out}.key`;
      const isOf = (path) =>
        existsSync(path) && existsSync(`${path}.key`) && readFileSync(`${path}.key`, 'utf8') === key;
      if (!force && isOf(out)) continue;
      // Objects of another build, of the same sources, flags and compiler: `npm run pack:check` has those of the repository.
      const other = process.env.TROUPE_NATIVE_OBJECTS;
      const made = other === undefined ? null : join(other, basename(out));
      if (!force && made !== null && isOf(made)) {
        copyFileSync(made, out);
        writeFileSync(stamp, key);
        continue;
      }
      const temporary = `${out}.${process.pid}.tmp`;
      await run(compiler, [...flags, '-c', '-o', temporary, unit.source]);
      renameSync(temporary, out);
      writeFileSync(stamp, key);
      compiled++;
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), units.length) }, worker));
  return { objects: units.map(object), compiled };
}

/** Links to a temporary name and renames, so that a process never loads half a file. */
export async function link(compiler, args, out) {
  const temporary = `${out}.${process.pid}.tmp`;
  try {
    await run(compiler, [...args, '-o', temporary]);
    renameSync(temporary, out);
  } finally {
    rmSync(temporary, { force: true });
  }
}

async function build({ force, announce }) {
  const begin = performance.now();
  const headers = headersDirectory();
  const { compiler, version } = findCompiler();
  if (announce)
    process.stdout.write('troupe: building the native kernels, once (about 20 s on two cores) ...\n');
  const { common, kernels, binding } = plan();
  const directory = join(root, 'build');
  const out = join(directory, 'troupe_native.node');
  const { objects, compiled } = await compile(
    compiler,
    version,
    [...kernels, ...binding],
    [...common, '-fvisibility=hidden', `-I${headers}`],
    directory,
    force,
  );
  if (compiled > 0 || !existsSync(out)) {
    const platform =
      process.platform === 'darwin'
        ? ['-bundle', '-undefined', 'dynamic_lookup']
        : ['-shared', '-static-libstdc++', '-static-libgcc'];
    await link(compiler, ['-pthread', ...objects, ...platform], out);
  }
  const seconds = (performance.now() - begin) / 1e3;
  process.stdout.write(
    `troupe: native kernels ${compiled > 0 ? `built in ${seconds.toFixed(1)} s` : 'up to date'}\n`,
  );
}

/** What a build that fails leaves behind. */
const failed = join(root, 'build/failed.txt');

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const optional = process.argv.includes('--optional');
  const firstStart = process.argv.includes('--first-start');
  try {
    rmSync(failed, { force: true });
    await build({ force: process.argv.includes('--force'), announce: firstStart });
  } catch (problem) {
    if (!(problem instanceof BuildProblem) && !optional) throw problem;
    if (!optional && problem.output) process.stderr.write(problem.output);
    // A compiler that is missing may be installed tomorrow; one that fails will fail again.
    if (problem.output !== undefined) writeFileSync(failed, `${problem.message}\n${problem.output}`);
    if (!firstStart || problem.output !== undefined)
      process.stdout.write(
        `troupe: no native kernels: ${problem.message}${optional ? ' (the TensorFlow.js body serves meanwhile)' : ''}\n`,
      );
    process.exitCode = optional ? 0 : 1;
  }
}
