/** Random cases of the thresholds by which experts choose in generation. */
import * as fc from 'fast-check';
import { opCases, output, sizes, type CaseTable } from './built-case.ts';
import { halves } from './row-cases.ts';

/** So that sums and counts are any numbers of a run. */
const MOST_GROUPS = 1000;

export const thresholdCases = {
  'threshold.count': opCases(
    fc.record({ experts: sizes(1, 20), begin: fc.boolean() }),
    (device, draw, { experts, begin }) => {
      const probSums_E = draw.sum(device, experts).values;
      const numGroups = device.int64s(1);
      device.write(numGroups, BigInt64Array.of(7n));
      const sum = { ...draw.sum(device, 2 * experts), begin };
      return {
        calls: [{ op: 'threshold.count', experts, probSums_E, numGroups, sum }],
        outputs: [{ name: 'sum', kind: 'exact', read: (on) => halves(on.read(sum.values)) }],
      };
    },
  ),

  'threshold.step': opCases(
    fc.record({ experts: sizes(0, 20), inPlace: fc.boolean() }),
    (device, draw, { experts, inPlace }) => {
      const probs = draw.values(2 * experts, 1).map((each) => Math.min(1, Math.abs(each)));
      const sum = device.int64s(2 * experts);
      const thresholds = device.floats(2 * experts);
      const groups = Array.from({ length: experts }, (_, e) => (e * 37) % MOST_GROUPS);
      device.write(
        sum,
        BigInt64Array.from(
          groups.flatMap((n, e) => [BigInt(Math.round(probs[e]! * n * 2 ** 36)), BigInt(n)]),
        ),
      );
      device.write(
        thresholds,
        groups.flatMap((_, e) => [Math.fround(probs[experts + e]!), draw.chance() ? e : 0]),
      );
      const out = inPlace ? thresholds : draw.floats(device, 2 * experts);
      return {
        calls: [{ op: 'threshold.step', thresholds, out, sum, fresh: 0.01 }],
        outputs: [output('out', 'exact', out)],
      };
    },
  ),
} satisfies Partial<CaseTable>;
