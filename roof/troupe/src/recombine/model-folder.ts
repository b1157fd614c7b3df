import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { OptionError, type Storage } from '@troupe/core';
import { formatTopology, type ResolvedTopology } from '@troupe/topology';
import { fileStorage } from '../ports/file-storage.ts';
import { topologyFile } from './rewritten-topology.ts';

/** Name of the topology file beside the checkpoint. */
const TOPOLOGY_FILE = 'topology.yaml';

/**
 * Makes the folder of a model: a checkpoint, and a topology to go on with.
 *
 * RCB-1: it has its name when all of it is there. What an interrupted call left beside it is removed by the next one.
 *
 * @param out - nothing of that name exists
 * @param write - the checkpoint, into this folder of the storage
 * @throws {OptionError} TROUPE_OPTION when it exists
 */
export async function writeModelFolder<T>(
  out: string,
  topology: ResolvedTopology,
  write: (storage: Storage, folder: string) => Promise<T>,
): Promise<T> {
  const target = resolve(out);
  if (existsSync(target)) throw new OptionError('out', [`'${out}' exists; name a folder that does not`]);
  const [storage, name] = [fileStorage(dirname(target)), basename(target)];
  const aside = `.${name}.partial`;
  await storage.remove(aside);
  try {
    await storage.makeFolder(aside);
    const written = await write(storage, aside);
    const text = formatTopology(topologyFile(topology));
    await storage.writeAtomic(`${aside}/${TOPOLOGY_FILE}`, new TextEncoder().encode(text));
    await storage.rename(aside, name);
    await storage.syncFolder('');
    return written;
  } catch (error) {
    await storage.remove(aside);
    throw error;
  }
}
