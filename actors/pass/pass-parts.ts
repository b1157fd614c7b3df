import type { Slot } from '@troupe/topology/layout';
import type { Passes } from '../passes.ts';
import type { StageParameters } from '../stage-parameters.ts';
import type { Worker } from '../worker.ts';

/** What a pass stands on. */
export interface PassParts {
  readonly worker: Worker;
  readonly parameters: StageParameters;
  readonly passes: Passes;
  readonly slot: Slot;
}
