import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** A built checkout of this repository, of any age. */
export interface Checkout {
  readonly folder: string;
  /** The program `troupe`. */
  readonly bin: string;
  /** The module that `import … from 'troupe'` would be. */
  readonly library: string;
}

/**
 * A launch reads the bundle, and modules one by one where it is missing or old: builds of which only one has it do not compare.
 *
 * @throws {CheckoutError} when the bundle is missing or older than what it was made of
 */
export function checkBundle({ bin }: Checkout): void {
  const stamp = join(dirname(bin), '..', 'bundle', 'sources.json');
  const bundled = statSync(stamp, { throwIfNoEntry: false });
  if (bundled === undefined) throw new CheckoutError(`${stamp} is missing; run npm run build there`);
  const sources = JSON.parse(readFileSync(stamp, 'utf8')) as readonly string[];
  const later = sources
    .map((source) => join(dirname(stamp), source))
    .find((source) => (statSync(source, { throwIfNoEntry: false })?.mtimeMs ?? 0) > bundled.mtimeMs);
  if (later !== undefined)
    throw new CheckoutError(`${later} is newer than the bundle; run npm run build there`);
}

/** A folder that is not one, or is not built. */
export class CheckoutError extends Error {}

const packageName = (folder: string): string | undefined => {
  const file = join(folder, 'package.json');
  if (!existsSync(file)) return undefined;
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly name?: string }).name;
};

/** Folders below one, as far down as packages have ever been. */
function foldersOf(root: string): readonly string[] {
  const below = (folder: string): readonly string[] =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !/^(?:\.|node_modules$|dist$)/u.test(entry.name))
      .map((entry) => join(folder, entry.name));
  return below(root).flatMap((folder) => [folder, ...below(folder)]);
}

/**
 * Finds the package `troupe` by its name, because packages have moved.
 *
 * @throws {CheckoutError} when there is none, or it was not built
 */
export function openCheckout(folder: string): Checkout {
  const root = resolve(folder);
  if (!existsSync(root)) throw new CheckoutError(`${root}: there is no such folder`);
  const found = foldersOf(root).find((each) => packageName(each) === 'troupe');
  if (found === undefined) throw new CheckoutError(`${root}: no package "troupe" below it`);
  const [bin, library] = [join(found, 'bin', 'troupe.js'), join(found, 'dist', 'index.js')];
  for (const file of [bin, library])
    if (!existsSync(file)) throw new CheckoutError(`${file} is missing; run npm run build there`);
  return { folder: root, bin, library };
}
