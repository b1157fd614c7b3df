import test from 'ava';
import { openNativeDevice } from '@troupe/kernels';
import { benchPrediction, formatPrediction } from './prediction.ts';
import { runsAll } from '../mixtures/part.ts';

/** A calibration is against the peak of the native kernels. */
const hasNative = ((): boolean => {
  try {
    void openNativeDevice({ threads: 1 }).close();
    return true;
  } catch {
    return false;
  }
})();

// Both cores for half a minute: `npm run test:sim` runs it.
(hasNative && runsAll ? test : test.skip)('bench prediction: steps are predicted and measured', async (t) => {
  const rows = await benchPrediction({ size: 'small' });
  t.deepEqual(
    rows.map(({ job, division }) => `${job}, ${division}`),
    ['tiny, dp 2', 'tiny, dp 2, ep 2'],
  );
  for (const { predictedMs, measuredMs, error } of rows) {
    t.true(predictedMs > 0 && measuredMs > 0);
    t.is(error, predictedMs / measuredMs - 1);
  }
  t.regex(formatPrediction(rows), /^Largest error: [+-][\d.]+ %\.$/mu);
});
