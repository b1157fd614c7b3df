import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { memoryStorage, type MemoryStorage } from '@troupe/sim';
import type { RunEvent } from '../run-event.ts';
import { openMetrics } from './index.ts';

const step = (number: number, loss: number): RunEvent => ({
  event: 'step',
  step: number,
  loss,
  auxLoss: 0.5,
  gradNorm: 1.5,
  learningRate: 0.003,
  tokens: 2048,
  tokensPerSecond: 9000,
  mfu: null,
  maxExpertLoad: 2,
  maxVio: 1,
  dropRate: 0,
  hottest: null,
  kernelShare: 0.75,
  attempts: 1,
  skipped: false,
});

/** A run of five steps that was killed, and one that goes on from its third with other losses. */
const lives: readonly (readonly RunEvent[])[] = [
  [
    step(1, 8),
    step(2, 7),
    step(3, 6),
    { event: 'eval', step: 3, loss: 6.5, tokens: 9 },
    step(4, 5),
    step(5, 4),
  ],
  [step(4, 5.5), step(5, 4.5), step(300, 1)],
];

async function written(): Promise<MemoryStorage> {
  const storage = memoryStorage();
  for (const [index, events] of lives.entries()) {
    const metrics = await openMetrics(['tensorboard'], {
      storage,
      folder: '',
      nowMs: () => 1_700_000_000_000 + 500 * index,
      failed: (path, error) => {
        throw new Error(path, { cause: error });
      },
    });
    for (const event of events) metrics.write(event);
    await metrics.close();
  }
  return storage;
}

interface Seen {
  readonly wallTime: number;
  readonly step: number;
  readonly version: string | null;
  readonly isStart: boolean;
  readonly values: Readonly<Record<string, number>>;
}

/** Fields of a protobuf message: whole numbers as such, everything else as its bytes. */
function fieldsOf(
  bytes: Buffer,
): readonly { readonly field: number; readonly value: Buffer; readonly whole: bigint }[] {
  const found: { field: number; value: Buffer; whole: bigint }[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [field, type] = [tag >> 3, tag & 7];
    const whole = type === 0 || type === 2 ? varint() : 0n;
    const length = { 0: 0, 1: 8, 2: Number(whole), 5: 4 }[type];
    if (length === undefined) throw new Error(`wire type ${type}`);
    found.push({ field, value: bytes.subarray(at, at + length), whole });
    at += length;
  }
  return found;
}

/** Bit by bit, unlike the one under test. */
function maskedCrc(bytes: Buffer): number {
  let crc = 0xffffffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ (crc & 1n ? 0x82f63b78n : 0n);
  }
  crc ^= 0xffffffffn;
  return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn);
}

function readEvents(bytes: Buffer): readonly Seen[] {
  const events: Seen[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    if (bytes.readUInt32LE(at + 8) !== maskedCrc(bytes.subarray(at, at + 8)))
      throw new Error('length is damaged');
    const event = bytes.subarray(at + 12, at + 12 + length);
    if (bytes.readUInt32LE(at + 12 + length) !== maskedCrc(event)) throw new Error('event is damaged');
    at += 16 + length;
    const fields = fieldsOf(event);
    const one = (field: number) => fields.find((each) => each.field === field);
    const values = fieldsOf(one(5)?.value ?? Buffer.alloc(0)).map(({ value }) => {
      const [tag, simple] = fieldsOf(value);
      return [tag?.value.toString() ?? '', simple?.value.readFloatLE() ?? Number.NaN] as const;
    });
    events.push({
      wallTime: one(1)?.value.readDoubleLE() ?? Number.NaN,
      step: Number(one(2)?.whole ?? 0n),
      version: one(3)?.value.toString() ?? null,
      isStart: fieldsOf(one(7)?.value ?? Buffer.alloc(0)).some(
        ({ field, whole }) => field === 1 && whole === 1n,
      ),
      values: Object.fromEntries(values),
    });
  }
  return events;
}

test('sink tensorboard: an independent reader finds version, times, steps and scalars, and damage', async (t) => {
  const storage = await written();
  t.deepEqual(storage.paths, [
    'events.out.tfevents.1700000000.troupe.0',
    'events.out.tfevents.1700000000.troupe.1',
  ]);
  const bytes = Buffer.from(await storage.read(storage.paths[0] ?? ''));
  const events = readEvents(bytes);
  t.is(events[0]?.version, 'brain.Event:2');
  t.true(events.every(({ wallTime }) => wallTime === 1_700_000_000));
  t.deepEqual(
    events.slice(1).map((each) => [each.step, each.isStart]),
    [
      [1, true],
      [1, false],
      [2, false],
      [3, false],
      [3, false],
      [4, false],
      [5, false],
    ],
  );
  t.deepEqual(events[2]?.values, {
    'train/loss': 8,
    'train/auxLoss': 0.5,
    'train/gradNorm': 1.5,
    'train/learningRate': Math.fround(0.003),
    'train/tokens': 2048,
    'train/tokensPerSecond': 9000,
    'train/maxExpertLoad': 2,
    'train/dropRate': 0,
    'train/kernelShare': 0.75,
    'train/maxVio': 1,
  });
  t.deepEqual(events[5]?.values, { 'eval/loss': 6.5 });
  const next = readEvents(Buffer.from(await storage.read(storage.paths[1] ?? '')));
  t.deepEqual(
    next.slice(1).map((each) => [each.step, each.isStart]),
    [
      [4, true],
      [4, false],
      [5, false],
      [300, false],
    ],
  );
  bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1;
  t.throws(() => readEvents(bytes), { message: 'event is damaged' });
});

/** The Python that `PYTHON` names, when it has TensorBoard; else says why nothing is compared. */
function pythonWithTensorboard(t: ExecutionContext): string | null {
  const path = process.env['PYTHON'];
  if (path === undefined) {
    t.log('not read by TensorBoard: PYTHON names no Python with tensorboard');
    t.pass();
    return null;
  }
  try {
    const version = execFileSync(path, ['-c', 'import tensorboard; print(tensorboard.__version__)']);
    t.log(`tensorboard ${version.toString().trim()}`);
    return path;
  } catch {
    t.log(`not read by TensorBoard: ${path} lacks tensorboard`);
    t.pass();
    return null;
  }
}

const readFolder = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]).Reload()
print(json.dumps({tag: [[each.step, each.value] for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}))
`;

test('sink tensorboard: TensorBoard reads it, and takes the points of a run that went on', async (t) => {
  const python = pythonWithTensorboard(t);
  if (python === null) return;
  const folder = await mkdtemp(join(tmpdir(), 'troupe-tensorboard-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const storage = await written();
  for (const path of storage.paths) await writeFile(join(folder, basename(path)), await storage.read(path));
  const curves = JSON.parse(
    execFileSync(python, ['-c', readFolder, folder], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  ) as Readonly<Record<string, readonly (readonly [number, number])[]>>;
  t.deepEqual(curves['train/loss'], [
    [1, 8],
    [2, 7],
    [3, 6],
    [4, 5.5],
    [5, 4.5],
    [300, 1],
  ]);
  t.deepEqual(curves['eval/loss'], [[3, 6.5]]);
  t.is(Object.keys(curves).length, 9);
});
