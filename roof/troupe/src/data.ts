import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import {
  checkDataSource,
  openDataSource,
  type DataConfig,
  type DataProgress,
  type DataSource,
  type Tokenizer,
} from '@troupe/data';
import type { ResolvedTopology } from '@troupe/topology';
import { parallelSource, taskSpec } from './parallel-data.ts';

/** The data section of a topology as the data package takes it. */
export function dataConfig(topology: ResolvedTopology): DataConfig {
  const { data, model, train } = topology;
  const { source, tokenizer } = data;
  const origin =
    source.kind === 'wordnet'
      ? { source: 'wordnet' as const }
      : source.kind === 'text'
        ? { text: source.paths }
        : source.kind === 'jsonl'
          ? { jsonl: source.paths, field: source.field }
          : source.kind === 'synthetic'
            ? { synthetic: source.distribution }
            : source.kind === 'parallel'
              ? { parallel: source.sources.map(parallelSource), tasks: source.tasks.map(taskSpec) }
              : { [source.kind]: source.paths };
  // A tokenizer that is loaded has its own size; `vocab` is only how large a one to train.
  const spec =
    tokenizer.kind === 'bytes'
      ? { kind: 'bytes' as const }
      : {
          kind: 'bpe' as const,
          ...(tokenizer.file === null ? { vocab: tokenizer.vocab } : { file: tokenizer.file }),
        };
  return {
    ...origin,
    ...(source.kind === 'synthetic' ? {} : { tokenizer: spec }),
    holdout: data.holdout,
    seqLen: model.seqLen,
    encoderSeqLen: model.encoder?.seqLen ?? null,
    batch: train.batch,
    seed: train.seed,
    modelVocab: model.vocab,
  };
}

/**
 * Trained tokenizers and token ids are kept here between runs: `$XDG_CACHE_HOME/troupe` or `~/.cache/troupe`.
 *
 * A variable that is empty or a relative path counts as unset, as the XDG specification has it.
 */
export function cacheFolder(): string {
  const told = process.env['XDG_CACHE_HOME'] ?? '';
  return join(isAbsolute(told) ? told : join(homedir(), '.cache'), 'troupe');
}

/** @param options - `progress` hears how far reading has come, often; `tokenizer`: the one of a run that goes on, instead of the one described; `packed`: what it was packed under, in place of its files */
export function openTopologyData(
  topology: ResolvedTopology,
  options: {
    readonly progress?: (progress: DataProgress) => void;
    readonly tokenizer?: Tokenizer;
    readonly packed?: string;
  } = {},
): Promise<DataSource> {
  return openDataSource(dataConfig(topology), {
    cacheFolder: cacheFolder(),
    wallClockMs: () => Date.now(),
    ...options,
  });
}

/** What is wrong with the data of a topology as far as it can be known without reading them. @throws {TroupeError} the first */
export function checkTopologyData(topology: ResolvedTopology): Promise<void> {
  return checkDataSource(dataConfig(topology));
}
