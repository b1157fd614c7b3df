import type { Storage } from '@troupe/core';
import { inFolder } from './checkpoint-folders.ts';
import { CheckpointFormatError } from './errors.ts';
import { isJsonObject, jsonLimits, parseJson, quoted } from './json-text.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors.ts';

const WEIGHTS_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/** Reads a JSON object. @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT */
export async function readJson(storage: Storage, path: string): Promise<Readonly<Record<string, unknown>>> {
  const sizeBytes = await storage.sizeBytes(path);
  if (sizeBytes > jsonLimits.bytes)
    throw new CheckpointFormatError(path, `has ${sizeBytes} bytes; at most ${jsonLimits.bytes} are read`);
  const read = parseJson(await storage.read(path));
  if ('problem' in read) throw new CheckpointFormatError(path, read.problem);
  if (isJsonObject(read.value)) return read.value;
  throw new CheckpointFormatError(path, 'is no JSON object');
}

const isNameMap = (value: unknown): value is Readonly<Record<string, string>> =>
  isJsonObject(value) && Object.values(value).every((name) => typeof name === 'string');

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
  if (!isNameMap(map)) throw new CheckpointFormatError(indexPath, 'has no weight_map from tensors to files');
  const places = new Map(Object.entries(map));
  const weights = new Map<string, SafetensorsFile>();
  const names = new Set(places.values());
  for (const name of names) {
    if (!/^[\w-][\w.-]*$/u.test(name))
      throw new CheckpointFormatError(indexPath, `${quoted(name)} is no file name`);
  }
  for (const name of names) {
    const file = await openSafetensors(storage, inFolder(folder, name));
    for (const key of file.header.tensors.keys()) {
      if (places.get(key) !== name) {
        const said = places.get(key) ?? 'nowhere';
        throw new CheckpointFormatError(
          file.file,
          `holds tensor ${quoted(key)}, which the index puts ${said}`,
          {
            tensor: key,
          },
        );
      }
      weights.set(key, file);
    }
  }
  for (const [key, name] of places) {
    if (!weights.has(key)) {
      throw new CheckpointFormatError(inFolder(folder, name), `lacks tensor ${quoted(key)} of the index`, {
        tensor: key,
      });
    }
  }
  return weights;
}
