import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { contentProblems, type Tarball } from './contents.ts';
import { publishedPackages, type Published } from './published.ts';

/** Where the source of a compiled file lies: beside `dist`, or in `src`. */
const hasSource =
  (folder: string) =>
  (file: string): boolean => {
    const source = file.slice('dist/'.length).replace(/\.js$/u, '.ts');
    return [source, join('src', source)].some((path) => existsSync(join(folder, path)));
  };

function packOne(root: string, { name, folder }: Published, into: string): Tarball {
  const at = join(root, folder);
  const licence = join(at, 'LICENSE');
  copyFileSync(join(root, 'LICENSE'), licence);
  try {
    const answer = execFileSync('npm', ['pack', '--json', '--pack-destination', into], {
      cwd: at,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    // npm 10 answers with a list, npm 11.19 with an object by name.
    const [tarball] = Object.values(JSON.parse(answer) as Readonly<Record<string, Tarball>>);
    if (tarball === undefined) throw new Error(`npm pack said nothing of ${name}`);
    return tarball;
  } finally {
    rmSync(licence, { force: true });
  }
}

/**
 * Packs everything that people install, and checks what is inside.
 *
 * @returns paths of the tarballs
 * @throws Error naming every file that is missing or must not travel
 */
export function packAll(root: string, into: string, print: (line: string) => void): readonly string[] {
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  const packages = publishedPackages(root);
  const tarballs = packages.map((each) => ({ each, tarball: packOne(root, each, into) }));
  for (const { tarball } of tarballs)
    print(
      `${tarball.filename.padEnd(32)} ${kib(tarball.size)} packed ${kib(tarball.unpackedSize)} unpacked ${String(tarball.files.length).padStart(5)} files`,
    );
  const problems = tarballs.flatMap(({ each, tarball }) =>
    contentProblems(tarball, hasSource(join(root, each.folder))),
  );
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return tarballs.map(({ tarball }) => join(into, tarball.filename));
}

const kib = (bytes: number): string => `${Math.ceil(bytes / 1024)} KiB`.padStart(9);
