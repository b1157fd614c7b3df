import { routerNames } from '@troupe/spec';
import { isTest } from './layers.ts';
import type { SourceFile } from './source-file.ts';
import type { Violation } from './violation.ts';

/** Files that may name a router: who adds one touches no more than these. */
export const MOST_FILES_A_ROUTER = 10;

const names: readonly string[] = [...routerNames('kind'), ...routerNames('scores'), ...routerNames('choice')];

/** Files besides tests that name a router, in quotes or as a key. */
export const filesNaming = (files: readonly SourceFile[], router: string): readonly string[] =>
  files
    .filter(
      ({ path, withStrings }) =>
        !isTest(path) && new RegExp(`['"\`]${router}['"\`]|\\b${router}:`).test(withStrings),
    )
    .map(({ path }) => path);

/** Routers that are named in too many places. */
export function routerViolations(files: readonly SourceFile[]): readonly Violation[] {
  return names.flatMap((router) => {
    const found = filesNaming(files, router);
    return found.length <= MOST_FILES_A_ROUTER
      ? []
      : [
          {
            path: found[0] ?? '',
            line: 1,
            message: `${router} is named in ${found.length} files, at most ${MOST_FILES_A_ROUTER}; ask ground/spec/src/routers.ts`,
          },
        ];
  });
}
