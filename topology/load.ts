import { OptionError, shownValue } from '@troupe/core';
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
  /** A file whose `faults` take the place of the topology's, before `set`; its other keys are not read. */
  readonly faultsFrom?: string;
}

/**
 * Reads, composes, judges and resolves a topology.
 *
 * @param name - path of a YAML or JSON file, or the name of a preset
 * @throws {OptionError} TROUPE_OPTION when an argument is of another type
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID with everything that is wrong
 */
export function loadTopology(name: string, options: LoadOptions = {}): ResolvedTopology {
  checkArguments('loadTopology', name, options);
  const set = options.set ?? [];
  const sources = { presetNames: presetNames(), presetPath, read: readTopologyFile };
  const composed = composeTopology(name, sources, set, options.faultsFrom);
  return resolveComposed(composed, { path: composed.files[0] ?? null, set });
}

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');

/** @throws {OptionError} TROUPE_OPTION */
function checkArguments(caller: string, name: unknown, options: unknown): void {
  const problems: string[] = [];
  if (typeof name !== 'string' || name === '')
    problems.push(`name is ${shownValue(name)}, expected the path of a file or the name of a preset`);
  if (typeof options !== 'object' || options === null)
    problems.push(`options is ${shownValue(options)}, expected an object of options`);
  for (const [key, value] of Object.entries(options ?? {})) {
    if (key !== 'set' && key !== 'faultsFrom')
      problems.push(`there is no option ${key}; the options are set and faultsFrom`);
    else if (key === 'set' && value !== undefined && !isTexts(value))
      problems.push(`set is ${shownValue(value)}, expected a list of texts such as 'train.steps=10'`);
    else if (key === 'faultsFrom' && value !== undefined && (typeof value !== 'string' || value === ''))
      problems.push(`faultsFrom is ${shownValue(value)}, expected the path of a file`);
  }
  if (problems.length > 0) throw new OptionError(caller, problems);
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
