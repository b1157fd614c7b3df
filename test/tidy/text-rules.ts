import { isTest } from './layers.ts';
import { lineAt } from './lexer.ts';
import type { SourceFile } from './source-file.ts';
import type { Violation } from './violation.ts';

/** Time, chance, the environment and the terminal reach code through ports; these are the ways around. */
const bannedCalls = [
  /\bDate\.now\b/g,
  /\bnew\s+Date\b/g,
  /\bperformance\.(?:now|timeOrigin|mark|measure)\b/g,
  /\bprocess\.hrtime\b/g,
  /\bMath\.random\b/g,
  /\bcrypto\.(?:randomUUID|randomBytes|randomInt|getRandomValues)\b/g,
  /\b(?:setTimeout|setInterval|setImmediate)\b/g,
  /\bprocess\.env\b/g,
  /\bconsole\s*\./g,
];

const bannedModules = /^node:(?:timers(?:\/promises)?|perf_hooks)$/;

/** The composition root, the programs, and the bodies of ports, where time is what they are about. */
const exemptions: readonly { readonly path: RegExp; readonly calls: RegExp; readonly why: string }[] = [
  { path: /^roof\//, calls: /./, why: 'the composition root' },
  { path: /^(?:examples|test)\//, calls: /./, why: 'programs and tests' },
  {
    path: /^kernels\/(?:reference|native|tfjs|cuda)\/[^/]*device[^/]*\.ts$/,
    calls: /^(?:setImmediate|performance\.now)$/,
    why: 'bodies of Device measure their kernels',
  },
  { path: /^kernels\/tfjs\//, calls: /^(?:setImmediate|performance\.now)$/, why: 'a body of Device' },
  {
    path: /^kernels\/tfjs\/tensorflow-environment\.ts$/,
    calls: /^process\.env$/,
    why: 'libtensorflow takes its settings from nowhere else',
  },
  {
    path: /^kernels\/tfjs\/setup\//,
    calls: /^(?:process\.env|setInterval)$/,
    why: 'a program that a person runs',
  },
  {
    path: /^engine\/transport\/src\/memory\.ts$/,
    calls: /^setImmediate$/,
    why: 'the default scheduler of a body of Transport',
  },
];

const isExempt = (path: string, call: string): boolean =>
  isTest(path) || exemptions.some((each) => each.path.test(path) && each.calls.test(call));

export function bannedCallViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files.flatMap(({ path, bare, imports }) => [
    ...bannedCalls.flatMap((pattern) =>
      [...bare.matchAll(pattern)]
        .filter(([call]) => !isExempt(path, call))
        .map((match) => ({
          path,
          line: lineAt(bare, match.index),
          message: `${match[0]} is banned here; take a port`,
        })),
    ),
    ...imports
      .filter(({ specifier }) => bannedModules.test(specifier) && !isExempt(path, specifier))
      .map(({ specifier, line }) => ({ path, line, message: `${specifier} is banned here; take a Clock` })),
  ]);
}

/** A number that stands in for a process that was not found. */
const killsOthers = /\bprocess\.kill\([^;]*?(?:\?\?|\|\|)\s*(?:-\s*\d+|0)\b/g;

/** `kill` of -1 is that of every process of the machine, and of 0 that of one's own group; NaN is refused with an error. */
export function killViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files.flatMap(({ path, bare }) =>
    [...bare.matchAll(killsOthers)].map((match) => ({
      path,
      line: lineAt(bare, match.index),
      message: 'kills other processes where its own was not found; use NaN, which is refused, or assert',
    })),
  );
}

const vagueName = /(?:^|\/)(?:utils?|common|helpers?|shared|misc)(?:\.test)?(?:\.[a-z]+)?(?:\/|$)/;

/** A file or a folder that is named after nothing. */
export function nameViolations(paths: readonly string[]): readonly Violation[] {
  return paths
    .filter((path) => vagueName.test(path))
    .map((path) => ({ path, line: 1, message: 'is named after nothing; name the noun' }));
}

/** `any` where a type stands: behind `:`, `as`, `<`, `|` …, or before `>` and `[]`. */
const anyType =
  /(?:(?:[:<|&]|=>|\b(?:as|extends|satisfies)\b|\btype\s+[\w$<>, ]+=)\s*any\b(?!\s*[.(=:])|(?<![.\w$])any(?=\s*(?:>|\[\])))/g;
const escapes = /@ts-(?:ignore|nocheck)/g;

/** `any` as a type, and comments that switch the compiler off. */
export function typeEscapeViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files.flatMap(({ path, bare, comments }) => [
    ...[...bare.matchAll(anyType)].map((match) => ({
      path,
      line: lineAt(bare, match.index),
      message: '`any` switches the compiler off; use unknown',
    })),
    ...[...comments.matchAll(escapes)].map((match) => ({
      path,
      line: lineAt(comments, match.index),
      message: `${match[0]} switches the compiler off`,
    })),
  ]);
}

export function extensionViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files.flatMap(({ path, imports }) =>
    imports
      .filter(({ specifier }) => specifier.startsWith('.') && !/\.(?:ts|json)$/.test(specifier))
      .map(({ specifier, line }) => ({ path, line, message: `${specifier} does not end in .ts` })),
  );
}

export const MOST_LINES = 600;
/** Files that may be longer, each with its reason. */
export const longFiles: Readonly<Record<string, string>> = {};

export const numLines = (file: SourceFile): number => file.text.split('\n').length - 1;

export function lengthViolations(files: readonly SourceFile[], allowed = longFiles): readonly Violation[] {
  return files
    .filter((file) => numLines(file) > MOST_LINES && !Object.hasOwn(allowed, file.path))
    .map((file) => ({
      path: file.path,
      line: MOST_LINES + 1,
      message: `has ${numLines(file)} lines, at most ${MOST_LINES}; two nouns?`,
    }));
}

/** Lines of a function in `actors/` and `engine/runtime`: what fits a screen. */
export const MOST_FUNCTION_LINES = 75;

/** The heads of functions and methods, as prettier indents them. */
const functionHead = /^( {0,2})(?:export )?(?:async )?(?:function\*? )?[#\w]+(?:<.*>)?\(.*$/;

/** Functions of a file that begin in the first or second column of indentation, with their lines. */
export function functionsOf({
  text,
}: SourceFile): readonly { readonly line: number; readonly lines: number }[] {
  const lines = text.split('\n');
  return lines.flatMap((head, index) => {
    const indent = functionHead.exec(head)?.[1];
    if (indent === undefined || head.endsWith(';')) return [];
    const end = lines.findIndex(
      (line, at) => at > index && line.startsWith(`${indent}}`) && !/^ *\}[:,)]/.test(line),
    );
    return end < 0 ? [] : [{ line: index + 1, lines: end - index + 1 }];
  });
}

export function functionViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files
    .filter(({ path }) => /^(?:actors|engine\/runtime\/src)\//.test(path) && !isTest(path))
    .flatMap((file) =>
      functionsOf(file)
        .filter(({ lines }) => lines > MOST_FUNCTION_LINES)
        .map(({ line, lines }) => ({
          path: file.path,
          line,
          message: `a function has ${lines} lines, at most ${MOST_FUNCTION_LINES}: it does not fit a screen; by phase?`,
        })),
    );
}
