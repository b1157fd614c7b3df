import type { Fault } from '../faults.ts';
import type { Checker } from './checker.ts';

/** Faults after which a run may have to end: they take a process, an actor, a connection or a file away. */
const isGrave = ({ kind, forMs }: Fault, silenceMs: number): boolean => {
  if (kind === 'hang' || kind === 'partition') return (forMs ?? 0) >= silenceMs;
  return !['slow', 'skew', 'nan', 'delay', 'clog', 'bit-flip'].includes(kind);
};

/** Exit code of a run for which a device has no room. */
const NO_ROOM = 5;

/**
 * A run ends: as planned, or with exit code 76 (75 for a full disk) and a sentence that names what a fault touched. It never hangs.
 */
export const liveness = ({ silenceMs }: { readonly silenceMs: number }): Checker => {
  const touched = new Set<string>();
  let isFull = false;
  return {
    name: 'liveness',
    looksAt: ['fault', 'end'],
    see: (seen) => {
      if (seen.type === 'fault' && isGrave(seen.fault, silenceMs)) {
        for (const name of seen.touches) touched.add(name);
        isFull ||= seen.fault.kind === 'disk-full';
      }
      if (seen.type !== 'end' || seen.exitCode === 0) return null;
      const { exitCode, message } = seen;
      if (seen.isStuck) return `the run hangs: ${message}`;
      // A full disk is its own reason, and a device without room: the sentences name the file, and the device with what it has.
      if ((isFull && exitCode === 75) || exitCode === NO_ROOM) return null;
      if (exitCode !== 76) return `the run ended with ${exitCode}: ${message}`;
      const names = [...touched].some((name) =>
        new RegExp(`(?<![\\w/])${name}(?![\\w/])`, 'u').test(message),
      );
      return names
        ? null
        : `the run ended with ${exitCode}, and its sentence names nothing that a fault touched: ${message}`;
    },
  };
};
