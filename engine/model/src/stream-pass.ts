import { assert } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import type { Activations } from './activations.ts';
import { uploadBatch, uploadSource, type Batch, type DeviceBatch } from './batch.ts';
import { embedBackward, embedForward } from './embedding.ts';
import { positionTables, type PositionTables } from './position-tables.ts';
import type { StageContext } from './stage-context.ts';
import { streamShape, type StageShape } from './stage-shape.ts';
import { joined, type Step } from './step.ts';
import type { StreamActivations } from './stream-activations.ts';
import { eachStream, type Streams } from './streams.ts';

/** One microbatch of one stream. */
export interface StreamPass {
  readonly context: StageContext;
  readonly batch: DeviceBatch;
}

/** What the contexts of all streams of a pass have in common. */
export type CommonContext = Pick<StageContext, 'weights' | 'gradients' | 'statistics' | 'routing'>;

/** The contexts of a pass, each over its stream's own buffers. */
export function streamContexts(
  act: StreamActivations,
  positions: Streams<PositionTables>,
  common: CommonContext,
): Streams<StageContext> {
  const { memory } = act;
  const of = (own: Activations, tables: PositionTables): StageContext => ({
    shape: own.shape,
    act: own,
    positions: tables,
    ...common,
    ...(memory === null ? {} : { memory }),
  });
  return {
    decoder: of(act.decoder, positions.decoder),
    encoder: act.encoder === null || positions.encoder === null ? null : of(act.encoder, positions.encoder),
  };
}

/** Contexts and batches side by side. @throws {InvariantError} where an encoder has no source */
export function streamPasses(
  contexts: Streams<StageContext>,
  batches: Streams<DeviceBatch>,
): Streams<StreamPass> {
  const { encoder } = contexts;
  if (encoder === null)
    return { decoder: { context: contexts.decoder, batch: batches.decoder }, encoder: null };
  assert(batches.encoder !== null, 'a batch of a model with an encoder has a source');
  return {
    decoder: { context: contexts.decoder, batch: batches.decoder },
    encoder: { context: encoder, batch: batches.encoder },
  };
}

/** Tokens of all streams → what their first layers read. */
export const embedStreams = (streams: Streams<StreamPass>): readonly Step[] =>
  joined(eachStream(streams).flatMap(({ context, batch }) => embedForward(context, batch)));

/** Gradients of that → the embedding's, one stream's behind the other's. */
export function unembedStreams({ decoder, encoder }: Streams<StreamPass>): readonly Step[] {
  return joined([
    ...embedBackward(decoder.context, decoder.batch),
    ...(encoder === null ? [] : embedBackward(encoder.context, encoder.batch, true)),
  ]);
}

/** Tables of positions of each stream. */
export const streamPositions = (device: Device, shape: StageShape): Streams<PositionTables> => ({
  decoder: positionTables(device, shape.config),
  encoder:
    shape.config.encoder === null ? null : positionTables(device, streamShape(shape, 'encoder').config),
});

/** Brings a batch to a device, stream by stream. @throws nothing: an encoder without a source is found when it embeds */
export const uploadStreams = (device: Device, batch: Batch): Streams<DeviceBatch> => ({
  decoder: uploadBatch(device, batch),
  encoder: batch.source === undefined ? null : uploadSource(device, batch.source),
});
