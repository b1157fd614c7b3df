import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { FlatGradients, leavesOf, type GradientKind } from './flat-gradients.ts';
import { modelLayout } from './local-model.ts';
import { tinyConfig } from './testing/tiny-model.ts';

const layout = modelLayout(tinyConfig());
const open = (kindOf: (id: string) => GradientKind): FlatGradients =>
  new FlatGradients(openReferenceDevice(), layout, { kindOf: ({ id }) => kindOf(id), leavesOf: () => 2 });

test('flat gradients: units of one kind lie in one array, which slices cut', (t) => {
  const gradients = open((id) => (id === 'embed' ? 'begun' : 'stored'));
  const [first, second] = gradients.slices(0, layout.length);
  t.is(first?.kind, 'begun');
  t.is(second?.kind, 'stored');
  t.is(first?.to, second?.from);
  t.is(second?.to, layout.length);
  const [part] = gradients.slices(2048, 3072);
  t.is(part?.values.length, 1024);
  t.throws(() => gradients.sum(0, layout.length), { code: 'TROUPE_INVARIANT' });
});

test('flat gradients: the first microbatch begins, others and second calls add', (t) => {
  const gradients = open(() => 'begun');
  const begins = (microbatch: number, more = false): unknown => {
    const targets = gradients.of(microbatch);
    return (more ? targets.more : targets).view('L0/qkv');
  };
  t.like(begins(0), { begin: true });
  t.like(begins(1), { begin: false });
  t.like(begins(0, true), { begin: false });
  t.like(
    open(() => 'added')
      .of(0)
      .view('L0/qkv'),
    { begin: false },
  );
  t.true(
    'gradient' in
      open(() => 'stored')
        .of(1)
        .view('L0/qkv'),
  );
  t.is(gradients.of(0).span('L1/expert1', 'L1/expert3').overflow, gradients.overflow);
});

test('flat gradients: a tied head of 65 to 128 grains leaves more than 128 leaves, so their limit is smaller', (t) => {
  for (const tiedHead of [false, true])
    for (const grains of [64, 65, 128, 129]) {
      const config = tinyConfig({ tiedHead });
      const gradients = new FlatGradients(openReferenceDevice(), modelLayout(config), {
        kindOf: ({ id }) => (id === 'embed' ? 'begun' : 'stored'),
        leavesOf: leavesOf(config, grains),
      });
      const limits = ['embed', 'L0/qkv', 'norm'].map((id) => gradients.of(0).view(id).leafLimit);
      const others = grains === 129 ? 32 : 64;
      t.deepEqual(limits, [tiedHead && grains !== 64 ? (grains === 129 ? 16 : 32) : others, others, others]);
      t.is(gradients.of(1).more.view('embed').leafLimit, limits[0]);
      t.is(gradients.of(0).span('L1/expert1', 'L1/expert3').leafLimit, others);
    }
});

test('flat gradients: a reset clears the flag, and the sums that others add to', (t) => {
  for (const kind of ['added', 'begun'] as const) {
    const device = openReferenceDevice();
    const gradients = new FlatGradients(device, layout, { kindOf: () => kind, leavesOf: () => 2 });
    const { values } = gradients.sum(0, layout.length);
    device.write(values, new BigInt64Array(layout.length).fill(3n));
    device.write(gradients.overflow, [1]);
    t.is(device.run(gradients.reset()).error, null);
    t.is(device.read(gradients.overflow)[0], 0);
    t.is(device.read(values)[5], kind === 'added' ? 0n : 3n);
  }
});

test('flat gradients: a unit of another layout is an error that names it', (t) => {
  t.throws(
    () =>
      open(() => 'stored')
        .of(0)
        .view('L9/qkv'),
    { code: 'TROUPE_MODEL_PARAMETER', message: /L9/ },
  );
});
