import { dirname, isAbsolute, join } from 'node:path';
import { parseLayer, valueLayer, type Layer } from './document.ts';
import { applyOverride, mergeLayers } from './layers.ts';
import { nearestName } from './nearest.ts';
import { nowhere, type Place, type TopologyProblem } from './problem.ts';

/** What composing needs from outside: presets by name and the text of a file. */
export interface TopologySources {
  readonly presetNames: readonly string[];
  /** The file behind a preset's name. */
  presetPath(name: string): string;
  /** The text of a file; null when there is none to read. */
  read(path: string): string | null;
}

export interface Composed {
  readonly layer: Layer;
  readonly problems: readonly TopologyProblem[];
  /** Files read, the entry first, then what it extends. */
  readonly files: readonly string[];
}

const looksLikePath = (name: string): boolean => /[\\/]|\.(?:ya?ml|json)$/i.test(name);

/** A preset's name, or a path relative to `from`. */
export function locate(name: string, from: string, sources: TopologySources): string {
  if (!looksLikePath(name) && sources.presetNames.includes(name)) return sources.presetPath(name);
  return isAbsolute(name) ? name : join(from, name);
}

/** A layer with one key of its top level and what lies below it; null when the key is not there. */
function onlyKey({ value, origins }: Layer, key: string): Layer | null {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return null;
  return {
    value: { [key]: (value as Readonly<Record<string, unknown>>)[key] },
    origins: new Map([...origins].filter(([each]) => each === key || each.startsWith(`${key}.`))),
  };
}

const noFaults = (file: string): TopologyProblem => ({
  file,
  line: 1,
  column: 1,
  flag: null,
  code: 'TROUPE_TOPOLOGY_MISSING',
  key: 'faults',
  value: undefined,
  rule: 'a plan of faults says `faults:`, a list; its other keys are not read',
  nearest: null,
});

/**
 * Reads a topology file and everything it extends, and lays the files over each other.
 *
 * @param entry - path, or the name of a preset
 * @param set - `a.b.c=value` overrides, applied in order on top
 * @param faultsFrom - a file whose `faults` are laid over it before `set`
 */
export function composeTopology(
  entry: string,
  sources: TopologySources,
  set: readonly string[] = [],
  faultsFrom?: string,
): Composed {
  const problems: TopologyProblem[] = [];
  const files: string[] = [];

  /** @param chain - files that extend this one, each the next */
  const load = (
    path: string,
    name: string,
    asked: Place,
    key: string,
    chain: readonly string[] = [],
  ): Layer => {
    if (chain.includes(path)) {
      const rule = `extends itself through ${[...chain.slice(chain.indexOf(path)), path].join(' → ')}`;
      problems.push({ ...asked, code: 'TROUPE_TOPOLOGY_EXTENDS', key, value: name, rule, nearest: null });
      return valueLayer({});
    }
    const text = sources.read(path);
    if (text === null) {
      const rule = `neither a file nor a preset (${sources.presetNames.join(', ')})`;
      const code = key === '' ? 'TROUPE_TOPOLOGY_NOT_FOUND' : 'TROUPE_TOPOLOGY_EXTENDS';
      problems.push({
        ...asked,
        code,
        key,
        value: name,
        rule,
        nearest: nearestName(name, sources.presetNames),
      });
      return valueLayer({});
    }
    if (!files.includes(path)) files.push(path);
    const parsed = parseLayer(text, path);
    problems.push(...parsed.problems);
    const base = (parsed.layer.value as { readonly extends?: unknown } | null)?.extends;
    if (typeof base !== 'string') return parsed.layer;
    const place = parsed.layer.origins.get('extends')?.value ?? nowhere;
    return mergeLayers(
      load(locate(base, dirname(path), sources), base, place, 'extends', [...chain, path]),
      parsed.layer,
    );
  };

  let layer = load(locate(entry, '', sources), entry, nowhere, '');
  if (faultsFrom !== undefined) {
    const plan = load(faultsFrom, faultsFrom, nowhere, '');
    const only = onlyKey(plan, 'faults');
    if (only === null && problems.length === 0) problems.push(noFaults(faultsFrom));
    layer = mergeLayers(layer, only ?? valueLayer({}));
  }
  for (const override of set) {
    const applied = applyOverride(layer, override);
    layer = applied.layer;
    problems.push(...applied.problems);
  }
  return { layer, problems, files };
}
