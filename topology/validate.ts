import type { z } from 'zod';
import { joinKey, originOf, type Layer } from './document.ts';
import { expectation, nearestKey, nearestLegal, schemaAt } from './json-schema.ts';
import type { ProblemCode, TopologyProblem } from './problem.ts';
import { topologySchema, type TopologyValues } from './schema.ts';

type Tree = Readonly<Record<string, unknown>>;

const valueAt = (tree: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (node, segment) => (typeof node === 'object' && node !== null ? (node as Tree)[segment] : undefined),
    tree,
  );

function codeOf(issue: z.core.$ZodIssue, value: unknown, key: string): ProblemCode {
  if (key === 'troupe') return 'TROUPE_TOPOLOGY_VERSION';
  if (value === undefined) return 'TROUPE_TOPOLOGY_MISSING';
  switch (issue.code) {
    case 'invalid_value':
      return 'TROUPE_TOPOLOGY_CHOICE';
    case 'too_small':
    case 'too_big':
      return 'TROUPE_TOPOLOGY_RANGE';
    case 'invalid_format':
      return 'TROUPE_TOPOLOGY_FORMAT';
    case 'invalid_union':
      return issue.errors.flat().some((each) => each.code === 'too_small' || each.code === 'too_big')
        ? 'TROUPE_TOPOLOGY_RANGE'
        : issue.errors.every((each) => each[0]?.code === 'invalid_value')
          ? 'TROUPE_TOPOLOGY_CHOICE'
          : 'TROUPE_TOPOLOGY_TYPE';
    default:
      return 'TROUPE_TOPOLOGY_TYPE';
  }
}

/** The value without what stands at the given paths, so that the rest can be judged too. */
function without(tree: unknown, paths: readonly (readonly string[])[]): unknown {
  if (paths.length === 0 || typeof tree !== 'object' || tree === null) return tree;
  const entries = Object.entries(tree)
    .filter(([name]) => !paths.some((path) => path.length === 1 && path[0] === name))
    .map(([name, value]) => {
      const below = paths.filter((path) => path.length > 1 && path[0] === name).map((path) => path.slice(1));
      return [name, without(value, below)] as const;
    });
  return Array.isArray(tree) ? entries.map(([, value]) => value) : Object.fromEntries(entries);
}

export interface Validated {
  /** Every key at its written or default value; what was wrong is left at its default. */
  readonly values: TopologyValues;
  readonly problems: readonly TopologyProblem[];
}

/** Judges each key on its own: names, kinds, ranges. */
export function validateKeys(layer: Layer): Validated {
  const root = layer.value ?? {};
  const result = topologySchema.safeParse(root);
  if (result.success) return { values: result.data, problems: [] };
  const problems: TopologyProblem[] = [];
  const bad: (readonly string[])[] = [];
  for (const issue of result.error.issues) {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') {
      for (const name of issue.keys) {
        const full = [...path, name];
        const key = joinKey(path.join('.'), name);
        const where = path.length === 0 ? 'the top level' : path.join('.');
        bad.push(full);
        problems.push({
          ...originOf(layer, key).key,
          code: 'TROUPE_TOPOLOGY_UNKNOWN_KEY',
          key,
          value: valueAt(root, full),
          rule: `no such key in ${where}`,
          nearest: nearestKey(full),
        });
      }
      continue;
    }
    const key = path.join('.');
    const value = valueAt(root, path);
    const node = schemaAt(path);
    bad.push(path);
    problems.push({
      ...originOf(layer, key).value,
      code: codeOf(issue, value, key),
      key,
      value,
      rule: node === null ? issue.message : `must be ${expectation(node)}`,
      nearest: node === null ? null : nearestLegal(node, value),
    });
  }
  return { values: defaulted(root, bad), problems };
}

/** Parses what is left after the bad paths are gone; a required key among them takes its whole map along. */
function defaulted(root: unknown, bad: readonly (readonly string[])[]): TopologyValues {
  const isTree = typeof root === 'object' && root !== null && !Array.isArray(root);
  const cleaned = isTree && !bad.some((path) => path.length === 0) ? (without(root, bad) as Tree) : {};
  const first = topologySchema.safeParse({ ...cleaned, model: cleaned['model'] ?? {} });
  if (first.success) return first.data;
  const sections = new Set(first.error.issues.map((issue) => String(issue.path[0])));
  const rest = Object.entries(cleaned).filter(([name]) => !sections.has(name));
  return topologySchema.parse({ model: {}, ...Object.fromEntries(rest) });
}
