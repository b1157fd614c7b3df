import { assert } from '@troupe/core';
import type { TaskSpec, TextSource } from '@troupe/data';
import type { DataSource, ParallelOrigin, ResolvedTask } from '@troupe/topology';

/** Texts in several languages, as the data package takes them. That each kind has its keys is a rule of the topology. */
export function parallelSource(origin: ParallelOrigin): TextSource {
  const told = (key: 'from' | 'to' | 'source' | 'target' | 'file' | 'folder' | 'language'): string => {
    const value = origin[key];
    assert(value !== undefined, 'each kind of texts has its keys', { kind: origin.kind, key });
    return value;
  };
  const { languages, fields, document } = origin;
  const some = languages === undefined ? {} : { languages };
  switch (origin.kind) {
    case 'lines':
      return {
        kind: 'lines',
        from: told('from'),
        to: told('to'),
        source: told('source'),
        target: told('target'),
      };
    case 'tsv':
    case 'po':
      return { kind: origin.kind, from: told('from'), to: told('to'), file: told('file') };
    case 'jsonl':
      return {
        kind: 'jsonl',
        from: told('from'),
        to: told('to'),
        file: told('file'),
        ...(fields === undefined ? {} : { fields }),
        ...(document === undefined ? {} : { document }),
      };
    case 'help':
      return { kind: 'help', folder: told('folder'), ...some };
    case 'typescript':
      return { kind: 'typescript', ...some };
    case 'text':
      return { kind: 'text', language: told('language'), file: told('file') };
    case 'jsonl-text':
      return {
        kind: 'jsonl-text',
        language: told('language'),
        file: told('file'),
        ...(origin.field === undefined ? {} : { field: origin.field }),
      };
  }
}

/** A task, as the data package takes it. */
export const taskSpec = ({ kind, weight, temperature, pairs, languages, noise }: ResolvedTask): TaskSpec => ({
  kind,
  weight,
  temperature,
  ...(pairs === undefined ? {} : { pairs }),
  ...(languages === undefined ? {} : { languages }),
  ...(noise === undefined ? {} : { noise }),
});

/** The same source with every path written out in full. */
export function absoluteSource(source: DataSource, absolute: (path: string) => string): DataSource {
  if ('paths' in source) return { ...source, paths: source.paths.map(absolute) };
  if (source.kind !== 'parallel') return source;
  const sources = source.sources.map((origin): ParallelOrigin => {
    const named = (['source', 'target', 'file', 'folder'] as const).flatMap((name) => {
      const path = origin[name];
      return path === undefined ? [] : [[name, absolute(path)] as const];
    });
    return { ...origin, ...Object.fromEntries(named) };
  });
  return { ...source, sources };
}
