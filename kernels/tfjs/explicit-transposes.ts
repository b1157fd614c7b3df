/** Products without transpose flags, for layers of users: on wasm flags leave XNNPACK for a loop 13 to 30 times slower (TFJS-1). */
import type * as tfjsCore from '@tensorflow/tfjs-core';
import type { GradConfig, Tensor, TensorLike } from '@tensorflow/tfjs-core';

type Core = typeof tfjsCore;

/** The last two dimensions swapped. */
function swapped(tf: Core, tensor: Tensor): Tensor {
  const rank = tensor.rank;
  return tf.transpose(tensor, [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2]);
}

/** Sums over the dimensions that a product stretched, so that a gradient has its operand's shape. */
function unstretched(tf: Core, gradient: Tensor, shape: readonly number[]): Tensor {
  const more = gradient.rank - shape.length;
  const axes = gradient.shape.map((size, i) => (i < more || (shape[i - more] === 1 && size > 1) ? i : -1));
  const stretched = axes.filter((axis) => axis >= 0);
  return stretched.length === 0 ? gradient : tf.reshape(tf.sum(gradient, stretched), [...shape]);
}

/** @returns `tf` with a matMul that transposes its operands beforehand; its gradient does too, in this thread from now on */
export function withExplicitTransposes(tf: Core): Core {
  const gradient: GradConfig = {
    kernelName: 'BatchMatMul',
    inputsToSave: ['a', 'b'],
    gradFunc: (dy, saved, attributes) => {
      const [a, b] = saved as [Tensor, Tensor];
      const upstream = dy as Tensor;
      const { transposeA, transposeB } = attributes as Readonly<Record<'transposeA' | 'transposeB', boolean>>;
      const of = (tensor: Tensor, transpose: boolean): Tensor => (transpose ? swapped(tf, tensor) : tensor);
      // y = a'·b' with a' = a or its transpose: da' = dy·b'ᵀ, db' = a'ᵀ·dy, and transposed back.
      const da = (): Tensor =>
        transposeA
          ? tf.matMul(of(b, transposeB), swapped(tf, upstream))
          : tf.matMul(upstream, of(b, !transposeB));
      const db = (): Tensor =>
        transposeB
          ? tf.matMul(swapped(tf, upstream), of(a, transposeA))
          : tf.matMul(of(a, !transposeA), upstream);
      return { a: () => unstretched(tf, da(), a.shape), b: () => unstretched(tf, db(), b.shape) };
    },
  };
  tf.registerGradient(gradient);
  const matMul: Core['matMul'] = (a, b, transposeA = false, transposeB = false) => {
    const of = (operand: Tensor | TensorLike, transpose: boolean): Tensor => {
      const tensor = operand instanceof tf.Tensor ? operand : tf.tensor(operand);
      return transpose ? swapped(tf, tensor) : tensor;
    };
    return tf.matMul(of(a, transposeA), of(b, transposeB));
  };
  return { ...tf, matMul };
}
