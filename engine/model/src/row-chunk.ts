import { assert } from '@troupe/core';
import type { DeviceArray, ElementType, Ints } from '@troupe/kernel-set';
import { choiceWidth } from '@troupe/spec';
import type { Activations } from './activations.ts';
import { ownGrains } from './dealt-grains.ts';
import type { GrainRun } from './grain-runs.ts';
import type { MoeActivations } from './layer-activations.ts';
import type { RankShares } from './rank-shares.ts';
import type { StageContext } from './stage-context.ts';
import type { RowPlace } from './row-places.ts';
import { numHeld } from './tensor-share.ts';

/**
 * The tokens of a run of whole grains in one MoE layer, whose rows are planned, sent and computed by themselves: a view of the layer's
 * buffers, in which tokens, rows and grains count from 0.
 *
 * ROUTE-3: a leaf is of one grain, so it lies in one chunk, and rows do not influence each other: no number depends on the runs.
 */
export class RowChunk {
  readonly act: Activations;
  readonly moe: MoeActivations;
  readonly layer: number;
  readonly index: number;
  readonly run: GrainRun;
  readonly tokens: number;
  readonly grains: number;
  readonly #tokensOfGrain: number;

  constructor(act: Activations, layer: number, index: number) {
    const run = act.runs[index];
    assert(run, 'a chunk is one of the microbatch', { index });
    this.act = act;
    this.moe = act.moe(layer);
    this.layer = layer;
    this.index = index;
    this.run = run;
    this.grains = run.end - run.first;
    this.#tokensOfGrain = act.tokens / act.shape.grains;
    this.tokens = this.grains * this.#tokensOfGrain;
  }

  /** Of what holds `each` elements a token of the microbatch, the part of this chunk. */
  ofTokens<E extends ElementType>(all: DeviceArray<E>, each: number): DeviceArray<E> {
    return this.#part(all, each * this.#tokensOfGrain);
  }

  /** Of what holds `each` elements a token that this device dispatches, the part of this chunk. */
  ofOwn<E extends ElementType>(all: DeviceArray<E>, each: number): DeviceArray<E> {
    const own = ownGrains(this.act.shape);
    if (this.grains === own.end - own.first) return all;
    const size = each * this.#tokensOfGrain;
    return all.subarray((this.run.first - own.first) * size, (this.run.end - own.first) * size);
  }

  /** The same of what is chosen for every token. */
  ofChoices<E extends ElementType>(all: DeviceArray<E>): DeviceArray<E> {
    return this.ofTokens(all, this.topK);
  }

  /** No other one of the microbatch comes behind it. */
  get isLast(): boolean {
    return this.index === this.act.runs.length - 1;
  }

  /** Places for the choices of a token. */
  get topK(): number {
    const { moe } = this.act.shape.config;
    return moe === null ? 0 : choiceWidth(moe);
  }

  /** Row bounds of its grains, all of which have as many tokens. */
  get grainStarts(): Ints {
    return this.#isWhole ? this.act.grainStarts : this.act.grainStarts.subarray(0, this.grains + 1);
  }

  /** Rows of every expert by grain, by rank and then by expert, [E, grains]. */
  get counts_EG(): Ints {
    return this.#part(this.moe.counts_EG, this.act.shape.config.moe?.experts ?? 0);
  }

  /** The same of the experts of a rank. */
  countsOf(rank: number): Ints {
    const { first, end } = this.act.expertRanks(this.layer).of(rank);
    return this.counts_EG.subarray(first * this.grains, end * this.grains);
  }

  /** Its tokens of every rank, [R, tokens]. */
  get rankTokens(): Ints {
    return this.ofTokens(this.moe.rankTokens, this.act.ranks);
  }

  /** Where the tokens and rows of every rank begin among those of the chunk. */
  get shares(): RankShares {
    const shares = this.moe.shares[this.index];
    assert(shares, 'every chunk has its plan', { chunk: this.index });
    return shares;
  }

  /** Of room for the distinct tokens of every rank, the part of this chunk. */
  ofDistinct<E extends 'f32' | 'bf16'>(all: DeviceArray<E>): DeviceArray<E> {
    const { from, to } = this.#place.distinct;
    const dim = this.act.shape.config.dModel;
    return all.subarray(from * dim, to * dim);
  }

  /** Of room for the rows of all experts, of every segment of them, the part of this chunk. */
  ofRows<E extends ElementType>(all: DeviceArray<E>): DeviceArray<E> {
    const { tensor, shape } = this.act;
    const { from, to } = this.#place.rows;
    const size = numHeld(tensor.expertSegments) * shape.config.dModel;
    return all.subarray(from * size, to * size);
  }

  /** Rows that it has at most. */
  get mostRows(): number {
    const { from, to } = this.#place.rows;
    return to - from;
  }

  get #place(): RowPlace {
    const place = this.act.rowPlaces[this.index];
    assert(place, 'every chunk has room for its rows', { chunk: this.index });
    return place;
  }

  get #isWhole(): boolean {
    return this.grains === this.act.shape.grains;
  }

  #part<E extends ElementType>(all: DeviceArray<E>, eachGrain: number): DeviceArray<E> {
    if (this.#isWhole) return all;
    return all.subarray(this.run.first * eachGrain, this.run.end * eachGrain);
  }
}

export const chunkOf = ({ act }: StageContext, layer: number, index: number): RowChunk =>
  new RowChunk(act, layer, index);

/** The chunks in which the rows of a layer travel. */
export const chunksOf = (ctx: StageContext, layer: number): readonly RowChunk[] =>
  ctx.act.runs.map((_, index) => chunkOf(ctx, layer, index));
