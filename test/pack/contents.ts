/** What `npm pack --json` says of one tarball. */
export interface Tarball {
  readonly name: string;
  readonly filename: string;
  /** Bytes of the tarball, and of what it unpacks to. */
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

/** What must not travel: tests and what only they need, objects of a build, sources that are compiled already. */
const unwanted =
  /\.test\.|(?:^|\/)(?:testing|conformance|test)\/|\.o(?:\.key)?$|\.node$|\.tsbuildinfo$|\.map$|(?<!\.d)\.ts$|(?:^|\/)test_/u;

/** Every sentence names a package and a file; none: it is right. */
export function contentProblems(
  { name, files }: Tarball,
  sources: (file: string) => boolean,
): readonly string[] {
  const paths = files.map(({ path }) => path);
  const needed = ['LICENSE', 'README.md', 'package.json', 'dist/index.js', 'dist/index.d.ts'];
  return [
    ...needed.filter((path) => !paths.includes(path)).map((path) => `${name} lacks ${path}`),
    ...paths.filter((path) => unwanted.test(path)).map((path) => `${name} has ${path}`),
    // tsc leaves the output of a source that was deleted.
    ...paths
      .filter((path) => /^dist\/.*(?<!\.d)\.ts$|^dist\/.*\.js$/u.test(path) && !sources(path))
      .map((path) => `${name} has ${path}, whose source is gone; remove dist and build again`),
  ];
}
