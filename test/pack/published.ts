import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A workspace that people can install. */
export interface Published {
  readonly name: string;
  /** From the root of the repository. */
  readonly folder: string;
}

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly workspaces?: readonly string[];
}

const manifestOf = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;

/** The workspaces that are not private, in the order of the root's package.json. */
export function publishedPackages(root: string): readonly Published[] {
  return (manifestOf(root).workspaces ?? [])
    .map((folder) => ({ folder, manifest: manifestOf(join(root, folder)) }))
    .filter(({ manifest }) => manifest.private !== true)
    .map(({ folder, manifest }) => ({ name: manifest.name, folder }));
}
