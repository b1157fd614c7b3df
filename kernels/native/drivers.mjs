// Builds the C++ drivers of test/ against the kernels and runs them: what sanitize.mjs and cross-arm64.mjs share.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile, link, plan } from './build.mjs';

const root = dirname(fileURLToPath(import.meta.url));

/** Of the binding, what needs no JavaScript. */
const plain = ['calls.cc', 'queue.cc'].map((name) => ({ source: join('binding', name), flags: [] }));

/**
 * Runs every driver whose name contains one of `only` and returns the names of those that failed, and what each printed.
 *
 * `flags` go to compiler and linker and come after those of the build, so an -O among them wins. `runner` goes before the program, `args` after it.
 */
export async function runDrivers({
  compiler,
  version,
  arch = process.arch,
  flags = [],
  directory,
  runner = [],
  args = [],
  environment = {},
  only = [''],
}) {
  const { common, kernels } = plan(arch);
  const library = [...kernels, ...plain];
  const drivers = readdirSync(join(root, 'test'))
    .filter((name) => name.endsWith('-test.cc') && only.some((part) => name.includes(part)))
    .map((name) => ({ source: join('test', name), flags: ['-O1'] }));
  const units = [...library, ...drivers].map(({ source, flags: own }) => ({
    source,
    flags: [...own, ...flags],
  }));
  const out = join(root, 'build', directory);
  const { objects } = await compile(compiler, version, units, common, out);
  const outputs = new Map();
  const failed = [];
  for (const [i, { source }] of drivers.entries()) {
    const program = join(out, source.replaceAll(/[\\/]|\.cc$/g, '-').replace(/-$/, ''));
    await link(
      compiler,
      ['-pthread', ...flags, objects[library.length + i], ...objects.slice(0, library.length)],
      program,
    );
    process.stdout.write(`${directory} ${source}: `);
    const command = [...runner, program, ...args];
    const { status, signal, stdout, error } = spawnSync(command[0], command.slice(1), {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
      env: { ...process.env, ...environment },
    });
    if (error) throw error;
    process.stdout.write(stdout);
    outputs.set(source, stdout);
    if (status !== 0) {
      process.stdout.write(`failed (exit ${status ?? signal})\n`);
      failed.push(source);
    }
  }
  return { failed, outputs };
}
