import { basename, dirname, resolve } from 'node:path';
import {
  beginCheckpoint,
  CheckpointMismatchError,
  readHuggingFace,
  type ExpertLayout,
  type HuggingFaceModel,
  type ReadableKind,
} from '@troupe/checkpoint';
import { parseTokenizer } from '@troupe/data';
import { formatTopology, resolveTopology } from '@troupe/topology';
import { fileStorage } from '../ports/file-storage.ts';
import { topologyName } from '../recombine/rewritten-topology.ts';
import { modelSection } from './model-section.ts';

/** Name of the topology file beside an imported checkpoint. */
export const IMPORTED_TOPOLOGY = 'topology.yaml';

/** Smallest vocabulary that a topology of text has. */
const TEXT_VOCAB_MIN = 257;

export interface ImportOptions {
  /** Sequence length to train and generate at; default `max_position_embeddings`. */
  readonly seqLen?: number;
}

/** A model of Hugging Face files as a checkpoint. */
export interface ImportedModel {
  /** Of the checkpoint: `models/olmoe/step-000000`. */
  readonly checkpoint: string;
  readonly kind: ReadableKind;
  readonly layout: ExpertLayout;
  readonly numParameters: number;
  readonly sizeBytes: number;
  readonly hasTokenizer: boolean;
  /** What config.json asks of training and is not built. */
  readonly notes: readonly string[];
}

/** Bytes of tokenizer.json, once it is known that Troupe reads it and that the model has a row for each of its ids. */
async function tokenizerBytes(folder: string, model: HuggingFaceModel): Promise<Uint8Array | null> {
  const bytes = await model.tokenizer();
  if (bytes === null) return null;
  const { vocabSize } = parseTokenizer(bytes, { name: `${folder}/tokenizer.json` });
  if (vocabSize > model.config.vocab)
    throw new CheckpointMismatchError(folder, [
      `tokenizer.json has ${vocabSize} tokens, vocab_size of config.json is ${model.config.vocab}`,
    ]);
  return bytes;
}

/**
 * Writes a checkpoint of step 0 with the weights and the tokenizer of a folder that Transformers wrote, and a topology of its model beside
 * it. It holds no optimizer state: `launch --from` trains it on, `eval`, `generate` and `export` read it.
 *
 * @param from - folder with config.json, model.safetensors (or several and their index), tokenizer.json
 * @param out - folder for the checkpoint; nothing of that name exists yet
 * @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED naming the key of config.json
 * @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH naming every missing, extra, duplicate and misshapen tensor
 * @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT naming file and tensor
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID when a topology does not accept a size
 */
export async function importHuggingFace(
  from: string,
  out: string,
  options: ImportOptions = {},
): Promise<ImportedModel> {
  const [source, target] = [resolve(from), resolve(out)];
  const { seqLen } = options;
  const folder = basename(source);
  const model = await readHuggingFace(
    fileStorage(dirname(source)),
    folder,
    seqLen === undefined ? {} : { seqLen },
  );
  const tokenizer = await tokenizerBytes(folder, model);
  // With an encoder what is read are tasks, which only who trains it on knows.
  const isText = tokenizer !== null && model.config.encoder === null && model.config.vocab >= TEXT_VOCAB_MIN;
  const file = {
    troupe: 1 as const,
    name: topologyName(target),
    model: modelSection(model.config),
    ...(isText ? {} : { data: { synthetic: 'zipf' as const } }),
  };
  const topology = resolveTopology(file);
  const storage = fileStorage(target);
  const writer = await beginCheckpoint(
    storage,
    '',
    {
      step: 0,
      topology: topology.file,
      trajectory: { adamClock: 0 },
      dataCursor: { step: 0 },
      rngKeys: { seed: topology.train.seed },
    },
    model.parameters.map(({ name, shape }) => ({ name, shape, dtype: 'f32', group: 'weights' })),
    tokenizer === null ? {} : { tokenizer },
  );
  const numParameters = model.parameters.reduce((sum, { size }) => sum + size, 0);
  try {
    for (const { name } of model.parameters) await writer.put(name, 'weights', 0, await model.read(name));
  } catch (error) {
    await writer.abort();
    throw error;
  }
  const written = await writer.finish();
  await storage.writeAtomic(IMPORTED_TOPOLOGY, new TextEncoder().encode(formatTopology(file)));
  return {
    checkpoint: `${out.replace(/\/+$/u, '')}/${written.folder}`,
    kind: model.kind,
    layout: model.layout,
    numParameters,
    sizeBytes: written.sizeBytes,
    hasTokenizer: tokenizer !== null,
    notes: [...model.notes, ...widthNote(model.config.ffn.dFf, topology.model.ffn.dFf)],
  };
}

/** A dense width that no layer has need not divide into experts. */
const widthNote = (theirs: number, ours: number): readonly string[] =>
  theirs === ours ? [] : [`intermediate_size ${theirs} belongs to no layer; the topology says ${ours}`];
