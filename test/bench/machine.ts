import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';

/**
 * Where and of what a page of results was made.
 *
 * @param packages - versions of what was raced against
 */
export function machineLines(command: string, packages: ReadonlyMap<string, string> = new Map()): string {
  let commit = 'unknown';
  try {
    commit = execFileSync('git', ['describe', '--always', '--dirty'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    // A source archive has no history.
  }
  const versions = [...packages].map(([name, version]) => `, ${name} ${version}`).join('');
  return [
    `- machine: ${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, Node ${process.versions.node}${versions}`,
    `- commit: ${commit}`,
    `- command: \`${command}\``,
  ].join('\n');
}
