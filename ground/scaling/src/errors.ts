import { TroupeError } from '@troupe/core';

/** A set of coefficients that is none, or that lacks the law that is asked of it. */
export class ScalingLawError extends TroupeError {
  override readonly name = 'ScalingLawError';
  constructor(message: string) {
    super('TROUPE_SCALING_LAW', message);
  }
}

/** Runs that a law cannot be fitted to. */
export class ScalingRunsError extends TroupeError {
  override readonly name = 'ScalingRunsError';
  constructor(message: string) {
    super('TROUPE_SCALING_RUNS', message);
  }
}

/** A question without an answer, such as a budget that inference alone exceeds. */
export class ScalingBudgetError extends TroupeError {
  override readonly name = 'ScalingBudgetError';
  constructor(message: string) {
    super('TROUPE_SCALING_BUDGET', message);
  }
}
