import test from 'ava';
import { loadAddon } from './addon.ts';
import { freeLargeFrames, releaseArrays } from './native-device.ts';

const loaded = loadAddon();
const canFree = 'addon' in loaded && loaded.addon.freeAtOnce !== undefined;

/** Memory as a transport takes it: from malloc, every page of it written. */
const frame = (mebibytes: number): Float32Array => new Float32Array((mebibytes * 2 ** 20) / 4).fill(1);

/** Megabytes that stay resident of 40 frames of two that are freed while a later one is not. */
function left(): number {
  const before = process.memoryUsage.rss();
  const frames = Array.from({ length: 40 }, () => frame(2));
  const last = frame(2);
  releaseArrays(frames);
  const bytes = process.memoryUsage.rss() - before;
  releaseArrays([last]);
  return bytes / 2 ** 20;
}

(canFree ? test : test.skip)(
  'freeLargeFrames: memory of large frames goes back to the system when they are freed',
  (t) => {
    // As the first large frame that is freed has it: from now on malloc keeps memory up to its size.
    releaseArrays([frame(16)]);
    const [kept, freed] = [left(), (freeLargeFrames(), left())];
    t.true(kept > 60, `${kept} MiB stay without it`);
    t.true(freed < 20, `${freed} MiB stay`);
  },
);
