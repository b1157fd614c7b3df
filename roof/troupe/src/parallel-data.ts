import { assert } from '@troupe/core';
import type { TaskSpec, TextSource } from '@troupe/data';
import type { DataSource, ParallelOrigin, ResolvedTask } from '@troupe/topology';

type Told = (key: 'from' | 'to' | 'source' | 'target' | 'file' | 'folder' | 'language') => string;

/** What of the keys each kind of texts has. */
const sourceOf: Readonly<Record<ParallelOrigin['kind'], (origin: ParallelOrigin, told: Told) => TextSource>> =
  {
    lines: (_origin, told) => ({
      kind: 'lines',
      from: told('from'),
      to: told('to'),
      source: told('source'),
      target: told('target'),
    }),
    tsv: (_origin, told) => ({ kind: 'tsv', from: told('from'), to: told('to'), file: told('file') }),
    po: (_origin, told) => ({ kind: 'po', from: told('from'), to: told('to'), file: told('file') }),
    jsonl: ({ fields, document }, told) => ({
      kind: 'jsonl',
      from: told('from'),
      to: told('to'),
      file: told('file'),
      ...(fields === undefined ? {} : { fields }),
      ...(document === undefined ? {} : { document }),
    }),
    help: ({ languages }, told) => ({
      kind: 'help',
      folder: told('folder'),
      ...(languages === undefined ? {} : { languages }),
    }),
    typescript: ({ languages }) => ({
      kind: 'typescript',
      ...(languages === undefined ? {} : { languages }),
    }),
    text: (_origin, told) => ({ kind: 'text', language: told('language'), file: told('file') }),
    'jsonl-text': ({ field }, told) => ({
      kind: 'jsonl-text',
      language: told('language'),
      file: told('file'),
      ...(field === undefined ? {} : { field }),
    }),
  };

/** Texts in several languages, as the data package takes them. That each kind has its keys is a rule of the topology. */
export const parallelSource = (origin: ParallelOrigin): TextSource =>
  sourceOf[origin.kind](origin, (key) => {
    const value = origin[key];
    assert(value !== undefined, 'each kind of texts has its keys', { kind: origin.kind, key });
    return value;
  });

/** A task, as the data package takes it. */
export const taskSpec = ({
  kind,
  weight,
  evaluate,
  temperature,
  pairs,
  languages,
  noise,
}: ResolvedTask): TaskSpec => ({
  kind,
  weight,
  evaluate,
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
