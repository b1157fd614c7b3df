import {
  asDeviceArray,
  hostMemory,
  onHost,
  type Floats,
  type KernelCall,
  type OnHost,
  type RoutePlanCall,
  type SyncDevice,
} from '@troupe/kernel-set';
import { InvariantError } from '@troupe/core';
import { ArrayTooLargeError } from './errors.ts';
import { visitedRows } from './visited-rows.ts';

/** Integers up to this length hold what a call writes: counts that sizes follow from. */
const REAL_INTS = 1 << 12;

/** Storage grows to twice what is asked for, up to this many bytes. */
const DOUBLED = 2 ** 30;

/** Storage of zeros that all hollow arrays share: pages that nobody touches cost no memory. */
class Zeros {
  #buffer = new ArrayBuffer(0);

  take(bytes: number): ArrayBuffer {
    if (this.#buffer.byteLength < bytes) this.#buffer = new ArrayBuffer(bytes < DOUBLED ? 2 * bytes : bytes);
    return this.#buffer;
  }
}

/** Arrays with a length and nothing in them: writing is forgotten, copies are views. */
class HollowFloats extends Float32Array {
  override set(): void {}
  override fill(): this {
    return this;
  }
  override slice(from?: number, to?: number): this {
    return this.subarray(from, to) as this;
  }
}

class HollowHalves extends Uint16Array {
  override set(): void {}
  override fill(): this {
    return this;
  }
  override slice(from?: number, to?: number): this {
    return this.subarray(from, to) as this;
  }
}

class HollowInts extends Int32Array {
  override set(): void {}
  override fill(): this {
    return this;
  }
  override slice(from?: number, to?: number): this {
    return this.subarray(from, to) as this;
  }
}

class HollowInt64s extends BigInt64Array {
  override set(): void {}
  override fill(): this {
    return this;
  }
  override slice(from?: number, to?: number): this {
    return this.subarray(from, to) as this;
  }
}

/** @throws {ArrayTooLargeError} TROUPE_DEVICE_MEMORY where the engine says RangeError */
function sized<T>(bytes: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof RangeError ? new ArrayTooLargeError(bytes, error) : error;
  }
}

/** Shares `total` as evenly as whole numbers allow, the first ones getting more. */
const share = (total: number, parts: number, index: number): number =>
  Math.floor(total / parts) + (index < total % parts ? 1 : 0);

/** Every expert gets as many rows as the next. */
export function planEvenly(call: OnHost<RoutePlanCall>): void {
  const { tokens, experts, topK, ranks, rankOf_E, counts_EG, numTokens_R, numRows_R } = call;
  const grains = counts_EG.length / experts;
  for (let place = 0; place < experts; place++) {
    const rows = share(tokens * topK, experts, place);
    for (let grain = 0; grain < grains; grain++)
      counts_EG[place * grains + grain] = share(rows, grains, grain);
  }
  const held = new Int32Array(ranks);
  for (let expert = 0; expert < experts; expert++) held[rankOf_E[expert] ?? 0]! += 1;
  let place = 0;
  for (let rank = 0; rank < ranks; rank++) {
    const perRank = held[rank] ?? 0;
    let rows = 0;
    for (const end = place + perRank; place < end; place++) rows += share(tokens * topK, experts, place);
    numRows_R[rank] = rows;
    numTokens_R[rank] = visitedRows({ tokens, experts, perRank, topK });
  }
}

/**
 * A device without arithmetic: arrays have lengths and no contents, calls run at once and compute nothing, routing is even. What is left
 * is the protocol, its sizes, and modelled times: for thousands of actors.
 *
 * All arrays of one device share one block of zeros; open one device for all replicas. Nothing may be concluded from any value.
 */
export function openHollowDevice(): SyncDevice {
  const zeros = new Zeros();
  const floats = (length: number): Floats =>
    sized(4 * length, () => asDeviceArray(new HollowFloats(zeros.take(4 * length), 0, length)));
  const run = (calls: readonly KernelCall[]): { readonly error: null; readonly kernelMs: number } => {
    for (const call of calls) if (call.op === 'route.plan') planEvenly(onHost(call));
    return { error: null, kernelMs: 0 };
  };
  return {
    ...hostMemory,
    info: {
      body: 'reference',
      name: 'shapes only',
      reason: 'no arithmetic was asked for',
      threads: 1,
      dtype: 'f32',
      layoutFree: false,
    },
    floats,
    halves: (length) =>
      sized(2 * length, () => asDeviceArray(new HollowHalves(zeros.take(2 * length), 0, length))),
    ints: (length) =>
      length <= REAL_INTS
        ? asDeviceArray(new Int32Array(length))
        : sized(4 * length, () => asDeviceArray(new HollowInts(zeros.take(4 * length), 0, length))),
    int64s: (length) =>
      sized(8 * length, () => asDeviceArray(new HollowInt64s(zeros.take(8 * length), 0, length))),
    bytes: (length) => sized(length, () => asDeviceArray(new Uint8Array(zeros.take(length), 0, length))),
    close: async () => {},
    run,
    submit: () => {
      throw new InvariantError('a hollow device runs inside the call');
    },
  };
}
