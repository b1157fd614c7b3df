import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';

/**
 * Matrices of one TensorFlow.js backend, written and read in place where the backend allows it.
 *
 * TFJS-1: `multiply` never passes transpose flags: on wasm they leave XNNPACK for a loop 13 to 30 times slower.
 * TFJS-2: batched products take the same slow loop, so every product is a plain one of two matrices.
 * TFJS-3: an array handed to a `write` or returned by `elements` dies with the next tensor, whose allocation may move the heap.
 * TFJS-4: wasm packs the right operand once per tensor; what has been a right operand is never written again.
 */
export class Tensors {
  readonly #wasm: BackendWasm | null;

  constructor(wasm: BackendWasm | null) {
    this.#wasm = wasm;
  }

  /** Runs `body` and frees every tensor made in it, but for the one it returns. */
  scope<T extends Tensor2D | null | void>(body: () => T): T {
    return tf.tidy(body as () => Tensor2D) as T;
  }

  /** A new matrix; `write` must set every element, which it finds undefined. */
  matrix(rows: number, columns: number, write: (elements: Float32Array) => void): Tensor2D {
    if (this.#wasm === null) {
      const elements = new Float32Array(rows * columns);
      write(elements);
      return tf.tensor2d(elements, [rows, columns]);
    }
    const info = this.#wasm.makeOutput([rows, columns], 'float32');
    write(this.#wasm.typedArrayFromHeap(info) as Float32Array);
    return tf.engine().makeTensorFromTensorInfo(info) as Tensor2D;
  }

  /** left[M,K]·right[K,N]; no dimension may be 0. */
  multiply(left: Tensor2D, right: Tensor2D): Tensor2D {
    return tf.matMul(left, right);
  }

  transpose(matrix: Tensor2D): Tensor2D {
    return tf.transpose(matrix);
  }

  /** left + right; frees both. */
  addInto(left: Tensor2D, right: Tensor2D): Tensor2D {
    const sum = tf.add<Tensor2D>(left, right);
    left.dispose();
    right.dispose();
    return sum;
  }

  sigmoid(matrix: Tensor2D): Tensor2D {
    return tf.sigmoid(matrix);
  }

  /** Softmax of each row. */
  softmax(matrix: Tensor2D): Tensor2D {
    return tf.softmax(matrix);
  }

  /** The elements of a tensor, writable, row-major. */
  elements(tensor: Tensor2D): Float32Array {
    if (this.#wasm === null) return tensor.dataSync<'float32'>();
    return this.#wasm.typedArrayFromHeap(tensor) as Float32Array;
  }

  /** Tensors alive now: a leak shows here. */
  numTensors(): number {
    return tf.memory().numTensors;
  }
}
