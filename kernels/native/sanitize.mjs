// Builds the kernels and their C++ fuzz drivers under -fsanitize=address,undefined and runs each once.
//
//   node kernels/native/sanitize.mjs [rounds] [seed]
//
// Optimised lightly (-O1): what is looked for are reads past an edge, misaligned or overflowing arithmetic, not time.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile, findCompiler, link, plan } from './build.mjs';

const root = dirname(fileURLToPath(import.meta.url));
const [rounds = '12', seed = '1'] = process.argv.slice(2);
const sanitizers = [
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=all',
  '-fno-omit-frame-pointer',
  '-g1',
];

const { compiler, version } = findCompiler();
const { common, kernels } = plan();
const lighter = kernels.map(({ source, flags }) => ({
  source,
  flags: [...flags.filter((flag) => !flag.startsWith('-O')), '-O1'],
}));
const drivers = readdirSync(join(root, 'test'))
  .filter((name) => name.endsWith('-test.cc'))
  .map((name) => ({ source: join('test', name), flags: ['-O1'] }));
const directory = join(root, 'build', 'sanitize');
const { objects } = await compile(
  compiler,
  version,
  [...lighter, ...drivers],
  [...common, ...sanitizers],
  directory,
);

let failed = 0;
for (const [i, driver] of drivers.entries()) {
  const program = join(directory, driver.source.replaceAll(/[\\/]|\.cc$/g, '-').replace(/-$/, ''));
  await link(
    compiler,
    ['-pthread', ...sanitizers, objects[lighter.length + i], ...objects.slice(0, lighter.length)],
    program,
  );
  process.stdout.write(`${driver.source}: `);
  const { status, signal } = spawnSync(program, [rounds, seed], { stdio: 'inherit' });
  if (status !== 0) {
    process.stdout.write(`failed (exit ${status ?? signal})\n`);
    failed++;
  }
}
process.exitCode = failed === 0 ? 0 : 1;
