import type { Device, Floats } from '@troupe/kernel-set';
import { encoderLayers, type ModelConfig } from '@troupe/spec';
import { Activations, type ActivationOptions } from './activations.ts';
import { Arena } from './arena.ts';
import type { GradientActivations } from './layer-activations.ts';
import type { MemoryRows } from './memory-rows.ts';
import { streamShape, type StageShape } from './stage-shape.ts';
import { mapStreams, type Streams } from './streams.ts';

/** Gradients that microbatches share ({@link ActivationOptions.gradients}), and that of the memory where a chunk makes it. */
export interface StreamGradients extends Streams<GradientActivations> {
  readonly memory_SD: Floats | null;
}

export interface StreamOptions extends Omit<ActivationOptions, 'gradients'> {
  readonly gradients?: StreamGradients;
}

/** A range of layers, cut into those of one stream. */
function layersOf(config: ModelConfig, { first, count }: { readonly first: number; readonly count: number }) {
  const bound = encoderLayers(config);
  const end = first + count;
  return {
    encoder: { first: Math.min(first, bound), count: Math.max(0, Math.min(end, bound) - first) },
    decoder: { first: Math.max(first, bound), count: Math.max(0, end - Math.max(first, bound)) },
  };
}

/**
 * Buffers of one microbatch in a chunk of layers, stream by stream. A chunk hands both streams on: one that none of its layers is of travels
 * through (tokens of the decoder, embedded with those of the source, or the memory).
 */
export class StreamActivations implements Streams<Activations> {
  readonly decoder: Activations;
  readonly encoder: Activations | null;
  readonly memory: MemoryRows | null;
  readonly bytes: number;

  constructor(device: Device, shape: StageShape, options: StreamOptions) {
    const { config } = shape;
    const { gradients, ...rest } = options;
    const all = options.layers ?? { first: 0, count: config.layers };
    const layers = layersOf(config, all);
    const of = (stream: 'encoder' | 'decoder', head: boolean): Activations => {
      const shared = sharedGradients(gradients?.[stream] ?? null, layers[stream].count);
      return new Activations(device, streamShape(shape, stream), {
        ...rest,
        layers: layers[stream],
        travelsThrough: layers[stream].count === 0,
        embeds: all.first === 0,
        head,
        ...(shared === null ? {} : { gradients: shared }),
      });
    };
    this.decoder = of('decoder', options.head ?? all.first + all.count === config.layers);
    this.encoder = config.encoder === null ? null : of('encoder', false);
    const arena = new Arena(device);
    this.memory =
      this.encoder === null ? null : memoryRows(arena, this.encoder, gradients?.memory_SD ?? null);
    this.bytes = this.decoder.bytes + (this.encoder?.bytes ?? 0) + arena.bytes;
  }

  /** What other microbatches may use too. */
  get gradients(): StreamGradients {
    const { decoder, encoder, memory } = this;
    return {
      decoder: decoder.gradients,
      encoder: encoder?.gradients ?? null,
      // Where the memory only comes by, its gradient is that of the stream.
      memory_SD: encoder === null || encoder.numLayers === 0 ? null : (memory?.gradient_SD ?? null),
    };
  }

  /** What the chunk begins with, [T, D] each. */
  get inputs(): Streams<Floats> {
    return mapStreams(this, (act) => act.hidden(act.firstLayer));
  }

  /** What it hands on: of an encoder that ends here the memory. */
  get outputs(): Streams<Floats> {
    const { decoder, encoder, memory } = this;
    const behind = (act: Activations): Floats => act.hidden(act.firstLayer + act.numLayers);
    return {
      decoder: behind(decoder),
      encoder: memory?.rows_SD ?? (encoder === null ? null : behind(encoder)),
    };
  }

  /** Where the gradients of {@link outputs} are written. */
  get outputGradients(): Streams<Floats> {
    const { decoder, encoder, memory } = this;
    return {
      decoder: decoder.gradients.dHidden_TD,
      encoder: memory?.gradient_SD ?? encoder?.gradients.dHidden_TD ?? null,
    };
  }

  /** Gradients of {@link inputs} once the backward half has run. */
  get inputGradients(): Streams<Floats> {
    return mapStreams(this, ({ gradients }) => gradients.dHidden_TD);
  }
}

/** Those of a stream that only travels through serve no layer. */
const sharedGradients = (shared: GradientActivations | null, layers: number): GradientActivations | null =>
  layers === 0 || (shared !== null && shared.dNormed_TD.length > 0) ? shared : null;

/** Room for the memory: behind an encoder's last block its own, in later chunks what came; null before. */
function memoryRows(arena: Arena, encoder: Activations, shared: Floats | null): MemoryRows | null {
  const { shape, firstLayer, numLayers, training, tokens, grainStarts } = encoder;
  const { config } = shape;
  const bound = encoderLayers(config);
  if (firstLayer + numLayers < bound) return null;
  const common = { tokens, seqLen: config.seqLen, grainStarts };
  const none = arena.floats(0);
  if (numLayers === 0) {
    const gradient_SD = training ? encoder.gradients.dHidden_TD : null;
    return { ...common, rows_SD: encoder.hidden(bound), gradient_SD, stats: none };
  }
  const size = tokens * config.dModel;
  return {
    ...common,
    rows_SD: arena.floats(size),
    gradient_SD: training ? (shared ?? arena.floats(size)) : null,
    stats: arena.floats(tokens * (config.norm.kind === 'layer' ? 2 : 1)),
  };
}
