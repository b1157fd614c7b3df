/**
 * TensorFlow.js as a layer sees it, in types of our own: those of tfjs-core do not compile without its peers (`Long`, WebGPU, the DOM), and
 * whoever imports Troupe would have to.
 *
 * These are the usual operations of a layer. One that wants another declares its `tf` as `typeof import('@tensorflow/tfjs-core')`: `create`
 * takes that too.
 */
export interface LayerTensor {
  readonly shape: number[];
  readonly rank: number;
  readonly size: number;
  readonly dtype: string;
}

/** What an operation takes where tfjs-core takes a tensor or its values. */
export type LayerOperand = LayerTensor | number | readonly number[];

type Pair = (a: LayerOperand, b: LayerOperand) => LayerTensor;
type Single = (x: LayerOperand) => LayerTensor;
type Reduction = (x: LayerOperand, axis?: number | number[], keepDims?: boolean) => LayerTensor;

/** The TensorFlow.js that a device computes with: tfjs-core's functions, of whichever package and backend was opened. */
export interface Tensorflow {
  // Of two operands, which are broadcast.
  readonly add: Pair;
  readonly sub: Pair;
  readonly mul: Pair;
  readonly div: Pair;
  readonly pow: Pair;
  readonly maximum: Pair;
  readonly minimum: Pair;
  readonly squaredDifference: Pair;
  matMul(a: LayerOperand, b: LayerOperand, transposeA?: boolean, transposeB?: boolean): LayerTensor;
  // Of every element.
  readonly abs: Single;
  readonly neg: Single;
  readonly exp: Single;
  readonly expm1: Single;
  readonly log: Single;
  readonly log1p: Single;
  readonly sqrt: Single;
  readonly rsqrt: Single;
  readonly square: Single;
  readonly reciprocal: Single;
  readonly sign: Single;
  readonly sin: Single;
  readonly cos: Single;
  readonly tanh: Single;
  readonly erf: Single;
  readonly sigmoid: Single;
  readonly logSigmoid: Single;
  readonly softplus: Single;
  readonly relu: Single;
  readonly relu6: Single;
  readonly elu: Single;
  readonly selu: Single;
  leakyRelu(x: LayerOperand, alpha?: number): LayerTensor;
  clipByValue(x: LayerOperand, least: number, most: number): LayerTensor;
  // Along an axis.
  readonly sum: Reduction;
  readonly mean: Reduction;
  readonly max: Reduction;
  readonly min: Reduction;
  readonly prod: Reduction;
  softmax(x: LayerOperand, axis?: number): LayerTensor;
  logSoftmax(x: LayerOperand, axis?: number): LayerTensor;
  // Of the shape.
  reshape(x: LayerOperand, shape: number[]): LayerTensor;
  transpose(x: LayerOperand, permutation?: number[]): LayerTensor;
  expandDims(x: LayerOperand, axis?: number): LayerTensor;
  squeeze(x: LayerOperand, axis?: number[]): LayerTensor;
  slice(x: LayerOperand, begin: number[], size?: number[]): LayerTensor;
  split(x: LayerOperand, sizes: number | number[], axis?: number): LayerTensor[];
  concat(tensors: LayerTensor[], axis?: number): LayerTensor;
  stack(tensors: LayerTensor[], axis?: number): LayerTensor;
  tile(x: LayerOperand, repeats: number[]): LayerTensor;
  // Constants and choices.
  scalar(value: number): LayerTensor;
  zeros(shape: number[]): LayerTensor;
  ones(shape: number[]): LayerTensor;
  fill(shape: number[], value: number): LayerTensor;
  readonly zerosLike: Single;
  readonly onesLike: Single;
  readonly greater: Pair;
  readonly greaterEqual: Pair;
  readonly less: Pair;
  readonly lessEqual: Pair;
  where(condition: LayerTensor, a: LayerOperand, b: LayerOperand): LayerTensor;
}
