import test from 'ava';
import { openNativeDevice } from '@troupe/kernels';
import { runsAll } from '../mixtures/part.ts';
import { benchSimulated, formatSimulated } from './simulated.ts';

/** A calibration is against the peak of the native kernels. */
const hasNative = ((): boolean => {
  try {
    void openNativeDevice({ threads: 1 }).close();
    return true;
  } catch {
    return false;
  }
})();

// A minute of both cores: `npm run test:sim` runs it.
(hasNative && runsAll ? test : test.skip)(
  'bench simulated: four layouts have a measured and a simulated step',
  async (t) => {
    const rows = await benchSimulated({ size: 'small' });
    t.is(rows.length, 4);
    for (const { measuredMs, simulatedMs, error } of rows) {
      t.true(measuredMs > 0 && simulatedMs > 0);
      t.is(error, simulatedMs / measuredMs - 1);
    }
    t.is(formatSimulated(rows).split('\n').length, 9);
  },
);
