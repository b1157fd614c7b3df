import { assert } from '@troupe/core';
import { streamOf, type ModelConfig } from '@troupe/spec';

/** What streams have one of each: a decoder-only model has the decoder's alone. */
export interface Streams<Of> {
  readonly decoder: Of;
  readonly encoder: Of | null;
}

/** Of the stream that a layer is of. */
export function streamAt<Of>(streams: Streams<Of>, config: ModelConfig, layer: number): Of {
  if (streamOf(config, layer) === 'decoder') return streams.decoder;
  assert(streams.encoder !== null, 'a layer of an encoder has its stream', { layer });
  return streams.encoder;
}

/** One, or both in forward order. */
export const eachStream = <Of>({ encoder, decoder }: Streams<Of>): readonly Of[] =>
  encoder === null ? [decoder] : [encoder, decoder];

export const mapStreams = <From, To>(
  { decoder, encoder }: Streams<From>,
  to: (of: From) => To,
): Streams<To> => ({ decoder: to(decoder), encoder: encoder === null ? null : to(encoder) });
