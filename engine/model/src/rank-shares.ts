import { assert } from '@troupe/core';
import type { Device, Ints } from '@troupe/kernel-set';

/** Where the tokens and rows of a rank begin among those of all ranks, and how many they are. */
export interface RankShare {
  readonly firstToken: number;
  readonly numTokens: number;
  readonly firstRow: number;
  readonly numRows: number;
}

/** What each rank of the expert-parallel group gets of a layer's tokens, as the routing plan says it. Read from the device once a plan. */
export class RankShares {
  readonly numTokens_R: Ints;
  readonly numRows_R: Ints;
  readonly #device: Device;
  #known: { readonly numTokens_R: Int32Array; readonly numRows_R: Int32Array } | null = null;

  constructor(device: Device, numTokens_R: Ints, numRows_R: Ints) {
    this.numTokens_R = numTokens_R;
    this.numRows_R = numRows_R;
    this.#device = device;
  }

  /** A new plan is on its way. */
  forget(): void {
    this.#known = null;
  }

  /** Valid once the list that plans has completed. */
  of(rank: number): RankShare {
    this.#known ??= {
      numTokens_R: this.#device.read(this.numTokens_R),
      numRows_R: this.#device.read(this.numRows_R),
    };
    const { numTokens_R, numRows_R } = this.#known;
    let firstToken = 0;
    let firstRow = 0;
    for (let before = 0; before < rank; before++) {
      firstToken += numTokens_R[before] ?? 0;
      firstRow += numRows_R[before] ?? 0;
    }
    const [numTokens, numRows] = [numTokens_R[rank], numRows_R[rank]];
    assert(numTokens !== undefined && numRows !== undefined, 'the rank belongs to the group', { rank });
    return { firstToken, numTokens, firstRow, numRows };
  }
}
