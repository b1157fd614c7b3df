import test from 'ava';
import fc from 'fast-check';
import { addWide, InvariantError, WIDE_OVERFLOW } from '@troupe/core';
import { lossValue } from '@troupe/model';
import { StepLedger } from './step-ledger.ts';

/** Wide sums of these integers. */
const sums = (...integers: readonly bigint[]): BigInt64Array => {
  const words = new BigInt64Array(2 * integers.length);
  integers.forEach((integer, at) => addWide(words, integer, at));
  return words;
};

const all = { layers: [0], hasLoss: true, counts: true, peers: 'pp0/dp0' };
const noLayers = {
  layerSums: new BigInt64Array(0),
  counts_LE: new Int32Array(0),
  dropped_L: new Int32Array(0),
  probSums: new BigInt64Array(0),
};

/** A stage with one layer of two experts, whose loss and sums are all `by`. */
const measured = (by: bigint) => ({
  lossSum: sums(by),
  layerSums: sums(by, 2n * by),
  counts_LE: Int32Array.of(Number(by), 1),
  dropped_L: Int32Array.of(1),
  probSums: sums(by, by),
});

test('ledger: losses of replicas add up beyond 64 bits', (t) => {
  const ledger = new StepLedger({ layers: 1, experts: 2 });
  for (let dp = 0; dp < 3; dp++) {
    ledger.addLosses(all, {
      lossSum: sums(2n ** 63n),
      layerSums: sums(2n ** 63n, 2n ** 36n),
      counts_LE: Int32Array.of(1, dp),
      dropped_L: Int32Array.of(dp),
      probSums: sums(2n ** 36n, 2n ** 35n),
    });
  }
  t.is(lossValue(ledger.lossSum), 3 * 2 ** 27);
  t.deepEqual([lossValue(ledger.lossSums), lossValue(ledger.lossSums, 1)], [3 * 2 ** 27, 3]);
  t.deepEqual(ledger.counts, Int32Array.of(3, 3));
  t.is(ledger.numDropped, 3);
  t.deepEqual([lossValue(ledger.probSums), lossValue(ledger.probSums, 1)], [3, 1.5]);
});

test('ledger: the loss of one replica that is none makes the sum none', (t) => {
  const ledger = new StepLedger({ layers: 0, experts: 0 });
  for (const integer of [5n, WIDE_OVERFLOW, WIDE_OVERFLOW, 7n])
    ledger.addLosses({ ...all, layers: [] }, { lossSum: sums(integer), ...noLayers });
  t.is(lossValue(ledger.lossSum), Number.NaN);
});

test('ledger: TRN-1, stages add their own layers, the last one the loss, tensor peers nothing', (t) => {
  const ledger = new StepLedger({ layers: 3, experts: 2 });
  const first = { layers: [2], hasLoss: false, counts: true, peers: 'pp0/dp0' };
  const last = { layers: [0], hasLoss: true, counts: true, peers: 'pp0/dp0' };
  for (const share of [first, { ...first, counts: false, peers: 'pp0/dp0' }])
    ledger.addLosses(share, measured(5n));
  for (const share of [last, { ...last, counts: false, peers: 'pp0/dp0' }])
    ledger.addLosses(share, measured(7n));
  t.deepEqual(ledger.lossSum, sums(7n));
  t.deepEqual(ledger.lossSums, sums(7n, 14n, 0n, 0n, 5n, 10n));
  t.deepEqual(ledger.counts, Int32Array.of(7, 1, 0, 0, 5, 1));
  t.deepEqual(ledger.probSums, sums(7n, 7n, 0n, 0n, 5n, 5n));
  for (const share of [first, { ...last, counts: false, peers: 'pp0/dp0' }])
    ledger.addChoices(share, Int32Array.of(1, 2));
  t.is(ledger.numShared, 2);
  t.deepEqual(ledger.sharedChoices, Int32Array.of(0, 0, 0, 0, 1, 2));
  t.throws(() => ledger.addLosses({ ...first, layers: [0, 2] }, measured(1n)), {
    instanceOf: InvariantError,
  });
});

test('ledger: TEN-4, tensor peers whose gradients differ are found', (t) => {
  const ledger = new StepLedger({ layers: 0, experts: 0 });
  const share = (peers: string) => ({ layers: [], hasLoss: true, counts: true, peers });
  ledger.compareAlike(share('pp0/dp0'), 7);
  ledger.compareAlike(share('pp0/dp1'), 8);
  ledger.compareAlike(share('pp0/dp0'), 7);
  t.throws(() => ledger.compareAlike(share('pp0/dp0'), 8), { code: 'TROUPE_INVARIANT' });
});

test('ledger: AGT-2, sums by machines are those of all stages at once, to the bit, whoever lives where', (t) => {
  const words = fc.bigInt(0n, 2n ** 80n);
  const stage = fc.record({
    stage: fc.integer({ min: 0, max: 2 }),
    machine: fc.integer({ min: 0, max: 3 }),
    by: words,
  });
  const ofStage = (at: number, layers = [at]) => ({
    layers,
    hasLoss: at === 2,
    counts: true,
    peers: `pp${at}`,
  });
  const terms = (by: bigint) => ({
    lossSum: sums(by),
    layerSums: sums(by, 3n * by),
    counts_LE: Int32Array.of(Number(by % 1000n), 1),
    dropped_L: Int32Array.of(Number(by % 7n)),
    probSums: sums(by, 5n * by),
  });
  fc.assert(
    fc.property(fc.array(stage, { maxLength: 12 }), (stages) => {
      const direct = new StepLedger({ layers: 3, experts: 2 });
      for (const each of stages) direct.addLosses(ofStage(each.stage), terms(each.by));
      const whole = new StepLedger({ layers: 3, experts: 2 });
      for (const machine of [0, 1, 2, 3]) {
        const here = stages.filter((each) => each.machine === machine);
        const layers = [...new Set(here.map((each) => each.stage))].toSorted((a, b) => a - b);
        const part = new StepLedger({ layers: layers.length, experts: 2 });
        for (const each of here)
          part.addLosses(ofStage(each.stage, [layers.indexOf(each.stage)]), terms(each.by));
        whole.addLosses({ layers, hasLoss: true, counts: true, peers: '' }, part.measured);
      }
      t.deepEqual(whole.measured, direct.measured);
    }),
  );
});
