import { crc32 as zlibCrc32 } from 'node:zlib';
import { address } from '@troupe/core';
import { nativeCrc32 } from '@troupe/kernels';
import { createCodec, type Message } from '@troupe/wire';
import test from 'ava';

const kinds = new Set(['rows.sent']);
const native = nativeCrc32();
const run = native === null ? test.skip : test;

/** Lengths around every edge of the native code: blocks of 16, 64 and 256 bytes. */
const lengths = [
  ...Array.from({ length: 80 }, (_, length) => length),
  127, 128, 191, 255, 256, 257, 271, 320, 511, 512, 513, 1023, 4096, 65_537, 200_003,
]; // prettier-ignore

const bytesOf = (length: number, seed: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(length).map((_, at) => (at * 167 + seed * 31) >> 3);

/** Begins at an odd place, as a view of a larger array may. */
const shifted = (bytes: Uint8Array, by: number): Uint8Array => {
  const room = new Uint8Array(bytes.length + by);
  room.set(bytes, by);
  return room.subarray(by);
};

run('frame sum: the native CRC is zlib’s, whatever length and alignment', (t) => {
  if (native === null) return;
  lengths.forEach((length, seed) => {
    const bytes = bytesOf(length, seed);
    for (const by of [0, 1, 7])
      t.is(native(shifted(bytes, by)), zlibCrc32(bytes), `${length} bytes at ${by}`);
  });
  t.throws(() => native(new Float32Array(4) as unknown as Uint8Array), {
    message: /crc32 takes a Uint8Array/,
  });
});

const messageOf = (frames: readonly Uint8Array<ArrayBuffer>[]): Message => ({
  kind: 'rows.sent',
  from: address('a'),
  to: address('b'),
  step: 1,
  attempt: 0,
  version: 0,
  body: {},
  tensors: frames,
});

for (const [name, crc32] of [
  ['native', native],
  ['zlib', (bytes: Uint8Array) => zlibCrc32(bytes)],
] as const)
  (crc32 === null ? test.skip : test)(
    `frame sum: any receiver reads what is summed by ${name} CRC, and finds a flipped bit anywhere`,
    (t) => {
      if (crc32 === null) return;
      const sender = createCodec({ kinds, crc32 });
      const receivers = [sender, createCodec({ kinds })];
      const frames = [bytesOf(5, 1), bytesOf(0, 2), bytesOf(700, 3)];
      const packet = sender.encodeMessage(messageOf(frames), 3);
      for (const codec of receivers)
        t.deepEqual(
          codec.decodeMessage(packet).message.tensors.map((each) => each.byteLength),
          [5, 0, 700],
        );
      for (const [frame, at] of [
        [0, 0],
        [0, 4],
        [2, 0],
        [2, 351],
        [2, 699],
      ] as const) {
        const damaged = packet.frames.map((bytes) => Uint8Array.from(bytes));
        damaged[frame]![at]! ^= 16;
        for (const codec of receivers)
          t.throws(() => codec.decodeMessage({ header: packet.header, frames: damaged }), {
            code: 'TROUPE_WIRE_CHECKSUM',
          });
      }
      const header = Uint8Array.from(packet.header);
      header[20]! ^= 1;
      t.throws(() => sender.decodeMessage({ header, frames: packet.frames }));
      const slow = createCodec({ kinds }).encodeMessage(messageOf(frames), 3);
      for (const codec of receivers) t.notThrows(() => codec.decodeMessage(slow));
      t.notDeepEqual(slow.header, packet.header);
    },
  );
