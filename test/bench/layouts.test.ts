import test from 'ava';
import { divisions, formatLayouts, type LayoutRow } from './layouts.ts';

const row = (index: number, tokensPerSecond: number): LayoutRow => ({
  division: divisions[index] ?? { name: '', microbatches: 1, set: [] },
  refused: null,
  tokensPerSecond,
  lastLoss: 9,
  bytesPerStep: 2 ** 20,
  messagesPerStep: 12,
  maxExpertLoad: 1,
});

test('bench layouts: shares are of the one process with as many microbatches, and of what a bubble leaves', (t) => {
  const pipeline = divisions.findIndex(({ name }) => name === 'pp 2');
  const lines = formatLayouts([row(0, 2000), row(1, 1800), row(pipeline, 1600)]).split('\n');
  t.is(lines.at(-3), '| one process | 1 | 2000 | 1.000 | 1.000 | 1.0 | 12 | 9.000000 |');
  t.is(lines.at(-2), '| one process | 8 | 1800 | 1.000 | 1.000 | 1.0 | 12 | 9.000000 |');
  t.is(lines.at(-1), '| pp 2 | 8 | 1600 | 0.889 | 1.000 | 1.0 | 12 | 9.000000 |');
});

test('bench layouts: what is refused says why', (t) => {
  const refused = { ...row(0, Number.NaN), refused: 'parallel.tp is not built yet' };
  t.true(formatLayouts([refused]).includes('parallel.tp is not built yet'));
});
