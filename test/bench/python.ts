import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** A Python that a user gave, and what it has installed. */
export interface Python {
  readonly path: string;
  /** Version of each package that is there. */
  readonly packages: ReadonlyMap<string, string>;
}

const probe = `
import importlib.metadata, json
found = {}
for name in ("torch", "transformers", "deepspeed"):
    try: found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError: pass
print(json.dumps(found))
`;

/** Why there is nothing to race against; its message is one sentence for the user. */
export class PythonError extends Error {}

/**
 * Looks at a Python without importing anything heavy.
 *
 * @throws {PythonError} when it cannot be run, or has no torch
 */
export async function openPython(path: string): Promise<Python> {
  const { stdout } = await promisify(execFile)(path, ['-c', probe]).catch((cause: unknown) => {
    throw new PythonError(`--python ${path} cannot be run as a Python 3.8 or newer`, { cause });
  });
  const packages = new Map(Object.entries(JSON.parse(stdout) as Readonly<Record<string, string>>));
  if (!packages.has('torch'))
    throw new PythonError(
      `--python ${path} has no torch: install torch there (and transformers and deepspeed, for their rows), or give another Python`,
    );
  return { path, packages };
}
