import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { storageError } from '../ports/storage-error.ts';
import { isRunning, type ProcessIdentity } from '../ports/process-identity.ts';
import type { ControlTokens } from './request.ts';

/** How to reach a running run, as its folder says. */
export interface ControlPlace extends ControlTokens {
  readonly format: 1;
  /** Path of a unix socket. */
  readonly socket: string;
  readonly process: ProcessIdentity;
  /** ISO 8601. */
  readonly since: string;
}

export const CONTROL_FILE = 'control.json';

/** What a run folder says of the process that runs it. */
export type FoundControl =
  /** No run has left word. */
  | { readonly kind: 'none' }
  | { readonly kind: 'running'; readonly place: ControlPlace }
  /** On another machine, or in another container: it cannot be seen, nor its socket reached. */
  | { readonly kind: 'elsewhere'; readonly place: ControlPlace }
  /** Its process is gone without having said that it ends. */
  | { readonly kind: 'stale'; readonly place: ControlPlace };

/** Appears whole or not at all, and nobody else may read it. */
export function writeControlFile(folder: string, place: ControlPlace): void {
  const path = join(folder, CONTROL_FILE);
  const aside = `${path}.${process.pid}.pending`;
  try {
    rmSync(aside, { force: true });
    writeFileSync(aside, `${JSON.stringify(place)}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw storageError(path, error);
  }
}

/** Removes it, unless another process has written its own meanwhile. */
export function removeControlFile(folder: string, { socket }: Pick<ControlPlace, 'socket'>): void {
  if (placeIn(folder)?.socket === socket) rmSync(join(folder, CONTROL_FILE), { force: true });
}

export function findControl(folder: string): FoundControl {
  const place = placeIn(folder);
  if (place === null) return { kind: 'none' };
  const runs = isRunning(place.process);
  return { kind: runs === 'unknown' ? 'elsewhere' : runs ? 'running' : 'stale', place };
}

/** null: there is none, or none that this version can read. */
function placeIn(folder: string): ControlPlace | null {
  try {
    const place = JSON.parse(
      readFileSync(join(folder, CONTROL_FILE), 'utf8'),
    ) as Partial<ControlPlace> | null;
    const isWhole =
      place?.format === 1 &&
      [place.socket, place.view, place.operate].every((each) => typeof each === 'string') &&
      typeof place.process?.pid === 'number';
    return isWhole ? (place as ControlPlace) : null;
  } catch {
    return null;
  }
}
