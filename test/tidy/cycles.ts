import { houseOf, houseOfRoom, resolveRelative, roomOfSpecifier } from './layers.ts';
import type { SourceFile } from './source-file.ts';
import type { Violation } from './violation.ts';

/** Groups of names that reach each other (Tarjan), and names that point at themselves. */
function circles(targets: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const lower = (name: string, value: number): void =>
    void low.set(name, Math.min(low.get(name) ?? value, value));
  const visit = (name: string): void => {
    index.set(name, index.size);
    lower(name, index.get(name) ?? 0);
    stack.push(name);
    for (const target of targets.get(name) ?? []) {
      if (!index.has(target)) {
        visit(target);
        lower(name, low.get(target) ?? 0);
      } else if (stack.includes(target)) {
        lower(name, index.get(target) ?? 0);
      }
      if (target === name) found.push([name]);
    }
    if (low.get(name) !== index.get(name)) return;
    const component = stack.splice(stack.indexOf(name));
    if (component.length > 1) found.push(component);
  };
  for (const name of targets.keys()) if (!index.has(name)) visit(name);
  return found;
}

/** Groups of files of one house that import each other in a circle, type imports included. */
export function cycleViolations(files: readonly SourceFile[]): readonly Violation[] {
  const known = new Set(files.map(({ path }) => path));
  const targets = files.map(({ path, imports }): [string, readonly string[]] => [
    path,
    imports
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ specifier }) => resolveRelative(path, specifier))
      .filter((target) => known.has(target) && houseOf(target) === houseOf(path)),
  ]);
  return circles(new Map(targets)).map((cycle) => ({
    path: cycle[0] ?? '',
    line: 1,
    message: `imports itself through ${cycle.join(', ')}`,
  }));
}

/** Groups of packages that import each other in a circle, whichever files do so, tests too. */
export function packageCycleViolations(files: readonly SourceFile[]): readonly Violation[] {
  const edges = files.flatMap(({ path, imports }) => {
    const from = houseOf(path);
    return imports.flatMap(({ specifier, line }) => {
      const room = roomOfSpecifier(specifier);
      return from === null || room === null || houseOfRoom(room) === from
        ? []
        : [{ path, line, from, to: houseOfRoom(room) }];
    });
  });
  const targets = new Map<string, string[]>();
  for (const { from, to } of edges) targets.set(from, [...(targets.get(from) ?? []), to]);
  return circles(targets).map((cycle) => {
    const edge = edges.find(({ from, to }) => cycle.includes(from) && cycle.includes(to));
    return {
      path: edge?.path ?? '',
      line: edge?.line ?? 1,
      message: `packages import each other: ${cycle.toSorted().join(', ')}`,
    };
  });
}
