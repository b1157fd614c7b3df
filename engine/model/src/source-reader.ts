import { assert } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import { encoderLayers } from '@troupe/spec';
import { uploadSource } from './batch.ts';
import { keepMemory } from './cross-attention.ts';
import { embedForward } from './embedding.ts';
import type { FlatWeights } from './flat-weights.ts';
import type { KeyValueCache } from './key-value-cache.ts';
import type { LocalExperts } from './local-experts.ts';
import { forwardLayer } from './local-pass.ts';
import type { StageContext } from './stage-context.ts';
import type { StageShape } from './stage-shape.ts';
import type { StageStatistics } from './statistics.ts';
import type { Step } from './step.ts';
import { StreamActivations } from './stream-activations.ts';
import { streamContexts, streamPositions } from './stream-pass.ts';
import { windowSource } from './window-batch.ts';

/** A text to read, and the slot of the text that is written of it. */
export interface Source {
  readonly slot: number;
  readonly ids: readonly number[];
}

/** What a reader works with. */
export interface ReaderParts {
  readonly device: Device;
  readonly shape: Omit<StageShape, 'sequences'>;
  readonly weights: FlatWeights;
  readonly cache: KeyValueCache;
  readonly experts: LocalExperts;
  readonly statistics: StageStatistics;
  readonly run: (steps: readonly Step[]) => Promise<unknown>;
}

/** The encoder of a model: reads sources, and leaves in a cache what every block of the decoder reads of their memories. */
export class SourceReader {
  readonly #parts: ReaderParts;
  readonly #contexts = new Map<string, StageContext>();

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /** @param window - positions of a sequence, at least as many as the longest source has */
  async read(sources: readonly Source[], sequences: number, window: number): Promise<void> {
    const { device, shape, cache, experts, run } = this.#parts;
    const context = this.#context(sequences, window);
    const texts = sources.map(({ ids }) => ids);
    const batch = uploadSource(device, windowSource(texts, { sequences, encoderSeqLen: window, seqLen: 0 }));
    await run(embedForward(context, batch));
    for (let layer = 0; layer < encoderLayers(shape.config); layer++)
      await forwardLayer({ context, batch }, layer, experts, run);
    const calls = sources.flatMap(({ slot, ids }, sequence) =>
      keepMemory(context, cache, slot, { row: sequence * window, rows: ids.length }),
    );
    await run([{ calls }]);
  }

  #context(sequences: number, window: number): StageContext {
    const { device, weights, statistics } = this.#parts;
    const { config, ...rest } = this.#parts.shape;
    const key = `${sequences}/${window}`;
    const found = this.#contexts.get(key);
    if (found !== undefined) return found;
    assert(config.encoder !== null, 'sources are read by an encoder');
    // The other stream only comes by: it has one position.
    const encoder = { ...config.encoder, seqLen: window };
    const shape = { ...rest, config: { ...config, seqLen: 1, encoder }, sequences };
    const act = new StreamActivations(device, shape, {
      training: false,
      layers: { first: 0, count: encoder.layers },
    });
    const common = { weights, gradients: null, statistics };
    const { encoder: context } = streamContexts(act, streamPositions(device, shape), common);
    assert(context !== null, 'an encoder has a stream');
    this.#contexts.set(key, context);
    return context;
  }
}
