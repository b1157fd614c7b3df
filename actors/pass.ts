import { assert, InvariantError } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import {
  Activations,
  ropeTables,
  StageStatistics,
  type BalanceCoefficients,
  uploadBatch,
  type Batch,
  type DeviceBatch,
  type StageContext,
} from '@troupe/model';
import type { GroupBuffers } from './group-buffers.ts';
import type { PassMode } from './messages.ts';
import type { Worker } from './worker.ts';

/** Which pass: one microbatch, forward and (in training) backward, in one attempt at a step. */
export interface PassPlace {
  readonly step: number;
  readonly attempt: number;
  /** Weights that it computes with. */
  readonly version: number;
  readonly microbatch: number;
  readonly mode: PassMode;
}

/** One microbatch on its way through a stage. It never changes, but for what kernels write into its buffers. */
export interface Pass extends PassPlace {
  readonly batch: DeviceBatch;
  /** Gradient coefficients of the balance losses; null where they are not known yet, or not needed. */
  readonly balance: BalanceCoefficients | null;
  /** Its weights, its activations, and where its gradients and statistics go. */
  readonly context: StageContext;
}

/** Slots of a stage: so many passes may be in flight. */
const slots = { train: 0, evaluate: 1 } as const satisfies Readonly<Record<PassMode, number>>;

/** The slot of a pass: its buffers, and the number by which gates know it. */
export const slotOf = ({ mode }: Pick<PassPlace, 'mode'>): number => slots[mode];

interface SlotBuffers {
  readonly act: Activations;
  readonly statistics: StageStatistics;
}

/**
 * The passes that a stage has in flight, by slot. The stage opens and closes them; its gates look them up by the slot that a message names.
 *
 * PAS-1: a slot is free when a pass is opened in it. PAS-2: whoever names a slot names the pass that is in it.
 */
export class Passes {
  readonly #device: Device;
  readonly #dense: GroupBuffers;
  readonly #buffers: readonly (SlotBuffers | null)[];
  readonly #shape: StageContext['shape'];
  readonly #rope: StageContext['rope'];
  readonly #open = new Map<number, Pass>();

  constructor(worker: Worker, dense: GroupBuffers) {
    const { job, device } = worker;
    const { layout } = job;
    const { dealing } = layout;
    this.#device = device;
    this.#dense = dense;
    this.#shape = {
      config: job.model,
      sequences: dealing.microbatchSequences,
      grains: dealing.microbatchGrains,
      precision: job.precision ?? 'f32',
    };
    this.#rope = ropeTables(device, job.model);
    const buffers = (training: boolean): SlotBuffers => ({
      act: new Activations(device, this.#shape, {
        training,
        ranks: layout.mesh.ep,
        ...(job.model.moe === null ? {} : { rankOf_E: (layer) => layout.rankOf_E(layer) }),
      }),
      statistics: new StageStatistics(device, job.model),
    });
    this.#buffers = [buffers(true), job.evaluationSequences > 0 ? buffers(false) : null];
  }

  open(place: PassPlace, batch: Batch, balance: BalanceCoefficients | null): Pass {
    const slot = slotOf(place);
    const taken = this.#open.get(slot);
    assert(taken === undefined, 'the slot of a pass is free when it begins', { slot, ...placeOf(place) });
    const { step, attempt, version, microbatch, mode } = place;
    const context = this.#context(place);
    const tokens = uploadBatch(this.#device, batch);
    const pass = { step, attempt, version, microbatch, mode, batch: tokens, balance, context };
    this.#open.set(slot, pass);
    return pass;
  }

  /** The pass that is in a slot, which must be the one that is meant. */
  at(place: Omit<PassPlace, 'mode'>, slot: number): Pass {
    const pass = this.#open.get(slot);
    const isMeant =
      pass !== undefined &&
      pass.attempt === place.attempt &&
      pass.step === place.step &&
      pass.microbatch === place.microbatch;
    if (isMeant) return pass;
    // Details are made for the failure alone: every effect of a stage and its gates asks.
    const found = pass === undefined ? 'nothing' : JSON.stringify(placeOf(pass));
    throw new InvariantError('the pass that is asked for is in its slot', { slot, ...placeOf(place), found });
  }

  /** The same pass from now on with the coefficients of its backward pass. */
  balance(pass: Pass, balance: BalanceCoefficients): void {
    assert(this.#open.get(slotOf(pass)) === pass, 'a pass is in its slot until it is closed', placeOf(pass));
    this.#open.set(slotOf(pass), { ...pass, balance });
  }

  close(place: PassPlace): void {
    this.#open.delete(slotOf(this.at(place, slotOf(place))));
  }

  /** Forgets all passes: their attempt is over. */
  clear(): void {
    this.#open.clear();
  }

  statistics(mode: PassMode): StageStatistics {
    return this.#slot(slots[mode]).statistics;
  }

  #slot(slot: number): SlotBuffers {
    const buffers = this.#buffers[slot];
    assert(buffers !== null && buffers !== undefined, 'a slot has its buffers', { slot });
    return buffers;
  }

  #context(place: PassPlace): StageContext {
    const { weights, gradients } = this.#dense;
    return {
      shape: this.#shape,
      rope: this.#rope,
      ...this.#slot(slotOf(place)),
      weights: weights.at(place.version),
      gradients: place.mode === 'train' ? gradients.of(place.microbatch) : null,
    };
  }
}

const placeOf = ({ step, attempt, microbatch }: Omit<PassPlace, 'mode'>) => ({ step, attempt, microbatch });
