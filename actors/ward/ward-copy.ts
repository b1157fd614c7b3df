/** What a buddy knows of its copy of the ward's state; plain data, so that it lives in the machine's context. */
export interface WardCopy {
  /** Version that is here completely; -1: none. */
  readonly version: number;
  /** The attempt that the newest parts belong to, and their elements. */
  readonly attempt: number;
  readonly received: number;
  /** Elements of the ward's slice. */
  readonly size: number;
}

export const noCopy = (size: number): WardCopy => ({ version: -1, attempt: 0, received: 0, size });

/**
 * BUD-3: a copy counts once all of its parts of one attempt are here. Parts of a version that is here already bring the same bits, so
 * they take nothing away when the rest of them never comes; parts of another version do.
 */
export function receivePart(
  copy: WardCopy,
  part: { readonly version: number; readonly attempt: number; readonly elements: number },
): WardCopy {
  const { version, attempt } = part;
  const received = part.elements + (attempt === copy.attempt ? copy.received : 0);
  const isComplete = received === copy.size || version === copy.version;
  return { ...copy, attempt, received, version: isComplete ? version : -1 };
}

/** The copy after its buddy has carried a decision out; half a copy stays none. */
export const advance = (copy: WardCopy): WardCopy =>
  copy.version < 0 ? copy : { ...copy, version: copy.version + 1 };
