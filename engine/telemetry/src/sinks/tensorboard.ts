import { crc32c } from './crc32c.ts';
import { pointsOf, type Point } from './series.ts';
import { pathIn, type OpenSink, type SinkPlace } from './sink.ts';

const encoder = new TextEncoder();

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}

/** A whole number of at most 53 bits, seven bits a byte, the lowest first. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Uint8Array.of(...bytes, rest);
}

/** How protobuf lays out the value of a field. */
const wireType = { varint: 0, double: 1, bytes: 2, float: 5 } as const;

const tagOf = (field: number, type: keyof typeof wireType): Uint8Array =>
  varint((field << 3) | wireType[type]);

const integer = (field: number, value: number): Uint8Array => joined([tagOf(field, 'varint'), varint(value)]);

function double(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return joined([tagOf(field, 'double'), bytes]);
}

function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return joined([tagOf(field, 'float'), bytes]);
}

const bytesOf = (field: number, bytes: Uint8Array): Uint8Array =>
  joined([tagOf(field, 'bytes'), varint(bytes.byteLength), bytes]);

const text = (field: number, value: string): Uint8Array => bytesOf(field, encoder.encode(value));

/** What follows the time of an `Event` (tensorflow/core/util/event.proto). */
const fileVersion = (): Uint8Array => text(3, 'brain.Event:2');

/** `SessionLog.START`: points of an earlier run at this step and later ones count no more. */
const sessionStart = (step: number): Uint8Array => joined([integer(2, step), bytesOf(7, integer(1, 1))]);

/** `Summary` with a `simple_value` for each point. */
const summary = (step: number, points: readonly Point[]): Uint8Array => {
  const values = points.map(({ series, value }) => bytesOf(1, joined([text(1, series), float(2, value)])));
  return joined([integer(2, step), bytesOf(5, joined(values))]);
};

/** So that the checksum of bytes that hold a checksum is another one. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/**
 * A record: length (8 bytes), its checksum (4), the event, its checksum (4), all little-endian.
 *
 * @see https://www.tensorflow.org/tutorials/load_data/tfrecord (TFRecord)
 */
function record(event: Uint8Array): Uint8Array {
  const all = new Uint8Array(16 + event.byteLength);
  const view = new DataView(all.buffer);
  view.setBigUint64(0, BigInt(event.byteLength), true);
  view.setUint32(8, masked(all.subarray(0, 8)), true);
  all.set(event, 12);
  view.setUint32(12 + event.byteLength, masked(event), true);
  return all;
}

/** A name that is free, later in the alphabet than those of earlier runs: TensorBoard reads the files of a folder in that order. */
async function freePath(place: SinkPlace): Promise<string> {
  const second = Math.floor(place.nowMs() / 1000);
  for (let number = 0; ; number++) {
    const path = pathIn(place, `events.out.tfevents.${second}.troupe.${number}`);
    if (!(await place.storage.exists(path))) return path;
  }
}

/**
 * A TensorBoard event file: the curves as scalars. `tensorboard --logdir runs` shows every run by its folder.
 *
 * A resumed run begins a file of its own, whose first step takes the place of points that an earlier file has from there on.
 */
export const openTensorboard: OpenSink = async (place) => {
  const path = await freePath(place);
  const file = await place.storage.grow(path);
  const append = (event: Uint8Array): void =>
    file.append(record(joined([double(1, place.nowMs() / 1000), event])));
  append(fileVersion());
  let hasBegun = false;
  return {
    path,
    write: (event) => {
      const found = pointsOf(event);
      if (found === null) return;
      if (!hasBegun) append(sessionStart(found.step));
      hasBegun = true;
      append(summary(found.step, found.points));
    },
    close: () => file.close(),
  };
};
