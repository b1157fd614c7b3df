import { Activations, waitingBytes, type GradientActivations, type StageShape } from '@troupe/model/buffers';
import { moeLayers, type ModelConfig } from '@troupe/spec';
import { bytesAllocated } from '../allocations.ts';

/** Runs of blocks, as far as their bytes differ. */
export interface Blocks {
  readonly dense: number;
  readonly moe: number;
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
}

/** What a pass of training leaves for later. */
export interface Keeping {
  /** Layers are computed again, so that those of a kind share buffers. */
  readonly recomputes: boolean;
  /** Gradients of matrices wait. */
  readonly defers: boolean;
}

/** Bytes of the first layer of a kind in a pass, and of each further one. */
interface LayerBytes {
  readonly first: number;
  readonly more: number;
}

/** Bytes of one pass through parts of a model, from which those of any stage add up. */
export interface PassBytes {
  readonly base: number;
  readonly dense: LayerBytes;
  readonly moe: LayerBytes;
  readonly head: number;
  /** Gradients of activations, of which all passes of a worker have one set. */
  readonly gradients: number;
}

const noBytes: LayerBytes = { first: 0, more: 0 };

/** All layers share one set of buffers, which even no layer has. */
function evaluationBytes(shape: StageShape, ranks: number): PassBytes {
  const [first = 0] = moeLayers(shape.config);
  const layers = { first, count: 1 };
  const of = (head: boolean): number =>
    bytesAllocated((device) => new Activations(device, shape, { training: false, ranks, layers, head }));
  const base = of(false);
  return { base, dense: noBytes, moe: noBytes, gradients: 0, head: of(true) - base };
}

/** Layers of a kind are counted in models of nothing else. */
function trainingBytes(shape: StageShape, ranks: number, { recomputes, defers }: Keeping): PassBytes {
  let gradients: GradientActivations | undefined;
  const of = (config: ModelConfig, count: number, head = false): number => {
    const made: Activations[] = [];
    const bytes = bytesAllocated((device) => {
      const act = new Activations(
        device,
        { ...shape, config },
        {
          training: true,
          recompute: recomputes,
          keepsRows: true,
          ranks,
          layers: { first: 0, count },
          head,
          ...(gradients === undefined ? {} : { gradients }),
        },
      );
      gradients ??= act.gradients;
      made.push(act);
    });
    return defers ? made.reduce((sum, act) => sum + waitingBytes(act, null), bytes) : bytes;
  };
  const { config } = shape;
  const { moe } = config;
  const [first, base] = [of(config, 0), of(config, 0)];
  const layers = (kind: ModelConfig): LayerBytes => {
    const [none, one, two] = [of(kind, 0), of(kind, 1), of(kind, 2)];
    return { first: one - none, more: two - one };
  };
  return {
    base,
    dense: layers({ ...config, layers: 2, moe: null }),
    moe: moe === null ? noBytes : layers({ ...config, layers: 2, moe: { ...moe, every: 1, firstDense: 0 } }),
    gradients: first - base,
    head: of(config, 0, true) - base,
  };
}

/** @param keeping - null: a pass of an evaluation */
export const passBytes = (shape: StageShape, ranks: number, keeping: Keeping | null): PassBytes =>
  keeping === null ? evaluationBytes(shape, ranks) : trainingBytes(shape, ranks, keeping);

const bytesOfLayers = ({ first, more }: LayerBytes, count: number): number =>
  count === 0 ? 0 : first + (count - 1) * more;

/** Bytes of a pass through a run of blocks, without the gradients of activations. */
export const bytesIn = ({ base, dense, moe, head }: PassBytes, blocks: Blocks): number =>
  base + bytesOfLayers(dense, blocks.dense) + bytesOfLayers(moe, blocks.moe) + (blocks.hasHead ? head : 0);
