import test from 'ava';
import * as fc from 'fast-check';
import { composeTopology } from './compose.ts';
import { TopologyError } from './errors.ts';
import { legalKeys } from './json-schema.ts';
import { createPlacement } from './placement.ts';
import { formatPlan } from './plan/format.ts';
import { planTopology } from './plan/plan.ts';
import { resolveComposed, resolveTopology } from './resolve.ts';

/** Runs `call`; anything thrown but a TopologyError with problems is a defect. Returns true when it succeeded. */
function judged(call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if (error instanceof TopologyError && error.problems.length > 0) return false;
    throw error;
  }
}

const numbers = fc.oneof(
  fc.constantFrom(-1, 0, 1, 2, 3, 4, 8, 0.5, 1e15, 65_536, Number.MAX_SAFE_INTEGER),
  fc.integer(),
);
const values = fc.oneof(
  numbers,
  fc.constantFrom('auto', 'all', 'cpu:0', '', 'global', 'bytes', 'none'),
  fc.constantFrom(null, true, {}, [], { a: 1 }, ['cpu:0'], [{ devices: ['cpu:0'] }]),
);

test('loading: any legal keys at any values resolve, or are refused with problems', (t) => {
  const keys = legalKeys().filter((key) => key !== 'extends');
  let resolved = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...keys), values), { maxLength: 5 }), (pairs) => {
      const set = pairs.map(([key, value]) => `${key}=${JSON.stringify(value)}`);
      const sources = {
        presetNames: [],
        presetPath: (name: string) => name,
        read: () => 'model: { moe: {} }',
      };
      const ok = judged(() => {
        const topology = resolveComposed(composeTopology('a.yaml', sources, set), { path: 'a.yaml', set });
        if (topology.parallel.world > 512) return;
        createPlacement(topology);
        formatPlan(planTopology(topology, { flopsPerSecond: 1e9, bytesPerSecond: 1e9 }), { limit: 3 });
      });
      if (ok) resolved++;
    }),
    { numRuns: 400 },
  );
  t.true(resolved > 20, `${resolved} of 400 resolved`);
});

test('loading: any text at all resolves, or is refused with problems', (t) => {
  const words = fc.constantFrom(
    'model',
    ':',
    ' ',
    '\n',
    '{',
    '}',
    '[',
    ']',
    '- ',
    '&a',
    '*a',
    '!!int',
    '"',
    "'",
    '#',
    '0',
    'moe',
    '\t',
    '<<',
    '?',
    '|',
    '---',
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 30 }), (parts) => {
      const sources = { presetNames: [], presetPath: (name: string) => name, read: () => parts.join('') };
      judged(() => resolveComposed(composeTopology('a.yaml', sources), { path: 'a.yaml', set: [] }));
    }),
    { numRuns: 500 },
  );
  t.pass();
});

test('loading: any value at all resolves, or is refused with problems', (t) => {
  fc.assert(
    fc.property(fc.anything(), (value) => void judged(() => resolveTopology(value))),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.anything(), (model) => void judged(() => resolveTopology({ model }))),
    { numRuns: 500 },
  );
  t.pass();
});
