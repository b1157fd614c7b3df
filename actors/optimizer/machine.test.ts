import test from 'ava';
import fc from 'fast-check';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import {
  fencedByOptimizer,
  optimizerEpoch,
  optimizerMachine,
  type OptimizerContext,
  type OptimizerInput,
} from './machine.ts';

const kinds = [
  'parameters.initialised',
  'slices.read',
  'ask.failed',
  'gradient.add',
  'gradient.added',
  'gradient.total',
  'step.open',
  'sums.reset',
  'norm.measured',
  'commit.decide',
  'weights.applied',
  'snapshot.take',
  'weights.publish',
  'rows.dispatch',
] as const;
const fresh: OptimizerInput = { version: 0, expected: 20, expectedTotals: 0, missing: 3, resumes: false };
const slice = (from: number, to: number, step = 1) => ({ step, body: { from, to } });
const open = (step: number, attempt = 1) => ({ step, attempt, version: step - 1 });

function collecting(changes: Partial<OptimizerInput> = {}, visited = new Set<string>()): Play {
  const play = new Play(optimizerMachine, { ...fresh, ...changes }, visited);
  play.send('parameters.initialised');
  return play;
}

/** Opens a step, adds everything and measures: the shard has voted. */
function voted(play: Play, step = 1): Play {
  play.send('step.open', open(step));
  play.send('gradient.add', slice(0, 20, step));
  play.send('norm.measured', { step });
  return play;
}

test('optimizer: draws its slice, or reads it piece by piece; then publishes once', (t) => {
  const visited = new Set<string>();
  const drawn = new Play(optimizerMachine, fresh, visited);
  t.deepEqual(drawn.first, ['initialise']);
  t.deepEqual(drawn.send('parameters.initialised'), ['publishFirst', 'takeUp']);
  t.is(drawn.state, 'collecting');

  const read = new Play(optimizerMachine, { ...fresh, resumes: true, version: 7 }, visited);
  t.deepEqual(read.first, ['askSlices']);
  t.deepEqual(read.send('slices.read'), ['acceptSlice']);
  t.deepEqual(read.send('slices.read'), ['acceptSlice']);
  t.is(read.state, 'loading.reading');
  t.deepEqual(read.send('slices.read'), ['acceptSlice', 'publishFirst', 'takeUp']);
  t.is(read.context['version'], 7);

  const failed = new Play(optimizerMachine, { ...fresh, resumes: true }, visited);
  t.deepEqual(failed.send('ask.failed'), ['failLoading']);
  t.is(failed.state, 'loading.reading', 'never trains from a partial load');

  const empty = new Play(optimizerMachine, { ...fresh, resumes: true, missing: 0 }, visited);
  t.is(empty.state, 'collecting', 'a shard that owns nothing has nothing to wait for');

  voted(drawn).send('commit.decide');
  drawn.send('weights.applied');
  drawn.send('step.open', open(2));
  drawn.send('gradient.add', slice(0, 20, 2));
  t.is(drawn.state, 'measuring');
  drawn.send('norm.measured');
  const passedThrough = ['loading.choosing', 'publishing'];
  t.deepEqual(
    [...new Set([...visited, ...passedThrough])].toSorted(),
    leafStates(optimizerMachine).toSorted(),
  );
});

test('optimizer: each state accepts what belongs to it and refuses the rest', (t) => {
  const always = ['gradient.added', 'sums.reset'];
  const expectOnly = (play: Play, state: string, types: readonly string[]): void => {
    t.is(play.state, state);
    t.deepEqual(acceptedOf(play, kinds, slice(0, 1)).toSorted(), [...always, ...types].toSorted(), state);
  };
  const play = new Play(optimizerMachine, fresh);
  expectOnly(play, 'loading.drawing', ['parameters.initialised', 'gradient.add', 'step.open']);
  expectOnly(new Play(optimizerMachine, { ...fresh, resumes: true }), 'loading.reading', [
    'slices.read',
    'ask.failed',
    'gradient.add',
    'step.open',
  ]);
  play.send('parameters.initialised');
  expectOnly(play, 'collecting', ['step.open', 'gradient.add', 'gradient.total', 'snapshot.take']);
  play.send('step.open', open(1));
  play.send('gradient.add', slice(0, 20));
  expectOnly(play, 'measuring', ['norm.measured', 'gradient.add', 'gradient.total']);
  play.send('norm.measured');
  // Only a replay opens a step that has been voted for.
  expectOnly(play, 'voted', ['commit.decide', 'gradient.add', 'gradient.total']);
  t.true(play.accepts('step.open', open(1, 2)));
  play.send('commit.decide');
  expectOnly(play, 'applying', ['weights.applied', 'gradient.add', 'gradient.total', 'step.open']);
});

test('optimizer: OPT-1, OPT-2, slices are added on arrival in any order, and the vote follows the last one and the opening', (t) => {
  const slices = [slice(0, 5), slice(5, 6), slice(6, 14), slice(14, 20)].map((fields) => ({
    type: 'gradient.add',
    fields,
  }));
  const events = [{ type: 'step.open', fields: open(1) }, ...slices];
  fc.assert(
    fc.property(fc.shuffledSubarray(events, { minLength: events.length }), (order) => {
      const play = collecting();
      order.forEach(({ type, fields }, index) => {
        const actions = play.send(type, fields);
        t.is(actions.includes('add'), type === 'gradient.add');
        t.is(actions.includes('measureNorm'), index === order.length - 1);
      });
      t.deepEqual(play.send('norm.measured'), ['vote', 'shareTotal']);
    }),
  );
});

test('optimizer: OPT-2, a decision is applied once and the version rises by one', (t) => {
  const play = voted(collecting());
  t.deepEqual(play.send('commit.decide'), ['rememberDecision', 'apply']);
  t.is(play.state, 'applying');
  t.false(play.accepts('commit.decide'), 'a second decision has no state');
  t.is(play.context['version'], 0);
  t.deepEqual(play.send('weights.applied'), ['publish', 'takeUp']);
  t.is(play.context['version'], 1);
  t.false(play.accepts('commit.decide'));
  t.false(play.accepts('weights.applied'));
});

test('optimizer: OPT-3, gradients of the next step wait until this one is applied', (t) => {
  const play = collecting();
  t.deepEqual(play.send('gradient.add', slice(0, 20, 2)), ['setAside']);
  play.send('step.open', open(1));
  t.is(play.context['received'], 0);
  play.send('gradient.add', slice(0, 20));
  t.deepEqual(play.send('gradient.add', slice(0, 5, 2)), ['setAside'], 'measuring');
  play.send('norm.measured');
  t.deepEqual(play.send('gradient.add', slice(0, 5, 2)), ['setAside'], 'voted');
  play.send('commit.decide');
  t.deepEqual(play.send('gradient.add', slice(0, 5, 2)), ['setAside'], 'applying');
  t.deepEqual(play.send('step.open', open(2)), ['setAside']);
  const [publish, takeUp] = play.send('weights.applied');
  t.deepEqual(
    [publish, takeUp],
    ['publish', 'takeUp'],
    'what was set aside is taken up after the version rose',
  );
  t.deepEqual(play.send('gradient.add', slice(0, 20, 2)), ['add']);
});

test('optimizer: with whole copies (ZeRO 0) a decision waits for the totals of the peers, which may come first', (t) => {
  const events = [
    { type: 'commit.decide', fields: {} },
    { type: 'gradient.total', fields: slice(20, 30) },
    { type: 'gradient.total', fields: slice(30, 40) },
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray(events, { minLength: 3 }), (order) => {
      const play = voted(collecting({ expectedTotals: 20 }));
      order.forEach(({ type, fields }, index) => {
        t.is(play.send(type, fields).includes('apply'), index === order.length - 1);
      });
    }),
  );
});

test('optimizer: a replay starts the sums anew and needs every slice again', (t) => {
  const play = voted(collecting());
  t.deepEqual(play.send('step.open', open(1, 2)), ['reset', 'takeUp']);
  t.is(play.state, 'collecting');
  t.like(play.context, { attempt: 2, received: 0, totals: 0, version: 0 });
  t.deepEqual(play.send('gradient.add', { ...slice(0, 19), attempt: 2 }), ['add']);
  t.is(play.state, 'collecting');
  t.deepEqual(play.send('gradient.add', { ...slice(19, 20), attempt: 2 }), ['add', 'measureNorm']);
});

test('optimizer: OPT-4, what a peer sent in an attempt that was replayed is behind the fence', (t) => {
  const play = voted(collecting({ expectedTotals: 20 }));
  const epoch = (): unknown => optimizerEpoch(play.context as unknown as OptimizerContext);
  t.deepEqual(epoch(), { step: 1, attempt: 1 });
  play.send('step.open', open(1, 2));
  t.deepEqual(epoch(), { step: 1, attempt: 2 });
  t.true(fencedByOptimizer.has('gradient.total') && fencedByOptimizer.has('gradient.add'));
  play.send('gradient.add', { ...slice(0, 20), attempt: 2 });
  play.send('norm.measured');
  play.send('gradient.total', { ...slice(20, 40), attempt: 2 });
  play.send('commit.decide');
  play.send('weights.applied');
  t.deepEqual(
    epoch(),
    { step: 2, attempt: 1 },
    'first gradients of the next step may come before its opening',
  );
});

test('optimizer: takes a snapshot between steps', (t) => {
  const play = collecting();
  t.deepEqual(play.send('snapshot.take'), ['snapshot']);
  t.is(play.state, 'collecting');
});
