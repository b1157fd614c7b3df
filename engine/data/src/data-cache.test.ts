import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { CACHE_BYTES_MAX, cachedEntries, clearCache, trimCache } from './data-cache.ts';
import { openDataSource } from './data-source.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-cache-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const HOUR = 3_600_000;
const nowMs = 1_000_000 * HOUR;
const nameOf = (letter: string, kind = 'corpus'): string => `${kind}-${letter.repeat(24)}.bin`;

/** A folder with entries of 100 bytes, `a` used last, and what is not an entry. */
function filled(name: string, letters: string): string {
  const at = join(folder, name);
  mkdirSync(at);
  for (const [age, letter] of Array.from(letters).entries()) {
    const path = join(at, nameOf(letter));
    writeFileSync(path, new Uint8Array(100));
    utimesSync(path, (nowMs - age * HOUR) / 1000, (nowMs - age * HOUR) / 1000);
  }
  writeFileSync(join(at, 'machine-rates.json'), '{}');
  return at;
}

test('trimCache: the least recently used go until the rest fits; what is kept and what is not ours stays', (t) => {
  const at = filled('trim', 'abcd');
  const options = { bytesMax: 250, nowMs };
  t.deepEqual(
    trimCache(at, { ...options, kept: new Set([nameOf('d')]) }).map(({ name }) => name),
    [nameOf('b'), nameOf('c')],
  );
  t.deepEqual(readdirSync(at).sort(), [nameOf('a'), nameOf('d'), 'machine-rates.json']);
  t.deepEqual(trimCache(at, { ...options, kept: new Set() }), []);
});

test('trimCache: the entry in use stays, however large it is', (t) => {
  const at = filled('large', 'ab');
  trimCache(at, { bytesMax: 10, kept: new Set([nameOf('b')]), nowMs });
  t.deepEqual(
    cachedEntries(at).map(({ name }) => name),
    [nameOf('b')],
  );
});

test('trimCache: what a killed process has half written goes after an hour', (t) => {
  const at = filled('pending', 'a');
  for (const [name, ageMs] of [
    ['old', 2 * HOUR],
    ['new', HOUR / 2],
  ] as const) {
    const path = join(at, `${nameOf('c')}.${name}.tmp`);
    writeFileSync(path, 'half');
    utimesSync(path, (nowMs - ageMs) / 1000, (nowMs - ageMs) / 1000);
  }
  trimCache(at, { bytesMax: CACHE_BYTES_MAX, kept: new Set(), nowMs });
  t.deepEqual(readdirSync(at).sort(), [nameOf('a'), `${nameOf('c')}.new.tmp`, 'machine-rates.json']);
});

test('clearCache: removes entries and nothing else; a folder that is not there is empty', (t) => {
  const at = filled('clear', 'ab');
  t.is(clearCache(at, nowMs).length, 2);
  t.deepEqual(readdirSync(at), ['machine-rates.json']);
  t.deepEqual(cachedEntries(join(folder, 'nowhere')), []);
  t.deepEqual(clearCache(join(folder, 'nowhere'), nowMs), []);
});

test('clearCache: an entry that cannot be removed is named', (t) => {
  const at = filled('stuck', 'a');
  mkdirSync(join(at, nameOf('b')));
  t.throws(() => clearCache(at, nowMs), {
    code: 'TROUPE_STORAGE_FAILED',
    message: /corpus-b{24}\.bin': cannot be removed: /,
  });
});

test('openDataSource: reading an entry makes it the latest used', async (t) => {
  const text = join(folder, 'text.txt');
  writeFileSync(text, 'one two three four five six seven eight nine ten\n\n'.repeat(30));
  const cacheFolder = join(folder, 'used');
  const open = (atMs: number) =>
    openDataSource(
      { text, tokenizer: { kind: 'bytes' }, seqLen: 8, batch: 2, seed: 1 },
      { cacheFolder, wallClockMs: () => atMs },
    );
  await open(nowMs);
  const [entry] = cachedEntries(cacheFolder);
  t.is(entry?.kind, 'corpus');
  t.true((await open(nowMs + HOUR)).fromCache);
  t.is(statSync(join(cacheFolder, entry?.name ?? '')).mtimeMs, nowMs + HOUR);
});
