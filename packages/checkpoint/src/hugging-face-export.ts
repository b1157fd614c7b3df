import { assert, parentFolder, StorageFailedError, storagePath, type Storage } from '@troupe/core';
import type { ModelConfig } from '@troupe/spec';
import { folderSuffix, inFolder } from './checkpoint-folders.ts';
import { FILE_BYTES_MAX, packFiles } from './file-plan.ts';
import { configToHuggingFace, type HuggingFaceKind } from './hugging-face-config.ts';
import { INDEX_FILE } from './hugging-face-files.ts';
import { fusedSource, mixtralName, modelParameters, type ExpertLayout } from './hugging-face-names.ts';
import { TOKENIZER_FILE } from './manifest.ts';
import { bytesOf, SafetensorsWriter } from './safetensors.ts';
import { weightIndex } from './weight-index.ts';

export interface HuggingFaceExportOptions {
  /** Default `per-expert`, which every version of Transformers reads. */
  readonly layout?: ExpertLayout;
  readonly tokenizer?: Uint8Array;
  /** Largest weight file, in bytes; default FILE_BYTES_MAX. */
  readonly maxFileBytes?: number;
}

/** A tensor to be written: parameters of ours, one behind the other. */
interface ExportTensor {
  readonly name: string;
  readonly key: string;
  readonly shape: readonly number[];
  readonly size: number;
  readonly parts: readonly { readonly name: string; readonly size: number }[];
}

function exportTensors(
  config: ModelConfig,
  kind: HuggingFaceKind,
  layout: ExpertLayout,
): readonly ExportTensor[] {
  const tensors = new Map<
    string,
    { shape: readonly number[]; parts: { name: string; size: number; at: number }[] }
  >();
  for (const { name, shape, size } of modelParameters(config)) {
    const fused = layout === 'fused' ? fusedSource(config, name) : null;
    const key = fused?.key ?? (kind === 'mixtral' && layout === 'per-expert' ? mixtralName(name) : name);
    const tensor = tensors.get(key) ?? { shape: fused?.shape ?? shape, parts: [] };
    tensor.parts.push({ name, size, at: fused?.elementOffset ?? 0 });
    tensors.set(key, tensor);
  }
  return [...tensors].map(([key, { shape, parts }]) => ({
    name: key,
    key,
    shape,
    size: parts.reduce((sum, part) => sum + part.size, 0),
    parts: parts.sort((a, b) => a.at - b.at),
  }));
}

/**
 * Writes a folder that Transformers loads: `config.json`, `model.safetensors` (or several and their index), the tokenizer.
 *
 * Written aside and renamed; an existing folder is left alone.
 *
 * @param source - gives each parameter by our name: a checkpoint's weights, an imported model
 * @returns `notes`: training settings that config.json cannot say
 * @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED for a model that none of the architectures can express
 * @throws {StorageFailedError} TROUPE_STORAGE_FAILED when `folder` exists
 */
export async function writeHuggingFace(
  storage: Storage,
  folder: string,
  config: ModelConfig,
  source: (name: string) => Promise<Float32Array>,
  options: HuggingFaceExportOptions = {},
): Promise<{ readonly kind: HuggingFaceKind; readonly notes: readonly string[] }> {
  const final = storagePath(folder);
  const { kind, json, notes } = configToHuggingFace(final, config);
  if (await storage.exists(final)) throw new StorageFailedError(final, 'exists; choose another folder');
  const partial = final + folderSuffix.partial;
  await storage.remove(partial);
  await storage.makeFolder(partial);
  try {
    const tensors = exportTensors(config, kind, options.layout ?? 'per-expert');
    const files = packFiles('model', tensors, options.maxFileBytes ?? FILE_BYTES_MAX);
    for (const file of files) await writeWeights(storage, inFolder(partial, file.name), file.tensors, source);
    if (files.length > 1) await storage.writeAtomic(inFolder(partial, INDEX_FILE), weightIndex(files));
    if (options.tokenizer !== undefined) {
      await storage.writeAtomic(inFolder(partial, TOKENIZER_FILE), options.tokenizer);
    }
    const text = `${JSON.stringify(json, null, 2)}
`;
    await storage.writeAtomic(inFolder(partial, 'config.json'), new TextEncoder().encode(text));
    await storage.rename(partial, final);
    await storage.syncFolder(parentFolder(final));
  } catch (error) {
    await storage.remove(partial);
    throw error;
  }
  return { kind, notes };
}

async function writeWeights(
  storage: Storage,
  path: string,
  tensors: readonly ExportTensor[],
  source: (name: string) => Promise<Float32Array>,
): Promise<void> {
  const header = tensors.map(({ key, shape }) => ({ name: key, shape, dtype: 'F32' as const }));
  const writer = await SafetensorsWriter.create(storage, path, header, { format: 'pt' });
  try {
    for (const part of tensors.flatMap((tensor) => tensor.parts)) {
      const values = await source(part.name);
      assert(values.length === part.size, 'a source gives whole parameters', {
        name: part.name,
        length: values.length,
      });
      await writer.append(bytesOf(values));
    }
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
