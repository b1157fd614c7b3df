import { assert, type Address, type HostFloats } from '@troupe/core';
import type { KernelCall, RowsPart } from '@troupe/kernel-set';
import { chunkOf, chunksOf, forcedChoices, widenedRows, type RowChunk, type StreamPass } from '@troupe/model';
import type { MoeConfig } from '@troupe/spec';
import type { ChoiceGroupShare, DataRank } from '@troupe/topology/layout';
import { streamOfPass, type Pass, type Passes } from '../passes.ts';
import type { Worker } from '../worker.ts';
import type { GateSelf } from './events.ts';
import type { GateContext } from './machine.ts';
import { chosenBy } from './rule.ts';

/** What a gate stands on. */
export interface GateParts {
  readonly worker: Worker;
  readonly passes: Passes;
  readonly layer: number;
}

/** An expert group that a gate sends to. */
export interface Destination {
  readonly address: Address;
  /** Its number among the groups of the layer. */
  readonly rank: number;
  /** It computes on the same device: it reads and writes the gate's own buffers. */
  readonly isBeside: boolean;
}

/** What the effects of a gate keep from turn to turn. */
export class GateState {
  readonly worker: Worker;
  readonly layer: number;
  readonly moe: MoeConfig;
  /** The layer's expert groups. */
  readonly destinations: readonly Destination[];
  /** Which of their sources this gate is. */
  readonly source: number;
  /** Choice groups that several replicas have sequences of, as this one sees all of its own; empty where each group lies on one, or tokens choose. */
  readonly choiceShares: readonly ChoiceGroupShare[];
  /** Of this replica's microbatches, in those of all. */
  readonly firstSequence: number;
  readonly #self: GateSelf;
  readonly #passes: Passes;
  readonly #forced = new Map<number, Int32Array>();
  /** Rows in bf16 that have returned for the pass at hand. */
  readonly #widened: { readonly rows: Uint16Array; readonly part: Pick<RowsPart, 'data'> }[] = [];

  constructor(self: GateSelf, { worker, passes, layer }: GateParts) {
    const { model, layout } = worker.job;
    assert(model.moe !== null, 'only models with experts have gates');
    this.worker = worker;
    this.layer = layer;
    this.moe = model.moe;
    this.destinations = layout
      .expertsFor(layer, worker.rank)
      .map((address, rank) => ({ address, rank, isBeside: self.isBeside(address) }));
    this.source = layout.sourceOf(layer, worker.rank);
    const groups = layout.choiceGroups;
    const { dp } = worker.at;
    this.choiceShares = groups === null || groups.areLocal ? [] : groups.sharesOf(dp);
    this.firstSequence = groups?.firstSequence(dp) ?? 0;
    this.#self = self;
    this.#passes = passes;
  }

  /** Who asked. */
  asker({ slot }: GateContext): Address {
    return this.worker.job.layout.passOf(this.worker.rank, slot);
  }

  passOf(context: GateContext): Pass {
    return this.#passes.at(context, context.slot);
  }

  /** The stream of the pass that the layer is of. */
  streamOf(context: GateContext): StreamPass {
    return streamOfPass(this.passOf(context), this.layer);
  }

  /** What of the pass goes to experts at a time. */
  chunksOf(context: GateContext): readonly RowChunk[] {
    return chunksOf(this.streamOf(context).context, this.layer);
  }

  chunkOf(context: GateContext, index: number): RowChunk {
    return chunkOf(this.streamOf(context).context, this.layer, index);
  }

  /** The gate of another replica that routes the same layer: on the worker that differs in nothing else. */
  peerGate(rank: DataRank): Address {
    const { layout, rank: worker } = { layout: this.worker.job.layout, rank: this.worker.rank };
    return layout.gateOf(this.layer, layout.mesh.peers('dp', worker).at(rank));
  }

  /** Choices that do not come from the logits' top-k: an own gate's, or a forced pattern. */
  choices(context: GateContext): Int32Array | null {
    const { gate, layout } = this.worker.job;
    const { dealing } = layout;
    const model = this.streamOf(context).context.shape.config;
    const tokens = dealing.microbatchSequences * model.seqLen;
    /** Index in the global batch, or among the held-out sequences. */
    const firstToken = dealing.sequencesOf(this.worker.at.dp, context.microbatch).first * model.seqLen;
    if (gate !== undefined) {
      const { experts, topK } = this.moe;
      const { logits_TE } = this.streamOf(context).context.act.moe(this.layer);
      const question = { tokens, experts, topK, step: context.step, layer: this.layer, firstToken };
      return chosenBy(gate, this.worker.device.read(logits_TE), question);
    }
    if (this.moe.choice === 'learned') return null;
    let known = this.#forced.get(firstToken);
    if (known === undefined) {
      const made = forcedChoices(model, tokens, firstToken);
      assert(made, 'a choice that is not learned is forced', { choice: this.moe.choice });
      known = made;
      this.#forced.set(firstToken, known);
    }
    return known;
  }

  waitForExperts({ step, microbatch }: GateContext, reason: string): void {
    const { layer } = this;
    this.#self.wait({
      name: 'experts',
      awaited: this.destinations.map(({ address }) => address),
      reason,
      step,
      layer,
      microbatch,
      deadlineMs: this.worker.job.deadlines.stepMs,
    });
  }

  /**
   * Copies what a remote group returned of a chunk to where the combine looks for it; one beside wrote there itself. Rows in bf16 are widened
   * by the device, in the list that reads them.
   */
  accept(
    { from, chunk }: { readonly from: Address; readonly chunk: RowChunk },
    rows: HostFloats | Uint16Array | undefined,
    part: Pick<RowsPart, 'data'>,
  ): void {
    const { device } = this.worker;
    if (rows instanceof Uint16Array) this.#widened.push({ rows, part });
    else if (rows !== undefined) {
      device.write(part.data, rows);
      this.#self.free([rows]);
    }
    if (chunk.isLast) this.#self.answered('experts', from);
  }

  /** What the next list begins with: rows that came in bf16 go where they are looked for. */
  widening(): KernelCall[] {
    const { device } = this.worker;
    return this.#widened.flatMap(({ rows, part }) => widenedRows(device.upload(rows), part.data));
  }

  /** They have been read. */
  freeWidened(): void {
    const arrived = this.#widened.splice(0);
    if (arrived.length > 0) this.#self.free(arrived.map(({ rows }) => rows));
  }

  /** Forgets them; the collector frees them, since the device may still read them. */
  forgetWidened(): void {
    this.#widened.length = 0;
  }

  place({ step, attempt, version, microbatch }: GateContext) {
    return { step, attempt, version, layer: this.layer, microbatch };
  }
}
