import { assert, type Address } from '@troupe/core';
import { moeLayers } from '@troupe/spec';
import type { Decision } from '@troupe/journal';
import type { RecoveredEvent, StepEvent } from '@troupe/telemetry';
import type { ExpertSeats } from '@troupe/topology/layout';
import { firstSeats, type Job } from '../job.ts';
import { addCounts, countsEqual, type Counted } from '../token-tensors.ts';
import type { Company } from './company.ts';
import type { TrainerSelf } from './events.ts';
import type { ExpertDeal } from './expert-deal.ts';
import { StepLedger } from '../step-ledger.ts';
import type { TrainerOptions } from './options.ts';

/** A loss that the run has not recovered from. */
export interface Loss {
  readonly workers: Set<string>;
  readonly atMs: number;
  /** Last step that was committed when it happened. */
  readonly step: number;
}

/** So much longer than agents wait for their actors the trainer waits for them, milliseconds: for an agent's word to arrive. */
const MARGIN_MS = 10_000;

/** What the effects of a trainer keep from turn to turn: nobody else sees it. */
export class TrainerState {
  readonly options: TrainerOptions;
  readonly job: Job;
  readonly company: Company;
  /** Sums of the present attempt at the open step. */
  ledger: StepLedger;
  /** Updates that were carried out: what Adam corrects its moments by. */
  adamClock: number;
  openedAtMs = 0;
  lastLoss: number | null = null;
  /** Losses of the steps that were reported and may have to be repeated, from the last checkpoint on. */
  readonly reported = new Map<number, number>();
  /** How often the open step has been begun. */
  openings = { step: 0, count: 0 };
  loss: Loss | null = null;
  /** Where the last recovery took states from. */
  source: RecoveredEvent['from'] = 'peers';
  /** Where experts sit, and rows that each had in the steps since they were last dealt. */
  seats: ExpertSeats;
  load_LE: Float64Array;
  /** Experts that are to move. */
  deal: (ExpertDeal & { readonly atMs: number }) | null = null;
  /** Those that have moved, until the attempt in which they did is complete. */
  moved: TrainerState['deal'] = null;
  /** Of the open step. */
  decided: { readonly gradNorm: number; readonly body: Decision } = {
    gradNorm: 0,
    body: { apply: false, gradScale: 1, learningRate: 0, clock: 0 },
  };
  /** Its record, once that lasts; it travels with the decision. */
  record = '';
  /** Of a lead that takes over: the line of the last step that was decided before, which may not have been reported. */
  retold: StepEvent | null = null;
  /** When workers were lost, of the newest such losses. */
  readonly lossesMs: number[] = [];
  readonly #self: TrainerSelf;
  /** Tokens of a step by the agent whose feeders counted them: one that counts again says the same again. */
  readonly #counts = new Map<number, Map<string, Counted>>();

  constructor(self: TrainerSelf, options: TrainerOptions, company: Company) {
    this.options = options;
    this.job = options.job;
    this.company = company;
    this.adamClock = options.job.first.adamClock;
    this.ledger = this.newLedger();
    this.seats = firstSeats(options.job);
    this.load_LE = new Float64Array(this.ledger.counts.length);
    this.#self = self;
  }

  newLedger(): StepLedger {
    const { model } = this.job;
    return new StepLedger({ layers: moeLayers(model).length, experts: model.moe?.experts ?? 0 });
  }

  /** A committed step's rows count towards the next dealing. */
  countLoad(): void {
    this.ledger.counts.forEach((rows, at) => (this.load_LE[at] = (this.load_LE[at] ?? 0) + rows));
  }

  /** Where experts sit, for messages; nothing where they sit as the layout has them. */
  get seated(): { readonly groups_LE?: Int32Array } {
    const { groups_LE } = this.seats;
    return firstSeats(this.job).equals(groups_LE) ? {} : { groups_LE };
  }

  count(step: number, agent: Address, counted: Counted): void {
    const known = this.#counts.get(step) ?? new Map<string, Counted>();
    const before = known.get(agent);
    assert(
      before === undefined || countsEqual(before, counted),
      'feeders that count a step again count the same (DAT-1)',
      { step, agent },
    );
    this.#counts.set(step, known.set(agent, counted));
  }

  /** What has been counted so far. */
  tokensOf(step: number): Counted {
    return addCounts([...(this.#counts.get(step)?.values() ?? [])]);
  }

  forgetCounts(upTo: number): void {
    for (const step of this.#counts.keys()) if (step <= upTo) this.#counts.delete(step);
  }

  /** Feeders make a step ready before it opens. */
  prefetch(step: number): void {
    for (const agent of this.company.agents.feeding) this.#self.tell(agent, 'batch.prefetch', { step });
  }

  get lostWorkers(): string {
    return [...(this.loss?.workers ?? [])].join(', ');
  }

  /**
   * Waits for agents or the store. AGT-4: an agent's own wait for its actors is over before, so that it is the one that speaks; the trainer
   * speaks of a machine that says nothing at all.
   */
  waitFor(
    name: 'takeover' | 'load' | 'step' | 'move' | 'evaluation' | 'generation' | 'checkpoint' | 'recovery',
    wait: {
      readonly awaited: readonly Address[];
      readonly reason: string;
      readonly step: number;
      readonly deadlineMs: number;
    },
  ): void {
    this.#self.wait({ name, ...wait, deadlineMs: wait.deadlineMs + MARGIN_MS });
  }
}
