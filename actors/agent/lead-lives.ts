import type { Supervision } from '@troupe/runtime';

/** What follows from the end of a life of the lead. */
export type LeadLoss = 'no news' | 'restart' | 'beyond';

/** Lives of a run's lead, as the agent knows them that restarts it. */
export class LeadLives {
  readonly #limit: Pick<Supervision, 'intensity' | 'periodMs'>;
  #lossesMs: readonly number[] = [];
  #life = 1;

  /** @param limit - losses tolerated per period */
  constructor(limit: Pick<Supervision, 'intensity' | 'periodMs'>) {
    this.#limit = limit;
  }

  /** The one that runs, or was asked for. */
  get life(): number {
    return this.#life;
  }

  /** One has ended, or says nothing. The end of one that was replaced is no news; beyond the limit none is begun any more. */
  lost(life: number, nowMs: number): LeadLoss {
    if (life < this.#life) return 'no news';
    const { intensity, periodMs } = this.#limit;
    const recent = this.#lossesMs.filter((ms) => nowMs - ms < periodMs);
    if (recent.length >= intensity) return 'beyond';
    this.#lossesMs = [...recent, nowMs];
    this.#life++;
    return 'restart';
  }
}
