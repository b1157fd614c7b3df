/** Node's hooks for {@link registerGradients}: how it reads the ES modules of tfjs-core. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const isCore = (url: string): boolean => /\/@tensorflow\/tfjs-core\/dist\/.*\.js$/.test(url);

interface Resolved {
  readonly url: string;
  readonly shortCircuit?: boolean;
}

/** Node's resolve hook: `./add` inside the package is `./add.js` or `./add/index.js`. */
export function resolve(
  specifier: string,
  context: { readonly parentURL?: string },
  next: (specifier: string, context: object) => Promise<Resolved>,
): Promise<Resolved> | Resolved {
  const { parentURL } = context;
  if (parentURL === undefined || !isCore(parentURL) || !specifier.startsWith('.'))
    return next(specifier, context);
  const base = fileURLToPath(new URL(specifier, parentURL));
  const path = [base, `${base}.js`, join(base, 'index.js')].find(
    (each) => each.endsWith('.js') && existsSync(each),
  );
  return path === undefined
    ? next(specifier, context)
    : { url: pathToFileURL(path).href, shortCircuit: true };
}

/** Node's load hook: files of the package that another of its ES modules imports are ES modules. */
export function load(
  url: string,
  context: object,
  next: (url: string, context: object) => Promise<object>,
): Promise<object> {
  return next(url, isCore(url) && !url.endsWith('.node.js') ? { ...context, format: 'module' } : context);
}
