import type { Violation } from './violation.ts';

export interface CppFile {
  readonly path: string;
  readonly text: string;
}

export const isCpp = (path: string): boolean => /\.(?:cc|h|inc)$/.test(path);

export const MOST_COLUMNS = 140;

/** What the dialect of kernels/native/README.md says that a line can show. */
const dialect: readonly { readonly wrong: RegExp; readonly files: RegExp; readonly message: string }[] = [
  { wrong: /\/\*\*/, files: /./, message: 'documents with /** */; use ///' },
  { wrong: /^static\b(?! const)/, files: /\.inc$/, message: 'is static; the unnamed namespace sees to that' },
  { wrong: /(?<![\w'"`])v[a-z0-9]+[A-Z]/, files: /\.inc$/, message: 'names a lane operation in camelCase' },
];

const columnsOf = (line: string): number => Array.from(line).length;

/** Long lines, and what is not in the one dialect of the C++ kernels. */
export function cppViolations(files: readonly CppFile[]): readonly Violation[] {
  return files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, index) => [
        ...(columnsOf(line) > MOST_COLUMNS
          ? [{ path, line: index + 1, message: `has ${columnsOf(line)} columns, at most ${MOST_COLUMNS}` }]
          : []),
        ...dialect
          .filter((each) => each.files.test(path) && each.wrong.test(line))
          .map(({ message }) => ({ path, line: index + 1, message })),
      ]),
  );
}
