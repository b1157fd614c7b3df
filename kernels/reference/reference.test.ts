import test from 'ava';
import { F32_TOLERANCE, F64_TOLERANCE } from '../conformance/body.ts';
import { conformKernels } from '../conformance/conform.ts';
import { openReferenceDevice } from './reference-device.ts';

const longWork = 100e6;

conformKernels(test, {
  name: 'reference f64',
  open: () => openReferenceDevice({ dtype: 'f64' }),
  tolerance: F64_TOLERANCE,
  bitwise: true,
  bf16: true,
  longWork,
});

// The same loops over narrower arrays: as `npm run test:sim` has it.
if (process.env['TROUPE_CONFORMANCE'] === 'all')
  conformKernels(test, {
    name: 'reference f32',
    open: () => openReferenceDevice({ dtype: 'f32' }),
    tolerance: F32_TOLERANCE,
    bitwise: true,
    bf16: true,
    longWork,
  });

test('reference route.plan: a token that picks an expert twice is an error', (t) => {
  const device = openReferenceDevice();
  const grainStarts = device.upload(Int32Array.of(0, 1));
  const { error } = device.run([
    {
      op: 'route.plan',
      tokens: 1,
      experts: 2,
      topK: 2,
      ranks: 1,
      rankOf_E: device.ints(2),
      choices_TK: device.upload(Int32Array.of(1, 1)),
      grainStarts,
      counts_EG: device.ints(2),
      position_TK: device.ints(2),
      slots_N: device.ints(2),
      choiceOfRow_N: device.ints(2),
      rankTokens: device.ints(1),
      numTokens_R: device.ints(1),
      numRows_R: device.ints(1),
    },
  ]);
  t.is(error?.code, 'TROUPE_KERNEL_RANGE');
});

test('reference attention.forward: a row that may not see itself is an error', (t) => {
  const device = openReferenceDevice();
  const row = { data: device.floats(2) };
  const shape = {
    batch: 1,
    seqLen: 1,
    heads: 1,
    kvHeads: 1,
    headDim: 2,
    scale: 1,
    q: row,
    k: row,
    v: row,
    out: row,
  };
  for (const first of [1, -1]) {
    const firstSeen_T = device.upload(Int32Array.of(first));
    const { error } = device.run([
      { op: 'attention.forward', ...shape, firstSeen_T, lse_TH: device.floats(1) },
    ]);
    t.is(error?.code, 'TROUPE_KERNEL_RANGE');
  }
});

test('reference attention.forward: a row that sees nothing gives 0; other keys than queries need to be said who sees them', (t) => {
  const device = openReferenceDevice();
  const [out, lse_TH] = [device.floats(4), device.floats(2)];
  const shape = {
    op: 'attention.forward',
    batch: 1,
    seqLen: 2,
    keyLen: 3,
    heads: 1,
    kvHeads: 1,
    headDim: 2,
    scale: 1,
    q: { data: device.upload(Float64Array.of(1, 0, 0, 1)) },
    k: { data: device.upload(Float64Array.of(9, 9, 1, 1, 9, 9)) },
    v: { data: device.upload(Float64Array.of(9, 9, 3, 4, 9, 9)) },
    out: { data: out },
    lse_TH,
  } as const;
  const firstSeen_T = device.upload(Int32Array.of(1, 2));
  const endSeen_T = device.upload(Int32Array.of(2, 2));
  t.is(device.run([{ ...shape, firstSeen_T, endSeen_T }]).error, null);
  t.deepEqual([...device.read(out)], [3, 4, 0, 0]);
  t.deepEqual([...device.read(lse_TH)], [1, -Infinity]);
  t.regex(
    device.run([shape]).error?.message ?? '',
    /endSeen_T is undefined, expected .* keyLen 3 is not seqLen 2/u,
  );
});
