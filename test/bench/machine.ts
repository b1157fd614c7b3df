import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';

/** Where and of what a page of results was made. */
export function machineLines(command: string): string {
  let commit = 'unknown';
  try {
    commit = execFileSync('git', ['describe', '--always', '--dirty'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    // A source archive has no history.
  }
  return [
    `- machine: ${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, Node ${process.versions.node}`,
    `- commit: ${commit}`,
    `- command: \`${command}\``,
  ].join('\n');
}
