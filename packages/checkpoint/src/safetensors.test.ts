import test from 'ava';
import * as fc from 'fast-check';
import { memoryStorage, type MemoryStorage } from '@troupe/core';
import { duplicateKey } from './duplicate-key.ts';
import { CheckpointFormatError } from './errors.ts';
import { safetensorsDtypeBytes, type SafetensorsDtype } from './safetensors-header.ts';
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
  ['an array', '[]', 0, /JSON object/u],
  ['a space before the object', ' {}', 0, /JSON object/u],
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

test('SafetensorsWriter: any tensors come back with name, dtype, shape, metadata and bytes', async (t) => {
  const dtypes = Object.keys(safetensorsDtypeBytes) as SafetensorsDtype[];
  const tensor = fc.record({
    name: fc.string({ unit: 'binary' }).filter((name) => name !== '__metadata__'),
    dtype: fc.constantFrom(...dtypes),
    shape: fc.array(fc.nat({ max: 4 }), { maxLength: 3 }),
  });
  const tensors = fc.uniqueArray(tensor, { maxLength: 6, selector: (each) => each.name });
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
