import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Of typedoc: one page with every export of `troupe`, made from the comments in the source. */
const options = {
  plugin: ['typedoc-plugin-markdown'],
  name: 'troupe: API reference',
  readme: 'none',
  disableSources: true,
  excludePrivate: true,
  excludeInternal: true,
  // Types are checked by the build; typedoc brings an older compiler.
  skipErrorChecking: true,
  outputFileStrategy: 'modules',
  entryFileName: 'api',
  hideBreadcrumbs: true,
  hidePageHeader: true,
  useCodeBlocks: true,
  parametersFormat: 'table',
  interfacePropertiesFormat: 'table',
  typeDeclarationFormat: 'table',
  logLevel: 'Error',
};

/** What `docs/api.md` has to say today. */
export function apiPage(root: string): string {
  const out = mkdtempSync(join(tmpdir(), 'troupe-api-'));
  const flags = Object.entries(options).flatMap(([name, value]) =>
    [value].flat().flatMap((each) => [`--${name}`, String(each)]),
  );
  const typedoc = createRequire(import.meta.url).resolve('typedoc/package.json');
  const source = join(root, 'roof/troupe');
  try {
    execFileSync(
      process.execPath,
      [
        join(dirname(typedoc), 'bin/typedoc'),
        ...flags,
        '--tsconfig',
        join(source, 'tsconfig.json'),
        '--entryPoints',
        join(source, 'src/index.ts'),
        '--out',
        out,
      ],
      { cwd: join(root, 'test'), stdio: ['ignore', 'ignore', 'inherit'] },
    );
    return readFileSync(join(out, 'api.md'), 'utf8');
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
