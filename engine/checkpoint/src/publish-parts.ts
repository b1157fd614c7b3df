import { storagePath, type Storage } from '@troupe/core';
import { folderSuffix, inFolder, isLeftover, stepFolder } from './checkpoint-folders.ts';
import type { CheckpointOptions } from './checkpoint-writer.ts';
import { CheckpointDamagedError, CheckpointPiecesError } from './errors.ts';
import type { CheckpointTensor } from './file-plan.ts';
import { hasherFor, type Hasher } from './hasher.ts';
import {
  encodeManifest,
  MANIFEST_FILE,
  PARTS_VERSION,
  tensorId,
  TOKENIZER_FILE,
  type ManifestBase,
  type ManifestFile,
  type ManifestTensor,
} from './manifest.ts';
import { PART_FILE, type Part, type PartPiece, type WrittenPart } from './part-writer.ts';
import { publishFolder, writeSideFile, type WrittenCheckpoint } from './publish-folder.ts';
import { tilingProblem } from './tensor-pieces.ts';
import { tensorPlace } from './tensor-place.ts';

/**
 * Makes one checkpoint of the parts that machines have written, on a disk that all of them see.
 *
 * Every part is there for good before the manifest is, and the manifest before the folder has its name. What fails leaves the
 * checkpoints before as they were; the parts are gone then, and the next checkpoint writes its own.
 *
 * @param layout - every tensor that the checkpoint is to hold
 * @throws {CheckpointDamagedError} TROUPE_CHECKPOINT_DAMAGED for a part that is not what its store has written
 * @throws {CheckpointPiecesError} TROUPE_CHECKPOINT_PIECES naming tensors that the parts do not make up
 */
export async function publishParts(
  storage: Storage,
  folder: string,
  base: ManifestBase,
  layout: readonly CheckpointTensor[],
  parts: readonly WrittenPart[],
  options: Omit<CheckpointOptions, 'maxFileBytes'> = {},
): Promise<WrittenCheckpoint> {
  const root = storagePath(folder);
  const hasher = options.hasher ?? hasherFor(0);
  const final = inFolder(root, stepFolder(base.step));
  const partial = final + folderSuffix.partial;
  try {
    await storage.remove(partial);
    await storage.makeFolder(partial);
    const files: ManifestFile[] = [];
    const pieces: PartPiece[] = [];
    for (const written of parts) {
      const part = await readPart(storage, written, hasher);
      await takeFiles(storage, { from: written.folder, to: partial }, part);
      files.push(...part.files);
      pieces.push(...part.pieces);
    }
    const tensors = await tensorsOf(layout, pieces, hasher);
    const { tokenizer } = options;
    if (tokenizer !== undefined)
      files.push(await writeSideFile(storage, partial, { name: TOKENIZER_FILE, bytes: tokenizer }, hasher));
    const manifest = { ...base, parents: base.parents ?? [], files, tensors };
    const about = { format: 'troupe-checkpoint', formatVersion: PARTS_VERSION } as const;
    const { bytes, sha256 } = await encodeManifest({ ...about, ...manifest }, hasher);
    await storage.writeAtomic(inFolder(partial, MANIFEST_FILE), bytes);
    await storage.syncFolder(partial);
    await publishFolder(storage, root, base.step);
    for (const { folder: emptied } of parts) await storage.remove(emptied);
    const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, bytes.byteLength);
    return { folder: final, step: base.step, sizeBytes, sha256 };
  } catch (error) {
    await storage.remove(partial);
    throw error;
  } finally {
    if (options.hasher === undefined) await hasher.close();
  }
}

/** What a machine's store says that it has written, if that is what is there. */
async function readPart(storage: Storage, { folder, sha256 }: WrittenPart, hasher: Hasher): Promise<Part> {
  const path = inFolder(folder, PART_FILE);
  if (!isLeftover(folder.split('/').at(-1) ?? '') || !(await storage.exists(path)))
    throw new CheckpointDamagedError(folder, `file '${PART_FILE}' is missing`, { file: PART_FILE });
  const bytes = await storage.read(path);
  const stream = hasher.open();
  await hasher.update([stream], bytes.slice());
  if ((await hasher.digest(stream)) !== sha256)
    throw new CheckpointDamagedError(folder, `'${PART_FILE}' is not what the store has written`, {
      file: PART_FILE,
    });
  return JSON.parse(new TextDecoder().decode(bytes)) as Part;
}

/** Moves the files of a part, which are as long as its store has said. */
async function takeFiles(
  storage: Storage,
  { from, to }: { readonly from: string; readonly to: string },
  { files }: Part,
): Promise<void> {
  for (const { name, sizeBytes } of files) {
    const path = inFolder(from, name);
    const found = (await storage.exists(path)) ? await storage.sizeBytes(path) : null;
    if (found === null) throw new CheckpointDamagedError(from, `file '${name}' is missing`, { file: name });
    if (found !== sizeBytes)
      throw new CheckpointDamagedError(from, `file '${name}' has ${found} bytes instead of ${sizeBytes}`, {
        file: name,
      });
    await storage.rename(path, inFolder(to, name));
  }
}

/** Every tensor with its pieces, in the order of the layout. */
async function tensorsOf(
  layout: readonly CheckpointTensor[],
  pieces: readonly PartPiece[],
  hasher: Hasher,
): Promise<readonly ManifestTensor[]> {
  const byTensor = new Map<string, PartPiece[]>();
  for (const piece of pieces) {
    const id = tensorId(piece.name, piece.group);
    const others = byTensor.get(id);
    if (others === undefined) byTensor.set(id, [piece]);
    else others.push(piece);
  }
  const tensors: ManifestTensor[] = [];
  const problems: string[] = [];
  for (const { name, group, shape, dtype } of layout) {
    const id = tensorId(name, group);
    const own = (byTensor.get(id) ?? []).toSorted((a, b) => a.offset - b.offset);
    byTensor.delete(id);
    const problem = tilingProblem(shape, own);
    if (problem !== null) problems.push(`tensor '${name}' (${group}) ${problem}`);
    const stream = hasher.open();
    await hasher.update([stream], new TextEncoder().encode(own.map(({ sha256 }) => sha256).join('')));
    const sha256 = await hasher.digest(stream);
    const places = own.map(({ name: _name, group: _group, ...place }) => place);
    tensors.push({ name, group, pieces: places, shape, dtype, sha256, ...tensorPlace(name) });
  }
  for (const id of byTensor.keys()) problems.push(`tensor '${id}' is not in the layout of this checkpoint`);
  if (problems.length === 0) return tensors;
  const rest = problems.length > 8 ? `; and ${problems.length - 8} more` : '';
  throw new CheckpointPiecesError(`${problems.slice(0, 8).join('; ')}${rest}`, { problems });
}
