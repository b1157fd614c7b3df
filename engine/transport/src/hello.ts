import { nodeId, type NodeId } from '@troupe/core';
import { placesMax } from './addresses.ts';
import { GarbageError } from './framing.ts';
import type { CreditBytes } from './limits.ts';

/** Where a node may listen, one ZeroMQ endpoint per lane. */
export interface Place {
  readonly control: string;
  readonly data: string;
  /** 6: the IPv6 address of a name. Never said in a hello. */
  readonly family?: 6;
}

/** Where a node listens: the place to try first, and others under which it may be found. */
export interface Endpoints extends Place {
  readonly others?: readonly Place[];
}

/** First message of a session on both lanes: who calls, whom, and how much it takes. */
export interface Hello {
  readonly node: NodeId;
  readonly incarnation: number;
  readonly to: NodeId;
  /** Which run the caller belongs to; empty: it does not say. */
  readonly run: string;
  /** Under CURVE the public key that the caller has the secret of; a proof follows. */
  readonly key?: string;
  /** Where the caller listens. */
  readonly endpoints: Endpoints;
  /** What the caller lets the callee have on the way. */
  readonly creditBytes: CreditBytes;
}

/** Room for the longest names of {@link placesMax} hosts. */
const helloBytesMax = 8192;

export const encodeHello = (hello: Hello): Uint8Array => Buffer.from(JSON.stringify(hello));

/** @throws {GarbageError} */
export function decodeHello(bytes: Uint8Array): Hello {
  if (bytes.byteLength > helloBytesMax) throw new GarbageError('a hello is too long');
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw new GarbageError('a hello is not JSON');
  }
  const hello = mapOf(found);
  const endpoints = mapOf(hello['endpoints']);
  const credit = mapOf(hello['creditBytes']);
  return {
    node: nodeId(textOf(hello['node'])),
    incarnation: countOf(hello['incarnation']),
    to: nodeId(textOf(hello['to'])),
    run: hello['run'] === '' ? '' : textOf(hello['run']),
    ...(hello['key'] === undefined ? {} : { key: textOf(hello['key']) }),
    endpoints: { ...placeOf(endpoints), ...othersOf(endpoints['others']) },
    creditBytes: { control: countOf(credit['control']), data: countOf(credit['data']) },
  };
}

const placeOf = (map: Record<string, unknown>): Place => ({
  control: textOf(map['control']),
  data: textOf(map['data']),
});

function othersOf(value: unknown): Pick<Endpoints, 'others'> {
  if (value === undefined) return {};
  if (!Array.isArray(value) || value.length >= placesMax)
    throw new GarbageError('a hello has too many places');
  return { others: value.map((each) => placeOf(mapOf(each))) };
}

function mapOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new GarbageError('a hello lacks a map');
  return value as Record<string, unknown>;
}

function textOf(value: unknown): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > 512)
    throw new GarbageError('a hello lacks a name');
  return value;
}

function countOf(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new GarbageError('a hello lacks a number');
  return value as number;
}
