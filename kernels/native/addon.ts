import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { KernelCall } from '@troupe/core';

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
  readonly NativeQueue: new (threads: number, isa: string) => NativeQueue;
  /** Zeroed, 64-byte aligned; from 1 MiB on 2 MiB aligned and offered to huge pages. */
  allocate(bytes: number): ArrayBuffer;
  /** Frees a buffer's memory now; its views have length 0 afterwards. */
  release(buffer: ArrayBufferLike): void;
  /** FMAs, or products of bf16 pairs, on registers only. */
  measurePeak(threads: number, bf16: boolean): number;
  measureBandwidth(threads: number): number;
}

type Loaded = { readonly addon: NativeAddon } | { readonly reason: string };

function load(): Loaded {
  // This module runs from kernels/dist/native; the addon is built beside the sources.
  const path = fileURLToPath(new URL('../../native/build/troupe_native.node', import.meta.url));
  try {
    return { addon: createRequire(import.meta.url)(path) as NativeAddon };
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
    return { reason: `the native addon cannot be loaded (${why}); run npm run build:native` };
  }
}

let loaded: Loaded | undefined;

/** Loads the addon once per process. */
export function loadAddon(): Loaded {
  loaded ??= load();
  return loaded;
}
