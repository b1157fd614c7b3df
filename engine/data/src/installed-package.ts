import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { DataSourceError } from './errors.ts';

const require = createRequire(import.meta.url);

/**
 * Where an npm package that data come from lies, and its version.
 *
 * @param name - for messages
 * @param resolve - asks for its `package.json` by a name that is written out, so that rules over the source see the dependency
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE when it is not installed
 */
export function installedPackage(
  name: string,
  resolve: (require: NodeJS.Require) => string,
): { readonly folder: string; readonly version: string } {
  try {
    const manifest = resolve(require);
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string };
    return { folder: dirname(manifest), version };
  } catch (error) {
    throw new DataSourceError(
      name,
      'the npm package is not installed',
      'run npm ci, or npm install @troupe/data',
      error,
    );
  }
}
