import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repositoryRoot } from '../../tidy/source-file.ts';

/** Programs in C++ that a lab needs, beside this file. */
export type Tool = 'switch' | 'sniff';

/**
 * Path of a tool, which is compiled when it is asked for the first time, and again when its source changes.
 *
 * It appears whole: two processes that compile at once write the same file one behind the other.
 */
export async function builtTool(name: Tool): Promise<string> {
  const root = repositoryRoot();
  const source = join(root, 'test/machines/lab', `${name}.cpp`);
  const folder = join(root, 'test/dist/machines/tools');
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const path = join(folder, `${name}-${hash}`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const fresh = `${path}.${process.pid}`;
  const flags = ['-std=c++17', '-O2', '-Wall', '-Wextra', '-o', fresh, source];
  await promisify(execFile)(process.env['CXX'] ?? 'g++', flags, { timeout: 60_000 });
  renameSync(fresh, path);
  return path;
}
