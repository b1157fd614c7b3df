import { basename, dirname, resolve } from 'node:path';
import {
  writeHuggingFace,
  type ExpertLayout,
  type ExportedTokenizer,
  type HuggingFaceKind,
} from '@troupe/checkpoint';
import { parseTokenizer } from '@troupe/data';
import type { OpenedRun } from '../open-run.ts';
import { fileStorage } from '../ports/file-storage.ts';

export interface ExportOptions {
  /** Architecture to write; default: the one that the model fits. */
  readonly as?: HuggingFaceKind;
  /** Default `per-expert`, which every version of Transformers reads. */
  readonly layout?: ExpertLayout;
  /** Largest weight file, in bytes. Default 256 MiB. */
  readonly maxFileBytes?: number;
}

async function tokenizerOf({ checkpoint }: Pick<OpenedRun, 'checkpoint'>): Promise<ExportedTokenizer | null> {
  const json = await checkpoint.tokenizer();
  if (json === null) return null;
  const { endOfText } = parseTokenizer(json);
  return { json, endOfText };
}

/**
 * Writes the weights and the tokenizer of a checkpoint as a folder that Transformers loads.
 *
 * @param out - folder to write; nothing of that name exists yet
 * @returns `notes`: what the folder cannot say
 * @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED naming each setting that the architecture does not have
 * @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH when the checkpoint is not of the model of its topology
 * @throws {CheckpointDamagedError} TROUPE_CHECKPOINT_DAMAGED
 */
export async function exportHuggingFace(
  run: Pick<OpenedRun, 'checkpoint' | 'topology'>,
  out: string,
  options: ExportOptions = {},
): Promise<{
  readonly kind: HuggingFaceKind;
  readonly hasTokenizer: boolean;
  readonly notes: readonly string[];
}> {
  const { checkpoint, topology } = run;
  const target = resolve(out);
  const tokenizer = await tokenizerOf(run);
  const written = await writeHuggingFace(
    fileStorage(dirname(target)),
    basename(target),
    topology.model,
    (name) => checkpoint.read(name, 'weights'),
    { ...options, ...(tokenizer === null ? {} : { tokenizer }) },
  );
  const { train, wire } = topology;
  const notes = [
    ...(train.precision === 'f32'
      ? []
      : [`train.precision ${train.precision}: the weights are float32, and so Transformers computes`]),
    ...(wire.dtype === 'f32'
      ? []
      : [`wire.dtype ${wire.dtype}: Transformers does not round the rows of experts as this run did`]),
  ];
  return { kind: written.kind, hasTokenizer: tokenizer !== null, notes: [...written.notes, ...notes] };
}
