import test from 'ava';
import { Exchange, exchangeLevels, type ElementRange } from '@troupe/spec';
import fc from 'fast-check';
import { Spread } from './spread.ts';

const LENGTH = 1024 * 40;

test('SPR-1: every part is passed on once, and in the end everybody has everything, whatever the order', (t) => {
  for (const [numPeers, perMachine, fanout] of [
    [1, 1, 8],
    [5, 1, 8],
    [8, 4, 4],
    [12, 2, 3],
    [60, 4, 4],
  ] as const) {
    const levels = exchangeLevels(numPeers, { perMachine, fanout });
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat()), (draws) => {
        const exchanges = Array.from({ length: numPeers }, (_, at) => new Exchange(LENGTH, at, levels));
        const spreads = exchanges.map((exchange) => new Spread(exchange));
        const has = exchanges.map((exchange) => [exchange.part(levels.length)]);
        const sent: { to: number; level: number; part: ElementRange }[] = [];
        const pass = (from: number, passed: ReturnType<Spread['own']>): void => {
          for (const { level, part } of passed)
            for (const { position } of exchanges[from]!.others(level))
              sent.push({ to: position, level, part });
        };
        const todo = exchanges.map((_, at) => at);
        let numSent = 0;
        while (todo.length + sent.length > 0) {
          const at = draws.next().value % (todo.length + sent.length);
          if (at < todo.length) {
            const [own] = todo.splice(at, 1);
            pass(own!, spreads[own!]!.own('1'));
          } else {
            const [message] = sent.splice(at - todo.length, 1);
            const { to, level, part } = message!;
            numSent++;
            has[to]!.push(part);
            pass(to, spreads[to]!.accept('1', level, part.to - part.from));
          }
        }
        for (const parts of has) {
          const ordered = parts.filter(({ from, to }) => from < to).toSorted((a, b) => a.from - b.from);
          t.is(ordered[0]?.from, 0);
          t.is(ordered.at(-1)?.to, LENGTH);
          t.deepEqual(
            ordered.slice(1).map(({ from }) => from),
            ordered.slice(0, -1).map(({ to }) => to),
          );
        }
        t.is(numSent, numPeers * levels.reduce((sum, { size }) => sum + size - 1, 0));
      }),
      { numRuns: 10 },
    );
  }
});

test('SPR-2: a new round forgets what came of the old one', (t) => {
  const spread = new Spread(new Exchange(LENGTH, 0, exchangeLevels(4, { perMachine: 1, fanout: 2 })));
  t.deepEqual(spread.accept('1', 1, LENGTH / 4), []);
  t.deepEqual(
    spread.own('2').map(({ level }) => level),
    [1],
    'the next part waits for what the group sends in this round',
  );
  t.deepEqual(
    spread.accept('2', 1, LENGTH / 4).map(({ level, part }) => [level, part.to - part.from]),
    [[0, LENGTH / 2]],
  );
  t.deepEqual(spread.accept('2', 0, LENGTH / 2), [], 'level 0 is the last');
});
