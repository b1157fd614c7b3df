import type { Checker } from './checker.ts';

/**
 * Rows, gradients and weights are, when an actor takes them up, the bytes that left: nobody wrote into a buffer that was on its way.
 *
 * Of an attempt that is over buffers may change on the way, since whoever reads them drops them; so what counts is the turn.
 */
export const bytesIntact = (): Checker => {
  const changed = new WeakMap<ArrayBufferLike, string>();
  let hasChanged = false;
  return {
    name: 'bytes-intact',
    looksAt: ['packet', 'turn'],
    see: (seen) => {
      if (seen.type === 'packet') {
        for (const buffer of seen.changed ?? []) {
          changed.set(buffer, seen.from);
          hasChanged = true;
        }
        return null;
      }
      if (!hasChanged || seen.type !== 'turn' || seen.outcome !== 'handled') return null;
      for (const { buffer } of seen.tensors) {
        const from = changed.get(buffer);
        if (from !== undefined)
          return `${seen.address} took up ${seen.kind} of step ${seen.step} whose bytes changed on their way from ${from}`;
      }
      return null;
    },
  };
};
