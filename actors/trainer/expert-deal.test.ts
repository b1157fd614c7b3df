import test from 'ava';
import fc from 'fast-check';
import { resolveTopology } from '@troupe/topology';
import { ExpertSeats, Layout } from '@troupe/topology/layout';
import { dealExperts } from './expert-deal.ts';

const seatsOf = (ep: number, experts: number): ExpertSeats =>
  new ExpertSeats(
    new Layout(
      resolveTopology({
        model: { layers: 2, moe: { experts } },
        parallel: { dp: ep, ep },
        train: { batch: ep, grains: ep },
        machines: [{ devices: Array.from({ length: ep }, (_, index) => `cpu:${index}`) }],
      }),
    ),
  );
const four = seatsOf(2, 4);

test('dealExperts: two hot experts of one group are parted, and the others stay', (t) => {
  const deal = dealExperts([10, 10, 1, 1, 5, 5, 5, 5], four);
  t.deepEqual(deal && [...deal.groups_LE], [0, 1, 0, 1, 0, 0, 1, 1], 'the second layer is even');
  t.is(deal?.numMoved, 2);
  t.is(deal?.gain, 1 - (11 + 10) / (20 + 10));
  const back = deal && new ExpertSeats(four.layout, deal.groups_LE);
  t.is(back && dealExperts([10, 10, 1, 1, 5, 5, 5, 5], back), null, 'once dealt, nothing is left to gain');
});

test('dealExperts: nothing moves for five per cent or less, nor where there was no row', (t) => {
  t.is(dealExperts([51, 49, 50, 40, 0, 0, 0, 0], four), null);
  t.is(dealExperts([0, 0, 0, 0, 0, 0, 0, 0], four), null);
  t.is(dealExperts([20, 0, 19, 0, 20, 0, 19, 0], four), null);
});

test('dealExperts: whatever the load, groups keep their size and the fullest of a layer never has more', (t) => {
  const seats = seatsOf(3, 9);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 99 }), { minLength: 18, maxLength: 18 }), (load) => {
      const deal = dealExperts(load, seats);
      if (deal === null) return;
      t.true(deal.gain > 0.05 && deal.gain <= 1);
      for (const layer of [0, 1]) {
        const rows = (groups_LE: Int32Array): readonly number[] =>
          [0, 1, 2].map((group) => {
            const own = [...groups_LE.subarray(layer * 9, layer * 9 + 9).keys()].filter(
              (expert) => groups_LE[layer * 9 + expert] === group,
            );
            t.is(own.length, 3);
            return own.reduce((sum, expert) => sum + load[layer * 9 + expert]!, 0);
          });
        t.true(Math.max(...rows(deal.groups_LE)) <= Math.max(...rows(seats.groups_LE)));
      }
    }),
  );
});
