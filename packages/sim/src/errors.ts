import { TroupeError } from '@troupe/core';

/** A fault plan crashed this actor. */
export class SimulationCrashError extends TroupeError {
  override readonly name = 'SimulationCrashError';
  constructor(address: string) {
    super('TROUPE_SIM_CRASH', `${address} was crashed by the fault plan`, {
      retryable: true,
      details: { address },
    });
  }
}
