import { execFileSync } from 'node:child_process';
import type { ExecutionContext } from 'ava';

const probe = `
import importlib.metadata, json
found = {}
for name in ("torch", "transformers", "tokenizers", "safetensors"):
    try: found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError: pass
print(json.dumps(found))
`;

const quiet = {
  TRANSFORMERS_VERBOSITY: 'error',
  PYTHONWARNINGS: 'ignore',
  HF_HUB_OFFLINE: '1',
  CUDA_VISIBLE_DEVICES: '',
};

/** A Python with Hugging Face Transformers, which reads what Troupe writes. */
export interface Transformers {
  /** Runs a program that reads `json` from standard input and prints JSON as its last line. */
  run(program: string, json: unknown): unknown;
}

/**
 * The Python that `PYTHON` names, when it has torch, transformers, tokenizers and safetensors.
 *
 * Without one the test says why it compares nothing, and passes.
 */
export function transformersOf(t: ExecutionContext): Transformers | null {
  const path = process.env['PYTHON'];
  const skip = (reason: string): null => {
    t.log(`not compared with Transformers: ${reason}`);
    t.pass();
    return null;
  };
  if (path === undefined) return skip('PYTHON names no Python with torch and transformers');
  const call = (args: readonly string[], input: string): unknown => {
    const env = { ...process.env, ...quiet };
    const out = execFileSync(path, args, { input, env, encoding: 'utf8', maxBuffer: 2 ** 28 });
    return JSON.parse(out.trim().split('\n').at(-1) ?? '') as unknown;
  };
  const found = call(['-c', probe], '') as Readonly<Record<string, string>>;
  const lacks = ['torch', 'transformers', 'tokenizers', 'safetensors'].filter((name) => !(name in found));
  if (lacks.length > 0) return skip(`${path} lacks ${lacks.join(', ')}`);
  t.log(Object.entries(found).flat().join(' '));
  return {
    run: (program, json) =>
      call(['-c', `import json, sys\ngiven = json.load(sys.stdin)\n${program}`], JSON.stringify(json)),
  };
}
