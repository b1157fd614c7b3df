/** What crosses between the device and its worker thread. */
import type { ErrorDetails } from '@troupe/core';
import type { KernelCall, OnHost } from '@troupe/kernel-set';
import type { BackendWish, TfjsBackendName } from './backend.ts';

export type WorkerOptions = BackendWish;

/** A list; its arrays lie in shared memory, so that a clone of it is a description: buffer, offset, length. */
export type ToWorker =
  | { readonly kind: 'list.run'; readonly calls: readonly OnHost<KernelCall>[] }
  /** A list that cannot be sent: it is answered in its turn with this reason. */
  | { readonly kind: 'list.refuse'; readonly message: string }
  | { readonly kind: 'thread.end' };

export interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly details: ErrorDetails;
}

export type FromWorker =
  | {
      readonly kind: 'backend.opened';
      readonly backend: TfjsBackendName;
      readonly name: string;
      readonly reason: string;
    }
  | { readonly kind: 'backend.failed'; readonly reason: string }
  /** One for each list, in order. */
  | { readonly kind: 'list.completed'; readonly error: PlainError | null; readonly kernelMs: number };
