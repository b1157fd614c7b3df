import { assert, type Storage } from '@troupe/core';
import type { ModelConfig, Parameter } from '@troupe/spec';
import { inFolder } from './checkpoint-folders.ts';
import { CheckpointMismatchError } from './errors.ts';
import type { ReadableKind } from './hugging-face-class.ts';
import { configFromHuggingFace } from './hugging-face-config.ts';
import { openWeights, readJson } from './hugging-face-files.ts';
import {
  modelParameters,
  possibleSources,
  type ExpertLayout,
  type HuggingFaceSource,
} from './hugging-face-names.ts';
import { switchKind } from './hugging-face-switch.ts';
import { quoted, shownJson } from './json-text.ts';
import { TOKENIZER_FILE } from './manifest.ts';
import { isWeightDtype, weightDtypes } from './safetensors-dtype.ts';
import { numElements } from './safetensors-header.ts';
import { bytesOf, type SafetensorsFile } from './safetensors.ts';

/** A model in the files of Hugging Face, seen under our names and shapes. */
export interface HuggingFaceModel {
  readonly kind: ReadableKind;
  /** Which layout the expert tensors were found in. */
  readonly layout: ExpertLayout;
  readonly config: ModelConfig;
  /** What config.json asks of training that is not built. */
  readonly notes: readonly string[];
  /** Every parameter of the model, each with exactly one source. */
  readonly parameters: readonly Parameter[];
  /** Elements of a parameter, F32 bit for bit (but for the last norm of a Switch Transformer, which is scaled), BF16 and F16 widened. Default: all of them. */
  read(name: string, range?: { readonly offset: number; readonly length: number }): Promise<Float32Array>;
  /** Bytes of `tokenizer.json`, or null. */
  tokenizer(): Promise<Uint8Array | null>;
}

type Place = HuggingFaceSource & { readonly file: SafetensorsFile };

/** Buffers that older Transformers saved although they follow from the config. */
const isDerived = (key: string): boolean => key.endsWith('.rotary_emb.inv_freq');

/** Finds the one source of each parameter; whatever is missing, double, misshapen, no weight or left over is a problem. */
function findPlaces(
  { kind, config }: Pick<HuggingFaceModel, 'kind' | 'config'>,
  weights: ReadonlyMap<string, SafetensorsFile>,
): { readonly places: ReadonlyMap<string, Place>; readonly problems: readonly string[] } {
  const places = new Map<string, Place>();
  const problems: string[] = [];
  /** Tensors that something has been said about. */
  const named = new Set<string>();
  const unusedElements = new Map<string, number>();
  for (const [key, file] of weights) {
    if (!isDerived(key)) unusedElements.set(key, numElements(file.tensor(key).shape));
  }
  for (const parameter of modelParameters(config)) {
    const found = possibleSources(kind, config, parameter).filter((source) => weights.has(source.key));
    const [source, second] = found;
    const file = source === undefined ? undefined : weights.get(source.key);
    if (source === undefined || file === undefined) {
      problems.push(`tensor '${parameter.name}' is missing`);
      continue;
    }
    if (second !== undefined) {
      problems.push(`tensor '${parameter.name}' is there as '${source.key}' and as '${second.key}'`);
      named.add(second.key);
    }
    const { shape, dtype } = file.tensor(source.key);
    const shapes = `has shape ${shownJson(shape)}, config.json makes it ${shownJson(source.shape)}`;
    const problem =
      String(shape) !== String(source.shape)
        ? shapes
        : isWeightDtype(dtype)
          ? null
          : `is ${dtype}; weights are ${weightDtypes.join(', ')}`;
    if (problem !== null && !named.has(source.key)) problems.push(`tensor '${source.key}' ${problem}`);
    if (problem !== null) named.add(source.key);
    places.set(parameter.name, { ...source, file });
    unusedElements.set(source.key, (unusedElements.get(source.key) ?? 0) - parameter.size);
  }
  for (const [key, numUnused] of unusedElements) {
    if (numUnused > 0 && !named.has(key)) problems.push(`tensor ${quoted(key)} is extra`);
  }
  return { places, problems };
}

/** A tied model may carry its head a second time; then it has to be the embedding. */
async function withoutTiedHead(
  folder: string,
  { kind, config }: Pick<HuggingFaceModel, 'kind' | 'config'>,
  weights: ReadonlyMap<string, SafetensorsFile>,
): Promise<ReadonlyMap<string, SafetensorsFile>> {
  const table = kind === switchKind ? 'shared.weight' : 'model.embed_tokens.weight';
  const [head, embedding] = [weights.get('lm_head.weight'), weights.get(table)];
  if (!config.tiedHead || head === undefined || embedding === undefined) return weights;
  const [a, b] = [await head.readFloats('lm_head.weight'), await embedding.readFloats(table)];
  if (Buffer.compare(bytesOf(a), bytesOf(b)) !== 0) {
    throw new CheckpointMismatchError(folder, [
      "tensor 'lm_head.weight' differs from the embedding it is tied to",
    ]);
  }
  const rest = new Map(weights);
  rest.delete('lm_head.weight');
  return rest;
}

/**
 * Opens a folder that Transformers wrote: Mixtral, OLMoE or Qwen3-MoE, experts one by one or fused, or a Switch Transformer, in one file or several.
 *
 * @param options - `seqLen`: sequence length to train at, default `max_position_embeddings`
 * @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED naming the key of config.json
 * @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH naming every missing, extra, duplicate and misshapen tensor
 * @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT naming file and tensor
 */
export async function readHuggingFace(
  storage: Storage,
  folder: string,
  options: { readonly seqLen?: number } = {},
): Promise<HuggingFaceModel> {
  const configPath = inFolder(folder, 'config.json');
  const { kind, config, notes } = configFromHuggingFace(
    configPath,
    await readJson(storage, configPath),
    options.seqLen,
  );
  const weights = await withoutTiedHead(folder, { kind, config }, await openWeights(storage, folder));
  const { places, problems } = findPlaces({ kind, config }, weights);
  if (problems.length > 0) throw new CheckpointMismatchError(folder, problems);
  const parameters = modelParameters(config);
  const sizes = new Map(parameters.map((parameter) => [parameter.name, parameter.size]));
  return {
    kind,
    layout: [...places.values()].some((place) => place.layout === 'fused') ? 'fused' : 'per-expert',
    config,
    notes,
    parameters,
    async read(name, range) {
      const [place, size] = [places.get(name), sizes.get(name)];
      if (place === undefined || size === undefined) {
        throw new CheckpointMismatchError(folder, [`tensor '${name}' is no parameter of this model`]);
      }
      const { offset, length } = range ?? { offset: 0, length: size };
      assert(offset >= 0 && length >= 0 && offset + length <= size, 'a range lies inside its parameter', {
        name,
      });
      const { file, key, elementOffset, scale = 1 } = place;
      const elements = await file.readFloats(key, { offset: elementOffset + offset, length });
      return scale === 1 ? elements : elements.map((each) => each * scale);
    },
    async tokenizer() {
      const path = inFolder(folder, TOKENIZER_FILE);
      return (await storage.exists(path)) ? storage.read(path) : null;
    },
  };
}
