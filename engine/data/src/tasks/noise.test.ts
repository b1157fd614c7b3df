import test from 'ava';
import fc from 'fast-check';
import { smallestDraws } from './smallest-draws.ts';
import { corruptSpans, cut, spanCounts, type NoiseKey } from './span-corruption.ts';
import { infill, numMasked } from './text-infilling.ts';
import { deleteTokens, rotate, shuffleSentences } from './token-noise.ts';

const key: NoiseKey = { seed: 1, epoch: 0, item: 0, list: 0 };
const textOf = (length: number): Int32Array => Int32Array.from({ length }, (_, place) => place);
const SENTINEL = 100_000;

/** Puts a text together again from what is read and what is written. */
function restored(source: Int32Array, target: Int32Array): number[] {
  const spans = new Map<number, number[]>();
  let span: number[] = [];
  for (const id of target)
    if (id >= SENTINEL) spans.set(id, (span = []));
    else span.push(id);
  return [...source].flatMap((id) => (id >= SENTINEL ? (spans.get(id) ?? [-1]) : [id]));
}

test('spanCounts: the worked numbers', (t) => {
  t.deepEqual(spanCounts(512), { noise: 77, spans: 26 });
  t.deepEqual(spanCounts(568), { noise: 85, spans: 28 });
  t.deepEqual(spanCounts(2), { noise: 1, spans: 1 });
  // Halves up.
  t.deepEqual(spanCounts(10), { noise: 2, spans: 1 });
  for (const [length, read, written] of [
    [512, 462, 104],
    [568, 512, 114],
  ] as const) {
    const { source, target } = corruptSpans(textOf(length), SENTINEL, key);
    // With the end on both sides.
    t.deepEqual([source.length + 1, target.length + 1], [read, written]);
  }
});

test('corruptSpans: seed 1, item 0, 40 tokens', (t) => {
  const { source, target } = corruptSpans(textOf(40), SENTINEL, key);
  t.deepEqual([...target], [SENTINEL, 5, 6, 7, SENTINEL + 1, 37, 38, 39]);
  t.deepEqual(restored(source, target), [...textOf(40)]);
});

test('corruptSpans: whatever the text, both sides together are the text, the first token is kept and the last is not', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 700 }), fc.nat(1000), fc.nat(9), (length, item, epoch) => {
      const { source, target } = corruptSpans(textOf(length), SENTINEL, { ...key, item, epoch });
      const { noise, spans } = spanCounts(length);
      t.deepEqual([source.length, target.length], [length - noise + spans, noise + spans]);
      t.deepEqual(restored(source, target), [...textOf(length)]);
      t.is(source[0], 0);
      t.is(target.at(-1), length - 1);
    }),
  );
});

test('corruptSpans: the same for the same item and epoch, other for another seed, epoch, item or list', (t) => {
  const made = (change: Partial<NoiseKey>): string =>
    corruptSpans(textOf(200), SENTINEL, { ...key, ...change }).source.join();
  t.is(made({}), made({}));
  const changes = [{}, { seed: 2 }, { epoch: 1 }, { item: 1 }, { list: 1 }];
  t.is(new Set(changes.map(made)).size, changes.length);
});

test('cut: lengths of spans are spread as compositions are', (t) => {
  const counts = new Map<number, number>();
  const texts = 1000;
  const { noise, spans } = spanCounts(568);
  for (let item = 0; item < texts; item++)
    for (const length of cut(noise, spans, { ...key, item }, 'data.spans.noise'))
      counts.set(length, (counts.get(length) ?? 0) + 1);
  for (const [length, p] of [
    [1, 0.3214],
    [2, 0.2207],
    [3, 0.1507],
    [4, 0.1024],
  ] as const)
    t.true(Math.abs((counts.get(length) ?? 0) / (texts * spans) - p) < 0.015, `${length}`);
});

test('smallestDraws: every place is chosen equally often', (t) => {
  const counts = Array.from({ length: 20 }, () => 0);
  const rounds = 4000;
  for (let sequence = 0; sequence < rounds; sequence++)
    for (const place of smallestDraws(20, 5, { seed: 3, purpose: 'test', sequence }))
      counts[place] = (counts[place] ?? 0) + 1;
  for (const count of counts)
    t.true(Math.abs(count - rounds / 4) < 6 * Math.sqrt((rounds * 3) / 16), counts.join());
});

test('infill: masks 30 % in spans that never meet, and keeps the rest in order', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(1000), (length, item) => {
      const out = [...infill(textOf(length), SENTINEL, { ...key, item })];
      const kept = out.filter((id) => id !== SENTINEL);
      t.is(kept.length, length - numMasked(length));
      t.deepEqual(
        kept,
        kept.toSorted((a, b) => a - b),
      );
      t.is(new Set(kept).size, kept.length);
      t.true(out.length <= length);
      t.false(out.some((id, place) => id === SENTINEL && out[place + 1] === SENTINEL));
    }),
  );
  t.is(numMasked(512), 154);
});

test('infill: a text of 512 tokens has the length that Poisson(3) gives', (t) => {
  const texts = 2000;
  let [tokens, empty] = [0, 0];
  for (let item = 0; item < texts; item++) {
    const out = infill(textOf(512), SENTINEL, { ...key, item });
    tokens += out.length;
    for (const [place, id] of out.entries())
      if (id === SENTINEL && (out[place + 1] ?? 512) === (out[place - 1] ?? -1) + 1) empty++;
  }
  t.true(Math.abs(tokens / texts - 409.9) < 0.5, `${tokens / texts}`);
  t.true(Math.abs(empty / texts - 2.6) < 0.2, `${empty / texts}`);
});

test('deleteTokens, rotate, shuffleSentences: lose 15 %, nothing, nothing', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(1000), (length, item) => {
      const text = textOf(length);
      const drawn = { ...key, item };
      const left = deleteTokens(text, drawn);
      t.is(left.length, length - Math.min(length - 1, Math.floor((15 * length + 50) / 100)));
      t.deepEqual(
        [...left],
        [...left].toSorted((a, b) => a - b),
      );
      const turned = [...rotate(text, drawn)];
      const first = turned.indexOf(0);
      t.deepEqual([...turned.slice(first), ...turned.slice(0, first)], [...text]);
      const shuffled = [...shuffleSentences(text, (id) => id % 7 === 6, drawn)];
      t.deepEqual(
        shuffled.toSorted((a, b) => a - b),
        [...text],
      );
      // Inside a sentence the order stays.
      for (const [place, id] of shuffled.entries())
        if (id % 7 !== 6 && id !== length - 1) t.is(shuffled[place + 1], id + 1);
    }),
  );
  const firsts = Array.from({ length: 300 }, (_, item) => rotate(textOf(3), { ...key, item })[0]);
  for (const id of [0, 1, 2]) t.true(firsts.filter((first) => first === id).length > 60);
  const orders = Array.from({ length: 300 }, (_, item) =>
    shuffleSentences(textOf(4), (id) => id === 1, { ...key, item }).join(),
  );
  t.true(orders.filter((order) => order === '2,3,0,1').length > 90);
  t.true(orders.filter((order) => order === '0,1,2,3').length > 90);
});
