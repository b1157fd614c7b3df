import test from 'ava';
import { frameSum, FrameSums } from './frame-sums.ts';

const bytesOf = (values: readonly number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
const row = Array.from({ length: 64 }, (_, index) => Math.sin(index + 1));

test('frame sums: signs, places and single bits show, at the end of a frame and off its words too', (t) => {
  const sum = frameSum(bytesOf(row));
  t.not(frameSum(bytesOf(row.map((value) => -value))), sum, 'a negated row');
  t.not(frameSum(bytesOf(row.map((value, index) => (index === 3 || index === 40 ? -value : value)))), sum);
  t.not(frameSum(bytesOf(row.with(0, row[1]!).with(1, row[0]!))), sum, 'two that changed places');
  for (const offset of [0, 1]) {
    for (let length = 1; length < 12; length++) {
      const frame = new Uint8Array(16).subarray(offset, offset + length);
      const before = frameSum(frame);
      frame[length - 1] = 1;
      t.not(frameSum(frame), before, `${offset} ${length}`);
    }
  }
});

test('frame sums: what was written into since it left is named by its position', (t) => {
  const sums = new FrameSums();
  const packet = { header: new Uint8Array(4), frames: [bytesOf(row), bytesOf(row)] };
  sums.left(packet);
  t.deepEqual(sums.changed(packet), []);
  packet.frames[1]![0]! ^= 1;
  t.deepEqual(sums.changed(packet), [1]);
  t.deepEqual(sums.changed({ ...packet }), [], 'it never left');
});
