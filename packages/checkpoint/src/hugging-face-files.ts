import type { Storage } from '@troupe/core';
import { inFolder } from './checkpoint-folders.ts';
import { CheckpointFormatError } from './errors.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors.ts';

const WEIGHTS_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/** Reads a JSON object. @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT */
export async function readJson(storage: Storage, path: string): Promise<Readonly<Record<string, unknown>>> {
  const text = new TextDecoder().decode(await storage.read(path));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CheckpointFormatError(path, `is no JSON: ${String(error)}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new CheckpointFormatError(path, 'is no JSON object');
}

/**
 * The weights of a folder by tensor name, whether in one file or in several with an index.
 *
 * @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT when index and files disagree; names the tensor
 */
export async function openWeights(
  storage: Storage,
  folder: string,
): Promise<ReadonlyMap<string, SafetensorsFile>> {
  const indexPath = inFolder(folder, INDEX_FILE);
  if (await storage.exists(inFolder(folder, WEIGHTS_FILE))) {
    const file = await openSafetensors(storage, inFolder(folder, WEIGHTS_FILE));
    return new Map([...file.header.tensors.keys()].map((key) => [key, file]));
  }
  if (!(await storage.exists(indexPath))) {
    throw new CheckpointFormatError(
      folder,
      `has neither ${WEIGHTS_FILE} nor ${INDEX_FILE}; other formats are not read`,
    );
  }
  const map = (await readJson(storage, indexPath))['weight_map'];
  if (
    typeof map !== 'object' ||
    map === null ||
    !Object.values(map).every((name) => typeof name === 'string')
  ) {
    throw new CheckpointFormatError(indexPath, 'has no weight_map from tensors to files');
  }
  const places = new Map(Object.entries(map as Readonly<Record<string, string>>));
  const weights = new Map<string, SafetensorsFile>();
  const names = new Set(places.values());
  for (const name of names) {
    if (!/^[\w.-]+$/u.test(name)) throw new CheckpointFormatError(indexPath, `'${name}' is no file name`);
  }
  for (const name of names) {
    const file = await openSafetensors(storage, inFolder(folder, name));
    for (const key of file.header.tensors.keys()) {
      if (places.get(key) !== name) {
        const said = places.get(key) ?? 'nowhere';
        throw new CheckpointFormatError(file.file, `holds tensor '${key}', which the index puts ${said}`, {
          tensor: key,
        });
      }
      weights.set(key, file);
    }
  }
  for (const [key, name] of places) {
    if (!weights.has(key)) {
      throw new CheckpointFormatError(inFolder(folder, name), `lacks tensor '${key}' of the index`, {
        tensor: key,
      });
    }
  }
  return weights;
}
