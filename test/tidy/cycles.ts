import { houseOf, resolveRelative } from './layers.ts';
import type { SourceFile } from './source-file.ts';
import type { Violation } from './violation.ts';

/** Groups of files of one house that import each other in a circle (Tarjan), type imports included. */
export function cycleViolations(files: readonly SourceFile[]): readonly Violation[] {
  const known = new Map(files.map((file) => [file.path, file]));
  const targets = (file: SourceFile): readonly string[] =>
    file.imports
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ specifier }) => resolveRelative(file.path, specifier))
      .filter((path) => known.has(path) && houseOf(path) === houseOf(file.path));
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const lower = (path: string, value: number): void =>
    void low.set(path, Math.min(low.get(path) ?? value, value));
  const visit = (path: string): void => {
    index.set(path, index.size);
    lower(path, index.get(path) ?? 0);
    stack.push(path);
    const file = known.get(path);
    for (const target of file === undefined ? [] : targets(file)) {
      if (!index.has(target)) {
        visit(target);
        lower(path, low.get(target) ?? 0);
      } else if (stack.includes(target)) {
        lower(path, index.get(target) ?? 0);
      }
      if (target === path) cycles.push([path]);
    }
    if (low.get(path) !== index.get(path)) return;
    const component = stack.splice(stack.indexOf(path));
    if (component.length > 1) cycles.push(component);
  };
  for (const { path } of files) if (!index.has(path)) visit(path);
  return cycles.map((cycle) => ({
    path: cycle[0] ?? '',
    line: 1,
    message: `imports itself through ${cycle.join(', ')}`,
  }));
}
