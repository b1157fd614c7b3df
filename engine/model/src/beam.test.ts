import test from 'ava';
import * as fc from 'fast-check';
import { openReferenceDevice } from '@troupe/kernels';
import { checkBeams } from './beam.ts';
import { beamTexts } from './continuations.ts';
import { GenerationError } from './errors.ts';
import { Generator } from './generate.ts';
import { LocalModel } from './local-model.ts';
import { tinyConfig } from './testing/tiny-model.ts';
import type { WrittenText } from './written-text.ts';

interface Rules {
  readonly beams: number;
  readonly lengthPenalty: number;
  readonly maxTokens: number;
  readonly minTokens?: number;
  readonly stop: readonly number[];
}

/** Logits behind new tokens. */
type Logits = (ids: readonly number[]) => readonly number[];

function search(logitsOf: Logits, rules: Rules): readonly WrittenText[] {
  const vocab = logitsOf([]).length;
  const found = beamTexts([0], rules, vocab);
  while (found.texts.length > 0)
    found.take(found.texts.map((ids) => Float64Array.from(logitsOf(ids.slice(1)))));
  return found.written;
}

interface Plain {
  readonly ids: readonly number[];
  readonly logProb: number;
}

const logProbs = (logits: readonly number[]): readonly number[] => {
  const top = Math.max(...logits);
  const total = top + Math.log(logits.reduce((sum, each) => sum + Math.exp(each - top), 0));
  return logits.map((each) => each - total);
};

/** The same search, written down without any haste: all candidates are sorted, and it goes on to full length. */
function plainSearch(logitsOf: Logits, { beams, lengthPenalty, maxTokens, minTokens = 0, stop }: Rules) {
  let live: Plain[] = [{ ids: [], logProb: 0 }];
  const written: (Plain & { ended: boolean; score: number })[] = [];
  for (let length = 1; length <= maxTokens; length++) {
    const score = (logProb: number): number => logProb / Math.exp(lengthPenalty * Math.log(length));
    const candidates = live.flatMap(({ ids, logProb }, beam) =>
      logProbs(logitsOf(ids)).map((each, id) => ({ ids, id, beam, logProb: logProb + each })),
    );
    candidates.sort((a, b) => b.logProb - a.logProb || a.beam - b.beam || a.id - b.id);
    live = [];
    for (const { ids, id, logProb } of candidates) {
      if (live.length === beams) break;
      if (!stop.includes(id)) live.push({ ids: [...ids, id], logProb });
      else if (length > minTokens) written.push({ ids, ended: true, logProb, score: score(logProb) });
    }
    if (length === maxTokens)
      written.push(...live.map((each) => ({ ...each, ended: false, score: score(each.logProb) })));
  }
  return written.toSorted((a, b) => b.score - a.score).slice(0, beams);
}

/** Logits that are a function of the text, of few values, so that many tie. */
const tableOf =
  (seed: number, vocab: number, values: number): Logits =>
  (ids) =>
    Array.from({ length: vocab }, (_, id) => {
      let hash = seed;
      for (const each of [...ids, id, 7]) hash = Math.imul(hash ^ each, 0x01000193) >>> 0;
      return ((hash >>> 8) % values) / 2;
    });

test('beam: finds what a search that sorts everything and never stops early finds, with ties', (t) => {
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.nat(),
        vocab: fc.integer({ min: 2, max: 7 }),
        values: fc.integer({ min: 1, max: 9 }),
        beams: fc.integer({ min: 1, max: 6 }),
        lengthPenalty: fc.constantFrom(0, 0.6, 1, 2),
        maxTokens: fc.integer({ min: 1, max: 5 }),
        minTokens: fc.nat(2),
        numStops: fc.nat(2),
      }),
      ({ seed, vocab, values, numStops, ...rules }) => {
        const stop = Array.from({ length: Math.min(numStops, vocab - 1) }, (_, id) => id);
        const table = tableOf(seed, vocab, values);
        t.deepEqual(search(table, { ...rules, stop }), plainSearch(table, { ...rules, stop }));
      },
    ),
  );
});

test('beam: where all is equal, the lower beam and then the lower id come first', (t) => {
  const found = search(() => [0, 0, 0], { beams: 3, lengthPenalty: 1, maxTokens: 2, stop: [] });
  t.deepEqual(
    found.map(({ ids }) => ids),
    [
      [0, 0],
      [0, 1],
      [0, 2],
    ],
  );
});

test('beam: a length penalty decides between a short text and a long one', (t) => {
  // Ends at once with .4; else goes on for sure: log .6 over 4 tokens is a better mean than log .4, and .6 > .4 anyway.
  const ends: Logits = (ids) => (ids.length === 0 ? [Math.log(0.55), Math.log(0.45)] : [-40, 0]);
  const best = (lengthPenalty: number) =>
    search(ends, { beams: 2, lengthPenalty, maxTokens: 4, stop: [0] })[0]!.ids.length;
  t.is(best(0), 0);
  t.is(best(1), 4);
});

test('beam: settings outside their range are refused', (t) => {
  for (const wrong of [
    { beams: 0 },
    { beams: 1.5 },
    { beams: 2, lengthPenalty: -1 },
    { beams: 2, lengthPenalty: Number.NaN },
    { beams: 2, lengthPenalty: Number.POSITIVE_INFINITY },
  ])
    t.throws(() => checkBeams(wrong), { instanceOf: GenerationError });
});

test('beam: on a tiny model, wide enough, it is an exhaustive search', async (t) => {
  const config = tinyConfig({ seqLen: 8, vocab: 4 });
  const device = openReferenceDevice();
  const model = new LocalModel(device, { config, sequences: 1 });
  await model.initialise(3);
  const [prompt, maxTokens, end] = [[1, 2], 3, 0] as const;
  const all: { ids: number[]; logProb: number; ended: boolean; score: number }[] = [];
  const visit = async (ids: number[], logProb: number): Promise<void> => {
    const ids_T = new Int32Array(8);
    ids_T.set([...prompt, ...ids]);
    const logits = await model.logits(
      {
        ids_T,
        targets_T: new Int32Array(8).fill(-1),
        firstSeen_T: new Int32Array(8),
        valid_T: new Uint8Array(8).fill(1),
      },
      { firstRow: prompt.length + ids.length - 1, rows: 1 },
    );
    for (const [id, each] of logProbs([...logits]).entries()) {
      const text = { logProb: logProb + each, score: (logProb + each) / (ids.length + 1) };
      if (id === end) all.push({ ids, ended: true, ...text });
      else if (ids.length + 1 === maxTokens) all.push({ ids: [...ids, id], ended: false, ...text });
      else await visit([...ids, id], text.logProb);
    }
  };
  await visit([], 0);
  t.is(all.length, 1 + 3 + 9 + 27);
  all.sort((a, b) => b.score - a.score);
  const generator = new Generator(device, config, model.weights);
  const options = { maxTokens, seed: 0, stop: [end], beams: all.length, lengthPenalty: 1 };
  for await (const found of generator.write([{ prompt }], options)) {
    t.deepEqual(
      found.map(({ ids }) => ids),
      all.map(({ ids }) => ids),
    );
    for (const [place, { score, ended }] of found.entries()) {
      t.is(ended, all[place]!.ended);
      t.true(Math.abs(score! - all[place]!.score) < 1e-12);
    }
  }
});
