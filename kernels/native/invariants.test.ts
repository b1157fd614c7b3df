/** Links the driver of planted faults with the objects that the build left behind. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { nativeAvailability } from './native-device.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../native/', import.meta.url));
const objects = [
  'isa-portable',
  ...(process.arch === 'x64' ? ['isa-avx2', 'isa-avx512', 'isa-avx512bf16'] : ['isa-neon']),
  'pool',
  'cores',
  'errors',
  'cpu',
  'binding-queue',
  'binding-calls',
].map((name) => join(root, 'build', `${name}.cc.o`));

const { available, reason } = nativeAvailability();
const missing = objects.filter((path) => !existsSync(path));

if (available && missing.length === 0) {
  test('invariants: a planted fault in a pool or a queue is caught and named, and the rest still works', async (t) => {
    t.timeout(120_000);
    const folder = await mkdtemp(join(tmpdir(), 'troupe-invariants-'));
    try {
      const program = join(folder, 'driver');
      const flags = ['-std=c++17', '-O1', '-pthread'];
      const source = join(root, 'test/invariants-test.cc');
      await run(process.env['CXX'] ?? 'c++', [...flags, source, ...objects, '-o', program]);
      const { stdout } = await run(program);
      t.regex(stdout, /^invariants: \d+ checks, 0 failed$/m);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
} else {
  const why = available ? `no objects of the build: ${missing.join(', ')}` : reason;
  test.skip(`invariants: skipped: ${why}`, (t) => t.fail());
}
