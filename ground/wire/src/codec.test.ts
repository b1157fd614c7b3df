import test from 'ava';
import * as fc from 'fast-check';
import { address, TroupeError, type HostArray } from '@troupe/core';
import { Packr } from 'msgpackr';
import {
  createCodec,
  wireLimits,
  WireChecksumError,
  WireFormatError,
  WireKindError,
  WireOversizeError,
  WireVersionError,
  type Message,
  type WireValue,
} from './index.ts';

const codec = createCodec({ kinds: new Set(['rows.sent', 'vote.cast']) });

const message = (overrides: Partial<Message> = {}): Message => ({
  kind: 'rows.sent',
  from: address('gate/L3/pp0/dp1'),
  to: address('expert/L3/ep0/edp1'),
  step: 7,
  attempt: 1,
  version: 6,
  body: {},
  tensors: [],
  ...overrides,
});

/** Encodes a header map as a foreign writer might, with a right checksum unless the map says otherwise. */
const foreign = (map: Record<string, unknown>): Uint8Array =>
  Uint8Array.from(new Packr({ useRecords: false }).pack(map) as Uint8Array);

const headerMap = {
  v: 2, kind: 'rows.sent', from: 'a', to: 'b', inc: 0, step: 0, att: 0, ver: 0, body: {}, frames: [], all: 1, sum: new Uint8Array(8),
}; // prettier-ignore

const wireCode = (run: () => unknown): string => {
  try {
    run();
    return 'none';
  } catch (error) {
    return error instanceof TroupeError ? error.code : `untyped ${String(error)}`;
  }
};

const value: fc.Arbitrary<WireValue> = fc.letrec<{ value: WireValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 3 },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true }).filter((x) => !Object.is(x, -0)),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      fc.string({ maxLength: 8 }).filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 5 },
    ),
  ),
})).value;

const tensor: fc.Arbitrary<HostArray> = fc.oneof(
  fc.float32Array({ maxLength: 50 }),
  fc.float64Array({ maxLength: 50 }),
  fc.int32Array({ maxLength: 50 }),
  fc.uint8Array({ maxLength: 50 }),
  fc.bigInt64Array({ maxLength: 50 }),
);

const count = fc.maxSafeNat();
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

test('codec: every message comes back as it was sent', (t) => {
  fc.assert(
    fc.property(
      fc.record({ step: count, attempt: count, version: count, tensors: fc.array(tensor, { maxLength: 4 }) }),
      fc.record({
        layer: optional(count),
        microbatch: optional(count),
        correlation: optional(count),
        replyTo: optional(count),
      }),
      fc.dictionary(
        fc.string({ maxLength: 8 }).filter((key) => key !== '__proto__'),
        value,
        { maxKeys: 6 },
      ),
      count,
      (fixed, maybe, body, incarnation) => {
        const present = Object.fromEntries(Object.entries(maybe).filter(([, field]) => field !== undefined));
        const sent = message({ ...fixed, ...present, body });
        const { message: received, incarnation: life } = codec.decodeMessage(
          codec.encodeMessage(sent, incarnation),
        );
        t.is(life, incarnation);
        t.deepEqual({ ...received, body: { ...received.body } }, { ...sent, body: { ...body } });
      },
    ),
  );
});

test('codec: frames are views of the tensors, in and out', (t) => {
  const rows = new Float32Array(32).subarray(8, 24).fill(3);
  const packet = codec.encodeMessage(message({ tensors: [rows] }), 1);
  t.is(packet.frames[0]!.buffer, rows.buffer);
  const { message: received } = codec.decodeMessage(packet);
  t.is(received.tensors[0]!.buffer, rows.buffer);
  t.deepEqual(received.tensors[0], rows);
});

test('codec: a frame that is not aligned for its dtype is copied', (t) => {
  const sent = Float64Array.of(1.5, -2.5, 1e300);
  const packet = codec.encodeMessage(message({ tensors: [sent] }), 1);
  const shifted = new Uint8Array(packet.frames[0]!.byteLength + 3).subarray(3);
  shifted.set(packet.frames[0]!);
  const { message: received } = codec.decodeMessage({ header: packet.header, frames: [shifted] });
  t.deepEqual(received.tensors[0], sent);
  t.not(received.tensors[0]!.buffer, shifted.buffer);
});

test('codec: random bytes are always refused with a typed error', (t) => {
  const codes = new Map<string, number>();
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 2 }),
      (header, frames) => {
        const code = wireCode(() => codec.decodeMessage({ header, frames }));
        codes.set(code, (codes.get(code) ?? 0) + 1);
      },
    ),
    { numRuns: 5000 },
  );
  t.deepEqual([...codes.keys()], ['TROUPE_WIRE_FORMAT']);
});

test('codec: a valid packet with any bytes overwritten is refused with a typed error', (t) => {
  const body = { text: 'hello', list: [1, 2.5, null, true], map: { a: 300, b: -70000 } };
  const packet = codec.encodeMessage(message({ body, layer: 3, tensors: [Int32Array.of(1, 2, 3)] }), 4);
  const edit = fc.record({ at: fc.nat(packet.header.length + 11), flip: fc.integer({ min: 1, max: 255 }) });
  const codes = new Set<string>();
  fc.assert(
    fc.property(fc.uniqueArray(edit, { minLength: 1, maxLength: 6, selector: (e) => e.at }), (edits) => {
      const header = packet.header.slice();
      const frame = packet.frames[0]!.slice();
      for (const { at, flip } of edits) {
        if (at < header.length) header[at]! ^= flip;
        else frame[at - header.length]! ^= flip;
      }
      codes.add(wireCode(() => codec.decodeMessage({ header, frames: [frame] })));
    }),
    { numRuns: 20000 },
  );
  codes.delete('TROUPE_WIRE_CHECKSUM');
  codes.delete('TROUPE_WIRE_FORMAT');
  codes.delete('TROUPE_WIRE_VERSION');
  t.deepEqual([...codes], []);
});

test('codec: any one flipped bit is found', (t) => {
  const packet = codec.encodeMessage(message({ tensors: [new Float32Array(20000).fill(1)] }), 0);
  const frame = packet.frames[0]!;
  for (const at of [0, 1, 40000, 65535, 65536, 79999]) {
    frame[at]! ^= 1;
    t.throws(() => codec.decodeMessage(packet), { instanceOf: WireChecksumError }, `byte ${at}`);
    frame[at]! ^= 1;
  }
  t.notThrows(() => codec.decodeMessage(packet));
});

test('codec: with a checksum of the header alone, frames are not covered and headers are', (t) => {
  const light = createCodec({ kinds: new Set(['rows.sent']), checksum: 'header' });
  const packet = light.encodeMessage(message({ tensors: [Uint8Array.of(1, 2)] }), 0);
  packet.frames[0]![0] = 9;
  t.deepEqual(codec.decodeMessage(packet).message.tensors[0], Uint8Array.of(9, 2));
  const header = packet.header.slice();
  header[header.length - 1]! ^= 1;
  t.throws(() => codec.decodeMessage({ ...packet, header }), { instanceOf: WireChecksumError });
});

test('codec: another protocol version is named, whatever else the header says', (t) => {
  const error = t.throws(() => codec.decodeMessage({ header: foreign({ v: 3, brandNew: 1 }), frames: [] }), {
    instanceOf: WireVersionError,
  });
  t.deepEqual(error.details, { found: 3, supported: 2 });
});

test('codec: an unknown kind is refused on both sides', (t) => {
  t.throws(() => codec.encodeMessage(message({ kind: 'rows.lost' }), 0), { instanceOf: WireKindError });
  const wider = createCodec({ kinds: new Set(['rows.lost']) });
  const packet = wider.encodeMessage(message({ kind: 'rows.lost' }), 0);
  t.throws(() => codec.decodeMessage(packet), { instanceOf: WireKindError });
});

test('codec: fields outside their range are refused before they leave', (t) => {
  const wrong: Partial<Record<keyof Message, unknown>>[] = [
    { kind: 'rows' }, { kind: `rows.${'x'.repeat(60)}` }, { from: '' }, { to: 'x'.repeat(257) }, { step: -1 }, { step: 0.5 },
    { attempt: 2 ** 53 }, { version: Number.NaN }, { layer: '3' }, { microbatch: -1 }, { correlation: 1n },
    { body: { tensor: new Float32Array(1) } }, { body: { big: 1n } }, { body: { none: undefined } }, { body: new Map() },
    { body: { a: { b: { c: { d: { e: { f: [1] } } } } } } },
  ]; // prettier-ignore
  for (const overrides of wrong) {
    const bad = message(overrides as Partial<Message>);
    const label = JSON.stringify(overrides, (_, field: unknown) =>
      typeof field === 'bigint' ? `${field}n` : field,
    );
    t.throws(() => codec.encodeMessage(bad, 0), { instanceOf: WireFormatError }, label);
  }
});

test('codec: headers of a foreign writer are validated field by field', (t) => {
  const refused: Record<string, unknown>[] = [
    { ...headerMap, extra: 1 }, { ...headerMap, all: 3 }, { ...headerMap, all: true }, { ...headerMap, frames: {} }, { ...headerMap, frames: [['f16', 1]] },
    { ...headerMap, frames: [['f32', -1]] }, { ...headerMap, frames: [['f32', 2, 2]] }, { ...headerMap, frames: [['f32']] },
    { ...headerMap, body: [] }, { ...headerMap, inc: 'x' }, { ...headerMap, sum: 0 }, { v: 'x' }, { ...headerMap, body: { at: new Date(0) } },
  ]; // prettier-ignore
  for (const map of refused) {
    t.is(
      wireCode(() => codec.decodeMessage({ header: foreign(map), frames: [] })),
      'TROUPE_WIRE_FORMAT',
      JSON.stringify(map),
    );
  }
  t.is(
    wireCode(() => codec.decodeMessage({ header: foreign(headerMap), frames: [] })),
    'TROUPE_WIRE_CHECKSUM',
  );
});

test('codec: a body above the header limit is refused on both sides', (t) => {
  const text = 'x'.repeat(wireLimits.headerBytesMax);
  t.throws(() => codec.encodeMessage(message({ body: { text } }), 0), { instanceOf: WireOversizeError });
  const header = foreign({ ...headerMap, body: { text } });
  t.throws(() => codec.decodeMessage({ header, frames: [] }), { instanceOf: WireOversizeError });
});

test('codec: frames that are missing or too many are refused', (t) => {
  const packet = codec.encodeMessage(message({ tensors: [Uint8Array.of(1)] }), 0);
  for (const frames of [[], [packet.frames[0]!, packet.frames[0]!]]) {
    t.is(
      wireCode(() => codec.decodeMessage({ header: packet.header, frames })),
      'TROUPE_WIRE_CHECKSUM',
    );
  }
  const light = createCodec({ kinds: new Set(['rows.sent']), checksum: 'header' });
  const { header } = light.encodeMessage(message({ tensors: [Uint8Array.of(1)] }), 0);
  for (const frames of [[], [Uint8Array.of(1), Uint8Array.of(1)], [Uint8Array.of(1, 2)]]) {
    t.is(
      wireCode(() => codec.decodeMessage({ header, frames })),
      'TROUPE_WIRE_FORMAT',
    );
  }
});

test('scan: a count that its bytes cannot hold is refused before anything is allocated', (t) => {
  for (const bytes of [
    [0xdc, 0xff, 0xff],
    [0xde, 0xff, 0xff],
    [0xdd, 0xff, 0xff, 0xff, 0xff],
    [0xdb, 0x7f, 0xff, 0xff, 0xff],
    [0xc7, 1, 1, 1],
  ]) {
    t.throws(() => codec.decodeMessage({ header: Uint8Array.from(bytes), frames: [] }), {
      instanceOf: WireFormatError,
    });
  }
});
