import { lineAt } from './lexer.ts';
import type { SourceFile } from './source-file.ts';
import type { Violation } from './violation.ts';

/** Where states, contexts and guards of a role are. */
const isMachine = (path: string): boolean => /^actors\/[^/]+\/(?:machine|context)\.ts$/.test(path);

/** A field that holds a function: `readonly finite: () => boolean`. */
const functionField = /\breadonly\s+\w+\??:\s*\(?\s*\([^()]*\)\s*=>/g;

/** What touches ports, or keeps what ports have brought. */
const effectful = /\/(?:effects|index|shard|ward)\.ts$/;

/**
 * Guards see a context and an event, both data. A function in a context, or an import of what has effects, is a way to ask for what is not
 * in them yet: a vote that is recorded after the guard has looked, a clock, a counter.
 */
export function guardViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files
    .filter(({ path }) => isMachine(path))
    .flatMap(({ path, bare, imports }) => [
      ...[...bare.matchAll(functionField)].map((match) => ({
        path,
        line: lineAt(bare, match.index),
        message: `a context holds data; '${match[0]}' is a function that a guard could call`,
      })),
      ...imports
        .filter(({ specifier }) => effectful.test(specifier))
        .map(({ specifier, line }) => ({
          path,
          line,
          message: `a machine may not import ${specifier}: effects are out of the reach of guards`,
        })),
    ]);
}
