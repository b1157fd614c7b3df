import test from 'ava';
import { address } from '@troupe/core';
import { asDeviceArray } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { ExpertPass, type ForwardArrival } from './expert-pass.ts';
import { PassRoom } from './pass-room.ts';

const id = { step: 3, attempt: 1, microbatch: 0 };
const rows: ForwardArrival = {
  gate: address('gate/L0/pp0/dp0'),
  x: { rows_UD: asDeviceArray(new Float32Array(4)), packed: null },
  slots_N: asDeviceArray(new Int32Array(2)),
  counts_EG: asDeviceArray(new Int32Array(1)),
  y_ND: asDeviceArray(new Float32Array(4)),
};

const newPass = (numChunks: number): ExpertPass => {
  const options = { numSources: 2, numChunks, precision: 'f32', recompute: false } as const;
  const room = new PassRoom(openReferenceDevice(), options);
  return new ExpertPass(id, { mode: 'train', numSources: 2, room });
};

test('ExpertPass: PAS-1, an arrival has its place by direction and source, once', (t) => {
  const pass = newPass(1);
  pass.forward.put({ source: 1, chunk: 0 }, rows, id);
  t.throws(() => pass.forward.all(0), { message: /a chunk runs when every source has arrived/ });
  t.throws(() => pass.forward.put({ source: 1, chunk: 0 }, rows, id), {
    message: /the place of an arrival is free/,
  });
  t.throws(() => pass.forward.put({ source: 2, chunk: 0 }, rows, id), {
    message: /a source is one of the group/,
  });
  pass.forward.put({ source: 0, chunk: 0 }, rows, id);
  t.deepEqual(pass.forward.all(0), [rows, rows]);
  t.throws(
    () => pass.backward.at({ source: 0, chunk: 0 }),
    { message: /every source has arrived/ },
    'the other direction has its own',
  );
});

test('ExpertPass: EXP-5, chunks of a source come in their order, each once', (t) => {
  const pass = newPass(3);
  const put = (source: number, chunk: number): void => pass.forward.put({ source, chunk }, rows, id);
  put(0, 0);
  t.throws(() => put(0, 2), { message: /no chunk overtakes another one of its source/ });
  put(0, 1);
  t.throws(() => put(0, 0), { message: /the place of an arrival is free/ });
  t.throws(() => put(1, 1), { message: /no chunk overtakes/ });
  put(1, 0);
  t.is(pass.forward.all(0).length, 2);
  t.throws(() => pass.forward.all(1), { message: /every source has arrived/ });
  t.is(pass.forward.of(0).length, 2);
});
