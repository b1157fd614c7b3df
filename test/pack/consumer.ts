import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Compilers that a program of people may be checked by. */
const compilers = { typescript5: 'npm:typescript@5', typescript7: 'npm:typescript@7' };

/** As strict as people have it; the declarations of libraries are checked too. */
const compilerOptions = {
  strict: true,
  skipLibCheck: false,
  noEmit: true,
  target: 'es2023',
  lib: ['es2023'],
  module: 'nodenext',
  moduleResolution: 'nodenext',
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  types: ['node'],
  allowImportingTsExtensions: true,
};

/** Examples that need nothing but the one package. */
function examples(root: string): readonly string[] {
  const onlyTroupe = /from '(?!node:|\.\/|troupe')/u;
  return readdirSync(join(root, 'examples'))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .filter((name) => !onlyTroupe.test(readFileSync(join(root, 'examples', name), 'utf8')))
    .map((name) => name.slice(0, -'.ts'.length));
}

/** An empty folder of somebody who has nothing but the tarballs and the registry. */
export class Consumer {
  readonly folder = mkdtempSync(join(tmpdir(), 'troupe-consumer-'));
  readonly #root: string;
  readonly examples: readonly string[];

  constructor(root: string) {
    this.#root = root;
    this.examples = examples(root);
  }

  install(tarballs: readonly string[]): void {
    writeFileSync(
      join(this.folder, 'package.json'),
      JSON.stringify({ name: 'consumer', private: true, type: 'module' }),
    );
    const tools = [
      ...Object.entries(compilers).map(([name, source]) => `${name}@${source}`),
      '@types/node@20',
    ];
    this.run('npm', ['install', '--no-audit', '--no-fund', ...tarballs, ...tools]);
    for (const name of this.examples) {
      copyFileSync(join(this.#root, 'examples', `${name}.ts`), join(this.folder, `${name}.ts`));
      mkdirSync(join(this.folder, 'run'), { recursive: true });
      copyFileSync(join(this.#root, 'examples/dist', `${name}.js`), join(this.folder, 'run', `${name}.js`));
    }
    // What no example uses of the types.
    copyFileSync(join(this.#root, 'test/consumer/program.ts'), join(this.folder, 'program.ts'));
    writeFileSync(join(this.folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  }

  /** Type checks the examples and `test/consumer/program.ts` with every compiler. */
  checkTypes(print: (line: string) => void): void {
    for (const name of Object.keys(compilers)) {
      const version = this.run('node', [`node_modules/${name}/bin/tsc`, '--version']).trim();
      this.run('node', [`node_modules/${name}/bin/tsc`, '-p', '.']);
      print(
        `types: ${this.examples.length + 1} programs under TypeScript ${version.replace(/^Version /u, '')}`,
      );
    }
  }

  /** @returns what it printed; throws with both streams when it fails */
  run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
    return execFileSync(command, args, {
      cwd: this.folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, XDG_CACHE_HOME: join(this.folder, 'cache'), ...env },
      timeout: 10 * 60_000,
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
