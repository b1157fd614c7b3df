#!/usr/bin/env node
// Runs the bundle (roof/cli/bundle.mjs), or what tsc wrote when there is none or something was compiled since.
import { readFileSync, statSync } from 'node:fs';

const bundle = new URL('../bundle/', import.meta.url);

function bundleIsFresh() {
  const stamp = new URL('sources.json', bundle);
  const bundled = statSync(stamp, { throwIfNoEntry: false });
  if (bundled === undefined) return false;
  return JSON.parse(readFileSync(stamp, 'utf8')).every(
    (source) => !(statSync(new URL(source, bundle), { throwIfNoEntry: false })?.mtimeMs > bundled.mtimeMs),
  );
}

// A stack of the bundle then names the files that it was made of.
if (process.argv.includes('--verbose')) process.setSourceMapsEnabled(true);
await import(bundleIsFresh() ? new URL('main.js', bundle).href : '../../cli/dist/main.js');
