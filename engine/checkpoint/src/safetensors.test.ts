import { readFileSync } from 'node:fs';
import test from 'ava';
import * as fc from 'fast-check';
import { memoryStorage, type MemoryStorage } from '@troupe/sim';
import { duplicateKey } from './duplicate-key.ts';
import { CheckpointFormatError } from './errors.ts';
import { safetensorsDtypes, tensorBytes } from './safetensors-dtype.ts';
import { bytesOf, openSafetensors, SafetensorsWriter } from './safetensors.ts';

/** A file with any header text over `dataBytes` zero bytes. */
async function fileWith(header: string, dataBytes: number, claimedBytes?: bigint): Promise<MemoryStorage> {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.byteLength + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, claimedBytes ?? BigInt(json.byteLength), true);
  bytes.set(json, 8);
  const storage = memoryStorage();
  await storage.writeAtomic('f.safetensors', bytes);
  return storage;
}

const f32 = (start: number, end: number): string =>
  `{"dtype":"F32","shape":[${(end - start) / 4}],"data_offsets":[${start},${end}]}`;

const refused: readonly (readonly [string, string, number, RegExp])[] = [
  ['no JSON', '{"a":', 0, /header is no JSON/u],
  ['an array', '[]', 0, /no JSON object/u],
  ['a name twice', `{"a":${f32(0, 4)},"a":${f32(4, 8)}}`, 8, /'a' comes twice/u],
  ['a name twice, once escaped', `{"a":${f32(0, 4)},"\\u0061":${f32(4, 8)}}`, 8, /'a' comes twice/u],
  [
    'an unknown dtype',
    '{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}',
    4,
    /tensor 'a' has dtype "F31"/u,
  ],
  [
    'a dtype from the prototype',
    '{"a":{"dtype":"toString","shape":[1],"data_offsets":[0,4]}}',
    4,
    /has dtype/u,
  ],
  [
    'a negative dim',
    '{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
    4,
    /tensor 'a' has shape \[-1\]/u,
  ],
  [
    'a fractional dim',
    '{"a":{"dtype":"F32","shape":[0.5],"data_offsets":[0,2]}}',
    2,
    /tensor 'a' has shape/u,
  ],
  ['no offsets', '{"a":{"dtype":"F32","shape":[1]}}', 4, /tensor 'a' has data_offsets/u],
  ['a size that is not the shape’s', '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', 4, /takes 8/u],
  ['an overlap', `{"a":${f32(0, 8)},"b":${f32(4, 12)}}`, 12, /'b' overlaps tensor 'a'/u],
  ['a hole', `{"a":${f32(0, 4)},"b":${f32(8, 12)}}`, 12, /'b' leaves a hole behind tensor 'a'/u],
  ['a hole at the start', `{"a":${f32(4, 8)}}`, 8, /'a' leaves a hole behind the header/u],
  ['data that is cut', `{"a":${f32(0, 8)}}`, 7, /it is cut/u],
  ['data of no tensor', `{"a":${f32(0, 8)}}`, 9, /belong to no tensor/u],
  ['metadata that is no text', '{"__metadata__":{"a":1}}', 0, /__metadata__/u],
  ['a fraction', '{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}', 4, /has the count 1\.0/u],
  [
    'half a surrogate pair',
    `{"\\ud800":${f32(0, 4)}}`,
    4,
    /its header has half a surrogate pair, which is no text/u,
  ],
  [
    'sizes that overflow before a zero',
    '{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296,0],"data_offsets":[0,0]}}',
    0,
    /tensor 'a' has F32 \[4294967296,.*beyond 64 bits/u,
  ],
  [
    'a tensor that ends inside a byte',
    '{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}',
    1,
    /ends inside a byte/u,
  ],
  ['what nests too deeply', `{"a":${'['.repeat(50_000)}`, 0, /nested more than 16 deep/u],
  ['too many values', `{"a":[${'[],'.repeat(2 ** 23)}`, 0, /more than 16777216 values/u],
  [
    'a name that would fill the screen',
    `{"${'a\\n'.repeat(10_000)}":{"dtype":"F31"}}`,
    0,
    /^f\.safetensors: tensor "[^\n]{100,300}" has dtype "F31"/u,
  ],
];

for (const [what, header, dataBytes, message] of refused) {
  test(`openSafetensors: refuses ${what}`, async (t) => {
    const storage = await fileWith(header, dataBytes);
    const error = await t.throwsAsync(() => openSafetensors(storage, 'f.safetensors'), {
      instanceOf: CheckpointFormatError,
      message,
    });
    t.is(error?.details['file'], 'f.safetensors');
  });
}

test('openSafetensors: refuses a header that reaches past the file, and a file without one', async (t) => {
  for (const claimed of [3n, 100n, 2n ** 63n, 2n ** 64n - 1n]) {
    const storage = await fileWith('{}', 0, claimed);
    await t.throwsAsync(() => openSafetensors(storage, 'f.safetensors'), {
      instanceOf: CheckpointFormatError,
    });
  }
  const storage = memoryStorage();
  await storage.writeAtomic('short', new Uint8Array(7));
  await t.throwsAsync(() => openSafetensors(storage, 'short'), { message: /fewer than the 8/u });
});

interface LibraryRow {
  readonly what: string;
  readonly header: string;
  readonly dataBytes: number;
  /** What the format's own library does with the file. */
  readonly library: 'read' | 'refused';
  /** Why we refuse what it reads. */
  readonly ours?: string;
}

const libraryRows = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/safetensors_headers.json', import.meta.url), 'utf8'),
) as readonly LibraryRow[];

test("openSafetensors: reads what the format's own library reads, and refuses what it refuses", async (t) => {
  const counts = { read: 0, refused: 0 };
  for (const { what, header, dataBytes, library, ours } of libraryRows) {
    const storage = await fileWith(header, dataBytes);
    const refusal = await openSafetensors(storage, 'f.safetensors').then(
      async (file) => {
        for (const name of file.header.tensors.keys())
          t.is((await file.readBytes(name)).byteLength, file.tensor(name).lengthBytes, what);
        return null;
      },
      (error: Error) => error,
    );
    if (refusal !== null) t.true(refusal instanceof CheckpointFormatError, `${what}: ${String(refusal)}`);
    const verdict = refusal === null ? 'read' : 'refused';
    t.is(verdict, ours === undefined ? library : 'refused', `${what}: ${String(refusal)}`);
    counts[verdict]++;
  }
  t.true(counts.read > 40 && counts.refused > 40, JSON.stringify(counts));
});

test('openSafetensors: whatever a header holds, it is read or refused in one short sentence', async (t) => {
  const count = fc.oneof(
    fc.nat({ max: 9 }),
    fc.constantFrom<unknown>(-1, 0.5, 2 ** 53, 1e300, null, '1', '__proto__', [1], {}),
  );
  const description = fc.oneof(
    fc.record(
      {
        dtype: fc.constantFrom<unknown>(...safetensorsDtypes, 'toString', null, 4),
        shape: fc.oneof(fc.array(count, { maxLength: 3 }), count),
        data_offsets: fc.oneof(fc.tuple(count, count), count),
      },
      { requiredKeys: [] },
    ),
    fc.anything(),
  );
  const name = fc.oneof(
    fc.constantFrom('__metadata__', '__proto__', 'constructor', 'a', ''),
    fc.string({ unit: 'binary' }),
  );
  const header = fc
    .oneof(fc.dictionary(name, description, { maxKeys: 4 }), fc.anything())
    .map(
      (value) => JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? null : each)) ?? '',
    )
    .chain((json) =>
      fc
        .tuple(fc.constant(json), fc.nat({ max: json.length }), fc.string({ maxLength: 2 }), fc.boolean())
        .map(([whole, at, text, isCut]) => (isCut ? whole.slice(0, at) + text + whole.slice(at + 1) : whole)),
    );
  let refused = 0;
  const property = fc.asyncProperty(header, fc.nat({ max: 12 }), async (json, dataBytes) => {
    const storage = await fileWith(json, dataBytes);
    try {
      await openSafetensors(storage, 'f.safetensors');
    } catch (error) {
      refused++;
      if (!(error instanceof CheckpointFormatError)) throw error;
      t.true(error.message.length < 700 && !error.message.includes('\n'), error.message);
    }
  });
  await fc.assert(property, { numRuns: 1500 });
  t.true(refused > 500, `${refused} of 1500 were refused`);
});

test('SafetensorsWriter: any tensors come back with name, dtype, shape, metadata and bytes', async (t) => {
  const tensor = fc.record({
    name: fc.string({ unit: 'binary' }).filter((name) => name !== '__metadata__'),
    dtype: fc.constantFrom(...safetensorsDtypes),
    shape: fc.array(fc.nat({ max: 4 }), { maxLength: 3 }),
  });
  const whole = tensor.filter(({ dtype, shape }) => tensorBytes(dtype, shape) !== null);
  const tensors = fc.uniqueArray(whole, { maxLength: 6, selector: (each) => each.name });
  const metadata = fc.dictionary(fc.string(), fc.string(), { maxKeys: 3, noNullPrototype: true });
  const property = fc.asyncProperty(tensors, metadata, async (tensors, metadata) => {
    const storage = memoryStorage();
    const writer = await SafetensorsWriter.create(storage, 'f', tensors, metadata);
    const data = new Uint8Array(writer.header.fileBytes - writer.position).map((_, i) => i);
    await writer.append(data);
    await writer.commit();
    const file = await openSafetensors(storage, 'f');
    t.is(file.header.headerBytes % 8, 0);
    t.deepEqual(file.header.metadata, metadata);
    let at = file.header.headerBytes;
    t.is(file.header.tensors.size, tensors.length);
    for (const { name, dtype, shape } of tensors) {
      const found = file.tensor(name);
      t.deepEqual([found.dtype, found.shape, found.offsetBytes], [dtype, shape, at]);
      at += found.lengthBytes;
    }
    t.is(at, await storage.sizeBytes('f'));
    t.deepEqual((await storage.read('f')).subarray(file.header.headerBytes), data);
  });
  await fc.assert(property, { numRuns: 200 });
});

test('SafetensorsWriter: will not commit before the last byte', async (t) => {
  const writer = await SafetensorsWriter.create(memoryStorage(), 'f', [
    { name: 'a', dtype: 'F32', shape: [2] },
  ]);
  await writer.append(new Uint8Array(4));
  await t.throwsAsync(() => writer.commit(), { message: /ends at byte \d+ of/u });
});

test('readFloats: F32 keeps every bit, NaN payloads included; BF16 and F16 widen exactly', async (t) => {
  const bits = Uint32Array.of(0x7fa00001, 0xffc12345, 0x80000000, 1, 0x7f7fffff);
  const bfloat = Uint16Array.of(0x3f80, 0xc049, 0x0001, 0x7f80);
  const half = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00, 0x7bff, 0x8000, 0x3555);
  const storage = memoryStorage();
  const writer = await SafetensorsWriter.create(storage, 'f', [
    { name: 'f32', dtype: 'F32', shape: [5] },
    { name: 'bf16', dtype: 'BF16', shape: [4] },
    { name: 'f16', dtype: 'F16', shape: [7] },
  ]);
  for (const values of [bits, bfloat, half]) await writer.append(new Uint8Array(values.buffer));
  await writer.commit();
  const file = await openSafetensors(storage, 'f');
  const read = await file.readFloats('f32');
  t.deepEqual(new Uint32Array(read.buffer, read.byteOffset, 5), bits);
  const wide = await file.readFloats('bf16');
  t.deepEqual(bytesOf(wide), new Uint8Array(Uint32Array.from(bfloat, (each) => each * 65536).buffer));
  const fromHalf = await file.readFloats('f16');
  t.deepEqual(
    [...fromHalf],
    [1, -2, 2 ** -24, Number.POSITIVE_INFINITY, 65504, -0, Math.fround(0.333251953125)],
  );
  t.deepEqual([...(await file.readFloats('f16', { offset: 1, length: 2 }))], [-2, 2 ** -24]);
});

test('readFloats: a tensor that is no weight is named with the dtypes that are; its bytes can be had', async (t) => {
  const storage = memoryStorage();
  const writer = await SafetensorsWriter.create(storage, 'f', [{ name: 'w', dtype: 'F8_E8M0', shape: [3] }]);
  await writer.append(Uint8Array.of(1, 2, 3));
  await writer.commit();
  const file = await openSafetensors(storage, 'f');
  await t.throwsAsync(() => file.readFloats('w'), {
    instanceOf: CheckpointFormatError,
    message: "f: tensor 'w' is F8_E8M0; weights are F32, BF16, F16",
  });
  t.deepEqual(await file.readBytes('w'), Uint8Array.of(1, 2, 3));
});

test('duplicateKey: agrees with a walk over the pairs, whatever the strings hold', (t) => {
  t.is(duplicateKey('{"a":{"a":1},"b":["a","a",{"c":1}],"c":"\\"a\\":"}'), null);
  t.is(duplicateKey('{"a":[{"x":1,"x":2}]}'), 'x');
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), fc.json()), { maxLength: 6 }), (pairs) => {
      const text = `{${pairs.map(([key, json]) => `${JSON.stringify(key)} : ${json}`).join(',')}}`;
      const isTwice = new Set(pairs.map(([key]) => key)).size < pairs.length;
      t.is(duplicateKey(text) !== null, isTwice);
    }),
  );
});
