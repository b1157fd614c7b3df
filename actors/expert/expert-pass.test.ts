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

test('ExpertPass: PAS-1, an arrival has its place by direction and source, once', (t) => {
  const room = new PassRoom(openReferenceDevice(), 2, 'f32', false);
  const pass = new ExpertPass(id, { mode: 'train', numSources: 2, room });
  pass.forward.put(1, rows, id);
  t.throws(() => pass.forward.all(), { message: /a pass runs when every source has arrived/ });
  t.throws(() => pass.forward.put(1, rows, id), { message: /the place of an arrival is free/ });
  t.throws(() => pass.forward.put(2, rows, id), { message: /a source is one of the group/ });
  pass.forward.put(0, rows, id);
  t.deepEqual(pass.forward.all(), [rows, rows]);
  t.throws(
    () => pass.backward.at(0),
    { message: /every source has arrived/ },
    'the other direction has its own',
  );
});
