import test from 'ava';
import {
  assert,
  DeadlineError,
  deserializeError,
  InvariantError,
  NotBuiltError,
  serializeError,
  TroupeError,
} from './errors.ts';

test('TroupeError: carries code, retryable, details and cause', (t) => {
  const cause = new Error('below');
  const error = new TroupeError('TROUPE_TEST_CODE', 'found 7, expected 8', {
    retryable: true,
    details: { found: 7 },
    cause,
  });
  t.true(error instanceof Error);
  t.like(error, {
    name: 'TroupeError',
    code: 'TROUPE_TEST_CODE',
    message: 'found 7, expected 8',
    retryable: true,
  });
  t.deepEqual(error.details, { found: 7 });
  t.is(error.cause, cause);
  const bare = new TroupeError('TROUPE_TEST_CODE', 'x');
  t.false(bare.retryable);
  t.deepEqual(bare.details, {});
  t.false('cause' in bare);
});

test('assert: passes what is true and names what is not', (t) => {
  for (const condition of [true, 1, 'x', {}]) t.notThrows(() => assert(condition, 'never'));
  for (const condition of [false, 0, '', null, undefined, Number.NaN]) {
    const error = t.throws(() => assert(condition, 'rows are conserved', { rows: 3 }), {
      instanceOf: InvariantError,
    });
    t.like(error, { code: 'TROUPE_INVARIANT', message: 'rows are conserved', retryable: false });
    t.deepEqual(error?.details, { rows: 3 });
  }
});

test('NotBuiltError: says what and what to do instead', (t) => {
  const error = new NotBuiltError('tensor parallelism', 'set parallel.tp to 1');
  t.is(error.message, 'tensor parallelism is not built yet; set parallel.tp to 1');
  t.like(error, { code: 'TROUPE_NOT_BUILT', retryable: false });
});

test('serializeError: code, message, retryable, details and origin survive a trip as JSON; no stack does', (t) => {
  const error = new DeadlineError('a waits for b', { waiter: 'a', awaited: ['b'] });
  const wire = JSON.parse(JSON.stringify(serializeError(error, 'worker/1'))) as ReturnType<
    typeof serializeError
  >;
  t.deepEqual(Object.keys(wire).toSorted(), ['code', 'details', 'message', 'origin', 'retryable']);
  const back = deserializeError(wire);
  t.like(back, { code: 'TROUPE_DEADLINE', message: 'a waits for b', retryable: true });
  t.deepEqual(back.details, { waiter: 'a', awaited: ['b'], origin: 'worker/1' });
  t.deepEqual(
    deserializeError(serializeError(error)).details,
    error.details,
    'without an origin none is made up',
  );
});

test('serializeError: whatever is thrown becomes an error with a code', (t) => {
  t.like(serializeError(new RangeError('too far')), {
    code: 'TROUPE_UNKNOWN',
    message: 'too far',
    retryable: false,
  });
  for (const [thrown, message] of [
    ['text', 'text'],
    [undefined, 'undefined'],
    [null, 'null'],
    [7, '7'],
  ] as const) {
    t.like(serializeError(thrown), { code: 'TROUPE_UNKNOWN', message });
  }
});
