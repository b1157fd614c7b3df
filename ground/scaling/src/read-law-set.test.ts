import test from 'ava';
import { ScalingLawError } from './errors.ts';
import { denseLawOf, granularLawOf, lawSet, lawSets } from './law-sets.ts';
import { readLawSet } from './read-law-set.ts';

const known = lawSet('granular-e64');

test('law sets: those of the package are read as they are written', (t) => {
  t.deepEqual(
    lawSets.map(({ name }) => name),
    ['granular-e64', 'granular-e64-printed', 'granular-e16', 'joint'],
  );
  t.is(readLawSet(known, 'x'), known);
  t.throws(() => lawSet('nope'), { instanceOf: ScalingLawError, message: /only granular-e64, / });
  t.throws(() => granularLawOf(lawSet('joint')), { message: /'joint' has no granular law/ });
  t.is(denseLawOf(known).c, 0.47);
});

test('law sets: a file that is none says which field is wrong', (t) => {
  const { granular: _, dense: __, ...without } = known;
  for (const [value, says] of [
    [[], /my\.json: the set of coefficients is a list of 0, expected an object/],
    [{ ...known, source: 3 }, /source is 3, expected a text/],
    [
      { ...known, fitted: { paramsMost: 1, tokensMost: -1 } },
      /fitted\.tokensMost is -1, expected a number > 0/,
    ],
    [without, /it has no law, expected one of granular, dense, joint/],
    [
      { ...known, granular: { ...known.granular, alpha: -0.1 } },
      /granular\.alpha is -0\.1, expected a number > 0/,
    ],
    [{ ...known, expansion: 'many' }, /expansion is 'many', expected a number > 0/],
  ] as const)
    t.throws(() => readLawSet(value, 'my.json'), { instanceOf: ScalingLawError, message: says });
});
