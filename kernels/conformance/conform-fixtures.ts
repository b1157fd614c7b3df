import type { ExecutionContext } from 'ava';
import { attentionFixtures } from './attention-fixtures.ts';
import type { ConformanceBody, Test } from './body.ts';
import { allowedError, largestError } from './compare.ts';
import { choiceFixtures } from './choice-fixtures.ts';
import type { Expect, FixtureCheck } from './fixture-check.ts';
import { Fixture } from './fixtures.ts';
import { layerFixtures } from './layer-fixtures.ts';
import { routerFixtures } from './router-fixtures.ts';

/** Losses of fixtures are far from 0, their gradients may be small: shares of the largest value, whatever it is. */
const NO_LEAST_SCALE = 1e-12;

function expectation(t: ExecutionContext, body: ConformanceBody): Expect {
  return (name, kind, found, expected) => {
    const error = largestError(found, expected, NO_LEAST_SCALE);
    const allowed = allowedError(kind, body.tolerance);
    t.true(error <= allowed, `${name}: error ${error}, allowed ${allowed}`);
    t.log(`${name} ${error.toExponential(1)}`);
  };
}

/** What is compared with PyTorch, by the name of the fixture. */
export const fixtureChecks: Readonly<Record<string, FixtureCheck>> = {
  ...layerFixtures,
  ...attentionFixtures,
  ...routerFixtures,
  ...choiceFixtures,
};

/** Each operation that has a fixture against the numbers of PyTorch. */
export function conformFixtures(test: Test, body: ConformanceBody): void {
  for (const [name, check] of Object.entries(fixtureChecks)) {
    test(`${body.name} ${name}: agrees with PyTorch`, async (t) => {
      const device = await body.open();
      await check(new Fixture(name, device), device, expectation(t, body));
      await device.close();
    });
  }
}
