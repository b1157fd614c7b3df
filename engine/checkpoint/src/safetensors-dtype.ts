/** Bits of one element, for every dtype of the format. */
const dtypeBits = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

export type SafetensorsDtype = keyof typeof dtypeBits;

/** Every dtype of the format; those that are no weights are handed out as bytes. */
export const safetensorsDtypes = Object.keys(dtypeBits) as readonly SafetensorsDtype[];

export const isSafetensorsDtype = (name: unknown): name is SafetensorsDtype =>
  typeof name === 'string' && Object.hasOwn(dtypeBits, name);

/** Largest number of elements that a size is computed for, as in the format's own library. */
const ELEMENTS_MAX = 2n ** 64n - 1n;

/**
 * Bytes of a tensor.
 *
 * Multiplied from the left as the format's own library does, so that a shape overflows here where it overflows there, a zero
 * behind it or not.
 *
 * @returns null when the sizes multiply beyond 64 bits, or elements of 4 or 6 bits end inside a byte
 */
export function tensorBytes(dtype: SafetensorsDtype, shape: readonly number[]): number | null {
  let elements = 1n;
  for (const size of shape) {
    elements *= BigInt(size);
    if (elements > ELEMENTS_MAX) return null;
  }
  const bits = elements * BigInt(dtypeBits[dtype]);
  return bits > ELEMENTS_MAX || bits % 8n !== 0n ? null : Number(bits / 8n);
}

/** Dtypes that widen to float32 without loss. */
export const weightDtypes = ['F32', 'BF16', 'F16'] as const;

export const isWeightDtype = (dtype: SafetensorsDtype): dtype is (typeof weightDtypes)[number] =>
  (weightDtypes as readonly SafetensorsDtype[]).includes(dtype);
