import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { readLines } from './text-lines.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-lines-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

let numFiles = 0;

async function linesOf(content: string | Uint8Array): Promise<readonly string[]> {
  const path = join(folder, `${numFiles++}.txt`);
  writeFileSync(path, content);
  const lines: string[] = [];
  for await (const line of readLines(path)) lines.push(line);
  return lines;
}

test('readLines: ends of lines, the last line, and the mark at the start', async (t) => {
  t.deepEqual(await linesOf('a\r\nb\n\nc'), ['a', 'b', '', 'c']);
  t.deepEqual(await linesOf('a\n'), ['a']);
  t.deepEqual(await linesOf(''), []);
  t.deepEqual(await linesOf('\ufeffa\n\ufeffb\n'), ['a', '\ufeffb']);
});

test('readLines: lines and characters that chunks cut are whole', async (t) => {
  const long = `${'é€𝄞'.repeat(400_000)}x`;
  t.deepEqual(await linesOf(`${long}\nshort\r\n${long}`), [long, 'short', long]);
});

test('readLines: a character that a line or the file cuts is not UTF-8', async (t) => {
  const code = 'TROUPE_DATA_UNREADABLE';
  const half = Buffer.from('é').subarray(0, 1);
  await t.throwsAsync(linesOf(Buffer.concat([half, Buffer.from('\nb')])), { code, message: /not UTF-8/ });
  await t.throwsAsync(linesOf(half), { code });
});

test('readLines: tells how much of the file has been read, compressed or not', async (t) => {
  const text = 'a line of text\n'.repeat(200_000);
  for (const [name, content] of [
    ['plain.txt', Buffer.from(text)],
    ['packed.txt.gz', gzipSync(text)],
  ] as const) {
    const path = join(folder, name);
    writeFileSync(path, content);
    let [sum, calls] = [0, 0];
    for await (const line of readLines(path, (bytes) => {
      sum += bytes;
      calls++;
    }))
      if (line !== 'a line of text') t.fail(line);
    t.is(sum, content.length);
    t.true(calls >= 1);
  }
});
