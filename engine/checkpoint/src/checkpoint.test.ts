import test from 'ava';
import * as fc from 'fast-check';
import { memoryStorage, type MemoryStorage, type MemoryStorageOptions } from '@troupe/sim';
import { TroupeError, type Storage } from '@troupe/core';
import {
  beginCheckpoint,
  CheckpointDamagedError,
  CheckpointMismatchError,
  CheckpointMissingError,
  CheckpointPiecesError,
  inlineHasher,
  latestCheckpoint,
  openCheckpoint,
  openSafetensors,
  pruneCheckpoints,
  type CheckpointOptions,
  type CheckpointReader,
  type CheckpointTensor,
  type CheckpointWriter,
  type ManifestBase,
  type OpenOptions,
  type WrittenCheckpoint,
} from './index.ts';
import { tensorGroups } from './manifest.ts';
import { bytesOf } from './safetensors.ts';

const parameters = [
  { name: 'model.embed_tokens.weight', shape: [5, 3] },
  { name: 'model.layers.0.mlp.gate.weight', shape: [2, 3] },
  { name: 'model.layers.0.mlp.experts.0.up_proj.weight', shape: [4, 3] },
  { name: 'model.layers.0.mlp.experts.1.up_proj.weight', shape: [4, 3] },
  { name: 'model.norm.weight', shape: [3] },
];

const layout: readonly CheckpointTensor[] = tensorGroups.flatMap((group) =>
  parameters.map((parameter) => ({ ...parameter, group, dtype: 'f32' as const })),
);

const base = (step: number): ManifestBase => ({
  step,
  topology: { model: { layers: 1 }, train: { lr: 3e-3 } },
  trajectory: { adamSteps: step },
  dataCursor: { sequence: 16 * step },
  rngKeys: { seed: 1 },
});

const sizeOf = (tensor: CheckpointTensor): number => tensor.shape.reduce((a, b) => a * b, 1);

/** Any 32 bits, so NaN payloads, infinities and subnormals too; a function of step, tensor and element. */
function valuesOf(tensor: CheckpointTensor, step: number): Float32Array {
  const seed = layout.indexOf(tensor) + 1000 * step;
  return new Float32Array(
    Uint32Array.from({ length: sizeOf(tensor) }, (_, i) => Math.imul(seed * 131 + i + 1, 2654435761)).buffer,
  );
}

interface Piece {
  readonly tensor: CheckpointTensor;
  readonly start: number;
  readonly end: number;
}

const wholes: readonly Piece[] = layout.map((tensor) => ({ tensor, start: 0, end: sizeOf(tensor) }));

async function putAll(writer: CheckpointWriter, step: number, pieces: readonly Piece[]): Promise<void> {
  const puts = pieces.map(({ tensor, start, end }) =>
    writer.put(tensor.name, tensor.group, start, valuesOf(tensor, step).subarray(start, end)),
  );
  await Promise.all(puts);
}

async function write(
  storage: Storage,
  step: number,
  options: CheckpointOptions & { readonly pieces?: readonly Piece[] } = {},
): Promise<WrittenCheckpoint> {
  const writer = await beginCheckpoint(storage, 'runs/a', base(step), layout, {
    hasher: inlineHasher(),
    ...options,
  });
  try {
    await putAll(writer, step, options.pieces ?? wholes);
  } catch (error) {
    await writer.abort();
    throw error;
  }
  return writer.finish();
}

const open = (storage: Storage, step: number, options: OpenOptions = {}): Promise<CheckpointReader> =>
  openCheckpoint(storage, `runs/a/step-${String(step).padStart(6, '0')}`, {
    hasher: inlineHasher(),
    ...options,
  });

async function holds(reader: CheckpointReader, step: number): Promise<boolean> {
  for (const tensor of layout) {
    const found = bytesOf(await reader.read(tensor.name, tensor.group));
    if (Buffer.compare(found, bytesOf(valuesOf(tensor, step))) !== 0) return false;
  }
  return reader.manifest.step === step;
}

/** The tensors cut anywhere, in any order. */
const shuffledPieces: fc.Arbitrary<readonly Piece[]> = fc
  .array(fc.nat({ max: 14 }), { minLength: layout.length, maxLength: layout.length })
  .chain((cuts) => {
    const pieces = wholes.flatMap(({ tensor, end }, index): Piece[] => {
      const cut = (cuts[index] ?? 0) % end;
      return [
        { tensor, start: 0, end: cut },
        { tensor, start: cut, end },
      ];
    });
    return fc.shuffledSubarray(pieces, { minLength: pieces.length });
  });

test('checkpoint: pieces in any order and cut anywhere give the same files, bit for bit', async (t) => {
  const reference = memoryStorage();
  const { sha256 } = await write(reference, 300);
  const property = fc.asyncProperty(shuffledPieces, async (pieces) => {
    const storage = memoryStorage();
    t.is((await write(storage, 300, { pieces })).sha256, sha256);
    t.true(await holds(await open(storage, 300), 300));
  });
  await fc.assert(property, { numRuns: 40 });
});

test('checkpoint: the manifest says what it is, and experts by layer and global index', async (t) => {
  const storage = memoryStorage();
  const written = await write(storage, 300, { tokenizer: new TextEncoder().encode('{"a":1}') });
  t.is(written.folder, 'runs/a/step-000300');
  t.is(new TextDecoder().decode(await storage.read('runs/a/latest')), 'step-000300\n');
  const names = ['manifest.json', 'optimizer.safetensors', 'tokenizer.json', 'weights.safetensors'];
  t.deepEqual(await storage.list(written.folder), names);
  const reader = await open(storage, 300);
  const { manifest } = reader;
  t.is(manifest.manifestSha256, written.sha256);
  t.deepEqual(manifest.topology, base(300).topology);
  t.deepEqual(manifest.dataCursor, { sequence: 4800 });
  t.deepEqual(
    [manifest.trajectory, manifest.rngKeys, manifest.parents],
    [{ adamSteps: 300 }, { seed: 1 }, []],
  );
  t.is(new TextDecoder().decode((await reader.tokenizer()) ?? new Uint8Array()), '{"a":1}');
  const expert = manifest.tensors.find((each) => each.name.includes('experts.1') && each.group === 'adam-v');
  t.like(expert, { layer: 0, expert: 1, file: 'optimizer.safetensors', key: `${expert?.name}.exp_avg_sq` });
  t.like(manifest.tensors[0], { layer: null, expert: null, file: 'weights.safetensors' });
  const weights = await openSafetensors(storage, `${written.folder}/weights.safetensors`);
  t.deepEqual([...weights.header.tensors.keys()].sort(), parameters.map((each) => each.name).sort());
});

test('checkpoint: large models get numbered files and an index that others read', async (t) => {
  const storage = memoryStorage();
  const { folder } = await write(storage, 1, { maxFileBytes: 100 });
  const weights = (await storage.list(folder)).filter((name) => name.startsWith('weights-'));
  t.true(weights.length > 1);
  t.regex(weights[0] ?? '', /^weights-00001-of-0000\d\.safetensors$/u);
  const index = new TextDecoder().decode(await storage.read(`${folder}/weights.safetensors.index.json`));
  const map = (JSON.parse(index) as { weight_map: Record<string, string> }).weight_map;
  for (const { name } of parameters) {
    const file = await openSafetensors(storage, `${folder}/${map[name]}`);
    t.true(file.header.tensors.has(name));
  }
  t.true(await holds(await open(storage, 1), 1));
});

test('checkpoint: ranges of a tensor are read alone', async (t) => {
  const storage = memoryStorage();
  await write(storage, 7);
  const reader = await open(storage, 7, { verify: 'lazy' });
  const [tensor] = layout;
  t.truthy(tensor);
  if (tensor === undefined) return;
  const part = await reader.read(tensor.name, 'weights', 4, 5);
  t.deepEqual(bytesOf(part), bytesOf(valuesOf(tensor, 7).subarray(4, 9)));
  await t.throwsAsync(() => reader.read(tensor.name, 'weights', 11, 5), { code: 'TROUPE_INVARIANT' });
  await t.throwsAsync(() => reader.read('model.other', 'weights'), { instanceOf: CheckpointMismatchError });
});

test('checkpoint: overlapping, outside, unknown and missing pieces are named', async (t) => {
  const storage = memoryStorage();
  const begin = () => beginCheckpoint(storage, 'r', base(1), layout, { hasher: inlineHasher() });
  const writer = await begin();
  const name = 'model.norm.weight';
  await writer.put(name, 'weights', 1, new Float32Array(1));
  const refused = { instanceOf: CheckpointPiecesError, message: /'model\.norm\.weight' \(weights\)/u };
  await t.throwsAsync(() => writer.put(name, 'weights', 0, new Float32Array(2)), refused);
  await t.throwsAsync(() => writer.put(name, 'weights', 1, new Float32Array(1)), refused);
  await t.throwsAsync(() => writer.put(name, 'weights', 2, new Float32Array(2)), refused);
  await t.throwsAsync(() => writer.put(name, 'weights', -1, new Float32Array(1)), refused);
  await t.throwsAsync(() => writer.put('x', 'weights', 0, new Float32Array(1)), { message: /'x'/u });
  await writer.put(name, 'weights', 0, new Float32Array(1));
  const incomplete = await begin();
  const last = wholes.at(-1);
  await putAll(incomplete, 1, wholes.slice(0, -1));
  await t.throwsAsync(() => incomplete.finish(), {
    instanceOf: CheckpointPiecesError,
    message: `no piece covered '${last?.tensor.name}' (${last?.tensor.group}) from 0 to 3`,
  });
  t.deepEqual(await storage.list('r'), []);
  const twice = [...layout, ...layout.slice(0, 1)];
  await t.throwsAsync(() => beginCheckpoint(storage, 'r', base(1), twice), { message: /comes twice/u });
});

test('checkpoint: put copies, so the caller may go on with its buffer', async (t) => {
  const storage = memoryStorage();
  const writer = await beginCheckpoint(storage, 'runs/a', base(3), layout, { hasher: inlineHasher() });
  const puts = wholes.toReversed().map(({ tensor }) => {
    const values = valuesOf(tensor, 3);
    const done = writer.put(tensor.name, tensor.group, 0, values);
    values.fill(0);
    return done;
  });
  t.true(writer.heldBytes > 0);
  await Promise.all(puts);
  t.is(writer.heldBytes, 0);
  await writer.finish();
  t.true(await holds(await open(storage, 3), 3));
});

test('checkpoint: pieces in the order of the files wait for nothing, in however many files', async (t) => {
  const options = { hasher: inlineHasher(), maxFileBytes: 64 };
  const writer = await beginCheckpoint(memoryStorage(), 'runs/a', base(3), layout.toReversed(), options);
  for (const tensor of writer.order) {
    await writer.put(tensor.name, tensor.group, 0, valuesOf(tensor, 3));
    t.is(writer.heldBytes, 0, tensor.name);
  }
  t.is(writer.order.length, layout.length);
  await writer.finish();
});

test('checkpoint: hashes on a thread of its own unless told otherwise', async (t) => {
  const storage = memoryStorage();
  const writer = await beginCheckpoint(storage, 'runs/a', base(3), layout);
  await putAll(writer, 3, wholes);
  const { sha256 } = await writer.finish();
  const reader = await openCheckpoint(storage, 'runs/a/step-000003');
  t.true(await holds(reader, 3));
  await reader.close();
  t.is(sha256, (await write(memoryStorage(), 3)).sha256);
});

test('openCheckpoint: every flipped bit in any file is found, and the tensor or file is named', async (t) => {
  const storage = memoryStorage();
  const tokenizer = new TextEncoder().encode('{"model":{}}');
  const { folder, sizeBytes } = await write(storage, 300, { tokenizer, maxFileBytes: 200 });
  const files = await storage.list(folder);
  t.true(files.length > 5);
  const named = new Map<string, number>();
  const property = fc.asyncProperty(
    fc.constantFrom(...files),
    fc.nat(),
    fc.boolean(),
    async (file, any, isLazy) => {
      const damaged = storage.crash();
      const path = `${folder}/${file}`;
      damaged.flipBit(path, any % (8 * (await damaged.sizeBytes(path))));
      const read = async (): Promise<void> => {
        const reader = await open(damaged, 300, { verify: isLazy ? 'lazy' : 'full' });
        for (const tensor of layout) await reader.read(tensor.name, tensor.group);
        await reader.tokenizer();
        t.true(
          isLazy && file.endsWith('.index.json'),
          'only the index, which nothing here reads, is not hashed lazily',
        );
        await reader.verify();
      };
      const error = await t.throwsAsync(read, { instanceOf: CheckpointDamagedError });
      const message = error?.message ?? '';
      t.true(message.includes(file), message);
      const key = `${message.includes("tensor '") ? 'tensor' : 'file'} in ${file.replace(/-.*/u, '')}`;
      named.set(key, (named.get(key) ?? 0) + 1);
    },
  );
  await fc.assert(property, { numRuns: 600 });
  t.log(`${sizeBytes} bytes; what the message named:`, Object.fromEntries(named));
});

test('openCheckpoint: a lazy reader refuses a damaged tensor when it is read, and reads the others', async (t) => {
  const storage = memoryStorage();
  const { folder } = await write(storage, 5);
  const path = `${folder}/weights.safetensors`;
  storage.flipBit(path, 8 * (await storage.sizeBytes(path)) - 1);
  const reader = await open(storage, 5, { verify: 'lazy' });
  await reader.read('model.embed_tokens.weight', 'weights');
  const damage = {
    instanceOf: CheckpointDamagedError,
    message: /tensor 'model\.layers\.0\.mlp\.experts\.1/u,
  };
  await t.throwsAsync(
    () => reader.read('model.layers.0.mlp.experts.1.up_proj.weight', 'weights', 0, 1),
    damage,
  );
  await t.throwsAsync(() => reader.verify(), damage);
});

test('openCheckpoint: a cut, missing, extra or empty file is named', async (t) => {
  const storage = memoryStorage();
  const { folder } = await write(storage, 5, { tokenizer: Uint8Array.of(1, 2, 3, 4) });
  for (const file of await storage.list(folder)) {
    const path = `${folder}/${file}`;
    for (const lengthBytes of [
      0,
      1,
      Math.floor((await storage.sizeBytes(path)) / 2),
      (await storage.sizeBytes(path)) - 1,
    ]) {
      const cut = storage.crash();
      cut.tear(path, lengthBytes);
      const error = await t.throwsAsync(() => open(cut, 5), { instanceOf: CheckpointDamagedError });
      t.true(error?.message.includes(file), error?.message);
    }
    const lost = storage.crash();
    await lost.remove(path);
    const error = await t.throwsAsync(() => open(lost, 5, { verify: 'lazy' }), {
      instanceOf: CheckpointDamagedError,
    });
    t.true(error?.message.includes(`'${file}' is missing`), error?.message);
  }
  await storage.writeAtomic(`${folder}/weights-old.safetensors`, new Uint8Array(1));
  await t.throwsAsync(() => open(storage, 5), { message: /'weights-old\.safetensors' does not belong/u });
  await t.throwsAsync(() => open(storage, 6), { instanceOf: CheckpointMissingError });
});

test('openCheckpoint: a manifest of a later format is refused by its version', async (t) => {
  const storage = memoryStorage();
  const { folder } = await write(storage, 5);
  const path = `${folder}/manifest.json`;
  const text = new TextDecoder()
    .decode(await storage.read(path))
    .replace('"formatVersion": 1', '"formatVersion": 3');
  const body = text.slice(0, text.lastIndexOf(',\n "manifestSha256"'));
  const hasher = inlineHasher();
  const stream = hasher.open();
  await hasher.update([stream], new TextEncoder().encode(body));
  const whole = `${body},\n "manifestSha256": "${await hasher.digest(stream)}"\n}\n`;
  await storage.writeAtomic(path, new TextEncoder().encode(whole));
  await t.throwsAsync(() => open(storage, 5), { message: /format version 3; this Troupe reads 1 and 2/u });
});

test('expectParameters: names each missing, extra, duplicate and misshapen tensor', async (t) => {
  const storage = memoryStorage();
  await write(storage, 5);
  const reader = await open(storage, 5);
  reader.expectTensors(layout);
  reader.expectParameters(parameters.toReversed());
  const problems = (expected: typeof parameters): unknown => {
    const error = t.throws(() => reader.expectParameters(expected), {
      instanceOf: CheckpointMismatchError,
    });
    return error?.details['problems'];
  };
  const [embed, gate] = parameters;
  if (embed === undefined || gate === undefined) return;
  t.deepEqual(problems(parameters.slice(1)), [`tensor '${embed.name}' (weights) is extra`]);
  t.deepEqual(problems([...parameters, { name: 'new', shape: [1] }]), ["tensor 'new' (weights) is missing"]);
  t.deepEqual(problems([...parameters, gate]), [`tensor '${gate.name}' (weights) is asked for twice`]);
  t.deepEqual(problems([{ ...embed, shape: [3, 5] }, ...parameters.slice(1)]), [
    `tensor '${embed.name}' (weights) has shape [5, 3], the model [3, 5]`,
  ]);
});

test('checkpoint: a full disk is passed on at every size, and the checkpoint before stays the latest', async (t) => {
  const whole = memoryStorage();
  await write(whole, 100);
  const before = whole.usedBytes;
  await write(whole, 200);
  const needed = whole.usedBytes - before;
  const pointerBytes = 'step-000200\n'.length;
  const property = fc.asyncProperty(fc.nat({ max: needed + pointerBytes - 1 }), async (room) => {
    const storage = memoryStorage();
    await write(storage, 100);
    storage.setCapacity(storage.usedBytes + room);
    const error = await t.throwsAsync(() => write(storage, 200), { instanceOf: TroupeError });
    t.deepEqual([error?.code, (error as TroupeError | undefined)?.retryable], ['TROUPE_STORAGE_FULL', true]);
    const { checkpoint } = await latestCheckpoint(storage, 'runs/a', { hasher: inlineHasher() });
    // The last bytes are the pointer's: then the new checkpoint is in its place already.
    const step = room < needed ? 100 : 200;
    t.is(checkpoint?.manifest.step, step);
    t.true(checkpoint !== null && (await holds(checkpoint, step)));
    t.false(storage.paths.some((path) => path.includes('.partial')));
    storage.setCapacity(Number.POSITIVE_INFINITY);
    await write(storage, 200);
    t.true(await holds(await open(storage, 200), 200));
  });
  await fc.assert(property, { numRuns: 100, examples: [[0], [needed - 1], [needed]] });
});

test('checkpoint: any single failing operation leaves a complete latest checkpoint and no rubbish', async (t) => {
  let numOperations = 0;
  let failing = -1;
  const storageOptions: MemoryStorageOptions = {
    before: ({ kind }) => {
      if (kind === 'read' || kind === 'abort') return;
      numOperations += 1;
      if (numOperations === failing) throw new TroupeError('TROUPE_STORAGE_FAILED', 'planned');
    },
  };
  for (let nth = 1; ; nth += 1) {
    failing = -1;
    const storage = memoryStorage(storageOptions);
    await write(storage, 100);
    await write(storage, 200);
    numOperations = 0;
    failing = nth;
    // 200 is written a second time, and 200 it must remain, complete.
    const outcome = await write(storage, 200).then(
      () => 'written',
      (error: TroupeError) => error.code,
    );
    const reached = numOperations >= nth;
    failing = -1;
    const { checkpoint } = await latestCheckpoint(storage, 'runs/a', { hasher: inlineHasher() });
    t.true(checkpoint !== null && (await holds(checkpoint, 200)), `operation ${nth}`);
    t.false(
      storage.paths.some((path) => path.includes('.partial')),
      `operation ${nth}`,
    );
    t.true(await holds(await open(storage, 200), 200), `operation ${nth}`);
    if (!reached) {
      t.is(outcome, 'written');
      t.true(nth > 15);
      t.log(`${nth - 1} operations`);
      return;
    }
    t.is(outcome, 'TROUPE_STORAGE_FAILED');
  }
});

async function everyCrash(storage: MemoryStorageOptions, act: (storage: MemoryStorage) => Promise<void>) {
  const disks: { readonly disk: MemoryStorage; readonly after: string }[] = [];
  let isWatching = false;
  const watched: MemoryStorage = memoryStorage({
    ...storage,
    after: ({ kind, path }) => {
      if (!isWatching) return;
      for (let kept = 0; kept <= watched.numUnsynced; kept += 1) {
        disks.push({
          disk: watched.crash(kept),
          after: `${kind} ${path}, ${kept} of ${watched.numUnsynced} names`,
        });
      }
    },
  });
  await write(watched, 100);
  isWatching = true;
  await act(watched);
  return disks;
}

test('checkpoint: loss of power between any two operations leaves the old or the new one complete', async (t) => {
  const disks = await everyCrash({}, async (storage) => {
    await write(storage, 200);
  });
  const seen = { old: 0, fresh: 0 };
  for (const { disk, after } of disks) {
    const { checkpoint, damaged } = await latestCheckpoint(disk, 'runs/a', { hasher: inlineHasher() });
    t.deepEqual(damaged, [], after);
    const step = checkpoint?.manifest.step ?? -1;
    t.true(checkpoint !== null && (step === 100 || step === 200) && (await holds(checkpoint, step)), after);
    seen[step === 100 ? 'old' : 'fresh'] += 1;
    await write(disk, 200);
    t.true(await holds(await open(disk, 200), 200), after);
    t.false(
      disk.paths.some((path) => path.includes('.partial')),
      after,
    );
  }
  t.true(seen.old > 20 && seen.fresh > 2);
  t.log(`${disks.length} crashes`, seen);
});

test('checkpoint: writing the only checkpoint again never leaves none', async (t) => {
  const disks = await everyCrash({}, async (storage) => {
    await write(storage, 100);
  });
  for (const { disk, after } of disks) {
    const { checkpoint } = await latestCheckpoint(disk, 'runs/a', { hasher: inlineHasher() });
    t.true(checkpoint !== null && (await holds(checkpoint, 100)), after);
  }
  t.true(disks.length > 20);
});

test('prune: loss of power meanwhile leaves every kept checkpoint complete', async (t) => {
  const options = { hasher: inlineHasher() };
  const disks = await everyCrash({}, async (storage) => {
    await write(storage, 200);
    await write(storage, 300);
    await pruneCheckpoints(storage, 'runs/a', 2, options);
  });
  for (const { disk, after } of disks) {
    const { checkpoint, damaged } = await latestCheckpoint(disk, 'runs/a', options);
    t.true(checkpoint !== null && damaged.length === 0, after);
    await pruneCheckpoints(disk, 'runs/a', 1, options);
    t.is((await disk.list('runs/a')).filter((name) => /^step-\d+$/u.test(name)).length, 1, after);
  }
});

test('prune: keeps the newest intact ones and says what it removed', async (t) => {
  const storage = memoryStorage();
  for (const step of [1, 2, 3, 4, 1000000]) await write(storage, step);
  storage.tear('runs/a/step-000004/weights.safetensors', 3);
  const options = { hasher: inlineHasher() };
  const removed = await pruneCheckpoints(storage, 'runs/a', 2, options);
  t.deepEqual(removed, ['runs/a/step-000002', 'runs/a/step-000001']);
  t.deepEqual(await storage.list('runs/a'), ['latest', 'step-000003', 'step-000004', 'step-1000000']);
  t.deepEqual(await pruneCheckpoints(storage, 'runs/a', 2, options), []);
  await t.throwsAsync(() => pruneCheckpoints(storage, 'runs/a', 0, options), { code: 'TROUPE_INVARIANT' });
});

test('latestCheckpoint: passes over damaged ones, says which, and finds none where there is none', async (t) => {
  const storage = memoryStorage();
  for (const step of [1, 2, 3]) await write(storage, step);
  storage.flipBit('runs/a/step-000003/optimizer.safetensors', 8 * 700);
  await storage.remove('runs/a/step-000002/manifest.json');
  const options = { hasher: inlineHasher() };
  const { checkpoint, damaged } = await latestCheckpoint(storage, 'runs/a', options);
  t.is(checkpoint?.manifest.step, 1);
  t.deepEqual(
    damaged.map(({ folder }) => folder),
    ['runs/a/step-000003', 'runs/a/step-000002'],
  );
  t.regex(damaged[1]?.error.message ?? '', /'manifest\.json' is missing/u);
  t.deepEqual(await latestCheckpoint(storage, 'runs/none', options), { checkpoint: null, damaged: [] });
});

test('abort: removes everything that was written', async (t) => {
  const storage = memoryStorage();
  const writer = await beginCheckpoint(storage, 'runs/a', base(1), layout);
  await putAll(writer, 1, wholes.slice(3));
  t.true(writer.heldBytes > 0);
  await writer.abort();
  await writer.abort();
  t.is(storage.usedBytes, 0);
  t.deepEqual(await storage.list('runs/a'), []);
});
