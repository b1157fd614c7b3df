import test from 'ava';
import fc from 'fast-check';
import { fromJson, toJson } from './exact.ts';
import { readJournal } from './journal-text.ts';
import { lineOf } from './line.ts';
import { jsonOf, recordOf } from './record-json.ts';
import type { JournalRecord } from './record.ts';
import { anyRecord, anyRun, exactValue, plainRecord } from './testing/drawn-records.ts';

const joined = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));
const fileOf = (records: readonly JournalRecord[]): Uint8Array =>
  joined(records.map((record) => lineOf(jsonOf(record))));

/** Of what is thrown. */
function messageOf(act: () => unknown): string {
  try {
    act();
    return 'nothing';
  } catch (error) {
    return (error as Error).message;
  }
}

test('journal: every value and every record comes back as it was, bit for bit', (t) => {
  fc.assert(
    fc.property(exactValue, (value) =>
      t.deepEqual(fromJson(JSON.parse(JSON.stringify(toJson(value)))), value),
    ),
  );
  fc.assert(fc.property(anyRecord, (record) => t.deepEqual(recordOf(jsonOf(record)), record)));
  for (const json of ['y', 'x12', 'x00000000000000zz', 0.5, [1, ''], { a: [0.5] }])
    t.is(fromJson(json), undefined, JSON.stringify(json));
});

test('journal: what is no record of this version is said so', (t) => {
  const json = JSON.parse(jsonOf(plainRecord(1))) as Record<string, unknown>;
  const say = (changes: object): unknown => recordOf(JSON.stringify({ ...json, ...changes }));
  t.is(typeof say({}), 'object');
  t.is(say({ format: 2 }), 'its format is 2, and this version reads 1');
  for (const changes of [
    { epoch: -1 },
    { attempt: '1' },
    { replayed: 1 },
    { decision: { ...(json['decision'] as object), gradScale: 0.5 } },
    { decision: null },
    { sums: { ...(json['sums'] as object), norm: '00' } },
    { reported: 0.5 },
    { seats: [1] },
    { membership: 'm0' },
    { lives: { a: 'b' } },
    { lossAgesMs: [1] },
    { checkpoint: {} },
    { applied: [1] },
  ])
    t.is(say(changes), 'its fields are not those of a record', JSON.stringify(changes));
  t.is(recordOf('[]'), 'it is no object');
  t.is(recordOf('{'), 'it is no JSON');
});

test('journal: JRN-2, a file that is cut anywhere holds the records that are whole in it', (t) => {
  fc.assert(
    fc.property(anyRun, fc.nat(), (records, draw) => {
      const bytes = fileOf(records);
      const cut = draw % (bytes.byteLength + 1);
      const ends = records.map((_, index) => fileOf(records.slice(0, index + 1)).byteLength);
      const whole = ends.filter((end) => end <= cut);
      const found = readJournal('j', bytes.subarray(0, cut));
      t.deepEqual(found.records, records.slice(0, whole.length));
      t.is(found.intactBytes, whole.at(-1) ?? 0);
    }),
    { numRuns: 60 },
  );
});

test('journal: JRN-2, every cut of a last record is ignored: inside a character, in front of its line break, or filled with zeros', (t) => {
  const [first, last] = [plainRecord(1), plainRecord(2)];
  const before = fileOf([first]);
  const line = lineOf(jsonOf(last));
  t.true(
    line.some((byte) => byte >= 0x80),
    'it has characters of several bytes',
  );
  for (let length = 0; length < line.byteLength; length++) {
    const cut = joined([before, line.subarray(0, length)]);
    for (const bytes of [cut, joined([cut, new Uint8Array(5)])]) {
      const { records, intactBytes } = readJournal('j', bytes);
      if (records.length !== 1 || intactBytes !== before.byteLength) t.fail(`cut behind ${length} bytes`);
    }
  }
});

test('journal: JRN-2, one bit turned over anywhere is damage, never another record and never ignored', (t) => {
  const records = [plainRecord(1), plainRecord(2)];
  const bytes = fileOf(records);
  const second = fileOf(records.slice(0, 1)).byteLength;
  for (let bit = 0; bit < 8 * bytes.byteLength; bit += 3) {
    const turned = bytes.slice();
    turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const line = bit >> 3 < second ? 1 : 2;
    const message = messageOf(() => readJournal('runs/a/journal', turned));
    if (!message.startsWith(`journal 'runs/a/journal' is damaged in line ${line}: `))
      t.fail(`bit ${bit}: ${message}`);
  }
  t.pass();
});

test('journal: JRN-2, only a last line may be cut', (t) => {
  const line = lineOf(jsonOf(plainRecord(1)));
  const newline = Uint8Array.of(10);
  const say = (...parts: readonly Uint8Array[]): string =>
    t.throws(() => readJournal('j', joined(parts)), { code: 'TROUPE_JOURNAL_DAMAGED' })?.message ?? '';
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  t.regex(say(line.subarray(0, 60), newline, line), /line 1: it is shorter than it says/u);
  t.regex(say(newline), /line 1: it is shorter than it says/u);
  t.regex(say(line, text('hello')), /line 2: it does not begin with a length and a checksum/u);
  t.regex(say(line.subarray(0, -1), text('}')), /line 1: it has \d+ bytes, and says that they are \d+/u);
  t.regex(say(line, lineOf('{}')), /line 2: its format is undefined/u);
});

test('journal: JRN-3, a record that was not decided after the one before is damage', (t) => {
  const order = [
    plainRecord(5),
    plainRecord(6),
    plainRecord(4, { attempt: 2 }),
    plainRecord(1, { epoch: 2 }),
  ];
  t.is(readJournal('j', fileOf(order)).records.length, 4);
  for (const [index, record] of order.entries()) {
    const bytes = fileOf([...order.slice(index), record]);
    const line = order.length - index + 1;
    t.throws(() => readJournal('j', bytes), {
      message: new RegExp(`line ${line}: step ${record.step} of attempt .* does not come after`, 'u'),
    });
  }
});
