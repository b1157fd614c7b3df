import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The only file of this package that touches the disk. */
const presetFolder = new URL('../presets/', import.meta.url);

/** The text of a topology file; null when there is no file to read. */
export function readTopologyFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** Names that `launch NAME` and `extends: NAME` know, in alphabetical order. */
export function presetNames(): readonly string[] {
  return readdirSync(presetFolder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .sort();
}

/** The file of a preset; it need not exist. */
export function presetPath(name: string): string {
  return fileURLToPath(new URL(`${name}.yaml`, presetFolder));
}
