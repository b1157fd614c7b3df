import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// This module runs from kernels/dist/native; the addon is built beside the sources.
const inSources = (name: string): string => fileURLToPath(new URL(`../../native/${name}`, import.meta.url));

/** Where the native addon lies once it is built. */
export const addonPath = (): string => inSources('build/troupe_native.node');

/** What builds it. */
export const buildScriptPath = (): string => inSources('build.mjs');

/** Left by a build that failed, so that not every start tries it again: its first line says why. */
export const failedBuildPath = (): string => inSources('build/failed.txt');

/** How a person builds the addon after installing a compiler. */
export const HOW_TO_BUILD = 'install g++ or clang++, then run `npx troupe doctor`, which builds it';

/** Compilation of all instruction sets takes about 20 s on two cores. */
const BUILD_MS_MAX = 15 * 60_000;

/**
 * Builds the native addon where there is none yet. Packages are often installed without running their install scripts, so the first
 * start does what `npm install` was not allowed to. Ends within a few milliseconds where there is an addon, no compiler, or a build that
 * failed before.
 *
 * @param say - gets one line before a build begins, and what the build says
 */
export async function buildMissingAddon(say: (line: string) => void): Promise<void> {
  if (existsSync(addonPath()) || existsSync(failedBuildPath())) return;
  const script = buildScriptPath();
  if (!existsSync(script)) return;
  await new Promise<void>((resolve) => {
    const child = execFile(
      process.execPath,
      [script, '--optional', '--first-start'],
      { timeout: BUILD_MS_MAX },
      () => resolve(),
    );
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(say);
    });
  });
}
