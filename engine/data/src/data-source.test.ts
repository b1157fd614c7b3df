import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openDataSource, type DataConfig } from './data-source.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-data-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const paragraphs = Array.from(
  { length: 60 },
  (_, i) => `Keeper ${i} counted ${i * 7} ships that passed the harbour.`,
);
const textPath = join(folder, 'keepers.txt');
writeFileSync(textPath, paragraphs.join('\n\n'));

const distFolder = new URL('../dist/', import.meta.url);

const config = (more: Partial<DataConfig> = {}): DataConfig => ({
  text: textPath,
  tokenizer: { kind: 'bpe', vocab: 300 },
  holdout: 0.2,
  seqLen: 16,
  batch: 4,
  seed: 1,
  ...more,
});
const cache = (name: string): string => join(folder, name);

test('openDataSource: the second start takes tokenizer and tokens from the cache', async (t) => {
  const cacheFolder = cache('second');
  const first = await openDataSource(config(), { cacheFolder });
  const second = await openDataSource(config(), { cacheFolder });
  const without = await openDataSource(config());
  t.deepEqual([first.fromCache, second.fromCache, without.fromCache], [false, true, false]);
  for (const other of [second, without]) {
    t.is(other.tokenizer?.fingerprint, first.tokenizer?.fingerprint);
    t.deepEqual(other.batches.trainBatch(5, 0, 4), first.batches.trainBatch(5, 0, 4));
    t.deepEqual(other.batches.evalBatch(0, 3), first.batches.evalBatch(0, 3));
    t.deepEqual(other.statistics(), first.statistics());
  }
  t.is(first.statistics().numTrainDocuments + first.statistics().numHeldOutDocuments, 60);
});

test('openDataSource: another seed or length reuses the cache, other settings do not', async (t) => {
  const cacheFolder = cache('settings');
  await openDataSource(config(), { cacheFolder });
  t.true((await openDataSource(config({ seed: 9, seqLen: 8, batch: 2 }), { cacheFolder })).fromCache);
  t.false((await openDataSource(config({ holdout: 0.3 }), { cacheFolder })).fromCache);
  t.false((await openDataSource(config({ tokenizer: { kind: 'bytes' } }), { cacheFolder })).fromCache);
  const bytesToo = config({ tokenizer: { kind: 'bytes' }, holdout: 0.3 });
  t.false((await openDataSource(bytesToo, { cacheFolder })).fromCache);
  t.true((await openDataSource(bytesToo, { cacheFolder })).fromCache);
  t.false((await openDataSource(config({ document: 'file', holdout: 0 }), { cacheFolder })).fromCache);
});

test('openDataSource: a damaged or cut entry is built anew, wherever the damage is', async (t) => {
  const cacheFolder = cache('damaged');
  const good = await openDataSource(config(), { cacheFolder });
  const names = readdirSync(cacheFolder);
  t.is(names.length, 2);
  for (const name of names) {
    const path = join(cacheFolder, name);
    const bytes = readFileSync(path);
    const places = [0, 9, 20, 60, Math.floor(bytes.length / 2), bytes.length - 16];
    const damaged = places.map((at) => Buffer.from(bytes).fill((bytes[at] ?? 0) ^ 0x11, at, at + 1));
    for (const wrong of [...damaged, bytes.subarray(0, -16), bytes.subarray(0, 10), Buffer.alloc(0)]) {
      writeFileSync(path, wrong);
      const opened = await openDataSource(config(), { cacheFolder });
      t.false(opened.fromCache);
      t.deepEqual(opened.batches.trainBatch(0, 0, 4), good.batches.trainBatch(0, 0, 4));
      t.deepEqual(readFileSync(path), bytes, 'the entry is whole again');
    }
  }
});

/** Opens the source in a process of its own and resolves to the fingerprint of what it got. */
function openElsewhere(cacheFolder: string): Promise<string> {
  const script = `
    import { createHash } from 'node:crypto';
    import { openDataSource } from ${JSON.stringify(new URL('data-source.js', distFolder).href)};
    const source = await openDataSource(${JSON.stringify(config())}, { cacheFolder: ${JSON.stringify(cacheFolder)} });
    const { ids_T, firstSeen_T } = source.batches.trainBatch(2, 0, 4);
    process.stdout.write(createHash('sha256').update(ids_T).update(firstSeen_T).digest('hex'));`;
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', script], (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(error);
    });
  });
}

test('openDataSource: processes that start at the same time agree and leave whole entries', async (t) => {
  const cacheFolder = cache('together');
  const hashes = await Promise.all(Array.from({ length: 4 }, () => openElsewhere(cacheFolder)));
  t.is(hashes[0]?.length, 64);
  t.is(new Set(hashes).size, 1);
  t.is(readdirSync(cacheFolder).length, 2);
  t.true(readdirSync(cacheFolder).every((name) => name.endsWith('.bin')));
  t.true((await openDataSource(config(), { cacheFolder })).fromCache);
});

test('openDataSource: a cache that cannot be written is reported, not fatal', async (t) => {
  const opened = await openDataSource(config(), { cacheFolder: join(textPath, 'below-a-file') });
  t.regex(opened.cacheProblem ?? '', /ENOTDIR/);
  t.is(opened.batches.trainBatch(0, 0, 4).sequences, 4);
  const nowhere = await openDataSource(config(), { cacheFolder: '/proc/troupe/cache' });
  t.regex(nowhere.cacheProblem ?? '', /ENOENT|EACCES|EROFS|EPERM/);
});

test('openDataSource: a tokenizer that the model cannot hold is refused with both numbers', async (t) => {
  const code = 'TROUPE_DATA_VOCAB';
  await t.throwsAsync(openDataSource(config({ modelVocab: 299 })), {
    code,
    message: /300 tokens but model.vocab is 299/,
  });
  const bytes = config({ tokenizer: { kind: 'bytes' }, modelVocab: 256 });
  await t.throwsAsync(openDataSource(bytes), { code, message: /257 tokens but model.vocab is 256/ });
  t.is((await openDataSource(config({ modelVocab: 300 }))).batches.vocabSize, 300);
});

test('openDataSource: a tokenizer.json from disk is used as it is', async (t) => {
  const file = join(folder, 'tokenizer.json');
  const trained = await openDataSource(config());
  writeFileSync(file, JSON.stringify(trained.tokenizer?.toJson()));
  const loaded = await openDataSource(config({ tokenizer: { kind: 'bpe', file } }));
  t.is(loaded.tokenizer?.fingerprint, trained.tokenizer?.fingerprint);
  t.deepEqual(loaded.batches.evalBatch(0, 2), trained.batches.evalBatch(0, 2));
});

test('openDataSource: texts of the program, and synthetic tokens', async (t) => {
  const own = await openDataSource({
    source: paragraphs,
    tokenizer: { kind: 'bytes' },
    seqLen: 8,
    batch: 2,
    seed: 1,
  });
  t.is(own.batches.vocabSize, 257);
  const zipf = await openDataSource({ synthetic: 'zipf', modelVocab: 100, seqLen: 8, batch: 2, seed: 1 });
  t.is(zipf.tokenizer, null);
  t.is(zipf.batches.numTrainWindows, 16);
  const { unigramEntropy } = zipf.statistics();
  t.true(unigramEntropy > 3.5 && unigramEntropy < Math.log(100));
});

test('openDataSource: contradictions and what is not built are refused by name', async (t) => {
  const code = 'TROUPE_DATA_CONFIG';
  await t.throwsAsync(openDataSource(config({ source: 'wordnet' })), {
    code,
    message: /several sources \(source, text\)/,
  });
  await t.throwsAsync(openDataSource(config({ synthetic: 'zipf' })), {
    code,
    message: /synthetic together with text/,
  });
  await t.throwsAsync(openDataSource(config({ holdout: 1 })), { code, message: /holdout is 1/ });
  await t.throwsAsync(openDataSource(config({ tokenizer: { kind: 'bytes', vocab: 300 } })), { code });
  await t.throwsAsync(openDataSource(config({ tokenizer: { kind: 'bpe', vocab: 300, file: 'x' } })), {
    code,
  });
  await t.throwsAsync(openDataSource(config({ tokens: 'x.bin' })), {
    code: 'TROUPE_NOT_BUILT',
    message: /data\.tokens/,
  });
});
