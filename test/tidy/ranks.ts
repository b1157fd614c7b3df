import { isTest } from './layers.ts';
import { lineAt } from './lexer.ts';
import type { SourceFile } from './source-file.ts';
import type { Violation } from './violation.ts';

/** Names of ranks and of the sizes of axes, alone or as the last part of a path: `dp`, `layout.mesh.ep`. */
const rank = String.raw`(?:[\w$]+\??\.)*(?:pp|dp|tp|ep|edp|worker|rank|ownRank)\b`;

const computed = [
  // rank + 1, rank++
  new RegExp(String.raw`(?<![\w$.])${rank}\s*(?:[-+*%/]|[-+*%/]=|\+\+|--)(?![>/])`, 'g'),
  // n * rank
  new RegExp(String.raw`[-+*%/]\s*(?<![\w$.])${rank}(?!\s*[(:])`, 'g'),
];

const isJudged = (path: string): boolean => path.startsWith('actors/') && !isTest(path);

/**
 * Actors ask `@troupe/topology/layout` who holds what; none computes a rank from another one, or from the size of an axis. Nor do they load
 * the parser and the schema of topology files.
 */
export function rankViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files
    .filter(({ path }) => isJudged(path))
    .flatMap(({ path, bare, imports }) => [
      ...computed.flatMap((pattern) =>
        [...bare.matchAll(pattern)].map((match) => ({
          path,
          line: lineAt(bare, match.index),
          message: `'${match[0].trim()}' computes a rank; ask the layout`,
        })),
      ),
      ...imports
        .filter(({ specifier }) => /^@troupe\/topology(?!\/layout$)/.test(specifier))
        .map(({ specifier, line }) => ({
          path,
          line,
          message: `${specifier} brings more than who holds what; import @troupe/topology/layout`,
        })),
    ]);
}
