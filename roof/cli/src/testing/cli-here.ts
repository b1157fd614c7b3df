import { carryOut } from '../command-line.ts';
import type { CliResult } from './cli-process.ts';

/** Calls one after the other: a process has one working folder and one standard output. */
let before: Promise<unknown> = Promise.resolve();

/**
 * The command in this process: what it prints and its exit code, without the half second of a core that a process of its own takes to
 * start. For what answers and ends: a run, signals, and what a process leaves behind need `runCli`.
 */
export function runCliHere(args: readonly string[], { cwd }: { readonly cwd: string }): Promise<CliResult> {
  const result = before.then(() => carryOutIn(cwd, args));
  before = result.catch(() => {});
  return result;
}

async function carryOutIn(cwd: string, args: readonly string[]): Promise<CliResult> {
  const [folder, cache] = [process.cwd(), process.env['XDG_CACHE_HOME']];
  const writes = [process.stdout, process.stderr].map(
    (stream) => [stream, stream.write.bind(stream)] as const,
  );
  const texts = writes.map(([stream]) => {
    const chunks: string[] = [];
    stream.write = (chunk: Uint8Array | string, ...rest: readonly unknown[]) => {
      chunks.push(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
      const done = rest.at(-1);
      if (typeof done === 'function') done();
      return true;
    };
    return chunks;
  });
  process.chdir(cwd);
  process.env['XDG_CACHE_HOME'] = `${cwd}/cache`;
  try {
    const code = await carryOut(args);
    const [stdout = '', stderr = ''] = texts.map((chunks) => chunks.join(''));
    return { code, stdout, stderr };
  } finally {
    for (const [stream, write] of writes) stream.write = write;
    process.chdir(folder);
    if (cache === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = cache;
  }
}
