import test from 'ava';
import * as fc from 'fast-check';
import { Layout, resolveTopology, TopologyError } from '@troupe/topology';
import {
  axesOf,
  drawnModels,
  factorNames,
  factors,
  isLegal,
  models,
  nameOf,
  type Mixture,
} from './mixture.ts';
import { builtPart, differences, movesIn, refusedOf } from './mixture-run.ts';
import { inputOf, topologyOf } from './mixture-topology.ts';
import { legalPairs, mixtures, published } from './table.ts';
import { inPart } from './part.ts';

test('mixtures: every legal pair of values occurs, and each mixture is one that a file may ask for', (t) => {
  const found = new Set(
    mixtures.flatMap((mixture) =>
      factorNames.flatMap((a, index) =>
        factorNames.slice(index + 1).map((b) => `${a} ${mixture[a]}, ${b} ${mixture[b]}`),
      ),
    ),
  );
  t.deepEqual(
    [...legalPairs().keys()].filter((pair) => !found.has(pair)),
    [],
  );
  for (const mixture of mixtures) t.notThrows(() => topologyOf(mixture), nameOf(mixture));
  t.is(new Set(mixtures.map(nameOf)).size, mixtures.length, 'none stands twice');
  t.log(mixtures.map((mixture, index) => `${index} ${nameOf(mixture)}`).join('\n'));
});

test('mixtures: those of the literature, all models, three axes at once, bf16', (t) => {
  const count = (holds: (mixture: Mixture) => boolean): number => mixtures.filter(holds).length;
  t.deepEqual(mixtures.slice(0, published.length), published);
  t.true(count((mixture) => axesOf(mixture) === 3) >= 20);
  for (const model of drawnModels) t.true(count((mixture) => mixture.model === model) >= 3, model);
  for (const model of ['tied', 'global', 'shared', 'late'] as const)
    t.true(count((mixture) => mixture.model === model && mixture.pp > 1) >= 3, `${model} over stages`);
  t.true(
    count(({ model, pp }) => pp === 3 && (models[model].layers ?? 4) === 4) >= 1,
    '4 layers on 3 stages',
  );
  t.true(count(({ precision }) => precision === 'bf16') >= 8);
  t.true(count((mixture) => new Layout(topologyOf(mixture)).rowChunks > 1) >= 12, 'rows in chunks');
  for (const dp of [3, 6]) t.true(count((mixture) => mixture.dp === dp) >= 3);
});

test('mixtures: what is legal in the table is what a topology file may say', (t) => {
  const any = fc.record({
    ...(Object.fromEntries(factorNames.map((name) => [name, fc.constantFrom(...factors[name])])) as {
      [F in keyof typeof factors]: fc.Arbitrary<(typeof factors)[F][number]>;
    }),
    model: fc.constantFrom(...drawnModels),
    segments: fc.constantFrom(1 as const, 4 as const),
    precision: fc.constantFrom('f32' as const, 'bf16' as const),
  });
  fc.assert(
    fc.property(any, (mixture) => {
      let valid = true;
      try {
        resolveTopology(inputOf(mixture));
      } catch (error) {
        if (!(error instanceof TopologyError)) throw error;
        valid = false;
      }
      t.is(valid, isLegal(mixture), nameOf(mixture));
    }),
    { numRuns: 300 },
  );
});

/** A sixth: the table is the longest list. */
const here = inPart(mixtures, 0, 6);

test('mixtures: what does not run so far, and is trained without it', (t) => {
  const refused = here.filter((mixture) => refusedOf(mixture).length > 0);
  for (const mixture of refused) t.log(`${nameOf(mixture)}: ${refusedOf(mixture).join(', ')}`);
  t.true(refused.length < here.length);
});

test('mixtures: experts that are dealt by load do move', async (t) => {
  const dealt = mixtures.find(({ experts, ep }) => experts === 'balanced' && ep === 3);
  t.truthy(dealt);
  if (dealt !== undefined) t.true((await movesIn(dealt)) > 0, nameOf(dealt));
});

for (const mixture of new Map(here.map(builtPart).map((each) => [nameOf(each), each])).values())
  test(`mixtures: the numbers of one process: ${nameOf(mixture)}`, async (t) => {
    t.deepEqual(await differences(mixture), []);
  });
