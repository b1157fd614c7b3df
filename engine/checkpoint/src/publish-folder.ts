import type { Storage } from '@troupe/core';
import { folderSuffix, inFolder, stepFolder } from './checkpoint-folders.ts';
import type { Hasher } from './hasher.ts';
import type { ManifestFile } from './manifest.ts';

/** Pointer for people and scripts; nothing here trusts it. */
export const LATEST_FILE = 'latest';

/** A checkpoint that is complete and in its place. */
export interface WrittenCheckpoint {
  /** Path of its folder in the storage. */
  readonly folder: string;
  readonly step: number;
  readonly sizeBytes: number;
  /** Hash of the manifest, and through it of everything. */
  readonly sha256: string;
}

/** Gives `step-NNNNNN.partial` its name: from here on the new checkpoint is the one that counts; before, the old one is. */
export async function publishFolder(storage: Storage, folder: string, step: number): Promise<void> {
  const final = inFolder(folder, stepFolder(step));
  const replaced = final + folderSuffix.replaced;
  const isReplacing = await storage.exists(final);
  if (isReplacing) {
    await storage.remove(replaced);
    await storage.rename(final, replaced);
  }
  try {
    await storage.rename(final + folderSuffix.partial, final);
  } catch (error) {
    if (isReplacing) await storage.rename(replaced, final);
    throw error;
  }
  await storage.syncFolder(folder);
  if (await storage.exists(replaced)) await storage.remove(replaced);
  const pointer = new TextEncoder().encode(`${stepFolder(step)}\n`);
  await storage.writeAtomic(inFolder(folder, LATEST_FILE), pointer);
}

/** A small file that is no safetensors file, and what a manifest says of it. */
export async function writeSideFile(
  storage: Storage,
  folder: string,
  file: { readonly name: string; readonly bytes: Uint8Array },
  hasher: Hasher,
): Promise<ManifestFile> {
  const { name, bytes } = file;
  await storage.writeAtomic(inFolder(folder, name), bytes);
  const stream = hasher.open();
  await hasher.update([stream], bytes.slice());
  return { name, sizeBytes: bytes.byteLength, sha256: await hasher.digest(stream), header: null };
}
