import { floorNameOf, heightOf } from './floors.ts';
import { houseOf, houseOfRoom, roomOfSpecifier } from './layers.ts';
import type { SourceFile } from './source-file.ts';
import type { Violation } from './violation.ts';

/** Nothing is imported from a higher floor. */
export function floorViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files.flatMap(({ path, imports }) => {
    const house = houseOf(path);
    return imports.flatMap(({ specifier, line }) => {
      const room = roomOfSpecifier(specifier);
      if (house === null || room === null) return [];
      const target = houseOfRoom(room);
      return heightOf(target) <= heightOf(house)
        ? []
        : [
            {
              path,
              line,
              message: `${house} (${floorNameOf(house)}) may not look up to ${target} (${floorNameOf(target)})`,
            },
          ];
    });
  });
}
