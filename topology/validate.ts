import type { z } from 'zod';
import { joinKey, originOf, type Layer } from './document.ts';
import { expectation, nearestKey, nearestLegal, schemaAt, type SchemaNode } from './json-schema.ts';
import { limits } from './limits.ts';
import type { ProblemCode, TopologyProblem } from './problem.ts';
import { topologySchema, type TopologyValues } from './schema.ts';

type Tree = Readonly<Record<string, unknown>>;

const valueAt = (tree: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (node, segment) => (typeof node === 'object' && node !== null ? (node as Tree)[segment] : undefined),
    tree,
  );

/** The code of what zod minds about a value. */
export function codeOf(issue: z.core.$ZodIssue, value: unknown, key: string): ProblemCode {
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

/** Paths as a tree: null where one ends. */
type Paths = Map<string, Paths | null>;

function treeOf(paths: readonly (readonly string[])[]): Paths {
  const root: Paths = new Map();
  for (const path of paths) {
    let at = root;
    for (const [index, segment] of path.entries()) {
      const below = at.get(segment);
      if (below === null) break;
      const next: Paths | null =
        index === path.length - 1 ? null : (below ?? new Map<string, Paths | null>());
      at.set(segment, next);
      if (next === null) break;
      at = next;
    }
  }
  return root;
}

/** The value without what stands at the given paths, so that the rest can be judged too. */
function without(tree: unknown, paths: Paths | undefined): unknown {
  if (paths === undefined || typeof tree !== 'object' || tree === null) return tree;
  const entries = Object.entries(tree)
    .filter(([name]) => paths.get(name) !== null)
    .map(([name, value]) => [name, without(value, paths.get(name) ?? undefined)] as const);
  return Array.isArray(tree) ? entries.map(([, value]) => value) : Object.fromEntries(entries);
}

/** YAML 1.1 had them; 1.2 does not, and what they would bring along is what `extends` is for. */
const MERGE_KEY =
  'merge keys are not read; put shared keys into a file of their own and name it in `extends`, or use an alias for a whole value';

const takes = (node: SchemaNode, ...types: readonly string[]): boolean =>
  types.includes(node.type ?? '') || (node.anyOf ?? []).some((each) => takes(each, ...types));

/** Why a value is of another kind than it looks: quotes that are too many or lacking, and numbers that are none. */
function quotesHint(node: SchemaNode, value: unknown): string {
  if (typeof value === 'string' && !takes(node, 'string')) {
    if (takes(node, 'integer', 'number') && value.trim() !== '' && Number.isFinite(Number(value)))
      return '; in quotes it is a text: leave them out';
    if (takes(node, 'boolean') && /^(?:true|false|yes|no|on|off|y|n)$/iu.test(value))
      return /^(?:true|yes|on|y)$/iu.test(value)
        ? '; write true, without quotes'
        : '; write false, without quotes';
  }
  if (typeof value === 'number' && !Number.isFinite(value)) return '; .nan and .inf are not taken';
  if (
    (typeof value === 'number' || typeof value === 'boolean') &&
    takes(node, 'string') &&
    node.enum === undefined
  )
    return takes(node, 'integer', 'number') ? '' : `; write it in quotes: "${String(value)}"`;
  return '';
}

export interface Validated {
  /** Every key at its written or default value; what was wrong is left at its default. */
  readonly values: TopologyValues;
  readonly problems: readonly TopologyProblem[];
}

/** A rule named `__proto__`, which zod's records pass over without a word. */
function passedOver(layer: Layer): readonly TopologyProblem[] {
  const rules = valueAt(layer.value, ['placement']);
  if (typeof rules !== 'object' || rules === null || !Object.hasOwn(rules, '__proto__')) return [];
  const key = 'placement.__proto__';
  const rule = 'matches no actor; addresses look like expert/L0/ep0/edp0';
  const value = Object.entries(rules).find(([name]) => name === '__proto__')?.[1];
  return [
    { ...originOf(layer, key).key, code: 'TROUPE_TOPOLOGY_PLACEMENT', key, value, rule, nearest: null },
  ];
}

type Issue = z.core.$ZodIssue;

/** What is wrong inside a map or list where one is among several things that a value may be; else the issue itself. */
function inside(issue: Issue, value: unknown): readonly Issue[] {
  if (issue.code !== 'invalid_union' || typeof value !== 'object' || value === null) return [issue];
  const ofKind = issue.errors.find((option) =>
    option.every((each) => each.path.length > 0 || each.code === 'unrecognized_keys'),
  );
  return (
    ofKind?.flatMap((each) =>
      // A union in it may be one of such things too.
      inside({ ...each, path: [...issue.path, ...each.path] }, valueAt(value, each.path.map(String))),
    ) ?? [issue]
  );
}

/** Judges each key on its own: names, kinds, ranges. */
export function validateKeys(layer: Layer): Validated {
  const root = layer.value ?? {};
  const result = topologySchema.safeParse(root);
  const problems: TopologyProblem[] = [...passedOver(layer)];
  if (result.success) return { values: result.data, problems };
  const bad: (readonly string[])[] = [];
  const issues = result.error.issues.flatMap((issue) => inside(issue, valueAt(root, issue.path.map(String))));
  for (const issue of issues) {
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
          rule: name === '<<' ? MERGE_KEY : `no such key in ${where}`,
          nearest: problems.length < limits.problems ? nearestKey(full) : null,
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
      rule: node === null ? issue.message : `must be ${expectation(node)}${quotesHint(node, value)}`,
      nearest: node === null ? null : nearestLegal(node, value),
    });
  }
  return { values: defaulted(root, bad), problems };
}

/** Parses what is left after the bad paths are gone; a required key among them takes its whole map along. */
function defaulted(root: unknown, bad: readonly (readonly string[])[]): TopologyValues {
  const isTree = typeof root === 'object' && root !== null && !Array.isArray(root);
  const cleaned =
    isTree && !bad.some((path) => path.length === 0) ? (without(root, treeOf(bad)) as Tree) : {};
  const first = topologySchema.safeParse({ ...cleaned, model: cleaned['model'] ?? {} });
  if (first.success) return first.data;
  const sections = new Set(first.error.issues.map((issue) => String(issue.path[0])));
  const rest = Object.entries(cleaned).filter(([name]) => !sections.has(name));
  return topologySchema.parse({ model: {}, ...Object.fromEntries(rest) });
}
