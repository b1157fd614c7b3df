import {
  Activations,
  StreamActivations,
  streamShape,
  waitingBytes,
  type ActivationOptions,
  type GradientActivations,
  type StageShape,
} from '@troupe/model/buffers';
import { isMoeLayer, stackOf, type ModelConfig, type StreamName } from '@troupe/spec';
import { bytesAllocated } from '../allocations.ts';

/** Blocks of one stream, as far as their bytes differ. */
export interface StreamBlocks {
  readonly dense: number;
  readonly moe: number;
  /** The stream's first one is among them. */
  readonly begins: boolean;
}

/** Runs of blocks; those of a decoder-only model are its decoder's. */
export interface Blocks extends Readonly<Record<StreamName, StreamBlocks>> {
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
  /** The last block of an encoder is among them: they make the memory. */
  readonly makesMemory: boolean;
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

/** Bytes of one pass through parts of a stream. */
interface StreamBytes {
  /** Where some of its blocks are, and where it only travels through. */
  readonly base: number;
  readonly travels: number;
  readonly dense: LayerBytes;
  readonly moe: LayerBytes;
  readonly head: number;
  /** Gradients of activations, of which all passes of a worker have one set; where it only travels through, those of what does. */
  readonly gradients: number;
  readonly travellingGradients: number;
}

/** Bytes of one pass through parts of a model, from which those of any stage add up. */
export interface PassBytes {
  readonly decoder: StreamBytes;
  readonly encoder: StreamBytes | null;
  /** Of the memory where it is made, and of its gradient, which all passes share. */
  readonly memory: number;
  readonly memoryGradient: number;
}

const noBytes: LayerBytes = { first: 0, more: 0 };

/** A part of a stream in a model of few blocks. */
interface Part {
  readonly config: ModelConfig;
  readonly count: number;
  readonly head?: boolean;
  readonly travels?: boolean;
}

/** Bytes of activations of one stream: layers of a kind are counted in models of nothing else. */
class StreamCount {
  readonly #shape: StageShape;
  readonly #stream: StreamName;
  readonly #ranks: number;
  readonly #keeping: Keeping | null;

  constructor(shape: StageShape, stream: StreamName, ranks: number, keeping: Keeping | null) {
    this.#shape = shape;
    this.#stream = stream;
    this.#ranks = ranks;
    this.#keeping = keeping;
  }

  /** @param keeping - null: a pass of an evaluation, whose layers share one set of buffers */
  bytes(): StreamBytes {
    const { config } = this.#shape;
    return this.#keeping === null ? this.#evaluation(config) : this.#training(config, this.#keeping);
  }

  #options({ config, count, head = false, travels = false }: Part): ActivationOptions {
    const first = stackOf(config, this.#stream).from;
    const layers = { first, count };
    return { training: false, ranks: this.#ranks, layers, head, travelsThrough: travels };
  }

  #evaluation(config: ModelConfig): StreamBytes {
    const stack = stackOf(config, this.#stream);
    const moe = Array.from({ length: stack.to - stack.from }, (_, index) => stack.from + index).find(
      (layer) => isMoeLayer(config, layer),
    );
    const of = (part: Omit<Part, 'config'>): number =>
      bytesAllocated((device) => {
        const options = this.#options({ config, ...part });
        const layers = { first: moe ?? stack.from, count: part.count };
        return new Activations(device, streamShape(this.#shape, this.#stream), { ...options, layers });
      });
    const base = of({ count: 1 });
    const travels = of({ count: 0, travels: true });
    const none = { dense: noBytes, moe: noBytes, gradients: 0, travellingGradients: 0 };
    return { ...none, base, travels, head: of({ count: 1, head: true }) - base };
  }

  #training(config: ModelConfig, { recomputes, defers }: Keeping): StreamBytes {
    const memory = memoryOf(this.#shape);
    const of = (part: Part, gradients: GradientActivations | null): number => {
      const made: Activations[] = [];
      const bytes = bytesAllocated((device) => {
        const shape = streamShape({ ...this.#shape, config: part.config }, this.#stream);
        const options = {
          ...this.#options(part),
          training: true,
          recompute: recomputes,
          keepsRows: true,
          ...(gradients === null ? {} : { gradients }),
        };
        made.push(new Activations(device, shape, options));
      });
      return defers ? made.reduce((sum, act) => sum + waitingBytes(act, memory), bytes) : bytes;
    };
    const shared = this.#gradients(config, { count: 1 });
    const travelling = this.#gradients(config, { count: 0, travels: true });
    const alone = (moe: ModelConfig['moe']): LayerBytes => {
      const kind = aloneWith(config, moe);
      const [none = 0, one = 0, two = 0] = [0, 1, 2].map((count) => of({ config: kind, count }, shared.made));
      return { first: one - none, more: two - one };
    };
    const base = of({ config, count: 0 }, shared.made);
    return {
      base,
      travels: of({ config, count: 0, travels: true }, travelling.made),
      dense: alone(null),
      moe: config.moe === null ? noBytes : alone({ ...config.moe, every: 1, firstDense: 0 }),
      head: of({ config, count: 0, head: true }, shared.made) - base,
      gradients: shared.bytes,
      travellingGradients: travelling.bytes,
    };
  }

  /** Those of activations that several passes share, and their bytes. */
  #gradients(config: ModelConfig, part: Omit<Part, 'config'>) {
    const made: GradientActivations[] = [];
    const shape = streamShape(this.#shape, this.#stream);
    const of = (): number =>
      bytesAllocated((device) => {
        const [gradients] = made;
        const options = { ...this.#options({ config, ...part }), training: true };
        const act = new Activations(
          device,
          shape,
          gradients === undefined ? options : { ...options, gradients },
        );
        made.push(act.gradients);
      });
    const [own, others] = [of(), of()];
    return { made: made[0] ?? null, bytes: own - others };
  }
}

/** Two blocks of a stream, all of one kind. */
const aloneWith = (config: ModelConfig, moe: ModelConfig['moe']): ModelConfig =>
  config.encoder === null
    ? { ...config, layers: 2, moe }
    : { ...config, layers: 4, encoder: { ...config.encoder, layers: 2 }, moe };

/** What blocks of a decoder read of an encoder; null: there is none. */
function memoryOf(shape: StageShape): StreamActivations['memory'] {
  const { config } = shape;
  if (config.encoder === null) return null;
  const made: StreamActivations[] = [];
  const layers = { first: config.encoder.layers, count: 1 };
  bytesAllocated((device) => made.push(new StreamActivations(device, shape, { training: true, layers })));
  return made[0]?.memory ?? null;
}

/** @param keeping - null: a pass of an evaluation */
export function passBytes(shape: StageShape, ranks: number, keeping: Keeping | null): PassBytes {
  const { config } = shape;
  const { encoder } = config;
  const rows = 4 * shape.sequences * (encoder?.seqLen ?? 0);
  const stats = rows * (config.norm.kind === 'layer' ? 2 : 1);
  return {
    decoder: new StreamCount(shape, 'decoder', ranks, keeping).bytes(),
    encoder: encoder === null ? null : new StreamCount(shape, 'encoder', ranks, keeping).bytes(),
    memory: rows * config.dModel + stats,
    memoryGradient: keeping === null ? 0 : rows * config.dModel,
  };
}

const bytesOfLayers = ({ first, more }: LayerBytes, count: number): number =>
  count === 0 ? 0 : first + (count - 1) * more;

const isTravelling = ({ dense, moe }: StreamBlocks): boolean => dense + moe === 0;

function bytesOfStream(bytes: StreamBytes, blocks: StreamBlocks): number {
  if (isTravelling(blocks)) return bytes.travels;
  return bytes.base + bytesOfLayers(bytes.dense, blocks.dense) + bytesOfLayers(bytes.moe, blocks.moe);
}

/** Bytes of a pass through a run of blocks, without the gradients of activations. */
export function bytesIn({ decoder, encoder, memory }: PassBytes, blocks: Blocks): number {
  const head = blocks.hasHead ? decoder.head : 0;
  const own = bytesOfStream(decoder, blocks.decoder) + head;
  if (encoder === null) return own;
  return own + bytesOfStream(encoder, blocks.encoder) + (blocks.makesMemory ? memory : 0);
}

/**
 * Bytes of the gradients of activations of all passes of a worker through its runs. A stream that only travels through the first of them has
 * gradients for that, which blocks in a later one cannot use.
 */
export function gradientBytesIn(
  { decoder, encoder, memoryGradient }: PassBytes,
  chunks: readonly Blocks[],
): number {
  const of = (bytes: StreamBytes, stream: StreamName): number => {
    const isThrough = chunks.map((chunk) => isTravelling(chunk[stream]));
    return (
      (isThrough[0] === true ? bytes.travellingGradients : 0) +
      (isThrough.includes(false) ? bytes.gradients : 0)
    );
  };
  if (encoder === null) return of(decoder, 'decoder');
  const makesMemory = chunks.some((chunk) => chunk.makesMemory);
  return of(decoder, 'decoder') + of(encoder, 'encoder') + (makesMemory ? memoryGradient : 0);
}
