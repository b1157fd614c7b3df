/** Experts that are layers of a user's: loaded, run, and derived by TensorFlow.js. */
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type {
  ExpertLayer,
  ExpertLayerBackwardCall,
  ExpertLayerCall,
  ExpertLayerForwardCall,
  OnHost,
} from '@troupe/kernel-set';
import { KernelFailedError, KernelShapeError } from '../errors.ts';
import type { ArgumentCheck } from '../reference/argument-check.ts';
import { atLeast, checkSource, largestSlot, segmentsOf, type Segment } from '../reference/experts.ts';
import { gatherRows } from './copies.ts';
import { intoLeaves, type Leaves } from './leaves.ts';
import { withExplicitTransposes } from './explicit-transposes.ts';
import { registerGradients } from './gradient-modules.ts';
import type { Tensors } from './tensors.ts';
import type { Tensorflow } from './layer-types.ts';
import type { LayerForward, TfjsExpert } from './tfjs-expert.ts';

type Placed = ExpertLayer['parameters'][number] & { readonly offset: number; readonly size: number };

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Where the parameters lie in the weights of an expert, and how much they take. */
function placed({ parameters }: ExpertLayer): { readonly places: readonly Placed[]; readonly size: number } {
  let size = 0;
  const places = parameters.map(({ name, shape }) => {
    const place = { name, shape, offset: size, size: product(shape) };
    size += place.size;
    return place;
  });
  return { places, size };
}

export const isLayerCall = (call: { readonly op: string }): call is OnHost<ExpertLayerCall> =>
  call.op === 'expert-layer.forward' || call.op === 'expert-layer.backward';

/** The layers that a thread has loaded. */
export class ExpertLayers {
  readonly #tensors: Tensors;
  readonly #made = new Map<string, LayerForward<string> | KernelFailedError>();
  #tf: Tensorflow | null = null;

  constructor(tensors: Tensors) {
    this.#tensors = tensors;
  }

  /** Loads the layers that calls need and that are not here; one that cannot be loaded fails when it is taken. */
  async load(calls: readonly OnHost<ExpertLayerCall>[]): Promise<void> {
    for (const call of calls) {
      const key = keyOf(call);
      if (!this.#made.has(key)) this.#made.set(key, await this.#make(call));
    }
  }

  isLoaded(call: OnHost<ExpertLayerCall>): boolean {
    return this.#made.has(keyOf(call));
  }

  /** @throws {KernelFailedError} TROUPE_KERNEL_FAILED when its module did not load */
  take(call: OnHost<ExpertLayerCall>): LayerForward<string> {
    const made = this.#made.get(keyOf(call));
    if (typeof made === 'function') return made;
    throw made ?? new KernelFailedError(`${call.op}: the layer '${call.layer.name}' was not loaded`);
  }

  async #make({
    layer,
    dim,
    hidden,
  }: OnHost<ExpertLayerCall>): Promise<LayerForward<string> | KernelFailedError> {
    try {
      const exported = Object.values((await import(layer.module)) as Record<string, unknown>);
      const isIt = (value: unknown): value is TfjsExpert =>
        typeof value === 'object' &&
        value !== null &&
        'create' in value &&
        'name' in value &&
        value.name === layer.name;
      const expert = exported.find(isIt);
      if (expert === undefined) throw new TypeError('it exports no expert of that name');
      this.#tf ??= await this.#prepared();
      return expert.create(this.#tf, { dim, hidden });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return new KernelFailedError(`the layer '${layer.name}' of ${layer.module}: ${message}`, {
        cause: error,
      });
    }
  }

  /** TensorFlow.js as layers get it; the packages of TensorFlow's own come with everything. */
  async #prepared(): Promise<Tensorflow> {
    const { tf, isNative } = this.#tensors;
    if (isNative) return asLayersSee(tf);
    await registerGradients();
    return asLayersSee(withExplicitTransposes(tf));
  }
}

/** Every operation of our type is one of tfjs-core's; their arguments are typed more narrowly here. */
const asLayersSee = (tf: Readonly<Record<keyof Tensorflow, unknown>>): Tensorflow => tf as Tensorflow;

const keyOf = ({ layer, dim, hidden }: OnHost<ExpertLayerCall>): string =>
  [layer.module, layer.name, dim, hidden].join('\n');

/** @throws {KernelShapeError} TROUPE_KERNEL_SHAPE */
export function checkLayerCall(call: OnHost<ExpertLayerCall>, check: ArgumentCheck): void {
  const { layer, experts, dim, hidden, expertStride, weights } = call;
  check.size('experts', experts, 1);
  check.size('dim', dim, 1);
  check.size('hidden', hidden);
  if (layer === null || typeof layer !== 'object' || !Array.isArray(layer.parameters))
    check.fail('layer', typeof layer, '{ module, name, parameters }');
  for (const { name, shape } of layer.parameters)
    shape.forEach((size: number) => check.size(`layer.parameters.${name}`, size, 1));
  const { size } = placed(layer);
  check.size('expertStride', expertStride, size);
  const length = (experts - 1) * expertStride + size;
  check.floats('weights', weights, length);
  if (!Array.isArray(call.sources)) check.fail('sources', typeof call.sources, 'an array');
  call.sources.forEach((source, i) => {
    check.size(`sources[${i}].numGrains`, source.numGrains);
    check.ints(`sources[${i}].counts_EG`, source.counts_EG, experts * source.numGrains);
    check.floats(`sources[${i}].x_UD`, source.x_UD, 0);
    if (source.slots_N !== undefined) check.ints(`sources[${i}].slots_N`, source.slots_N, 0);
  });
  if (call.op === 'expert-layer.forward') {
    call.sources.forEach(({ y_ND }, i) => check.floats(`sources[${i}].y_ND`, y_ND, 0));
    return;
  }
  check.target('weightSum', call.weightSum, length);
  call.sources.forEach(({ dOut_UD, dx_ND, rowWeights_N }, i) => {
    check.floats(`sources[${i}].dOut_UD`, dOut_UD, 0);
    check.floats(`sources[${i}].dx_ND`, dx_ND, 0);
    if (rowWeights_N !== undefined) check.floats(`sources[${i}].rowWeights_N`, rowWeights_N, 0);
  });
}

/** Segments that have rows, by expert; checks what only the counts know. */
function segmentsByExpert(call: OnHost<ExpertLayerCall>): readonly (readonly Segment[])[] {
  const { op, experts, dim, sources } = call;
  const { segments, totals } = segmentsOf(op, experts, sources);
  sources.forEach((source, i) => {
    const rows = totals[i]!;
    checkSource(op, i, source, rows, dim);
    if ('y_ND' in source) return atLeast(op, `sources[${i}].y_ND`, source.y_ND, rows * dim);
    const { slots_N, dOut_UD, rowWeights_N, dx_ND } = source;
    const tokens = slots_N === undefined ? rows : largestSlot(slots_N, rows) + 1;
    atLeast(op, `sources[${i}].dOut_UD`, dOut_UD, tokens * dim);
    atLeast(op, `sources[${i}].rowWeights_N`, rowWeights_N, rows);
    atLeast(op, `sources[${i}].dx_ND`, dx_ND, rows * dim);
  });
  return Array.from({ length: experts }, (_, expert) =>
    segments.filter((segment) => segment.expert === expert && segment.rows > 0),
  );
}

/** Row → token of a segment. */
function tokensOf(
  { slots_N }: OnHost<ExpertLayerCall>['sources'][number],
  { sourceRow, rows }: Segment,
): Int32Array {
  if (slots_N !== undefined) return slots_N.subarray(sourceRow, sourceRow + rows);
  return Int32Array.from({ length: rows }, (_, i) => sourceRow + i);
}

const elementsOf = (tensors: Tensors, tensor: Tensor): Float32Array => tensors.elements(tensor as Tensor2D);

/** The parameters of one expert as tensors, in their order. */
function parametersOf(
  tensors: Tensors,
  call: OnHost<ExpertLayerCall>,
  places: readonly Placed[],
  expert: number,
): Tensor[] {
  return places.map(({ offset, size, shape }) => {
    const at = expert * call.expertStride + offset;
    const flat = tensors.matrix(1, size, (to) => to.set(call.weights.subarray(at, at + size)));
    return tensors.tf.reshape(flat, [...shape]);
  });
}

/** The layer on the rows of a segment, with the shape that it must have. */
function applied(
  call: OnHost<ExpertLayerCall>,
  forward: LayerForward<string>,
  places: readonly Placed[],
  [x, ...parameters]: readonly Tensor[],
): Tensor2D {
  const named = Object.fromEntries(places.map(({ name }, i) => [name, parameters[i]!]));
  const y = forward(x as Tensor2D, named);
  const [found, expected] = [y?.shape?.join('×'), x!.shape.join('×')];
  if (found !== expected)
    throw new KernelShapeError(
      `${call.op}: the layer '${call.layer.name}' gives ${found ?? typeof y}, expected ${expected} as its input`,
      { op: call.op, layer: call.layer.name },
    );
  return y as Tensor2D;
}

function layerForward(tensors: Tensors, layers: ExpertLayers, call: OnHost<ExpertLayerForwardCall>): void {
  const { dim, sources } = call;
  const forward = layers.take(call);
  const { places } = placed(call.layer);
  segmentsByExpert(call).forEach((segments, expert) => {
    if (segments.length === 0) return;
    tensors.scope(() => {
      const parameters = parametersOf(tensors, call, places, expert);
      for (const segment of segments) {
        const source = sources[segment.sourceIndex]!;
        tensors.scope(() => {
          const tokens = tokensOf(source, segment);
          const x = tensors.matrix(segment.rows, dim, (to) => gatherRows(source.x_UD, tokens, dim, to));
          const y = applied(call, forward, places, [x, ...parameters]);
          const elements = elementsOf(tensors, y).subarray(0, segment.rows * dim);
          source.y_ND.set(elements, segment.sourceRow * dim);
        });
      }
    });
  });
}

function layerBackward(tensors: Tensors, layers: ExpertLayers, call: OnHost<ExpertLayerBackwardCall>): void {
  const forward = layers.take(call);
  const { places, size } = placed(call.layer);
  segmentsByExpert(call).forEach((segments, expert) => {
    intoLeaves(
      call.weightSum,
      { first: expert * call.expertStride, length: size },
      (count) => tensors.scratch(count),
      (sum) => {
        if (segments.length === 0) return;
        tensors.scope(() => {
          const parameters = parametersOf(tensors, call, places, expert);
          for (const segment of segments)
            tensors.scope(() => segmentBackward(tensors, call, forward, places, segment, parameters, sum));
        });
      },
    );
  });
}

export function runLayerCall(tensors: Tensors, layers: ExpertLayers, call: OnHost<ExpertLayerCall>): void {
  if (call.op === 'expert-layer.forward') layerForward(tensors, layers, call);
  else layerBackward(tensors, layers, call);
}

/** dx of a segment's rows, and its leaf of every parameter. */
function segmentBackward(
  tensors: Tensors,
  call: OnHost<ExpertLayerBackwardCall>,
  forward: LayerForward<string>,
  places: readonly Placed[],
  segment: Segment,
  parameters: readonly Tensor[],
  sum: Leaves,
): void {
  const { dim, sources } = call;
  const { sourceRow, rows } = segment;
  const source = sources[segment.sourceIndex]!;
  const tokens = tokensOf(source, segment);
  const x = tensors.matrix(rows, dim, (to) => gatherRows(source.x_UD, tokens, dim, to));
  const dy = tensors.matrix(rows, dim, (to) => {
    gatherRows(source.dOut_UD, tokens, dim, to);
    const { rowWeights_N } = source;
    if (rowWeights_N === undefined) return;
    for (let row = 0; row < rows; row++)
      for (let d = row * dim; d < (row + 1) * dim; d++) to[d] = to[d]! * rowWeights_N[sourceRow + row]!;
  });
  const gradients = tensors.tf.grads((...inputs: Tensor[]) => applied(call, forward, places, inputs))(
    [x, ...parameters],
    dy,
  );
  const [dx, ...leaves] = gradients;
  source.dx_ND.set(elementsOf(tensors, dx!).subarray(0, rows * dim), sourceRow * dim);
  places.forEach(({ offset, size }, i) => {
    sum.add(offset, elementsOf(tensors, leaves[i]!), size);
  });
}
