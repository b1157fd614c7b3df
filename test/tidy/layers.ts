import { houseNameOf } from './floors.ts';
import type { SourceFile } from './source-file.ts';
import type { Violation } from './violation.ts';

/** What each house may import of the others; the arrows of the blueprint, nothing more. */
export const arrows = {
  core: [],
  'kernel-set': ['core'],
  spec: ['core', 'kernel-set'],
  scaling: ['core'],
  wire: ['core'],
  transport: ['core', 'wire'],
  runtime: ['core', 'kernel-set', 'wire'],
  sim: ['core', 'kernel-set', 'wire'],
  kernels: ['core', 'kernel-set'],
  model: ['core', 'kernel-set', 'spec', 'kernels'],
  data: ['core'],
  checkpoint: ['core', 'spec'],
  telemetry: ['core'],
  journal: ['core'],
  // Of the simulator its words alone, so that reading a topology does not load it; of the model what it allocates, which plan counts.
  topology: ['core', 'kernel-set', 'spec', 'telemetry', 'sim/faults', 'model/buffers'],
  actors: [
    'core',
    'kernel-set',
    'spec',
    'wire',
    'runtime',
    'kernels',
    'model',
    'data',
    'checkpoint',
    'telemetry',
    'journal',
    'topology',
  ],
  troupe: 'all',
  cli: 'all',
  examples: 'all',
  test: 'all',
} as const satisfies Readonly<Record<string, readonly string[] | 'all'>>;

export type House = keyof typeof arrows;

/** What tests of a house may import besides: a disk in memory. */
const testArrows: Readonly<Partial<Record<House, readonly string[]>>> = {
  checkpoint: ['sim'],
  telemetry: ['sim'],
  journal: ['sim'],
};

/** Houses whose code is a function of its arguments: not even Node's own modules. */
const pureHouses: readonly House[] = ['core', 'spec', 'scaling', 'wire', 'runtime', 'model', 'actors'];

const isHouse = (name: string): name is House => Object.hasOwn(arrows, name);

export const isTest = (path: string): boolean =>
  path.endsWith('.test.ts') || /(?:^|\/)(?:conformance|testing|test)\//.test(path);

/** `ground/core/src/x.ts` is in `core`, `actors/gate/x.ts` in `actors`. */
export function houseOf(path: string): House | null {
  const name = houseNameOf(path);
  return name !== null && isHouse(name) ? name : null;
}

/** The house that a specifier names, with what it names inside: `core`, `sim/faults` or, for the public package, `troupe`. */
export function roomOfSpecifier(specifier: string): string | null {
  const match = /^(?:@troupe\/(.+)|(troupe)(?:\/.*)?)$/.exec(specifier);
  return match?.[1] ?? match?.[2] ?? null;
}

export const houseOfRoom = (room: string): string => room.split('/')[0] ?? room;

/** An arrow to a house is one to its every room, an arrow to a room to that room alone. */
function mayImport(path: string, from: House, room: string): boolean {
  const allowed: readonly string[] | 'all' = arrows[from];
  const to = houseOfRoom(room);
  if (allowed === 'all' || from === to || allowed.includes(to) || allowed.includes(room)) return true;
  return isTest(path) && (testArrows[from] ?? []).includes(to);
}

/** Imports follow the arrows; a relative path does not leave its house. */
export function layerViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files.flatMap(({ path, imports }) => {
    const house = houseOf(path);
    if (house === null) return [{ path, line: 1, message: 'lies in no house of the blueprint' }];
    return imports.flatMap(({ specifier, line }) => {
      if (specifier.startsWith('.')) {
        const target = houseOf(resolveRelative(path, specifier));
        return target === house
          ? []
          : [{ path, line, message: `${specifier} leaves ${house}; import ${target ?? 'it'} by its name` }];
      }
      if (specifier.startsWith('node:')) {
        return pureHouses.includes(house) && !isTest(path)
          ? [{ path, line, message: `${house} is pure, it may not import ${specifier}` }]
          : [];
      }
      const target = roomOfSpecifier(specifier);
      return target === null || mayImport(path, house, target)
        ? []
        : [{ path, line, message: `${house} may not import ${target}` }];
    });
  });
}

/** The same arrows over the dependencies that a package.json declares. */
export function manifestViolations(
  manifests: readonly { readonly path: string; readonly dependencies: readonly string[] }[],
): readonly Violation[] {
  return manifests.flatMap(({ path, dependencies }) => {
    const house = houseOf(path);
    if (house === null) return [];
    return dependencies.flatMap((dependency) => {
      const target = roomOfSpecifier(dependency);
      const allowed: readonly string[] | 'all' = arrows[house];
      return target === null || allowed === 'all' || allowed.some((room) => houseOfRoom(room) === target)
        ? []
        : [{ path, line: 1, message: `${house} may not depend on ${target}` }];
    });
  });
}

/** Path that a relative specifier names, from the root. */
export function resolveRelative(path: string, specifier: string): string {
  const parts = path.split('/').slice(0, -1);
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}
