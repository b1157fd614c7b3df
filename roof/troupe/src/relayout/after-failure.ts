import type { AfterFailure } from './relayouts.ts';

/** A machine that is lost for good ends the run: what follows it is not built yet. */
export const afterFailure: AfterFailure = () => null;
