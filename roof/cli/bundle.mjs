// Writes roof/troupe/bundle: the command and a worker's process, each as a few files instead of four hundred. Reading those was half
// of the time from `troupe launch` to the first step. It lies in the package that people install, which so brings the command along.
//
//   node roof/cli/bundle.mjs [--optional]
//
// After `tsc -b`, from what it wrote. `bin/troupe.js` runs the bundle unless something was compiled since.
// --optional: when it fails, prints one line and exits 0; the command then reads the four hundred files.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const folder = join(root, 'roof/troupe/bundle');

/** What starts as a process of its own. */
const entries = [
  join(here, 'dist/main.js'),
  ...['launch/worker-main.js', 'machines/agent-main.js'].map((path) => join(root, 'roof/troupe/dist', path)),
];
/** Packages with native parts, or with files that they look for beside themselves, stay where they are. */
const external = ['zeromq', 'msgpackr', 'pino', '@tensorflow/*'];

/** As a path in a URL: relative to the bundle, where every file lies in one folder. */
const fromBundle = (path) => relative(folder, path).replaceAll('\\', '/');

/** Where a file of ours lies, as an expression: in its package, which is asked for by its name, since it lies elsewhere once installed. */
function originOf(path) {
  const end = path.lastIndexOf('/dist/');
  const { name, private: isPrivate } = JSON.parse(
    readFileSync(join(path.slice(0, end), 'package.json'), 'utf8'),
  );
  // The command itself is installed as this bundle and nothing else.
  if (isPrivate) return `new URL('${fromBundle(path)}', import.meta.bundle).href`;
  return `new URL('${path.slice(end + 1)}', import.meta.resolve('${name}/package.json')).href`;
}

/** A file that looks for others beside itself finds them where it was; the processes that it starts are those of the bundle. */
const places = {
  name: 'places',
  setup(build) {
    build.onLoad({ filter: /[\\/]dist[\\/].*\.js$/ }, ({ path }) => {
      if (path.includes('node_modules')) return null;
      const contents = readFileSync(path, 'utf8');
      if (!contents.includes('import.meta.url')) return null;
      const rebased = contents
        .replaceAll(/new URL\('([^']*)', import\.meta\.url\)/gu, (whole, target) => {
          const entry = entries.find((each) => each === resolve(dirname(path), target));
          return entry === undefined ? whole : `new URL('./${basename(entry)}', import.meta.bundle)`;
        })
        .replaceAll('import.meta.url', originOf(path.replaceAll('\\', '/')))
        .replaceAll('import.meta.bundle', 'import.meta.url');
      return { contents: rebased, resolveDir: dirname(path) };
    });
  },
};

async function bundle() {
  const { build } = await import('esbuild');
  const fresh = `${folder}.${process.pid}`;
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: entries.map((path) => ({ in: path, out: basename(path, '.js') })),
    outdir: fresh,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    keepNames: true,
    sourcemap: true,
    sourcesContent: false,
    external,
    plugins: [places],
    // What packages in CommonJS need of Node.
    banner: {
      js: "import { createRequire as requireOfBundle } from 'node:module';\nconst require = requireOfBundle(import.meta.url);",
    },
    metafile: true,
    logLevel: 'warning',
  });
  // What tsc rewrites whenever it compiles one of the projects that the bundle is made of.
  const projects = new Set(
    Object.keys(metafile.inputs).flatMap((path) => /^(?!.*node_modules).*\/dist\//u.exec(path)?.[0] ?? []),
  );
  const stamps = [...projects].map((project) => fromBundle(join(root, project, '.tsbuildinfo')));
  writeFileSync(join(fresh, 'sources.json'), JSON.stringify(stamps));
  rmSync(folder, { recursive: true, force: true });
  renameSync(fresh, folder);
}

try {
  await bundle();
} catch (error) {
  const optional = process.argv.includes('--optional');
  console.error(`troupe: the command was not bundled and starts slower: ${error.message.split('\n')[0]}`);
  if (!optional) process.exitCode = 1;
}
