import { assert, parentFolder, StorageFailedError, storagePath, type Storage } from '@troupe/core';
import type { ModelConfig } from '@troupe/spec';
import { folderSuffix, inFolder } from './checkpoint-folders.ts';
import type { Json } from './config-keys.ts';
import { FILE_BYTES_MAX, packFiles } from './file-plan.ts';
import type { HuggingFaceKind } from './hugging-face-class.ts';
import { INDEX_FILE } from './hugging-face-files.ts';
import { fusedSource, mixtralName, modelParameters, type ExpertLayout } from './hugging-face-names.ts';
import { tokenizerConfig, type ExportedTokenizer } from './hugging-face-tokenizer.ts';
import { configText, configToHuggingFace, tokenKeys } from './hugging-face-written-config.ts';
import { TOKENIZER_FILE } from './manifest.ts';
import { bytesOf, SafetensorsWriter } from './safetensors.ts';
import { weightIndex } from './weight-index.ts';

export interface HuggingFaceExportOptions {
  /** Default `per-expert`, which every version of Transformers reads. */
  readonly layout?: ExpertLayout;
  /** Architecture to write; default: the one that fits. */
  readonly as?: HuggingFaceKind;
  /** Absent: a model without text; the folder then has no tokenizer and no end of text. */
  readonly tokenizer?: ExportedTokenizer;
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

const jsonBytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

/** Everything of the folder but the weights: what Transformers needs to build the same model, tokenizer and ends. */
function sideFiles(
  final: string,
  config: ModelConfig,
  { json, tokenizer }: { readonly json: Json; readonly tokenizer: ExportedTokenizer | undefined },
): readonly (readonly [string, Uint8Array])[] {
  const generation = { _from_model_config: false, ...tokenKeys(tokenizer?.endOfText ?? null) };
  const files: (readonly [string, Uint8Array])[] = [
    ['config.json', new TextEncoder().encode(configText(json))],
    ['generation_config.json', jsonBytes(generation)],
  ];
  if (tokenizer === undefined) return files;
  const settings = tokenizerConfig(inFolder(final, TOKENIZER_FILE), tokenizer, config.seqLen);
  return [...files, [TOKENIZER_FILE, tokenizer.json], ['tokenizer_config.json', jsonBytes(settings)]];
}

/**
 * Writes a folder that Transformers loads: `config.json`, `generation_config.json`, `model.safetensors` (or several and their
 * index), `tokenizer.json`, `tokenizer_config.json`.
 *
 * Written aside and renamed; an existing folder is left alone.
 *
 * @param source - gives each parameter by our name: a checkpoint's weights, an imported model
 * @returns `notes`: training settings that config.json cannot say
 * @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED for a model that the architecture cannot express
 * @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT for a tokenizer whose end of text is no added token
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
  const { tokenizer } = options;
  const { kind, json, notes } = configToHuggingFace(final, config, {
    ...(options.as === undefined ? {} : { as: options.as }),
    endOfText: tokenizer?.endOfText ?? null,
  });
  const sides = sideFiles(final, config, { json, tokenizer });
  if (await storage.exists(final)) throw new StorageFailedError(final, 'exists; choose another folder');
  const partial = final + folderSuffix.partial;
  await storage.remove(partial);
  await storage.makeFolder(partial);
  try {
    const tensors = exportTensors(config, kind, options.layout ?? 'per-expert');
    const files = packFiles('model', tensors, options.maxFileBytes ?? FILE_BYTES_MAX);
    for (const file of files) await writeWeights(storage, inFolder(partial, file.name), file.tensors, source);
    if (files.length > 1) await storage.writeAtomic(inFolder(partial, INDEX_FILE), weightIndex(files));
    for (const [name, bytes] of sides) await storage.writeAtomic(inFolder(partial, name), bytes);
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
