import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openPython, PythonError } from './python.ts';

/** A program that answers the probe as a Python with these packages would. */
async function pythonWith(packages: Readonly<Record<string, string>>, folder: string): Promise<string> {
  const path = join(folder, 'python');
  await writeFile(path, `#!/bin/sh\necho '${JSON.stringify(packages)}'\n`);
  await chmod(path, 0o755);
  return path;
}

test('openPython: one sentence for what is no Python and for a Python without torch', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-python-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await t.throwsAsync(openPython(join(folder, 'none')), {
    instanceOf: PythonError,
    message: /cannot be run/u,
  });
  await t.throwsAsync(openPython(process.execPath), { instanceOf: PythonError, message: /cannot be run/u });
  const bare = await pythonWith({ deepspeed: '1' }, folder);
  await t.throwsAsync(openPython(bare), { instanceOf: PythonError, message: /has no torch: install/u });
  const full = await pythonWith({ torch: '2.15.0' }, folder);
  t.is((await openPython(full)).packages.get('torch'), '2.15.0');
});
