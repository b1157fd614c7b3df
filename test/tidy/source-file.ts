import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { splitSource, type Channels } from './lexer.ts';

/** A module that a file names, whichever way. */
export interface ImportLine {
  readonly specifier: string;
  readonly line: number;
}

export interface SourceFile extends Channels {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly ImportLine[];
}

/** `import … from '…'`, `export … from '…'`, `import '…'`, `import('…')`, `require('…')`, `require.resolve('…')`. */
const importForms =
  /(?<![.\w$])(?:(?:import|export)\b(?:[^'"`;()]*?\bfrom)?\s*|import\s*\(\s*|require(?:\.resolve)?\s*\(\s*)(['"])([^'"\n]+)\1/g;

function importsOf({ withStrings, bare }: Channels): readonly ImportLine[] {
  const found: ImportLine[] = [];
  for (const match of withStrings.matchAll(importForms)) {
    // The word itself has to be code: an import inside a string is text.
    if (!/^(?:import|export|require)/.test(bare.slice(match.index))) continue;
    const line = withStrings.slice(0, match.index + match[0].length).split('\n').length;
    found.push({ specifier: match[2] ?? '', line });
  }
  return found;
}

export function sourceFile(path: string, text: string): SourceFile {
  const channels = splitSource(text);
  return { path, text, ...channels, imports: importsOf(channels) };
}

/** The folder of the workspace's package.json. */
export function repositoryRoot(): string {
  for (
    let folder = dirname(fileURLToPath(import.meta.url));
    folder !== dirname(folder);
    folder = dirname(folder)
  ) {
    try {
      const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: string };
      if (name === 'troupe-workspace') return folder;
    } catch {
      // No package.json here: one folder up.
    }
  }
  throw new Error('these tests run inside the repository');
}

const houses = ['ground', 'engine', 'roof', 'actors', 'topology', 'kernels', 'examples', 'test'] as const;
const skipped = /^(?:dist.*|node_modules|build|runs|fixtures|coverage)$/;

function pathsBelow(root: string, folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return skipped.test(entry.name) ? [] : pathsBelow(root, path);
    return [path];
  });
}

/** Paths of everything that is written by hand. */
export function repositoryPaths(root: string): readonly string[] {
  return houses.flatMap((house) => pathsBelow(root, house)).sort();
}

/** Every TypeScript file of the repository. */
export function repositorySources(root: string): readonly SourceFile[] {
  return repositoryPaths(root)
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
    .map((path) => sourceFile(path, readFileSync(join(root, path), 'utf8')));
}
