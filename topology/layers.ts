import { dataKinds } from './data-kinds.ts';
import { joinKey, parseLayer, type Layer, type Origin } from './document.ts';
import { KeySet } from './key-set.ts';
import { limits } from './limits.ts';
import type { Place, TopologyProblem } from './problem.ts';

type Tree = Readonly<Record<string, unknown>>;

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Keys of which a file names one: naming another one in a later layer takes the place of the earlier. */
const alternatives: ReadonlyMap<string, readonly string[]> = new Map([['data', dataKinds]]);

function mergeValues(base: unknown, over: unknown, key: string, dropped: string[]): unknown {
  if (!isTree(base) || !isTree(over)) {
    if (key !== '') dropped.push(key);
    return over;
  }
  const rivals = alternatives.get(key) ?? [];
  const replaced = rivals.some((rival) => Object.hasOwn(over, rival))
    ? rivals.filter((rival) => !Object.hasOwn(over, rival))
    : [];
  const kept = Object.entries(base).filter(([name]) => !replaced.includes(name));
  for (const name of replaced) dropped.push(joinKey(key, name));
  const merged = new Map(kept);
  for (const [name, value] of Object.entries(over)) {
    merged.set(
      name,
      merged.has(name) ? mergeValues(merged.get(name), value, joinKey(key, name), dropped) : value,
    );
  }
  return Object.fromEntries(merged);
}

/** Lays one layer over another: maps merge key by key, anything else (lists too) is replaced whole. */
export function mergeLayers(base: Layer, over: Layer): Layer {
  const dropped: string[] = [];
  const value = mergeValues(base.value, over.value, '', dropped);
  const gone = new KeySet(dropped);
  const origins = new Map([...base.origins].filter(([key]) => !gone.covers(key)));
  for (const [key, origin] of over.origins) origins.set(key, origin);
  return { value, origins };
}

const isIndex = (list: readonly unknown[], name: string): boolean =>
  /^\d+$/.test(name) && Number(name) <= list.length;

/** Puts `value` at `path`, through maps and existing list items; a scalar in the way becomes a map. */
function withValue(tree: unknown, path: readonly string[], value: unknown): unknown {
  const [head, ...rest] = path;
  if (head === undefined) return value;
  if (Array.isArray(tree) && isIndex(tree, head)) {
    const index = Number(head);
    return [...tree.slice(0, index), withValue(tree[index], rest, value), ...tree.slice(index + 1)];
  }
  const map = new Map(Object.entries(isTree(tree) ? tree : {}));
  map.set(head, withValue(map.get(head), rest, value));
  return Object.fromEntries(map);
}

/** Keys that an override at `path` creates, the outermost first and `path` itself last: maps that were absent, or something else. */
function madeKeys(tree: unknown, path: readonly string[]): readonly string[] {
  let at = tree;
  let depth = 0;
  for (const [index, name] of path.entries()) {
    if (!(Array.isArray(at) ? isIndex(at, name) : isTree(at))) break;
    depth = index;
    if (!Object.hasOwn(at as object, name)) break;
    at = (at as Tree)[name];
  }
  return path.slice(depth).map((_, index) => path.slice(0, depth + index + 1).join('.'));
}

const overridePattern = /^([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)=([\s\S]*)$/;

/**
 * Applies one `a.b.c=value` of a `--set` flag. The value is read as YAML: numbers, `true`, `null`, `[cpu:0, cpu:1]`, `{ dp: 2 }`.
 */
export function applyOverride(
  layer: Layer,
  override: string,
): { readonly layer: Layer; readonly problems: readonly TopologyProblem[] } {
  const place: Place = { file: null, line: null, column: null, flag: `--set ${override}` };
  const match = overridePattern.exec(override);
  const key = match?.[1] ?? '';
  const path = key.split('.');
  const parsed = parseLayer(match?.[2] ?? '', '');
  if (match === null || path.length > limits.depth || parsed.problems.length > 0) {
    const rule =
      match === null
        ? 'an override looks like model.moe.topK=4'
        : path.length > limits.depth
          ? `a key of ${path.length} names; those of a topology have at most six`
          : `the value is not YAML: ${parsed.problems[0]?.rule ?? ''}`;
    const problem = {
      ...place,
      code: 'TROUPE_TOPOLOGY_OVERRIDE',
      key,
      value: undefined,
      rule,
      nearest: null,
    } as const;
    return { layer, problems: [problem] };
  }
  const parent = path[0] ?? '';
  const rivals = path.length === 2 ? (alternatives.get(parent) ?? []) : [];
  const base =
    rivals.includes(path[1] ?? '') && isTree(layer.value) && isTree(layer.value[parent])
      ? withValue(
          layer.value,
          [parent],
          Object.fromEntries(Object.entries(layer.value[parent]).filter(([name]) => !rivals.includes(name))),
        )
      : layer.value;
  const origin: Origin = { key: place, value: place };
  const made = madeKeys(layer.value, path);
  const first = made[0] ?? key;
  const kept = [...layer.origins].filter(([each]) => each !== first && !each.startsWith(`${first}.`));
  const origins = new Map([...kept, ...made.map((each) => [each, origin] as const)]);
  return {
    layer: { value: withValue(base, path, parsed.layer.value), origins },
    problems: [],
  };
}
