import fc from 'fast-check';
import type { Exact } from '../exact.ts';
import type { JournalRecord } from '../record.ts';

const count = fc.nat({ max: 2 ** 40 });
const text = fc.string({ unit: 'binary', maxLength: 12 });
const float = fc.double();
const words = (length: number): fc.Arbitrary<BigInt64Array> =>
  fc
    .array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: length, maxLength: length })
    .map((values) => BigInt64Array.from(values));

/** Values of every kind, within each other. */
export const exactValue: fc.Arbitrary<Exact> = fc.letrec<{ value: Exact; scalar: Exact }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('scalar'),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(text, tie('value'), { maxKeys: 4 }),
  ),
  scalar: fc.oneof(
    float,
    fc.integer(),
    text,
    fc.boolean(),
    fc.constant(null),
    fc.constantFrom(-0, 2 ** 53, Number.MIN_VALUE),
  ),
})).value;

/** A record of any place. */
export const anyRecord: fc.Arbitrary<JournalRecord> = fc.record({
  epoch: count,
  attempt: count,
  step: count,
  replayed: fc.boolean(),
  decision: fc.record({ apply: fc.boolean(), gradScale: float, learningRate: float, clock: count }),
  sums: fc.record({ norm: words(2), loss: words(2), layers: words(8), dropped: count }),
  reported: exactValue,
  seats: fc.oneof(fc.constant(null), fc.array(fc.array(fc.nat(7), { maxLength: 4 }), { maxLength: 2 })),
  layout: text,
  membership: fc.array(text, { maxLength: 4 }),
  lives: fc.dictionary(text, count, { maxKeys: 3 }),
  lossAgesMs: fc.array(float, { maxLength: 3 }),
  checkpoint: fc.oneof(fc.constant(null), fc.record({ step: count, path: text })),
  applied: fc.array(text, { maxLength: 2 }),
});

/** Records in the order of their decisions: steps of one attempt, of a later one that went back, of a later life of the lead. */
export const anyRun: fc.Arbitrary<readonly JournalRecord[]> = fc
  .array(fc.tuple(anyRecord, fc.constantFrom('step', 'step', 'attempt', 'epoch')), { maxLength: 6 })
  .map((drawn) => {
    let [epoch, attempt, step] = [1, 1, 0];
    return drawn.map(([record, next]) => {
      step = next === 'step' ? step + 1 : Math.max(1, step - 1);
      attempt = next === 'step' ? attempt : next === 'attempt' ? attempt + 1 : 1;
      epoch = next === 'epoch' ? epoch + 1 : epoch;
      return { ...record, epoch, attempt, step };
    });
  });

/** A record as runs have them. */
export function plainRecord(step: number, changes: Partial<JournalRecord> = {}): JournalRecord {
  return {
    epoch: 1,
    attempt: 1,
    step,
    replayed: false,
    decision: { apply: true, gradScale: 0.25, learningRate: 1e-3, clock: step },
    sums: {
      norm: BigInt64Array.of(1n, 0n),
      loss: BigInt64Array.of(-1n, 2n),
      layers: new BigInt64Array(0),
      dropped: 0,
    },
    reported: { event: 'step', step, loss: 5.5, note: 'größer: 模型 🙂' },
    seats: null,
    layout: 'l',
    membership: ['m0'],
    lives: {},
    lossAgesMs: [],
    checkpoint: null,
    applied: [],
    ...changes,
  };
}
