import { assert, type HostFloats, type HostArray } from '@troupe/core';
import type { DeviceArray, Floats, Int64s, Ints } from '@troupe/kernel-set';
import type { WireValue } from '@troupe/wire';

/** A value in a message's body: how its type is called, and whether a value that came over a wire is one. */
export interface Field<V extends WireValue = WireValue, Optional extends boolean = boolean> {
  /** In words, for tables and refusals: `number`, `train | evaluate`. */
  readonly type: string;
  readonly isOptional: Optional;
  readonly admits: (value: unknown) => boolean;
  /** Never there: it carries the type. */
  readonly sample?: V;
}

/**
 * An array in a message: memory of the host, which travels, or memory of the device that sender and receiver share. Who sends to an actor
 * elsewhere reads it from the device first (`Device.read`), and who gets it brings it to its own (`Device.upload`).
 */
export type Carried = HostArray | DeviceArray;

/** Whether it is host memory, which can leave the process. */
export const travels = (value: Carried): value is HostArray => ArrayBuffer.isView(value);

/** An array that a message carries beside its body. Its name says its dimensions: `x_UD` is [U, D]. */
export interface TensorField<A extends Carried = Carried, Optional extends boolean = boolean> {
  readonly type: string;
  readonly isOptional: Optional;
  /** Whether what came over a wire is one. */
  readonly admits: (value: Carried) => boolean;
  readonly sample?: A;
}

const scalar = <V extends WireValue>(type: string, admits: (value: unknown) => boolean): Field<V, false> => ({
  type,
  isOptional: false,
  admits,
});

/** The fields that a body may have. */
export const field = {
  number: scalar<number>('number', (value) => typeof value === 'number'),
  text: scalar<string>('text', (value) => typeof value === 'string'),
  flag: scalar<boolean>('flag', (value) => typeof value === 'boolean'),
  /** Whatever a body may hold. */
  any: scalar<WireValue>('any', (value) => value !== undefined),
  texts: scalar<readonly string[]>(
    'texts',
    (value) => Array.isArray(value) && value.every((each) => typeof each === 'string'),
  ),
  oneOf: <const V extends string>(...values: readonly V[]): Field<V, false> =>
    scalar<V>(values.join(' | '), (value) => values.includes(value as V)),
  optional: <V extends WireValue>(required: Field<V, false>): Field<V, true> => ({
    type: required.type,
    isOptional: true,
    admits: (value) => value === undefined || required.admits(value),
  }),
} as const;

const array = <A extends Carried>(
  type: string,
  admits: (value: Carried) => boolean,
): TensorField<A, false> => ({ type, isOptional: false, admits });

const isFloats = (value: Carried): boolean => value instanceof Float32Array || value instanceof Float64Array;

const isRows = (value: Carried): boolean => isFloats(value) || value instanceof Uint16Array;

/** The arrays that a message may carry. */
export const tensor = {
  floats: array<HostFloats>('floats', isFloats),
  ints: array<Int32Array>('int32', (value) => value instanceof Int32Array),
  bytes: array<Uint8Array>('uint8', (value) => value instanceof Uint8Array),
  int64s: array<BigInt64Array>('int64', (value) => value instanceof BigInt64Array),
  /** A gradient as its owner holds it: exact sums, or floats where one kernel call finishes it. */
  sums: array<HostFloats | BigInt64Array>(
    'int64 or floats',
    (value) => isFloats(value) || value instanceof BigInt64Array,
  ),
  /** Rows in the format that the sender computes in. */
  rows: array<HostFloats | Uint16Array>('floats or bf16', isRows),
  /** Whatever a stranger sends; the receiver looks at it. */
  any: array<HostArray>('any', () => true),
  /** What the receiver may have beside its sender, on the same device: then it is that device's own memory. */
  lent: {
    floats: array<HostFloats | Floats>('floats (lent beside)', isFloats),
    /** Floats, or bf16 where they travel so. */
    rows: array<HostFloats | Uint16Array | Floats>('floats or bf16 (lent beside)', isRows),
    ints: array<Int32Array | Ints>('int32 (lent beside)', (value) => value instanceof Int32Array),
    int64s: array<BigInt64Array | Int64s>('int64 (lent beside)', (value) => value instanceof BigInt64Array),
    /** Where the receiver puts results for a sender beside it; it never travels. */
    room: array<Floats>('room beside', () => false),
  },
  optional: <A extends Carried>(required: TensorField<A, false>): TensorField<A, true> => ({
    type: required.type,
    isOptional: true,
    admits: required.admits,
  }),
} as const;

type Fields = Readonly<Record<string, Field>>;
type TensorFields = Readonly<Record<string, TensorField>>;

/** What an event holds beside its header, and whether an abandoned attempt's is dropped. */
export interface Shape<B extends Fields = Fields, T extends TensorFields = TensorFields> {
  readonly fenced: boolean;
  readonly body: B;
  readonly tensors: T;
}

/** A message: a shape, and who sends it to whom. */
export interface MessageShape<
  From extends string = string,
  To extends string = string,
  B extends Fields = Fields,
  T extends TensorFields = TensorFields,
> extends Shape<B, T> {
  readonly from: readonly From[];
  readonly to: readonly To[];
  /** One sentence: what it says. */
  readonly says: string;
}

/** Shapes by the kind of event. */
export type Shapes = Readonly<Record<string, Shape>>;
export type Catalogue = Readonly<Record<string, MessageShape>>;

const nothing = {} as const;

/** A kind of message. Left out: not fenced, no body, no tensors. */
export function message<
  const From extends string,
  const To extends string,
  const B extends Fields = typeof nothing,
  const T extends TensorFields = typeof nothing,
>(spec: {
  readonly from: readonly From[];
  readonly to: readonly To[];
  readonly says: string;
  readonly fenced?: boolean;
  readonly body?: B;
  readonly tensors?: T;
}): MessageShape<From, To, B, T> {
  const { fenced = false, body = nothing as unknown as B, tensors = nothing as unknown as T } = spec;
  return { from: spec.from, to: spec.to, says: spec.says, fenced, body, tensors };
}

/** An event that an actor puts into its own mailbox: a completion, a timer, the outcome of a promise. It never travels. */
export function ownEvent<
  const B extends Fields = typeof nothing,
  const T extends TensorFields = typeof nothing,
>(spec: { readonly fenced?: boolean; readonly body?: B; readonly tensors?: T } = {}): Shape<B, T> {
  const { fenced = false, body = nothing as unknown as B, tensors = nothing as unknown as T } = spec;
  return { fenced, body, tensors };
}

type OptionalIn<F extends Readonly<Record<string, { readonly isOptional: boolean }>>> = {
  [K in keyof F]: F[K]['isOptional'] extends true ? K : never;
}[keyof F];

/** Values of a body's fields, by name. */
export type BodyOf<F extends Fields> = {
  readonly [K in Exclude<keyof F, OptionalIn<F>>]: Exclude<F[K]['sample'], undefined>;
} & { readonly [K in OptionalIn<F>]?: Exclude<F[K]['sample'], undefined> };

/** Arrays of a message, by name. */
export type TensorsOf<F extends TensorFields> = {
  readonly [K in Exclude<keyof F, OptionalIn<F>>]: Exclude<F[K]['sample'], undefined>;
} & { readonly [K in OptionalIn<F>]?: Exclude<F[K]['sample'], undefined> };

/** The kinds that a role sends, or that come to it. */
export type SentBy<C extends Catalogue, Role extends string> = {
  readonly [K in keyof C as Role extends C[K]['from'][number] ? K : never]: C[K];
};
export type SentTo<C extends Catalogue, Role extends string> = {
  readonly [K in keyof C as Role extends C[K]['to'][number] ? K : never]: C[K];
};

/** What is wrong with a message that came over a wire, in words; null: it has the shape of its kind. */
export function shapeProblem(
  { body, tensors }: Shape,
  found: {
    readonly body: Readonly<Record<string, unknown>>;
    readonly tensors: Readonly<Record<string, Carried | undefined>>;
  },
): string | null {
  for (const name in body) {
    const expected = body[name];
    if (expected !== undefined && !expected.admits(found.body[name]))
      return `its field ${name} is not ${expected.type}`;
  }
  for (const name in tensors) {
    const expected = tensors[name];
    const value = found.tensors[name];
    if (expected === undefined) continue;
    if (value === undefined ? !expected.isOptional : !expected.admits(value))
      return `its tensor ${name} is not ${expected.type}`;
  }
  return null;
}

const noTensors: Readonly<Record<string, HostArray>> = Object.freeze({});
const noArrays: readonly HostArray[] = Object.freeze([]);

/** Arrays in the order of their names, as they travel. An optional one that is left out is one of the last. */
export function arraysOf(
  shape: Shape,
  tensors: Readonly<Record<string, Carried | undefined>> | undefined,
): readonly HostArray[] {
  if (tensors === undefined) return noArrays;
  const arrays: HostArray[] = [];
  for (const name in shape.tensors) {
    const value = tensors[name];
    if (value === undefined) continue;
    assert(travels(value), 'what leaves for another node is read from its device first', { name });
    arrays.push(value);
  }
  return arrays.length === 0 ? noArrays : arrays;
}

/** Arrays that travelled, by name. */
export function tensorsOf(shape: Shape, arrays: readonly HostArray[]): Readonly<Record<string, HostArray>> {
  if (arrays.length === 0) return noTensors;
  const tensors: Record<string, HostArray> = {};
  let at = 0;
  for (const name in shape.tensors) {
    const value = arrays[at++];
    if (value === undefined) break;
    tensors[name] = value;
  }
  return tensors;
}

/** Kinds to which the fence of an actor applies: messages to its role, and its own events. */
export function fencedKinds(catalogue: Catalogue, role: string, own: Shapes): ReadonlySet<string> {
  const sent = Object.entries(catalogue).filter(
    ([, { to, fenced }]) => fenced && (to.includes(role) || to.includes('any')),
  );
  const posted = Object.entries(own).filter(([, { fenced }]) => fenced);
  return new Set([...sent, ...posted].map(([kind]) => kind));
}
