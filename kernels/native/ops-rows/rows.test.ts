/** Compiles and runs the C++ tests of the row-wise operations against the objects that the build left behind. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { nativeAvailability } from '../native-device.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../../native/', import.meta.url));
const objects = [
  'isa-portable',
  ...(process.arch === 'x64' ? ['isa-avx2', 'isa-avx512', 'isa-avx512bf16'] : ['isa-neon']),
  'pool',
  'cores',
  'errors',
  'cpu',
].map((name) => join(root, 'build', `${name}.cc.o`));

const { available, reason } = nativeAvailability();
const missing = objects.filter((path) => !existsSync(path));

/** Builds one driver into a folder of its own, runs it and returns what it printed. A failed check is a failed process. */
async function outputOf(driver: string, linked: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-rows-'));
  try {
    const program = join(folder, 'driver');
    const flags = ['-std=c++17', '-O1', '-ffp-contract=off', '-pthread', '-w'];
    await run(process.env['CXX'] ?? 'c++', [...flags, join(root, driver), ...linked, '-o', program]);
    return (await run(program)).stdout;
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (available && missing.length === 0) {
  for (const driver of ['rows-test.cc', 'routing-test.cc']) {
    test.serial(
      `${driver}: the same bits on every instruction set and on one to three threads`,
      async (t) => {
        t.timeout(180_000);
        const output = await outputOf(`test/${driver}`, objects);
        t.log(output.trim());
        t.regex(output, /\d{6,} checks, 0 failed/);
      },
    );
  }

  test.serial('math: lane functions keep their error bounds', async (t) => {
    t.timeout(60_000);
    const output = await outputOf('test/math-test.cc', []);
    t.log(output.trim());
    t.regex(output, /math: 0 failed/);
  });
} else {
  const why = available ? `no objects of the build: ${missing.join(', ')}` : reason;
  test.skip(`rows: skipped: ${why}`, (t) => t.fail());
}
