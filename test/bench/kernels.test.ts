import { loadDevice } from '@troupe/kernels';
import test from 'ava';
import { benchKernels, kernelSection } from './kernels.ts';

/** Why there is no native device; null where there is one. */
const absence = await loadDevice({ body: 'native', threads: 1 }).then(
  async (device) => {
    await device.close();
    return null;
  },
  (error: unknown) => String(error),
);
const onNative = absence === null ? test : test.skip;

for (const precision of ['f32', 'bf16'] as const) {
  onNative(
    `benchKernels: in ${precision} every operation is timed, and without PyTorch the page says so`,
    async (t) => {
      const race = await benchKernels({ size: 'small', precision, python: null });
      t.is(race.rows.length, precision === 'f32' ? 10 : 7);
      for (const { name, milliseconds, share } of race.rows) t.true(milliseconds > 0 && share > 0, name);
      const { title, text, chart } = kernelSection(race);
      t.is(title, `Kernels, ${precision}`);
      t.regex(text, /No --python was given/u);
      t.is(chart, undefined);
    },
  );
}
