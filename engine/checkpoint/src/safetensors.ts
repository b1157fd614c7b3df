import { assert, type PendingFile, type Storage } from '@troupe/core';
import { CheckpointFormatError } from './errors.ts';
import { quoted } from './json-text.ts';
import { isWeightDtype, weightDtypes } from './safetensors-dtype.ts';
import {
  headerJsonBytes,
  parseHeader,
  writeHeader,
  type PlacedTensor,
  type SafetensorsHeader,
  type SafetensorsTensor,
} from './safetensors-header.ts';

/**
 * Writes a safetensors file front to back: header first, then the tensors' bytes in the order of `tensors`.
 */
export class SafetensorsWriter {
  readonly header: SafetensorsHeader;
  /** The header's bytes as they lie in the file. */
  readonly headerBytes: Uint8Array;
  readonly #file: string;
  readonly #pending: PendingFile;
  #position: number;

  private constructor(file: string, pending: PendingFile, plan: ReturnType<typeof writeHeader>) {
    this.header = plan.header;
    this.headerBytes = plan.bytes;
    this.#file = file;
    this.#pending = pending;
    this.#position = plan.bytes.byteLength;
  }

  /** Opens `file` aside and writes its header. */
  static async create(
    storage: Storage,
    file: string,
    tensors: readonly SafetensorsTensor[],
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<SafetensorsWriter> {
    const plan = writeHeader(file, tensors, metadata);
    const pending = await storage.create(file);
    try {
      await pending.write(plan.bytes);
    } catch (error) {
      await pending.abort();
      throw error;
    }
    return new SafetensorsWriter(file, pending, plan);
  }

  /** Next byte to be written, from the start of the file. */
  get position(): number {
    return this.#position;
  }

  /** Writes the next bytes of the data, whatever tensors they belong to. */
  async append(bytes: Uint8Array): Promise<void> {
    assert(
      this.#position + bytes.byteLength <= this.header.fileBytes,
      'the header names every byte of the data',
      {
        file: this.#file,
      },
    );
    await this.#pending.write(bytes);
    this.#position += bytes.byteLength;
  }

  /** @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT when bytes are still missing */
  async commit(): Promise<void> {
    if (this.#position !== this.header.fileBytes) {
      throw new CheckpointFormatError(
        this.#file,
        `ends at byte ${this.#position} of ${this.header.fileBytes}`,
      );
    }
    await this.#pending.commit();
  }

  async abort(): Promise<void> {
    await this.#pending.abort();
  }
}

/** An open safetensors file whose header has been checked. */
export interface SafetensorsFile {
  readonly file: string;
  readonly header: SafetensorsHeader;
  /** @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT when there is no such tensor */
  tensor(name: string): PlacedTensor;
  /** Bytes of a whole tensor, whatever its dtype. */
  readBytes(name: string): Promise<Uint8Array>;
  /**
   * Elements of a tensor as float32: F32 bit for bit, BF16 and F16 exactly widened.
   *
   * @param range - elements from `offset` on; default the whole tensor
   */
  readFloats(
    name: string,
    range?: { readonly offset: number; readonly length: number },
  ): Promise<Float32Array>;
}

/** @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT, see {@link parseHeader} */
export async function openSafetensors(storage: Storage, file: string): Promise<SafetensorsFile> {
  const fileBytes = await storage.sizeBytes(file);
  const prefix = await storage.read(file, { offset: 0, lengthBytes: Math.min(8, fileBytes) });
  const lengthBytes = headerJsonBytes(file, prefix, fileBytes);
  const header = parseHeader(file, await storage.read(file, { offset: 8, lengthBytes }), fileBytes);
  const tensor = (name: string): PlacedTensor => {
    const found = header.tensors.get(name);
    if (found !== undefined) return found;
    throw new CheckpointFormatError(file, `has no tensor ${quoted(name)}`, { tensor: name });
  };
  return {
    file,
    header,
    tensor,
    async readBytes(name) {
      const { offsetBytes: offset, lengthBytes } = tensor(name);
      return storage.read(file, { offset, lengthBytes });
    },
    async readFloats(name, range) {
      const { dtype, offsetBytes, lengthBytes: tensorLengthBytes } = tensor(name);
      if (!isWeightDtype(dtype)) {
        throw new CheckpointFormatError(
          file,
          `tensor ${quoted(name)} is ${dtype}; weights are ${weightDtypes.join(', ')}`,
          { tensor: name },
        );
      }
      const elementBytes = dtype === 'F32' ? 4 : 2;
      const { offset, length } = range ?? { offset: 0, length: tensorLengthBytes / elementBytes };
      assert((offset + length) * elementBytes <= tensorLengthBytes, 'a range lies inside its tensor', {
        tensor: name,
      });
      const bytes = await storage.read(file, {
        offset: offsetBytes + offset * elementBytes,
        lengthBytes: length * elementBytes,
      });
      if (dtype === 'F32') return floatsOf(bytes);
      return dtype === 'BF16' ? floatsOfBfloat16(bytes) : floatsOfHalf(bytes);
    },
  };
}

/** Little-endian bytes as float32, bit for bit; without a copy where they are aligned. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / 4);
}

/** The bytes of a float32 array, bit for bit, without a copy. */
export function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function floatsOfBfloat16(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bits = Uint32Array.from(
    { length: bytes.byteLength / 2 },
    (_, i) => view.getUint16(2 * i, true) * 2 ** 16,
  );
  return new Float32Array(bits.buffer);
}

function floatsOfHalf(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength / 2 }, (_, i) =>
    halfToFloat(view.getUint16(2 * i, true)),
  );
}

/** IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
function halfToFloat(half: number): number {
  const sign = half >= 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}
