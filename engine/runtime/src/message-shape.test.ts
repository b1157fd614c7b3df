import test from 'ava';
import type { Ints } from '@troupe/kernel-set';
import { arraysOf, message, tensor } from './message-shape.ts';

test('message shape: RUN-7, memory of a device does not leave for another node', (t) => {
  const { lent } = tensor;
  const shape = message({
    from: ['gate'],
    to: ['expert'],
    says: 'Rows.',
    tensors: { slots_N: lent.ints, y_ND: tensor.optional(lent.room) },
  });
  const slots_N = Int32Array.of(1, 2);
  t.deepEqual(arraysOf(shape, { slots_N }), [slots_N]);
  const onDevice = { length: 2, subarray: () => onDevice } as unknown as Ints;
  t.throws(() => arraysOf(shape, { slots_N: onDevice }), {
    code: 'TROUPE_INVARIANT',
    message: /read from its device first/,
  });
});
