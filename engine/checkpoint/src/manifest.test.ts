import test from 'ava';
import * as fc from 'fast-check';
import { memoryStorage, type MemoryStorage } from '@troupe/sim';
import { beginCheckpoint, CheckpointDamagedError, inlineHasher, openCheckpoint } from './index.ts';

const folder = 'run/step-000003';
const path = `${folder}/manifest.json`;

/** A checkpoint of two tensors and a tokenizer. */
async function checkpoint(): Promise<MemoryStorage> {
  const storage = memoryStorage();
  const base = { step: 3, topology: {}, trajectory: {}, dataCursor: {}, rngKeys: {} };
  const names = ['model.norm.weight', 'model.layers.0.mlp.experts.1.up_proj.weight'];
  const writer = await beginCheckpoint(
    storage,
    'run',
    base,
    names.map((name) => ({ name, shape: [2], dtype: 'f32', group: 'weights' })),
    { hasher: inlineHasher(), tokenizer: Uint8Array.of(123, 125) },
  );
  for (const name of names) await writer.put(name, 'weights', 0, Float32Array.of(1, 2));
  await writer.finish();
  return storage;
}

/** Puts a text in the place of the manifest, with the hash that it then has. */
async function rehash(storage: MemoryStorage, body: string): Promise<void> {
  const hasher = inlineHasher();
  const stream = hasher.open();
  await hasher.update([stream], new TextEncoder().encode(body));
  const text = `${body},\n "manifestSha256": "${await hasher.digest(stream)}"\n}\n`;
  await storage.writeAtomic(path, new TextEncoder().encode(text));
}

const bodyOf = (manifest: object): string => JSON.stringify(manifest, null, 1).slice(0, -'\n}'.length);

type Json = Record<string, unknown>;

async function manifestOf(storage: MemoryStorage): Promise<Json & { files: Json[]; tensors: Json[] }> {
  const { manifestSha256: _, ...rest } = JSON.parse(
    new TextDecoder().decode(await storage.read(path)),
  ) as Json & { files: Json[]; tensors: Json[] };
  return rest;
}

const open = (storage: MemoryStorage) => openCheckpoint(storage, folder, { hasher: inlineHasher() });

test('openCheckpoint: a manifest with a right hash is refused for what it describes wrongly', async (t) => {
  const storage = await checkpoint();
  const whole = await manifestOf(storage);
  const [weights, tokenizer] = whole.files;
  const [tensor, other] = whole.tensors;
  await rehash(storage, bodyOf(whole));
  t.is((await open(storage)).manifest.step, 3);
  const refused: readonly (readonly [Json, RegExp])[] = [
    [{ files: [null] }, /has null where a file is described/u],
    [{ files: [[]] }, /has \[\] where a file is described/u],
    [{ files: [{ ...weights, header: 5 }] }, /describes the header of 'weights\.safetensors' wrongly/u],
    [
      { files: [{ ...weights, header: { ...(weights?.['header'] as Json), sizeBytes: 8 } }, tokenizer] },
      /header/u,
    ],
    [{ files: [weights, weights] }, /lists file 'weights\.safetensors' twice/u],
    [{ files: [{ ...weights, name: '../weights.safetensors' }] }, /describes file "\.\.\/weights/u],
    [{ files: {} }, /lacks the list of files/u],
    [{ tensors: [null] }, /has null where a tensor is described/u],
    [{ tensors: ['x'] }, /has "x" where a tensor is described/u],
    [{ tensors: [{ ...tensor, group: 'toString' }] }, /describes tensor "model\.norm\.weight" wrongly/u],
    [{ tensors: [{ ...tensor, layer: -1 }] }, /describes tensor/u],
    [
      { tensors: [{ ...tensor, file: 'tokenizer.json' }, other] },
      /"tokenizer\.json", which is no safetensors/u,
    ],
    [{ tensors: [{ ...tensor, file: null }] }, /into null/u],
    [{ tensors: [{ ...tensor, key: other?.['key'] }, other] }, /missing in 'weights\.safetensors'/u],
    [{ tensors: [{ ...tensor, shape: [1e15] }, other] }, /is not what the manifest says/u],
    [{ parents: [5] }, /has parents \[5\]/u],
    [{ step: -1 }, /has step -1/u],
    [{ format: { toString: 1 } }, /has format/u],
  ];
  for (const [change, message] of refused) {
    await rehash(storage, bodyOf({ ...whole, ...change }));
    await t.throwsAsync(() => open(storage), { instanceOf: CheckpointDamagedError, message });
  }
  await rehash(storage, `${bodyOf(whole)},\n "extra": ${'['.repeat(100_000)}${']'.repeat(100_000)}`);
  await t.throwsAsync(() => open(storage), { message: /nested more than 64 deep/u });
  await rehash(storage, `${bodyOf(whole)},\n "step": 3`);
  await t.throwsAsync(() => open(storage), { message: /has the key 'step' twice/u });
});

/** The value with another one at the n-th of its places, counted from the root. */
function changed(
  value: unknown,
  at: number,
  to: unknown,
): { readonly value: unknown; readonly left: number } {
  if (at === 0) return { value: to, left: -1 };
  let left = at - 1;
  if (typeof value !== 'object' || value === null) return { value, left };
  const entries = Object.entries(value).map(([key, each]): readonly [string, unknown] => {
    if (left < 0) return [key, each];
    const below = changed(each, left, to);
    left = below.left;
    return [key, below.value];
  });
  return {
    value: Array.isArray(value) ? entries.map(([, each]) => each) : Object.fromEntries(entries),
    left,
  };
}

test('openCheckpoint: any value at any place of a manifest is read, or refused as damage', async (t) => {
  const storage = await checkpoint();
  const whole = await manifestOf(storage);
  const values = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(null, [], {}, [null], -1, 1e300, 'weights.safetensors', '__proto__', '..'),
  );
  let refused = 0;
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 60 }), values, async (at, value) => {
    await rehash(storage, bodyOf(changed(whole, at, value).value as object));
    try {
      await open(storage);
    } catch (error) {
      refused++;
      if (!(error instanceof CheckpointDamagedError)) throw error;
      t.true(error.message.length < 700 && !error.message.includes('\n'), error.message);
    }
  });
  await fc.assert(property, { numRuns: 600 });
  t.true(refused > 200 && refused < 600, `${refused} of 600 were refused`);
});
