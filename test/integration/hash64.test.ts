import { address } from '@troupe/core';
import { nativeHash64 } from '@troupe/kernels';
import { createCodec, type Message } from '@troupe/wire';
import test from 'ava';

const kinds = new Set(['rows.sent']);
const native = nativeHash64();
const run = native === null ? test.skip : test;

/** Lengths around every edge of the hash: stripes of 32 bytes, its tail of 8, 4 and 1, and stretches of 64 KiB. */
const lengths = [0, 1, 3, 4, 7, 8, 31, 32, 33, 63, 100, 65_535, 65_536, 65_537, 131_072, 200_003];

const messageOf = (length: number, seed: number): Message => ({
  kind: 'rows.sent',
  from: address('a'),
  to: address('b'),
  step: seed,
  attempt: 0,
  version: 0,
  body: {},
  // Begins at an odd place, as a view of a larger array may.
  tensors: [new Uint8Array(length + 1).map((_, at) => (at * 167 + seed * 31) >> 3).subarray(1)],
});

run(
  'hash64: machine code and WebAssembly give the same checksum, and each finds a flipped bit of the other',
  (t) => {
    if (native === null) return;
    const codecs = [createCodec({ kinds }), createCodec({ kinds, hash64: native })] as const;
    lengths.forEach((length, seed) => {
      const message = messageOf(length, seed);
      const [wasm, machine] = codecs.map((codec) => codec.encodeMessage(message, 3)) as [
        ReturnType<(typeof codecs)[0]['encodeMessage']>,
        ReturnType<(typeof codecs)[0]['encodeMessage']>,
      ];
      t.deepEqual(wasm.header, machine.header, `${length} bytes`);
      for (const codec of codecs) t.is(codec.decodeMessage(wasm).message.tensors[0]!.byteLength, length);
      if (length === 0) return;
      const damaged = Uint8Array.from(machine.frames[0]!);
      const at = Math.floor(length / 2);
      damaged[at] = damaged[at]! ^ 16;
      for (const codec of codecs)
        t.throws(() => codec.decodeMessage({ header: machine.header, frames: [damaged] }), {
          code: 'TROUPE_WIRE_CHECKSUM',
        });
    });
  },
);

run('hash64: what is no array of bytes is refused', (t) => {
  t.throws(() => native?.(new Float32Array(4) as unknown as Uint8Array, 0n, 64), {
    message: /hash64 takes a Uint8Array/,
  });
});
