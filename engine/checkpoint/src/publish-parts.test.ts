import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { assert, type Storage } from '@troupe/core';
import { memoryStorage, type MemoryStorage } from '@troupe/sim';
import {
  beginPart,
  CheckpointDamagedError,
  inlineHasher,
  latestCheckpoint,
  openCheckpoint,
  publishParts,
  type CheckpointTensor,
  type ManifestBase,
  type WrittenPart,
} from './index.ts';

const layout: readonly CheckpointTensor[] = [
  { name: 'model.embed_tokens.weight', shape: [6, 4], dtype: 'f32', group: 'weights' },
  { name: 'model.layers.0.mlp.experts.1.up_proj.weight', shape: [4, 6], dtype: 'f32', group: 'weights' },
  { name: 'model.embed_tokens.weight', shape: [6, 4], dtype: 'f32', group: 'adam-m' },
];
const SIZE = 24;
const base = (step: number): ManifestBase => ({
  step,
  topology: {},
  trajectory: {},
  dataCursor: {},
  rngKeys: {},
});
const hasher = inlineHasher();
const options = { hasher, fileBytes: 64 };

const valuesOf = (tensor: CheckpointTensor, step: number): Float32Array =>
  Float32Array.from({ length: SIZE }, (_, i) => 1000 * step + 100 * layout.indexOf(tensor) + i);

/** From one element up to another, or columns of a matrix. */
type Cut = Readonly<Record<'offset' | 'length', number>> & Partial<Record<'rowLength' | 'rowStride', number>>;

const cutOf = (
  values: Float32Array,
  { offset, length, rowLength = length, rowStride = 0 }: Cut,
): Float32Array =>
  Float32Array.from({ length }, (_, i) => {
    return values[offset + Math.floor(i / rowLength) * rowStride + (i % rowLength)] ?? Number.NaN;
  });

async function writePart(
  storage: Storage,
  step: number,
  machine: number,
  cuts: readonly (readonly [CheckpointTensor, Cut])[],
): Promise<WrittenPart> {
  const writer = await beginPart(storage, 'run', { step, machine, life: 1, attempt: 1 }, options);
  for (const [tensor, cut] of cuts)
    await writer.put(tensor.name, tensor.group, cut, cutOf(valuesOf(tensor, step), cut));
  return writer.finish();
}

/** The tensors cut in two: at an element, or between columns. */
async function writeParts(storage: Storage, step: number, at = 7): Promise<readonly WrittenPart[]> {
  const halves = layout.map((tensor, index): readonly [CheckpointTensor, readonly [Cut, Cut]] => [
    tensor,
    index === 1
      ? [
          { offset: 0, length: 8, rowLength: 2, rowStride: 6 },
          { offset: 2, length: 16, rowLength: 4, rowStride: 6 },
        ]
      : [
          { offset: 0, length: at },
          { offset: at, length: SIZE - at },
        ],
  ]);
  return [
    await writePart(
      storage,
      step,
      0,
      halves.map(([tensor, [cut]]) => [tensor, cut]),
    ),
    await writePart(
      storage,
      step,
      1,
      halves.map(([tensor, [, cut]]) => [tensor, cut]).reverse() as [CheckpointTensor, Cut][],
    ),
  ];
}

const publish = (storage: Storage, step: number, parts: readonly WrittenPart[]): Promise<unknown> =>
  publishParts(storage, 'run', base(step), layout, parts, { hasher, tokenizer: new Uint8Array([123, 125]) });

async function holds(t: ExecutionContext, storage: Storage, step: number): Promise<void> {
  const { checkpoint } = await latestCheckpoint(storage, 'run', { hasher });
  t.is(checkpoint?.manifest.step, step);
  for (const tensor of layout) {
    const found = await checkpoint?.read(tensor.name, tensor.group);
    t.deepEqual(found, valuesOf(tensor, step));
  }
}

test('parts: PRT-1, what machines have written in pieces is one checkpoint, and every range of it reads the same', async (t) => {
  const storage = memoryStorage();
  await publish(storage, 3, await writeParts(storage, 3));
  await holds(t, storage, 3);
  t.deepEqual((await storage.list('run')).toSorted(), ['latest', 'step-000003']);
  const reader = await openCheckpoint(storage, 'run/step-000003', { hasher, verify: 'lazy' });
  t.deepEqual(await reader.tokenizer(), new Uint8Array([123, 125]));
  const range = fc.tuple(fc.nat(layout.length - 1), fc.nat(SIZE), fc.nat(SIZE));
  await fc.assert(
    fc.asyncProperty(range, async ([index, a, b]) => {
      const tensor = layout[index] as CheckpointTensor;
      const [start, end] = [Math.min(a, b), Math.max(a, b)];
      const found = await reader.read(tensor.name, tensor.group, start, end - start);
      t.deepEqual(found, valuesOf(tensor, 3).slice(start, end));
    }),
  );
});

test('parts: PRT-2, a store removes what its own machine left, and nothing of another one', async (t) => {
  const storage = memoryStorage();
  const [, other] = await writeParts(storage, 3);
  t.is(other?.folder, 'run/step-000003.m1.l1.a1.partial');
  await beginPart(storage, 'run', { step: 3, machine: 0, life: 2, attempt: 2 }, options);
  t.deepEqual((await storage.list('run')).toSorted(), [
    'step-000003.m0.l2.a2.partial',
    'step-000003.m1.l1.a1.partial',
  ]);
});

test('parts: PRT-3, without a part, or with one that is not what was written, there is no checkpoint and the one before stays', async (t) => {
  const storage = memoryStorage();
  await publish(storage, 3, await writeParts(storage, 3));
  const refusal = async (parts: readonly WrittenPart[]): Promise<string> => {
    const error = await t.throwsAsync(publish(storage, 4, parts));
    await holds(t, storage, 3);
    return error?.message ?? '';
  };
  const [first] = await writeParts(storage, 4);
  assert(first, 'the first machine has a part');
  t.regex(await refusal([first]), /'model.embed_tokens.weight' \(weights\) lacks elements from 7 to 24/u);
  t.regex(await refusal([first]), /m0.l1.a1.partial' is damaged: .* is missing/u, 'it was taken already');
  const [again, other] = await writeParts(storage, 4);
  assert(again && other, 'there are two machines');
  t.regex(await refusal([{ ...again, sha256: other.sha256 }, other]), /is not what the store has written/u);
  const overlapping = { step: 4, machine: 2, life: 1, attempt: 1 };
  const writer = await beginPart(storage, 'run', overlapping, options);
  await writer.put('model.embed_tokens.weight', 'weights', { offset: 6 }, new Float32Array(2));
  t.regex(
    await refusal([...(await writeParts(storage, 4)), await writer.finish()]),
    /elements of \[6, 8\) twice/u,
  );
});

test('parts: PRT-5, loss of power between any two operations leaves the old or the new one complete', async (t) => {
  const disks: { readonly disk: MemoryStorage; readonly after: string }[] = [];
  const storage: MemoryStorage = memoryStorage({
    after: ({ kind, path }) => {
      if (!isArmed) return;
      for (let kept = 0; kept <= storage.numUnsynced; kept += 1)
        disks.push({ disk: storage.crash(kept), after: `${kind} ${path}, ${kept} names` });
    },
  });
  let isArmed = false;
  await publish(storage, 3, await writeParts(storage, 3));
  isArmed = true;
  await publish(storage, 4, await writeParts(storage, 4));
  isArmed = false;
  const seen = new Set<number | undefined>();
  for (const { disk, after } of disks) {
    const { checkpoint, damaged } = await latestCheckpoint(disk, 'run', { hasher });
    t.deepEqual(damaged, [], after);
    seen.add(checkpoint?.manifest.step);
    await holds(t, disk, checkpoint?.manifest.step ?? -1);
    await publish(disk, 4, await writeParts(disk, 4));
    await holds(t, disk, 4);
    t.false(
      disk.paths.some((path) => path.includes('.partial')),
      after,
    );
  }
  t.deepEqual(seen, new Set([3, 4]));
});

test('parts: PRT-4, a flipped bit of a piece is named with its tensor and file', async (t) => {
  const storage = memoryStorage();
  await publish(storage, 3, await writeParts(storage, 3));
  const names = await storage.list('run/step-000003');
  const name = names.find((each) => each.startsWith('part-m1')) ?? '';
  const bytes = await storage.read(`run/step-000003/${name}`);
  bytes[bytes.byteLength - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await storage.writeAtomic(`run/step-000003/${name}`, bytes);
  const error = await t.throwsAsync(openCheckpoint(storage, 'run/step-000003', { hasher }), {
    instanceOf: CheckpointDamagedError,
  });
  t.true(error?.message.includes(name), error?.message);
});
