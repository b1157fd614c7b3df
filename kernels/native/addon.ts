import { createRequire } from 'node:module';
import type { KernelCall } from '@troupe/kernel-set';
import { addonPath, buildScriptPath, HOW_TO_BUILD } from './addon-file.ts';

/**
 * Raised in `binding/addon.cc` too whenever a call's buffers mean something else than before: an addon that was built from other sources
 * would read them wrongly and say nothing.
 */
const CONTRACT = 5;

/** What `binding/addon.cc` exports. An empty code is success. */
export interface NativeQueue {
  readonly isa: string;
  /** `times` of a timed list: as in `Completion.callTimes`. */
  submit(
    calls: readonly KernelCall[],
    timed: boolean,
    done: (code: string, message: string, kernelMs: number, times?: Float64Array) => void,
  ): void;
  run(calls: readonly KernelCall[]): [code: string, message: string, kernelMs: number];
  stop(): void;
}

export interface NativeAddon {
  readonly contract?: number;
  readonly NativeQueue: new (threads: number, isa: string) => NativeQueue;
  /** Zeroed, 64-byte aligned; from 1 MiB on 2 MiB aligned and offered to huge pages. */
  allocate(bytes: number): ArrayBuffer;
  /** Frees a buffer's memory now; its views have length 0 afterwards. */
  release(buffer: ArrayBufferLike): void;
  /** CRC-32, as zlib's; absent where the CPU has no instructions for it, and in an addon of older sources. */
  crc32?(bytes: Uint8Array): number;
  /** Memory of so many bytes and more goes back to the system when it is freed; absent without glibc, and in an addon of older sources. */
  freeAtOnce?(bytes: number): void;
  /** FMAs, or products of bf16 pairs, on registers only. */
  measurePeak(threads: number, bf16: boolean): number;
  measureBandwidth(threads: number): number;
}

type Loaded = { readonly addon: NativeAddon } | { readonly reason: string };

function load(): Loaded {
  try {
    const addon = createRequire(import.meta.url)(addonPath()) as NativeAddon;
    return addon.contract === CONTRACT
      ? { addon }
      : {
          reason: `the native addon was built from another version of its sources (contract ${addon.contract ?? 1}, expected ${CONTRACT}); run \`node ${buildScriptPath()}\``,
        };
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
    return { reason: `the native addon cannot be loaded (${why}); ${HOW_TO_BUILD}` };
  }
}

let loaded: Loaded | undefined;

/** Loads the addon once per process. */
export function loadAddon(): Loaded {
  loaded ??= load();
  return loaded;
}
