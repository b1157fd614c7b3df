import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pageOf, partsOf, type Part } from './page.ts';

/** `npx troupe` of a page is the command of this repository. */
const shell = (root: string, command: string): string =>
  `npx() { shift; '${process.execPath}' '${join(root, 'roof/troupe/bin/troupe.js')}' "$@"; }\nset -o pipefail\n${command}`;

function outputOf(root: string, folder: string, command: string): string {
  const output = execFileSync('bash', ['-c', shell(root, command)], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, XDG_CACHE_HOME: join(folder, 'cache'), COLUMNS: '100' },
    timeout: 5 * 60_000,
  });
  return output.replaceAll(/[^\S\n]+$/gmu, '');
}

/** Runs the commands of a page in their order, in a folder of their own, and returns the page with what they print today. */
export function runPage(root: string, page: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-docs-'));
  try {
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const parts = partsOf(page).map((part): Part => {
      if (part.kind === 'file') writeFileSync(join(folder, part.name), part.content);
      return part.kind === 'shown' ? { ...part, output: outputOf(root, folder, part.command) } : part;
    });
    return pageOf(parts);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
