import {
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  stringify,
  type Node,
} from 'yaml';
import { nowhere, type Place, type TopologyProblem } from './problem.ts';

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

/** Notes the place of every key below `node`. What stands behind an alias gets the place of the alias. */
function collect(
  node: unknown,
  key: string,
  origins: Map<string, Origin>,
  placeOf: (node: Node) => Place,
): void {
  if (isMap(node)) {
    for (const pair of node.items) {
      if (!isPair(pair) || !isScalar(pair.key)) continue;
      const path = joinKey(key, String(pair.key.value));
      const keyPlace = placeOf(pair.key);
      origins.set(path, { key: keyPlace, value: isNode(pair.value) ? placeOf(pair.value) : keyPlace });
      collect(pair.value, path, origins, placeOf);
    }
  } else if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) {
      if (isNode(item)) origins.set(joinKey(key, index), { key: placeOf(item), value: placeOf(item) });
      collect(item, joinKey(key, index), origins, placeOf);
    }
  }
}

/** The plain value of a document; aliases that contain themselves or multiply without end are refused. */
function plainValue(doc: { toJS(): unknown }): { readonly value: unknown } | { readonly error: string } {
  try {
    const value = doc.toJS();
    JSON.stringify(value);
    return { value };
  } catch (error) {
    return {
      error: `an alias cannot be followed: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`,
    };
  }
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
  const doc = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    stringKeys: true,
  });
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col), flag: null };
  };
  const problems = [...doc.errors, ...doc.warnings].map((error): TopologyProblem => {
    const duplicate = error.code === 'DUPLICATE_KEY';
    const word = duplicate ? (/^[\w-]+/.exec(text.slice(error.pos[0]))?.[0] ?? '') : '';
    return {
      ...placeAt(error.pos[0]),
      code: duplicate ? 'TROUPE_TOPOLOGY_DUPLICATE_KEY' : 'TROUPE_TOPOLOGY_SYNTAX',
      key: word,
      value: undefined,
      rule: duplicate ? 'a key stands once in a map; keep one of the two' : error.message,
      nearest: null,
    };
  });
  const origins = new Map<string, Origin>();
  const top = { file, line: 1, column: 1, flag: null };
  origins.set('', { key: top, value: top });
  if (problems.length > 0) return { layer: { value: {}, origins }, problems };
  const plain = plainValue(doc);
  if ('error' in plain) {
    const problem = {
      ...top,
      code: 'TROUPE_TOPOLOGY_SYNTAX',
      key: '',
      value: undefined,
      rule: plain.error,
      nearest: null,
    } as const;
    return { layer: { value: {}, origins }, problems: [problem] };
  }
  collect(doc.contents, '', origins, (node) => placeAt(node.range?.[0] ?? 0));
  return { layer: { value: plain.value, origins }, problems };
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
