import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { KubectlError } from '../errors.ts';

/**
 * Runs the system's kubectl, with the context and the rights that it has.
 *
 * @param input - its standard input: what is secret is on no command line
 * @returns the lines that it prints
 * @throws {KubectlError} TROUPE_KUBECTL with what it says
 */
export async function kubectl(args: readonly string[], input: string): Promise<readonly string[]> {
  const child = spawn('kubectl', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  // One that ends without reading has said why.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  try {
    const [code, said, complaint] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
    if (code === 0) return said.trimEnd().split('\n');
    throw new KubectlError(`kubectl ${args[0]}: ${sentence(complaint)}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new KubectlError('there is no kubectl on the PATH; print the manifest with --dry-run instead');
  }
}

/** What it complains of, and what helps where that is known. */
function sentence(complaint: string): string {
  const said = complaint.trim().replaceAll(/\s*\n\s*/gu, '; ');
  return said.includes('AlreadyExists')
    ? `${said}; a run of this name is there: remove it as the head of its manifest (--dry-run) says, or give this one another name (--set name=…)`
    : said;
}
