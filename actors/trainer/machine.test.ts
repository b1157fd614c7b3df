import test from 'ava';
import fc from 'fast-check';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { trainerMachine, type TrainerInput } from './machine.ts';

const kinds = [
  'shard.loaded',
  'batch.counted',
  'replica.measured',
  'balance.share',
  'gradient.vote',
  'commit.applied',
  'replica.evaluated',
  'snapshot.sent',
  'checkpoint.written',
  'checkpoint.failed',
  'run.stop',
  'step.open',
  'rows.return',
] as const;
/** What every state accepts: feeders are a step ahead, and a stop may come at any time. */
const always = ['batch.counted', 'run.stop'];

const input: TrainerInput = {
  step: 0,
  numShards: 2,
  numReplicas: 2,
  stopAfter: 3,
  finite: () => true,
  evaluationDue: () => false,
  checkpoints: false,
  checkpointDue: () => false,
};

const times = (count: number, type: string): readonly string[] => Array.from({ length: count }, () => type);

/** A trainer whose first step is open. */
function training(changes: Partial<TrainerInput> = {}, visited = new Set<string>()): Play {
  const play = new Play(trainerMachine, { ...input, ...changes }, visited);
  for (const type of [...times(2, 'batch.counted'), ...times(2, 'shard.loaded')]) play.send(type);
  return play;
}

const votesAndMeasures = [...times(2, 'replica.measured'), ...times(2, 'gradient.vote')];

/** Everything from votes to commit. */
function commit(play: Play): readonly string[] {
  return [...votesAndMeasures, ...times(2, 'commit.applied')].flatMap((type) => play.send(type));
}

test('trainer: a run passes by every state, each of which refuses what it does not wait for', (t) => {
  const visited = new Set<string>();
  const due = {
    evaluationDue: (step: number) => step === 1,
    checkpoints: true,
    checkpointDue: (step: number) => step === 1,
  };
  const play = new Play(trainerMachine, { ...input, stopAfter: 2, ...due }, visited);
  const expectOnly = (state: string, types: readonly string[]): void => {
    t.is(play.state, state);
    t.deepEqual(acceptedOf(play, kinds).toSorted(), [...always, ...types].toSorted(), state);
  };
  t.deepEqual(play.first, ['start']);
  expectOnly('loading', ['shard.loaded']);
  play.send('shard.loaded');
  play.send('shard.loaded');
  expectOnly('choosing', []);
  t.deepEqual(play.send('batch.counted'), ['recordCount']);
  t.deepEqual(play.send('batch.counted'), ['recordCount', 'open']);
  const collects = ['replica.measured', 'balance.share', 'gradient.vote'];
  expectOnly('training', collects);
  t.deepEqual(
    votesAndMeasures.flatMap((type) => play.send(type)),
    ['recordMeasure', 'recordMeasure', 'recordVote', 'recordVote', 'decide'],
  );
  expectOnly('committing', ['commit.applied']);
  t.deepEqual(
    times(2, 'commit.applied').flatMap((type) => play.send(type)),
    ['report', 'evaluate'],
  );
  expectOnly('evaluating', ['replica.evaluated']);
  t.deepEqual(
    times(2, 'replica.evaluated').flatMap((type) => play.send(type)),
    ['recordEvaluation', 'recordEvaluation', 'reportEvaluation', 'checkpoint'],
  );
  expectOnly('checkpointing', ['checkpoint.written', 'checkpoint.failed', 'snapshot.sent']);
  t.deepEqual(play.send('checkpoint.written'), ['reportCheckpoint']);
  expectOnly('choosing', []);
  play.send('batch.counted');
  t.deepEqual(play.send('batch.counted'), ['recordCount', 'open']);
  t.deepEqual(commit(play).slice(-2), ['report', 'checkpoint'], 'the end is saved');
  t.deepEqual(play.send('checkpoint.written'), ['reportCheckpoint', 'finish']);
  t.is(play.state, 'closing');

  const failing = training({ stopAfter: 1, checkpoints: true }, visited);
  commit(failing);
  t.deepEqual(failing.send('checkpoint.failed'), ['failCheckpoint']);
  t.is(failing.state, 'failed');
  t.deepEqual([...visited, 'committed', 'evaluated'].toSorted(), leafStates(trainerMachine).toSorted());
});

test('trainer: TRN-1, decides once, when the last vote or measure is there, in any order', (t) => {
  fc.assert(
    fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (order) => {
      const play = training();
      const actions = order.map((index) => play.send(votesAndMeasures[index] ?? ''));
      t.deepEqual(
        actions.map((each) => each.includes('decide')),
        [false, false, false, true],
      );
      t.false(play.accepts('gradient.vote'), 'a decision is never taken back');
      t.false(play.accepts('replica.measured'));
    }),
  );
});

test('trainer: TRN-2, a step that is not finite is replayed once and skipped when it repeats', (t) => {
  const play = training({ finite: () => false });
  const first = votesAndMeasures.flatMap((type) => play.send(type));
  t.is(first.at(-1), 'replay');
  t.false(first.includes('decide'));
  t.is(play.state, 'training');
  t.like(play.context, { step: 1, attempt: 2, votes: 0, measured: 0 });
  const second = votesAndMeasures.flatMap((type) => play.send(type));
  t.is(second.at(-1), 'decide');
  t.false(second.includes('replay'));
});

test('trainer: TRN-2, a replay that is finite commits, and the next step starts at attempt 1', (t) => {
  let finite = false;
  const play = training({ finite: () => finite });
  for (const type of votesAndMeasures) play.send(type);
  finite = true;
  play.send('batch.counted');
  play.send('batch.counted');
  commit(play);
  t.like(play.context, { step: 2, attempt: 1 });
  t.is(play.state, 'training');
});

test('trainer: TRN-3, nothing opens before evaluation and checkpoint of the commit are done', (t) => {
  const play = training({ evaluationDue: () => true, checkpoints: true, checkpointDue: () => true });
  const actions = [...commit(play)];
  for (const type of times(2, 'batch.counted')) actions.push(...play.send(type));
  actions.push(...play.send('replica.evaluated'), ...play.send('replica.evaluated'));
  t.false(actions.includes('open'));
  t.deepEqual(play.send('checkpoint.written'), ['reportCheckpoint', 'open']);
});

test('trainer: a step opens when its batch is counted by every feeder, even when they are ahead', (t) => {
  const play = training();
  for (const type of times(2, 'batch.counted'))
    t.deepEqual(play.send(type), ['recordCount'], 'counts of step 2 while step 1 runs');
  t.deepEqual(commit(play).slice(-2), ['report', 'open']);
  t.is(play.context['step'], 2);
  commit(play);
  t.is(play.state, 'choosing', 'step 3 is not counted yet');
});

test('trainer: a stop finishes the open step, saves where checkpoints are on, and ends', (t) => {
  for (const checkpoints of [false, true]) {
    const play = training({ checkpoints, stopAfter: 100 });
    t.deepEqual(play.send('run.stop'), []);
    t.is(play.state, 'training');
    t.is(commit(play).at(-1), checkpoints ? 'checkpoint' : 'finish');
    if (checkpoints) t.deepEqual(play.send('checkpoint.written'), ['reportCheckpoint', 'finish']);
    t.is(play.state, 'closing');
    t.is(play.context['step'], 1);
  }
});

test('trainer: a stop before the first step ends without one', (t) => {
  const play = new Play(trainerMachine, { ...input, checkpoints: true, step: 5, stopAfter: 9 });
  play.send('run.stop');
  play.send('shard.loaded');
  t.deepEqual(play.send('shard.loaded'), ['finish'], 'what was loaded is saved already');
  t.is(play.state, 'closing');
});

test('trainer: a run that is told to stop between steps ends at once', (t) => {
  const play = training({ stopAfter: 100 });
  commit(play);
  t.is(play.state, 'choosing');
  t.deepEqual(play.send('run.stop'), ['finish']);
});
