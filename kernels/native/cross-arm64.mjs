// Compiles the kernels and their C++ drivers for arm64 and runs them under qemu-user: the NEON file against the same scalar oracle, and
// the row-wise operations bit for bit against what this machine computes.
//
//   apt-get install g++-aarch64-linux-gnu qemu-user
//   node kernels/native/cross-arm64.mjs [rounds] [seed]
//
// CROSS_CXX and QEMU name other programs. Not part of continuous integration. Without the two programs it says so and fails.
import { spawnSync } from 'node:child_process';
import { findCompiler } from './build.mjs';
import { runDrivers } from './drivers.mjs';

const [rounds = '12', seed = '1'] = process.argv.slice(2);
const qemu = process.env.QEMU ?? 'qemu-aarch64';
if (spawnSync(qemu, ['--version']).status !== 0) {
  process.stderr.write(`cross-arm64: no ${qemu}; install qemu-user, or set QEMU\n`);
  process.exit(1);
}
const cross = findCompiler({ CXX: process.env.CROSS_CXX ?? 'aarch64-linux-gnu-g++' });
const args = [rounds, seed];
const there = await runDrivers({
  ...cross,
  arch: 'arm64',
  flags: ['-static'],
  directory: 'arm64',
  runner: [qemu],
  args,
});
const here = await runDrivers({ ...findCompiler(), directory: 'drivers', args });

/** Digest of all outputs of a driver of row-wise operations. */
const digest = (text = '') => /bits ([0-9a-f]{16})/.exec(text)?.[1];
let differ = 0;
for (const [driver, output] of there.outputs) {
  const [found, expected] = [digest(output), digest(here.outputs.get(driver))];
  if (found === expected) continue;
  process.stdout.write(`${driver}: bits ${found} on arm64, ${expected} on ${process.arch}\n`);
  differ++;
}
process.exitCode = there.failed.length + here.failed.length + differ === 0 ? 0 : 1;
