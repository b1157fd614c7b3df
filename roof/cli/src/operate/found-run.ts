import {
  ControlClient,
  findControl,
  mustHoldRun,
  writerOf,
  type ControlPlace,
  type ProcessIdentity,
} from 'troupe/control';

/** A run folder as another process finds it. */
export type FoundRun =
  | { readonly kind: 'running'; readonly place: ControlPlace; readonly client: ControlClient }
  /** A process that cannot be asked from here writes it. */
  | { readonly kind: 'unasked'; readonly process: ProcessIdentity; readonly why: string }
  /** `killed`: its process is gone, and did not say that it ends. */
  | { readonly kind: 'at rest'; readonly killed: ProcessIdentity | null };

/**
 * Looks who runs a folder, and connects to it.
 *
 * @throws {RunMissingError} TROUPE_RUN_MISSING · {TroupeError} TROUPE_CONTROL_UNREACHABLE
 */
export async function findRun(folder: string): Promise<FoundRun> {
  mustHoldRun(folder);
  const found = findControl(folder);
  if (found.kind === 'running') {
    const { place } = found;
    return { kind: 'running', place, client: await ControlClient.open(place) };
  }
  if (found.kind === 'elsewhere') {
    const { process } = found.place;
    return { kind: 'unasked', process, why: `it can be asked on ${process.host} alone` };
  }
  const writer = writerOf(folder);
  if (writer !== null)
    return { kind: 'unasked', process: writer, why: 'it has no control socket (control.json)' };
  return { kind: 'at rest', killed: found.kind === 'stale' ? found.place.process : null };
}
