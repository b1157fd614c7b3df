import test from 'ava';
import fc from 'fast-check';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import type { OptimizerInput } from './context.ts';
import { optimizerMachine } from './machine.ts';

const kinds = [
  'parameters.initialised',
  'slices.found',
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
  'attempt.abandon',
  'shard.keep',
  'shard.send',
  'shard.restore',
  'state.slice',
  'experts.move',
  'experts.state',
  'sums.settled',
  'weights.spread',
  'ward.kept',
  'weights.publish',
  'rows.dispatch',
] as const;
const fresh: OptimizerInput = {
  version: 0,
  joins: false,
  expected: [20],
  inBuckets: false,
  expectedTotals: 0,
  pieces: 3,
  owned: 40,
  source: 'seed',
  rounds: false,
  guarded: 0,
};
const read: OptimizerInput = { ...fresh, source: 'snapshot' };
const slice = (from: number, to: number, step = 1) => ({ step, body: { from, to, level: 0 } });
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
  t.deepEqual(drawn.send('parameters.initialised'), ['publishFirst', 'reportLoaded', 'takeUp']);
  t.is(drawn.state, 'collecting');

  const resumed = new Play(optimizerMachine, { ...read, version: 7 }, visited);
  t.deepEqual(resumed.first, ['askSlices']);
  t.deepEqual(resumed.send('slices.found'), ['acceptSlice']);
  t.deepEqual(resumed.send('slices.found'), ['acceptSlice']);
  t.is(resumed.state, 'loading.reading');
  t.deepEqual(resumed.send('slices.found'), [
    'acceptSlice',
    'roundWeights',
    'publishFirst',
    'reportLoaded',
    'takeUp',
  ]);
  t.is(resumed.context['version'], 7);

  const failed = new Play(optimizerMachine, read, visited);
  t.deepEqual(failed.send('ask.failed'), ['failLoading']);
  t.is(failed.state, 'loading.reading', 'never trains from a partial load');

  const rounded = new Play(optimizerMachine, { ...read, pieces: 1, rounds: true }, visited);
  t.deepEqual(rounded.send('slices.found'), ['acceptSlice', 'roundWeights']);
  t.is(rounded.state, 'loading.rounding', 'MAS-1: nobody reads it before it is rounded');
  t.deepEqual(rounded.send('weights.rounded'), ['publishFirst', 'reportLoaded', 'takeUp']);

  const empty = new Play(optimizerMachine, { ...read, pieces: 0 }, visited);
  t.is(empty.state, 'collecting', 'a shard that owns nothing has nothing to wait for');
});

/** A shard in each of its states. */
function inEveryState(visited: Set<string>): readonly Play[] {
  const with40 = { ...fresh, expectedTotals: 20 };
  const opened = (): Play => {
    const play = collecting(with40, visited);
    play.send('step.open', open(1));
    return play;
  };
  const passing = collecting({ ...with40, expected: [20, 10] }, visited);
  passing.send('step.open', open(1));
  passing.send('gradient.add', slice(0, 20));
  const measuring = opened();
  measuring.send('gradient.add', slice(0, 20));
  const gathering = opened();
  gathering.send('gradient.add', slice(0, 20));
  gathering.send('norm.measured');
  const hasVoted = voted(collecting({}, visited));
  const draining = opened();
  draining.send('attempt.abandon', { attempt: 5 });
  const abandoned = opened();
  abandoned.send('attempt.abandon', { attempt: 5 });
  abandoned.send('sums.reset');
  const publishing = new Play(optimizerMachine, { ...fresh, guarded: 40 }, visited);
  publishing.send('parameters.initialised');
  const copying = new Play(optimizerMachine, { ...fresh, joins: true }, visited);
  copying.send('state.slice', slice(0, 10));
  return [
    new Play(optimizerMachine, fresh, visited),
    new Play(optimizerMachine, read, visited),
    copying,
    publishing,
    opened(),
    passing,
    measuring,
    gathering,
    hasVoted,
    draining,
    abandoned,
  ];
}

test('optimizer: REC-1, every state leaves an abandoned attempt, resets its sums behind it and says what it holds', (t) => {
  const visited = new Set<string>();
  for (const play of inEveryState(visited)) {
    const from = play.state;
    t.deepEqual(play.send('attempt.abandon', { attempt: 7 }), ['abandon', 'reset'], from);
    t.is(play.state, 'draining', from);
    t.like(play.context, { attempt: 7, opened: false, level: 0, received: [], totals: 0 }, from);
    t.is(play.context['loaded'], !from.startsWith('loading'), `${from}: half a state is none`);
    t.deepEqual(play.send('sums.reset', { attempt: 7 }), ['seatExperts', 'reportAbandoned'], from);
    t.is(play.state, 'abandoned');
  }
  const applying = voted(collecting({}, visited));
  applying.send('commit.decide');
  t.is(applying.state, 'applying');
  t.deepEqual(
    applying.send('attempt.abandon', { attempt: 7 }),
    ['setAside'],
    'a decision is carried out first',
  );
  t.deepEqual(applying.send('weights.applied'), ['publish', 'takeUp']);
  t.deepEqual(applying.send('attempt.abandon', { attempt: 7 }), ['abandon', 'reset']);
  t.is(applying.context['version'], 1);
  const passedThrough = ['loading.choosing', 'loading.rounding'];
  t.deepEqual(
    [...new Set([...visited, ...passedThrough])].toSorted(),
    leafStates(optimizerMachine).toSorted(),
  );
});

test('optimizer: after an abandoned attempt a shard keeps its state, sends it, gets it from a peer or loads it anew', (t) => {
  const abandoned = (input: OptimizerInput = fresh): Play => {
    const play = input.joins ? new Play(optimizerMachine, input) : collecting(input);
    play.send('attempt.abandon', { attempt: 2 });
    play.send('sums.reset', { attempt: 2 });
    return play;
  };
  const kept = abandoned();
  t.deepEqual(kept.send('shard.send'), ['sendState']);
  t.deepEqual(kept.send('shard.keep'), ['roundWeights', 'publishFirst', 'reportLoaded', 'takeUp']);
  t.deepEqual(
    kept.send('step.open', open(1, 2)),
    [],
    'the attempt is known: nothing is reset under what has come',
  );

  const joined = abandoned({ ...fresh, joins: true });
  t.deepEqual(joined.send('state.slice', { ...slice(0, 10), version: 6 }), ['acceptState']);
  t.is(joined.state, 'loading.copying');
  t.deepEqual(joined.send('state.slice', { ...slice(10, 40), version: 6 }), [
    'acceptState',
    'roundWeights',
    'publishFirst',
    'reportLoaded',
    'takeUp',
  ]);
  t.like(joined.context, { version: 6, loaded: true });

  const restored = abandoned();
  t.deepEqual(restored.send('shard.restore', { version: 4, body: { source: 'snapshot' } }), ['askSlices']);
  for (let piece = 0; piece < 3; piece++) restored.send('slices.found');
  t.like(restored.context, { version: 4, loaded: true });
  t.is(restored.state, 'collecting');

  const drawn = abandoned({ ...read, joins: true });
  t.deepEqual(drawn.send('shard.restore', { version: 0, body: { source: 'seed' } }), ['initialise']);
  t.deepEqual(drawn.send('parameters.initialised'), ['publishFirst', 'reportLoaded', 'takeUp']);
});

test('optimizer: each state accepts what belongs to it and refuses the rest', (t) => {
  const always = [
    'gradient.added',
    'sums.reset',
    'attempt.abandon',
    'shard.send',
    'ward.kept',
    'weights.spread',
  ];
  const expectOnly = (play: Play, state: string, types: readonly string[]): void => {
    t.is(play.state, state);
    t.deepEqual(acceptedOf(play, kinds, slice(0, 1)).toSorted(), [...always, ...types].toSorted(), state);
  };
  const play = new Play(optimizerMachine, fresh);
  expectOnly(play, 'loading.drawing', ['parameters.initialised', 'gradient.add', 'step.open']);
  expectOnly(new Play(optimizerMachine, read), 'loading.reading', [
    'slices.found',
    'ask.failed',
    'gradient.add',
    'step.open',
  ]);
  play.send('parameters.initialised');
  expectOnly(play, 'collecting', [
    'step.open',
    'gradient.add',
    'gradient.total',
    'snapshot.take',
    'experts.move',
    'experts.state',
  ]);
  play.send('step.open', open(1));
  play.send('gradient.add', slice(0, 20));
  expectOnly(play, 'measuring', ['norm.measured', 'gradient.add', 'gradient.total']);
  play.send('norm.measured');
  // Only a replay opens a step that has been voted for.
  expectOnly(play, 'voted', ['commit.decide', 'gradient.add']);
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
      t.deepEqual(play.send('norm.measured'), ['shareTotal', 'guardSum', 'vote']);
    }),
  );
});

test('optimizer: OPT-1, the sum of a group is passed on once, behind all that the device has to add', (t) => {
  const play = collecting({ expected: [20, 10, 5] });
  const at = (level: number, to: number) => ({ ...slice(0, to), body: { from: 0, to, level } });
  t.deepEqual(play.send('gradient.add', at(1, 10)), ['add'], 'another group may be faster');
  t.deepEqual(play.send('gradient.add', at(0, 20)), ['add']);
  t.deepEqual(play.send('step.open', open(1)), ['settle']);
  t.is(play.state, 'passing');
  t.deepEqual(play.send('gradient.add', at(2, 3)), ['add']);
  t.deepEqual(play.send('sums.settled'), ['passOn', 'takeUp', 'settle'], 'the second level was complete');
  t.is(play.context['level'], 1);
  t.deepEqual(play.send('sums.settled'), ['passOn', 'takeUp']);
  t.is(play.state, 'collecting');
  t.deepEqual(play.send('gradient.add', at(2, 2)), ['add', 'measureNorm']);
});

test('optimizer: OPT-2, a decision is applied once and the version rises by one', (t) => {
  const play = voted(collecting());
  t.deepEqual(play.send('commit.decide'), ['apply']);
  t.is(play.state, 'applying');
  t.false(play.accepts('commit.decide'), 'a second decision has no state');
  t.is(play.context['version'], 0);
  t.deepEqual(play.send('weights.applied'), ['publish', 'takeUp']);
  t.is(play.context['version'], 1);
  t.deepEqual(play.send('commit.decide'), [], 'one that is at the next version already ignores the decision');
  t.false(play.accepts('commit.decide', { version: 1 }), 'nothing was voted for');
  t.false(play.accepts('weights.applied'));
});

test('optimizer: OPT-3, gradients of the next step wait until this one is applied', (t) => {
  const play = collecting();
  t.deepEqual(play.send('gradient.add', slice(0, 20, 2)), ['setAside']);
  play.send('step.open', open(1));
  t.deepEqual(play.context['received'], []);
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

test('optimizer: OPT-2, with whole copies (ZeRO 0) the vote waits for the sums of the peers, which may come first', (t) => {
  const events = [
    { type: 'norm.measured', fields: {} },
    { type: 'gradient.total', fields: slice(20, 30) },
    { type: 'gradient.total', fields: slice(30, 40) },
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray(events, { minLength: 3 }), (order) => {
      const play = collecting({ expectedTotals: 20 });
      play.send('step.open', open(1));
      play.send('gradient.add', slice(0, 20));
      order.forEach(({ type, fields }, index) => {
        t.is(play.send(type, fields).includes('vote'), index === order.length - 1);
      });
      t.is(play.state, 'voted');
    }),
  );
});

test('optimizer: a replay starts the sums anew and needs every slice again', (t) => {
  const play = voted(collecting());
  t.deepEqual(play.send('step.open', open(1, 2)), ['reset', 'takeUp']);
  t.is(play.state, 'collecting');
  t.like(play.context, { attempt: 2, level: 0, received: [], totals: 0, version: 0 });
  t.deepEqual(play.send('gradient.add', { ...slice(0, 19), attempt: 2 }), ['add']);
  t.is(play.state, 'collecting');
  t.deepEqual(play.send('gradient.add', { ...slice(19, 20), attempt: 2 }), ['add', 'measureNorm']);
});

test('optimizer: OPT-2, in buckets every level is complete at once, and completions are answered in any state', (t) => {
  const play = collecting({ inBuckets: true, expected: [40, 20] });
  play.send('step.open', open(1));
  t.deepEqual(play.send('gradient.add', slice(0, 20)), ['add']);
  const sum = (from: number, to: number) => ({ step: 1, body: { from, to, level: 1 } });
  t.deepEqual(play.send('gradient.add', sum(0, 20)), ['add']);
  t.is(play.state, 'collecting', 'another microbatch comes at the first level');
  t.deepEqual(play.send('gradient.added', slice(0, 20)), ['answerAdded']);
  t.deepEqual(play.send('gradient.add', slice(0, 20)), ['add', 'measureNorm']);
  t.deepEqual(play.send('gradient.added', slice(0, 20)), ['answerAdded']);
  t.deepEqual(play.send('gradient.taken', sum(0, 20)), ['freeSum']);
  t.is(play.state, 'measuring');
});

test('optimizer: REP-3, weights are given of the version that is here; a question about the next one waits for it', (t) => {
  const ask = (version: number) => ({ version, body: { from: 0, to: 10 } });
  const early = new Play(optimizerMachine, fresh);
  t.deepEqual(early.send('weights.ask', ask(0)), ['setAside'], 'nothing is here yet');
  const play = collecting();
  t.deepEqual(play.send('weights.ask', ask(0)), ['giveWeights']);
  t.deepEqual(play.send('weights.ask', ask(1)), ['setAside']);
  voted(play);
  t.deepEqual(play.send('weights.ask', ask(0)), ['giveWeights']);
  play.send('commit.decide', { step: 1, body: { apply: true } });
  t.deepEqual(play.send('weights.ask', ask(1)), ['setAside'], 'it is being written');
  t.deepEqual(play.send('weights.applied', { step: 1 }), ['publish', 'takeUp']);
  t.deepEqual(play.send('weights.ask', ask(1)), ['giveWeights']);
});

test('optimizer: takes a snapshot between steps', (t) => {
  const play = collecting();
  t.deepEqual(play.send('snapshot.take'), ['snapshot']);
  t.is(play.state, 'collecting');
});

test('optimizer: MOV-1, experts come between steps and sit here in the attempt that follows, rounded first', (t) => {
  const play = collecting({ rounds: true });
  t.deepEqual(play.send('experts.state', slice(0, 10)), ['stageExperts'], 'a faster shard was told before');
  t.deepEqual(play.send('experts.move'), ['moveExperts']);
  t.is(play.state, 'collecting');
  t.deepEqual(play.send('attempt.abandon', { attempt: 2 }), ['abandon', 'reset']);
  t.deepEqual(play.send('sums.reset', { attempt: 2 }), ['seatExperts', 'reportAbandoned']);
  t.deepEqual(play.send('shard.keep'), ['roundWeights']);
  t.deepEqual(play.send('weights.rounded'), ['publishFirst', 'reportLoaded', 'takeUp']);
  t.false(voted(play).accepts('experts.move'), 'not while a step is open');
});

test('optimizer: BUD-1, a shard is loaded and votes once its buddy holds the same', (t) => {
  const guarded = { ...fresh, guarded: 40, expected: [40] };
  const play = new Play(optimizerMachine, guarded);
  t.deepEqual(play.send('parameters.initialised'), ['publishFirst']);
  t.is(play.state, 'publishing');
  t.deepEqual(play.send('ward.kept', slice(0, 30)), []);
  t.deepEqual(play.send('ward.kept', slice(30, 40)), ['reportLoaded', 'takeUp']);
  play.send('step.open', open(1));
  play.send('gradient.add', slice(0, 40));
  t.deepEqual(play.send('norm.measured'), ['shareTotal', 'guardSum']);
  t.is(play.state, 'gathering');
  t.deepEqual(play.send('ward.kept', slice(10, 40)), []);
  t.deepEqual(play.send('ward.kept', slice(0, 10)), ['vote']);
  t.deepEqual(play.send('step.open', open(1, 2)), ['reset', 'takeUp']);
  play.send('gradient.add', { ...slice(0, 40), attempt: 2 });
  play.send('norm.measured', { attempt: 2 });
  t.is(play.state, 'gathering', 'a replay needs the buddy again');
});

test('optimizer: BUD-1, under ZeRO 0 a copy may have parts of others before the own sum is complete', (t) => {
  const guarded = { ...fresh, guarded: 40, expected: [10], expectedTotals: 30 };
  const play = new Play(optimizerMachine, guarded);
  play.send('parameters.initialised');
  play.send('ward.kept', slice(0, 40));
  play.send('step.open', open(1));
  t.deepEqual(play.send('gradient.total', slice(10, 40)), ['acceptTotal']);
  t.deepEqual(play.send('ward.kept', slice(10, 40)), []);
  play.send('gradient.add', slice(0, 10));
  play.send('norm.measured');
  t.is(play.state, 'gathering');
  t.deepEqual(play.send('ward.kept', slice(0, 10)), ['vote']);
});
