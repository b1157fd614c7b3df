import { memoryStorage, type MemoryStorage } from '@troupe/sim';
import type { Storage } from '@troupe/core';
import test from 'ava';
import * as fc from 'fast-check';
import { beginCheckpoint, CheckpointDamagedError, inlineHasher, openCheckpoint } from './index.ts';
import { bytesOf } from './safetensors.ts';

const FOLDER = 'runs/a';
/** Two and a half blocks, and one of a few bytes. */
const tensors = [
  { name: 'embedding', shape: [655_360], group: 'weights', dtype: 'f32' },
  { name: 'norm', shape: [3], group: 'weights', dtype: 'f32' },
] as const;
type Tensor = (typeof tensors)[number];

const valuesOf = ({ name, shape: [size] }: Tensor): Float32Array =>
  Float32Array.from({ length: size }, (_, index) => Math.fround((index + name.length) / 7));

async function written(): Promise<MemoryStorage> {
  const storage = memoryStorage();
  const base = { step: 1, topology: {}, trajectory: {}, dataCursor: {}, rngKeys: {} };
  const writer = await beginCheckpoint(storage, FOLDER, base, tensors, { hasher: inlineHasher() });
  for (const tensor of tensors) await writer.put(tensor.name, 'weights', 0, valuesOf(tensor));
  await writer.finish();
  return storage;
}

/** The same storage, of which `alter` sees every range of a file that is read. */
const seen = (storage: Storage, alter: (bytes: Uint8Array, path: string) => void): Storage =>
  new Proxy(storage, {
    get(target, key: keyof Storage) {
      if (key !== 'read') return target[key].bind(target);
      return async (...args: Parameters<Storage['read']>) => {
        const bytes = await target.read(...args);
        alter(bytes, args[0]);
        return bytes;
      };
    },
  });

const same = (a: Float32Array, b: Float32Array): boolean => Buffer.compare(bytesOf(a), bytesOf(b)) === 0;

const open = (storage: Storage, verify: 'full' | 'lazy') =>
  openCheckpoint(storage, `${FOLDER}/step-000001`, { verify, hasher: inlineHasher() });

test('read: a bit that flips in any one reading is never handed out', async (t) => {
  const storage = await written();
  let numFound = 0;
  for (const verify of ['full', 'lazy'] as const) {
    for (let at = 0, isAll = false; !isAll; at++) {
      let numReads = 0;
      const flipping = seen(storage, (bytes) => {
        if (numReads++ === at) bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 4;
      });
      try {
        const reader = await open(flipping, verify);
        for (const tensor of tensors) {
          const [size] = tensor.shape;
          const half = size >> 1;
          const values = valuesOf(tensor);
          const [last, first] = [values.subarray(half), values.subarray(0, half)];
          t.true(same(await reader.read(tensor.name, 'weights', half), last), `${verify}, reading ${at}`);
          t.true(same(await reader.read(tensor.name, 'weights', 0, half), first), `${verify}, reading ${at}`);
        }
      } catch (error) {
        t.true(error instanceof CheckpointDamagedError, String(error));
        numFound++;
      }
      isAll = numReads <= at;
    }
  }
  t.true(numFound > 0);
});

test('read: what a file has lost since it was opened is refused by the name of the tensor', async (t) => {
  const storage = await written();
  const reader = await open(storage, 'full');
  const path = `${FOLDER}/step-000001/weights.safetensors`;
  const embeddingBytes = 4 * tensors[0].shape[0];
  const headerBytes = (await storage.sizeBytes(path)) - embeddingBytes - 4 * tensors[1].shape[0];
  storage.flipBit(path, 8 * (headerBytes + (2 << 20)));
  t.is((await reader.read('embedding', 'weights', 0, 2)).length, 2, 'another block is as it was');
  await t.throwsAsync(() => reader.read('embedding', 'weights', (2 << 18) - 1, 2), {
    instanceOf: CheckpointDamagedError,
    message: /tensor 'embedding' \(weights\)/u,
  });
  t.deepEqual(await reader.read('norm', 'weights'), valuesOf(tensors[1]));
});

test('read: any ranges in any order are the bytes that were written, and only blocks that they touch are read', async (t) => {
  const storage = await written();
  let readBytes = 0;
  const counted = seen(storage, (bytes, path) => {
    if (path.endsWith('.safetensors')) readBytes += bytes.byteLength;
  });
  const [embedding] = tensors;
  const [size] = embedding.shape;
  const values = valuesOf(embedding);
  const ranges = fc.array(fc.tuple(fc.nat(size), fc.nat(size)), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(ranges, async (all) => {
      const reader = await open(counted, 'lazy');
      readBytes = 0;
      const read = all.map(async ([a, b]) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const found = await reader.read('embedding', 'weights', from, to - from);
        t.true(same(found, values.subarray(from, to)));
      });
      await Promise.all(read);
      t.true(readBytes <= all.length * 4 * size, `${readBytes}`);
    }),
    { numRuns: 20 },
  );
  const reader = await open(counted, 'lazy');
  readBytes = 0;
  await reader.read('embedding', 'weights', 0, size);
  t.is(readBytes, 4 * size, 'all of it is read once');
  await reader.read('embedding', 'weights', 5, 1);
  t.is(readBytes, 4 * size + 2 ** 20, 'then a block');
});
