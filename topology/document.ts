import {
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  stringify,
  type Document,
  type Node,
  type YAMLParseError,
} from 'yaml';
import { limits } from './limits.ts';
import { nowhere, type Place, type TopologyProblem } from './problem.ts';
import { composeYaml } from './yaml-tokens.ts';

/** Where a key and its value stand. */
export interface Origin {
  readonly key: Place;
  readonly value: Place;
}

/** A value tree and where each of its dotted keys was written. */
export interface Layer {
  readonly value: unknown;
  readonly origins: ReadonlyMap<string, Origin>;
}

export const joinKey = (prefix: string, segment: string | number): string =>
  prefix === '' ? `${segment}` : `${prefix}.${segment}`;

interface Collected {
  readonly origins: Map<string, Origin>;
  /** Keys that stand twice in their map, at the second time. */
  readonly twice: { readonly key: string; readonly place: Place }[];
}

/** Notes the place of every key below `node`. What stands behind an alias gets the place of the alias. */
function collect(node: unknown, key: string, into: Collected, placeOf: (node: Node) => Place): void {
  if (isMap(node)) {
    const seen = new Set<string>();
    for (const pair of node.items) {
      if (!isPair(pair) || !isScalar(pair.key)) continue;
      const name = String(pair.key.value);
      const path = joinKey(key, name);
      const keyPlace = placeOf(pair.key);
      if (seen.has(name)) into.twice.push({ key: name, place: keyPlace });
      seen.add(name);
      into.origins.set(path, { key: keyPlace, value: isNode(pair.value) ? placeOf(pair.value) : keyPlace });
      collect(pair.value, path, into, placeOf);
    }
  } else if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) {
      if (isNode(item)) into.origins.set(joinKey(key, index), { key: placeOf(item), value: placeOf(item) });
      collect(item, joinKey(key, index), into, placeOf);
    }
  }
}

/** The plain value of a document; aliases that contain themselves or multiply without end are refused. */
function plainValue(doc: Document.Parsed): { readonly value: unknown } | { readonly error: string } {
  try {
    const value: unknown = doc.toJS();
    JSON.stringify(value);
    return { value };
  } catch (error) {
    return {
      error: `an alias cannot be followed: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`,
    };
  }
}

/** The keys of a file without those that begin with `x-`, which are there for anchors alone. */
function withoutAnchors(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !name.startsWith('x-')));
}

/** Sentences for what people write that YAML, or a topology, does not take; other messages are the parser's. */
const syntaxRules: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab indents this line, and YAML takes spaces only; put spaces in the place of tabs',
  MULTIPLE_DOCS:
    'a second document begins here, and a topology is one; remove the `---`, or make two files of it and name the first in `extends`',
};

/** What the parser minds: the first of each line, and of tabs only the very first, since all that follows them is askew. */
function firstErrors(
  doc: Document.Parsed,
  lineOf: (error: YAMLParseError) => number,
): readonly YAMLParseError[] {
  const errors = [...doc.errors, ...doc.warnings] as readonly YAMLParseError[];
  const tab = errors.find(({ code }) => code === 'TAB_AS_INDENT');
  if (tab !== undefined) return [tab];
  const lines = new Map<number, YAMLParseError>();
  for (const error of errors) if (!lines.has(lineOf(error))) lines.set(lineOf(error), error);
  return [...lines.values()];
}

/**
 * Reads YAML, and JSON as the YAML it is, with the line and column of every key.
 *
 * @returns the layer, and every syntax problem; with problems the layer is empty
 */
export function parseLayer(
  text: string,
  file: string,
): { readonly layer: Layer; readonly problems: readonly TopologyProblem[] } {
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col), flag: null };
  };
  const top = { file, line: 1, column: 1, flag: null };
  const origins = new Map<string, Origin>([['', { key: top, value: top }]]);
  const refused = (problems: readonly TopologyProblem[]) => ({ layer: { value: {}, origins }, problems });
  const syntax = (place: Place, rule: string): TopologyProblem => ({
    ...place,
    code: 'TROUPE_TOPOLOGY_SYNTAX',
    key: '',
    value: undefined,
    rule,
    nearest: null,
  });
  if (text.length > limits.fileLength)
    return refused([
      syntax(top, `more than ${limits.fileLength} characters; a topology is a file that people read`),
    ]);
  const composed = composeYaml(text, lines);
  if ('tooDeepAt' in composed)
    return refused([
      syntax(
        placeAt(composed.tooDeepAt),
        `more than ${limits.depth} maps and lists inside each other; a topology has six`,
      ),
    ]);
  const [doc, second] = composed.documents;
  if (doc === undefined) return refused([]);
  const collected: Collected = { origins: new Map(origins), twice: [] };
  collect(doc.contents, '', collected, (node) => placeAt(node.range?.[0] ?? 0));
  const problems = [
    ...firstErrors(doc, (error) => placeAt(error.pos[0]).line ?? 1).map((error) =>
      syntax(placeAt(error.pos[0]), syntaxRules[error.code] ?? error.message),
    ),
    ...(second === undefined ? [] : [syntax(placeAt(second.range[0]), syntaxRules['MULTIPLE_DOCS'] ?? '')]),
    ...collected.twice.map(({ key, place }): TopologyProblem => ({
      ...syntax(place, 'a key stands once in a map; keep one of the two'),
      code: 'TROUPE_TOPOLOGY_DUPLICATE_KEY',
      key,
    })),
  ];
  if (problems.length > 0) return refused(problems);
  const plain = plainValue(doc);
  if ('error' in plain) return refused([syntax(top, plain.error)]);
  return { layer: { value: withoutAnchors(plain.value), origins: collected.origins }, problems };
}

/** A value that a program hands over: no places. */
export function valueLayer(value: unknown): Layer {
  return { value, origins: new Map([['', { key: nowhere, value: nowhere }]]) };
}

/** The place of a key, or of the nearest map around it that was written. */
export function originOf(layer: Layer, key: string): Origin {
  for (let path = key; path !== ''; path = path.slice(0, Math.max(0, path.lastIndexOf('.')))) {
    const found = layer.origins.get(path);
    if (found !== undefined) return path === key ? found : { key: found.key, value: found.key };
  }
  return layer.origins.get('') ?? { key: nowhere, value: nowhere };
}

/** A topology as YAML text; reading it gives the same topology again. */
export function formatTopology(file: object): string {
  return stringify(file, { lineWidth: 110 });
}

/** Plain data as YAML text that any reader takes: nothing is folded, and nothing refers to something else in it. */
export const formatYaml = (value: object): string =>
  stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
