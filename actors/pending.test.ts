import test from 'ava';
import fc from 'fast-check';
import { Pending } from './pending.ts';

test('Pending: behaves as a set, and every copy stays as it was', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(40)), fc.array(fc.nat(40)), (values, answers) => {
      const model = new Set(values);
      let pending = Pending.of(values);
      const before: { readonly pending: Pending<number>; readonly values: readonly number[] }[] = [];
      for (const answer of answers) {
        before.push({ pending, values: [...model] });
        const wasThere = model.delete(answer);
        const next = pending.without(answer);
        t.is(next !== pending, wasThere);
        pending = next;
        t.false(pending.has(answer));
      }
      before.push({ pending, values: [...model] });
      for (const each of before) {
        t.deepEqual([...each.pending], each.values);
        t.is(each.pending.size, each.values.length);
      }
    }),
  );
});
