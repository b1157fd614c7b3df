import type * as tfjsCore from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';

/** How the memory of a backend is reached: a heap of its own, JavaScript's own arrays, or memory of TensorFlow's. */
export type TensorMemory =
  | { readonly kind: 'wasm'; readonly backend: BackendWasm }
  | { readonly kind: 'cpu' }
  | { readonly kind: 'tensorflow' };

/**
 * Matrices of one TensorFlow.js backend, written and read in place where the backend allows it.
 *
 * TFJS-1: `multiply` never passes transpose flags: on wasm they leave XNNPACK for a loop 13 to 30 times slower.
 * TFJS-2: batched products take the same slow loop, so every product is a plain one of two matrices.
 * TFJS-3: an array handed to a `write` or returned by `elements` dies with the next tensor, whose allocation may move the heap.
 * TFJS-4: wasm packs the right operand once per tensor; what has been a right operand is never written again.
 * TFJS-8: what was written into the array of `elements` is part of the tensor only through `rewritten`: TensorFlow hands out a copy.
 */
export class Tensors {
  readonly tf: typeof tfjsCore;
  readonly #memory: TensorMemory;
  #scratch = new Float64Array(0);

  constructor(tf: typeof tfjsCore, memory: TensorMemory) {
    this.tf = tf;
    this.#memory = memory;
  }

  /** Whether transposed operands cost nothing, and operands may be the caller's own memory. */
  get isNative(): boolean {
    return this.#memory.kind === 'tensorflow';
  }

  /** Runs `body` and frees every tensor made in it, but for the one it returns. */
  scope<T extends Tensor2D | null | void>(body: () => T): T {
    return this.tf.tidy(body as () => Tensor2D) as T;
  }

  /** A new matrix; `write` must set every element, which it finds undefined. */
  matrix(rows: number, columns: number, write: (elements: Float32Array) => void): Tensor2D {
    if (this.#memory.kind !== 'wasm') {
      const elements = new Float32Array(rows * columns);
      write(elements);
      return this.tf.tensor2d(elements, [rows, columns]);
    }
    const { backend } = this.#memory;
    const info = backend.makeOutput([rows, columns], 'float32');
    write(backend.typedArrayFromHeap(info) as Float32Array);
    return this.tf.engine().makeTensorFromTensorInfo(info) as Tensor2D;
  }

  /** left[M,K]·right[K,N]; no dimension may be 0. */
  multiply(left: Tensor2D, right: Tensor2D): Tensor2D {
    return this.tf.matMul(left, right);
  }

  transpose(matrix: Tensor2D): Tensor2D {
    return this.tf.transpose(matrix);
  }

  /** left + right; frees both. */
  addInto(left: Tensor2D, right: Tensor2D): Tensor2D {
    const sum = this.tf.add<Tensor2D>(left, right);
    left.dispose();
    right.dispose();
    return sum;
  }

  sigmoid(matrix: Tensor2D): Tensor2D {
    return this.tf.sigmoid(matrix);
  }

  /** Softmax of each row. */
  softmax(matrix: Tensor2D): Tensor2D {
    return this.tf.softmax(matrix);
  }

  /** The elements of a tensor, row-major; may be written, see TFJS-8. */
  elements(tensor: Tensor2D): Float32Array {
    if (this.#memory.kind !== 'wasm') return tensor.dataSync<'float32'>();
    return this.#memory.backend.typedArrayFromHeap(tensor) as Float32Array;
  }

  /** The tensor whose `elements` were written: the same one where these are its memory, else a new one. */
  rewritten(tensor: Tensor2D, elements: Float32Array): Tensor2D {
    if (this.#memory.kind !== 'tensorflow') return tensor;
    return this.tf.tensor2d(elements, tensor.shape);
  }

  /** Room for sums, with whatever was there before; the next call gives the same again. */
  scratch(length: number): Float64Array {
    if (this.#scratch.length < length) this.#scratch = new Float64Array(length);
    return this.#scratch.subarray(0, length);
  }

  /** Tensors alive now and their bytes: a leak shows here. */
  memory(): { readonly numTensors: number; readonly numBytes: number } {
    const { numTensors, numBytes } = this.tf.memory();
    return { numTensors, numBytes };
  }
}
