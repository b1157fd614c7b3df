import type { PassContext } from './machine.ts';

/** Which pass, and where it stands. */
export type PassPlaceOf = Pick<PassContext, 'step' | 'attempt' | 'version' | 'layer' | 'microbatch'>;

/** Which pass, in a message. */
export const messagePlace = ({ step, attempt, version, layer, microbatch }: PassPlaceOf): PassPlaceOf => ({
  step,
  attempt,
  version,
  layer,
  microbatch,
});
