import type { Supervision } from '@troupe/runtime';

/** How the agent of the first machine begins the next life of a lead that was lost. */
export interface LeadRestarts {
  readonly limit: Pick<Supervision, 'intensity' | 'periodMs'>;
  /** Milliseconds after which a lead that asks nobody anything is lost. */
  readonly silenceMs: number;
  /** Milliseconds within which the next life must have asked. */
  readonly joinMs: number;
  readonly restart: (life: number) => void;
  /** None is begun any more. */
  readonly failed: (sentence: string) => void;
}
