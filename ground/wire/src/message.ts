import type { Address, HostArray } from '@troupe/core';

/**
 * What a body may hold: plain control values, never a tensor.
 *
 * A bigint travels as a decimal string. Numbers are float64, so every safe integer is exact; -0 arrives as 0, so values whose
 * bits matter travel as frames.
 */
export type WireValue =
  null | boolean | number | string | readonly WireValue[] | { readonly [key: string]: WireValue };

export type WireBody = Readonly<Record<string, WireValue>>;

/** One message between two actors: a small header and any number of tensors. A field that is undefined is absent. */
export interface Message {
  /** `noun.verb`, at most 64 characters, imperative for commands (`forward.run`), past for facts (`batch.dispatched`). */
  readonly kind: string;
  readonly from: Address;
  readonly to: Address;
  readonly step: number;
  readonly attempt: number;
  /** Number of updates the parameters in question have received. */
  readonly version: number;
  readonly layer?: number | undefined;
  readonly microbatch?: number | undefined;
  /** Id of an ask, unique per sender and life. */
  readonly correlation?: number | undefined;
  /** The `correlation` of the ask that this message answers. */
  readonly replyTo?: number | undefined;
  readonly body: WireBody;
  readonly tensors: readonly HostArray[];
}

/** Version of the header; raised by every change that an older reader would misread. */
export const wireVersion = 2;

/** Limits of a header; a packet outside them is refused before it is decoded. */
export const wireLimits = {
  /** Largest encoded header, bytes. */
  headerBytesMax: 64 * 1024,
  kindLengthMax: 64,
  addressLengthMax: 256,
  /** Levels of arrays and maps in a body, the body itself being the first. */
  bodyDepthMax: 6,
  framesMax: 256,
} as const;
