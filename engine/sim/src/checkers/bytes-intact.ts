import type { Checker } from './checker.ts';

/**
 * Rows, gradients and weights are, when an actor takes them up, the bytes that left: nobody wrote into a buffer that was on its way.
 *
 * What belongs to an attempt that somebody has left may change: its sender has reset its buffers, and a receiver that has not heard of it yet
 * will throw away what it takes up (REC-1). So what counts is the turn, and that no higher attempt has been seen anywhere.
 */
export const bytesIntact = (): Checker => {
  const changed = new WeakMap<ArrayBufferLike, string>();
  let hasChanged = false;
  let newest = 0;
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
      if (seen.type !== 'turn' || seen.outcome !== 'handled') return null;
      if (seen.attempt > newest) newest = seen.attempt;
      if (!hasChanged || seen.attempt < newest) return null;
      for (const tensor of Object.values(seen.tensors)) {
        const from = ArrayBuffer.isView(tensor) ? changed.get(tensor.buffer) : undefined;
        if (from !== undefined)
          return `${seen.address} took up ${seen.kind} of step ${seen.step} whose bytes changed on their way from ${from}`;
      }
      return null;
    },
  };
};
