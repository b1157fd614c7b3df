import { composeTopology } from './compose.ts';
import { TopologyError } from './errors.ts';
import { nearestName } from './nearest.ts';
import { nowhere } from './problem.ts';
import { presetNames, presetPath, readTopologyFile } from './read.ts';
import { resolveComposed } from './resolve.ts';
import type { ResolvedTopology } from './resolved.ts';

export interface LoadOptions {
  /** Overrides `a.b.c=value`, applied in order over the file. */
  readonly set?: readonly string[];
  /** Files whose keys are laid over the topology, in order, before `set`: a plan of faults, for one. */
  readonly over?: readonly string[];
}

/**
 * Reads, composes, judges and resolves a topology.
 *
 * @param name - path of a YAML or JSON file, or the name of a preset
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID with everything that is wrong
 */
export function loadTopology(name: string, options: LoadOptions = {}): ResolvedTopology {
  const set = options.set ?? [];
  const sources = { presetNames: presetNames(), presetPath, read: readTopologyFile };
  const composed = composeTopology(name, sources, set, options.over);
  return resolveComposed(composed, { path: composed.files[0] ?? null, set });
}

/** {@link loadTopology} of a preset only; never a file of the working directory. */
export function loadPreset(name: string, options: LoadOptions = {}): ResolvedTopology {
  return loadTopology(existingPreset(name), options);
}

/**
 * The commented YAML text of a preset: what `troupe init` writes.
 *
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID (TROUPE_TOPOLOGY_NOT_FOUND) when there is no such preset
 */
export function commentedTopology(name: string): string {
  return readTopologyFile(existingPreset(name)) ?? '';
}

function existingPreset(name: string): string {
  const names = presetNames();
  if (names.includes(name)) return presetPath(name);
  const rule = `no such preset; there are ${names.join(', ')}`;
  const nearest = nearestName(name, names);
  throw new TopologyError([
    { ...nowhere, code: 'TROUPE_TOPOLOGY_NOT_FOUND', key: '', value: name, rule, nearest },
  ]);
}
