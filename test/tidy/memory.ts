import { isTest } from './layers.ts';
import { lineAt } from './lexer.ts';
import type { SourceFile } from './source-file.ts';
import type { Violation } from './violation.ts';

/** What sees through a device array. */
const seesThrough = /\b(?:onHost|asDeviceArray|hostMemory)\b/g;

/** Bodies, what makes them, and what stands in for one: the simulator's devices, and the profile, which counts what calls cost. */
const isBody = (path: string): boolean =>
  /^(?:kernels|ground\/kernel-set|engine\/sim)\//.test(path) ||
  path === 'roof/troupe/src/profile/recorder.ts';

/** DEV-1: above a body nobody sees the memory of a device; everybody asks it to read and to write. */
export function memoryViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files
    .filter(({ path }) => !isBody(path) && !isTest(path))
    .flatMap(({ path, bare }) =>
      [...bare.matchAll(seesThrough)].map((match) => ({
        path,
        line: lineAt(bare, match.index),
        message: `${match[0]} is for bodies; ask the device to read or write`,
      })),
    );
}
