import { address, type Address } from '@troupe/core';
import test from 'ava';
import fc from 'fast-check';
import { Layout, resolveTopology } from '@troupe/topology';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import type { TrainerInput } from './context.ts';
import { fencedByTrainer } from './events.ts';
import { trainerMachine } from './machine.ts';
import type { Votes } from '../votes.ts';

const kinds = [
  'machine.loaded',
  'machine.counted',
  'machine.measured',
  'machine.balanced',
  'machine.voted',
  'machine.applied',
  'machine.evaluated',
  'checkpoint.written',
  'checkpoint.failed',
  'run.stop',
  'worker.down',
  'worker.up',
  'machine.down',
  'machine.up',
  'link.down',
  'machine.abandoned',
  'checkpoint.settled',
  'snapshot.found',
  'ask.failed',
  'experts.dealt',
  'machine.staged',
  'gradient.vote',
  'decision.recorded',
  'decision.unrecorded',
  'lead.claimed',
  'lead.unclaimed',
  'step.open',
  'rows.return',
] as const;
/** What every state accepts: feeders are a step ahead, a checkpoint ends when it ends, and stops and losses may come at any time. */
const always = [
  'machine.counted',
  'run.stop',
  'worker.down',
  'worker.up',
  'machine.down',
  'machine.up',
  'link.down',
  'checkpoint.written',
  'checkpoint.failed',
];

/** Two machines with a worker each, without experts, so that every worker has one shard and holds what the other does. */
const layout = new Layout(
  resolveTopology({
    model: { layers: 1, moe: null },
    parallel: { dp: 2, ep: 1, zero: 0 },
    machines: [
      { host: 'h0', devices: ['cpu:0'] },
      { host: 'h1', devices: ['cpu:0'] },
    ],
  }),
);
const agents = [address('agent/m0'), address('agent/m1')];
const store = address('store/m0');
const input: TrainerInput = {
  step: 0,
  agents: { all: agents, feeding: agents, computing: agents, voting: agents, holding: agents },
  store,
  stopAfter: 3,
  maxSkipped: 10,
  records: false,
  takesOver: false,
  schedule: { steps: 100, evaluateEvery: -1, checkpointEvery: -1 },
  layout,
  restartsFromBeginning: true,
  serves: false,
};

type Sent = readonly [string, Parameters<Play['send']>[1]?];
const send = (play: Play, events: readonly Sent[]): readonly string[] =>
  events.flatMap(([type, fields]) => play.send(type, fields));

const from = (type: string, who: readonly Address[], fields: object = {}): readonly Sent[] =>
  who.map((each) => [type, { from: each, ...fields }] as const);
const counts = (step: number): readonly Sent[] => from('machine.counted', agents, { step });
const vote = (overflow = false, norm = 1n) => ({
  body: { overflow, kernelMs: 0 },
  tensors: { norm128: BigInt64Array.of(norm, 0n) },
});
const measures = from('machine.measured', agents);
const votesAndMeasures = [...measures, ...from('machine.voted', agents, vote())];
/** As many answers; the gradients of the last machine are not finite. */
const badVotes = [
  ...from('machine.voted', agents.slice(1), vote(true)),
  ...from('machine.voted', agents.slice(0, 1), vote()),
];
const applied = from('machine.applied', agents);
const lost = (dp: number): Sent => [
  'worker.down',
  { body: { worker: dp, node: `worker/${dp}`, sentence: 'gone' } },
];
const joined = (dp: number): Sent => ['worker.up', { body: { worker: dp } }];
const machineLost: Sent = ['machine.down', { body: { machine: 1, node: 'machine/1', sentence: 'gone' } }];
const machineJoined: Sent = ['machine.up', { body: { machine: 1 } }];
const broken: Sent = ['link.down', { body: { node: 'worker/1', sentence: 'broken' } }];
/** The one shard of each machine holds this version, or nothing. */
const abandoned = (version: number, loaded = true, who = [0, 1]): readonly Sent[] =>
  who.map((machine) => [
    'machine.abandoned',
    {
      from: agents[machine]!,
      body: { machine },
      tensors: { versions_N: Int32Array.of(loaded ? version : -1) },
    },
  ]);
const settled: Sent = ['checkpoint.settled', { from: store }];

/** A trainer whose first step is open. */
function training(changes: Partial<TrainerInput> = {}, visited = new Set<string>()): Play {
  const play = new Play(trainerMachine, { ...input, ...changes }, visited);
  send(play, [...counts((play.context['step'] as number) + 1), ...from('machine.loaded', agents)]);
  return play;
}

/** Everything from votes to commit. */
const commit = (play: Play): readonly string[] => send(play, [...votesAndMeasures, ...applied]);

/** Evaluation and checkpoint after step 1, then no more for long. */
const due = { schedule: { steps: 1, evaluateEvery: 0, checkpointEvery: 1 } };
const dealt = { steps: 100, evaluateEvery: -1, checkpointEvery: -1, dealEvery: 1 };
const saving = { schedule: { steps: 100, evaluateEvery: -1, checkpointEvery: 0 } };

test('trainer: a run passes by every state, each of which refuses what it does not wait for', (t) => {
  const visited = new Set<string>();
  const play = new Play(trainerMachine, { ...input, stopAfter: 2, ...due }, visited);
  const expectOnly = (state: string, types: readonly string[]): void => expectOf(play, state, types);
  const expectOf = (each: Play, state: string, types: readonly string[]): void => {
    t.is(each.state, state);
    t.deepEqual(
      acceptedOf(each, kinds, { body: { worker: 0, machine: 0 } }).toSorted(),
      [...new Set([...always, ...types])].toSorted(),
      state,
    );
  };
  t.deepEqual(play.first, ['start']);
  expectOnly('loading', ['machine.loaded']);
  send(play, from('machine.loaded', agents));
  expectOnly('choosing', []);
  t.deepEqual(send(play, counts(1)), ['recordCount', 'recordCount', 'open']);
  expectOnly('training', ['machine.measured', 'machine.balanced', 'machine.voted']);
  t.deepEqual(send(play, votesAndMeasures), [
    'recordMeasure',
    'recordMeasure',
    'recordVote',
    'recordVote',
    'decide',
    'send',
  ]);
  expectOnly('committing', ['machine.applied']);
  t.deepEqual(send(play, applied), ['heardApplied', 'heardApplied', 'report', 'evaluate']);
  expectOnly('evaluating', ['machine.evaluated']);
  t.deepEqual(send(play, from('machine.evaluated', agents)), [
    'recordEvaluation',
    'recordEvaluation',
    'reportEvaluation',
    'checkpoint',
  ]);
  expectOnly('checkpointing', []);
  t.deepEqual(play.send('checkpoint.written'), ['reportCheckpoint']);
  expectOnly('choosing', []);
  t.deepEqual(send(play, counts(2)), ['recordCount', 'recordCount', 'open']);
  t.deepEqual(commit(play).slice(-2), ['report', 'checkpoint'], 'the end is saved');
  t.deepEqual(play.send('checkpoint.written'), ['reportCheckpoint', 'finish']);
  expectOnly('closing', []);

  const recording = training({ records: true }, visited);
  t.deepEqual(send(recording, votesAndMeasures).slice(-2), ['decide', 'record']);
  expectOf(recording, 'recording', ['decision.recorded', 'decision.unrecorded']);
  t.deepEqual(recording.send('decision.recorded'), ['send']);
  t.is(recording.state, 'committing');

  const failing = training({ stopAfter: 1, ...saving }, visited);
  commit(failing);
  t.deepEqual(failing.send('checkpoint.failed'), ['failCheckpoint']);
  t.is(failing.state, 'failed');

  for (const version of [0, 9]) {
    const struck = training({}, visited);
    send(struck, [lost(1), joined(1), settled, ...abandoned(version)]);
    t.is(struck.state, version === 0 ? 'recovering.rebuilding' : 'recovering.seeking');
    if (version !== 0) struck.send('snapshot.found', { body: { exists: true } });
    send(struck, from('machine.loaded', agents));
    t.is(struck.state, 'choosing');
  }
  const dealing = training({ schedule: dealt }, visited);
  t.is(commit(dealing).at(-1), 'deal');
  expectOf(dealing, 'dealing', ['experts.dealt']);
  t.deepEqual(dealing.send('experts.dealt', { body: { moves: true } }), ['moveExperts']);
  expectOf(dealing, 'moving', ['machine.staged']);
  const serving = training({ serves: true, stopAfter: 0 }, visited);
  t.is(serving.state, 'serving');
  t.deepEqual(serving.send('prompt.put', {}), ['ask']);
  t.is(serving.state, 'answering');
  t.deepEqual(send(serving, from('machine.answered', agents)), [
    'recordLogits',
    'recordLogits',
    'answerQuestion',
    'serve',
  ]);
  t.deepEqual(serving.send('run.stop'), ['finish']);
  const taking = new Play(trainerMachine, { ...input, takesOver: true }, visited);
  t.deepEqual(taking.first, ['claim']);
  expectOf(taking, 'takingOver.claiming', ['lead.claimed', 'lead.unclaimed']);
  t.deepEqual(taking.send('lead.claimed', { body: { records: [] } }), ['askAgents']);
  expectOf(taking, 'takingOver.asking', []);
  const passedThrough = ['beginning', 'committed', 'recovering.recovered', 'takingOver.resuming'];
  t.deepEqual([...visited, ...passedThrough].toSorted(), leafStates(trainerMachine).toSorted());
});

test('trainer: TRN-1, decides once, when the last vote or measure is there, in any order', (t) => {
  fc.assert(
    fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (order) => {
      const play = training();
      const actions = order.map((index) => send(play, [votesAndMeasures[index]!]));
      t.deepEqual(
        actions.map((each) => each.includes('decide')),
        [false, false, false, true],
      );
      t.false(play.accepts('machine.voted'), 'a decision is never taken back');
      t.false(play.accepts('machine.measured'));
    }),
  );
});

test('trainer: TRN-1, a machine that has voted has still to measure', (t) => {
  const play = training();
  t.false(send(play, [...from('machine.voted', agents, vote()), ...measures.slice(1)]).includes('decide'));
  t.true(send(play, measures.slice(0, 1)).includes('decide'));
});

test('trainer: TRN-1, one that answers twice does not answer for another', (t) => {
  const play = training();
  const [first, ...rest] = votesAndMeasures;
  t.false(send(play, [first!, ...rest.slice(0, -1), first!]).includes('decide'));
  t.true(send(play, rest.slice(-1)).includes('decide'));
});

test('trainer: TRN-2, a step that is not finite is replayed once, whoever says so and whenever, and skipped when it repeats', (t) => {
  const answers = [...measures, ...badVotes];
  fc.assert(
    fc.property(
      fc.shuffledSubarray(answers, { minLength: answers.length }),
      fc.shuffledSubarray(answers, { minLength: answers.length }),
      (first, second) => {
        const play = training();
        const before = send(play, first);
        t.is(before.at(-1), 'replay');
        t.false(before.includes('decide'));
        t.is(play.state, 'training');
        t.like(play.context, { step: 1, attempt: 2, replayed: true });
        const after = send(play, second);
        t.is(after.at(-1), 'send');
        t.false(after.includes('replay'));
        t.true((play.context['votes'] as Votes).overflow);
      },
    ),
  );
});

test('trainer: TRN-2, a replay that is finite commits; attempts count on, so that what is left of the first stays behind', (t) => {
  const play = training();
  send(play, [...measures, ...badVotes]);
  send(play, counts(2));
  send(play, votesAndMeasures);
  t.deepEqual(
    play.context['votes'],
    { normSum: BigInt64Array.of(2n, 0n), overflow: false },
    'votes of the first attempt do not count',
  );
  send(play, applied);
  t.like(play.context, { step: 2, attempt: 2, replayed: false });
  t.is(play.state, 'training');
});

/** A step of which both attempts are not finite. */
const skip = (play: Play): readonly string[] => {
  const step = play.context['step'] as number;
  const bad = [...measures, ...badVotes];
  return send(play, [...bad, ...bad, ...applied, ...(play.state === 'failed' ? [] : counts(step + 1))]);
};

test('trainer: TRN-2, so many skipped steps in a row end the run; one that is not begins the count anew', (t) => {
  const play = training({ stopAfter: 100, maxSkipped: 3, ...saving });
  skip(play);
  skip(play);
  t.like(play.context, { step: 3, skipped: 2 });
  send(play, counts(4));
  commit(play);
  t.like(play.context, { step: 4, skipped: 0 });
  skip(play);
  skip(play);
  const bad = [...measures, ...badVotes];
  t.deepEqual(send(play, [...bad, ...bad, ...applied]).slice(-2), ['report', 'failDiverged']);
  t.is(play.state, 'failed');
  const patient = training({ stopAfter: 100, maxSkipped: 0 });
  for (let step = 0; step < 30; step++) t.false(skip(patient).includes('failDiverged'));
});

test('trainer: a checkpoint waits while steps are skipped, and is due after the next one that is not', (t) => {
  const play = training({
    stopAfter: 100,
    schedule: { steps: 100, evaluateEvery: -1, checkpointEvery: 2 },
  });
  send(play, counts(2));
  commit(play);
  t.false(skip(play).includes('checkpoint'), 'step 2 is due, and skipped');
  t.false(skip(play).includes('checkpoint'));
  t.like(play.context, { step: 4, saved: 0, proven: 0 });
  t.is(commit(play).at(-1), 'checkpoint', 'step 4');
  play.send('checkpoint.written', { step: 4 });
  send(play, counts(5));
  t.like(play.context, { step: 5, saved: 4, proven: 0 });
  skip(play);
  t.like(play.context, { step: 6, proven: 0 }, 'nothing says that the parameters of step 4 were good');
  send(play, counts(7));
  commit(play);
  t.is(play.state, 'checkpointing');
  t.like(play.context, { step: 6, proven: 4 });
});

test('trainer: TRN-3, nothing opens before evaluation and checkpoint of the commit are done', (t) => {
  const play = training({ schedule: { steps: 100, evaluateEvery: 1, checkpointEvery: 1 } });
  const actions = [...commit(play), ...send(play, [...counts(2), ...from('machine.evaluated', agents)])];
  t.false(actions.includes('open'));
  t.deepEqual(play.send('checkpoint.written', { step: 1 }), ['reportCheckpoint', 'open']);
});

test('trainer: a step opens when its batch is counted on every machine, even when they are ahead or count twice', (t) => {
  const play = training();
  t.deepEqual(send(play, counts(2)), ['recordCount', 'recordCount'], 'counts of step 2 while step 1 runs');
  t.deepEqual(commit(play).slice(-2), ['report', 'open']);
  t.is(play.context['step'], 2);
  commit(play);
  t.is(play.state, 'choosing', 'step 3 is not counted yet');
  const [one, other] = counts(3);
  send(play, [one!, one!]);
  t.is(play.state, 'choosing');
  send(play, [other!]);
  t.is(play.state, 'training');
});

test('trainer: a stop finishes the open step, saves where checkpoints are on, and ends', (t) => {
  for (const checkpoints of [false, true]) {
    const play = training({ ...(checkpoints ? saving : {}), stopAfter: 100 });
    t.deepEqual(play.send('run.stop'), []);
    t.is(play.state, 'training');
    t.is(commit(play).at(-1), checkpoints ? 'checkpoint' : 'finish');
    if (checkpoints) t.deepEqual(play.send('checkpoint.written'), ['reportCheckpoint', 'finish']);
    t.is(play.state, 'closing');
    t.is(play.context['step'], 1);
  }
});

test('trainer: a stop before the first step ends without one', (t) => {
  const play = new Play(trainerMachine, { ...input, ...saving, step: 5, stopAfter: 9 });
  play.send('run.stop');
  t.is(send(play, from('machine.loaded', agents)).at(-1), 'finish', 'what was loaded is saved already');
  t.is(play.state, 'closing');
});

test('trainer: a run that is told to stop between steps ends at once', (t) => {
  const play = training({ stopAfter: 100 });
  commit(play);
  t.is(play.state, 'choosing');
  t.deepEqual(play.send('run.stop'), ['finish']);
});

/** A trainer in each state in which something can be lost, and the last step that is committed there. */
function vulnerable(): readonly (readonly [Play, number])[] {
  const options = { ...due, stopAfter: 9 };
  const play = (): Play => training(options);
  const evaluating = play();
  commit(evaluating);
  const checkpointing = play();
  send(checkpointing, [...votesAndMeasures, ...applied, ...from('machine.evaluated', agents)]);
  const choosing = play();
  send(choosing, [
    ...votesAndMeasures,
    ...applied,
    ...from('machine.evaluated', agents),
    ['checkpoint.written', { step: 1 }],
  ]);
  const rebuilding = play();
  send(rebuilding, [lost(0), joined(0), settled, ...abandoned(0)]);
  const seeking = play();
  send(seeking, [lost(0), joined(0), settled, ...abandoned(0, false)]);
  const abandoning = play();
  send(abandoning, [lost(0)]);
  return [
    [new Play(trainerMachine, { ...input, ...options }), 0],
    [play(), 0],
    [evaluating, 1],
    [checkpointing, 1],
    [choosing, 1],
    [abandoning, 0],
    [rebuilding, 0],
    [seeking, 0],
  ];
}

test('trainer: TRN-4, TRN-5, a loss in any state goes back to the last commit under a new attempt', (t) => {
  for (const loss of [lost(1), broken, machineLost]) {
    for (const [play, step] of vulnerable()) {
      const state = play.state;
      const attempt = play.context['attempt'] as number;
      t.deepEqual(send(play, [loss]), ['reportLoss', 'abandon'], state);
      t.is(play.state, 'recovering.abandoning', state);
      t.like(play.context, { step, attempt: attempt + 1 }, state);
      t.is((play.context['versions'] as ReadonlyMap<string, number>).size, 0, 'everybody is asked again');
    }
  }
});

test('trainer: TRN-4, after the decision the shards that are left carry it out before the attempt is left', (t) => {
  const play = training();
  send(play, votesAndMeasures);
  t.deepEqual(send(play, [lost(1)]), ['reportLoss', 'forgetLost']);
  t.is(play.state, 'committing');
  t.deepEqual(
    send(play, applied.slice(0, 1)),
    ['heardApplied'],
    'what is left of the other machine answers too',
  );
  t.deepEqual(send(play, applied.slice(1)), ['heardApplied', 'report', 'abandon']);
  t.is(play.state, 'recovering.abandoning');
  t.like(play.context, { step: 1, attempt: 2 });
});

test('trainer: JRN-1, a decision is sent once it is on the disk; where it cannot be put there the run ends', (t) => {
  const play = training({ records: true });
  t.false(send(play, votesAndMeasures).includes('send'));
  t.is(play.state, 'recording');
  t.deepEqual(play.send('run.stop'), []);
  t.deepEqual(play.send('decision.recorded'), ['send']);
  t.deepEqual(send(play, applied).slice(-2), ['report', 'finish']);
  const full = training({ records: true });
  send(full, votesAndMeasures);
  t.deepEqual(full.send('decision.unrecorded'), ['failRecord']);
  t.is(full.state, 'failed');
});

test('trainer: JRN-1, TRN-4, who is lost on the way to the disk is not waited for, also when it is back', (t) => {
  const play = training({ records: true });
  send(play, votesAndMeasures);
  t.deepEqual(send(play, [lost(1), broken, joined(1)]), ['reportLoss', 'reportLoss']);
  t.is(play.state, 'recording', 'what is decided binds');
  t.deepEqual(play.send('decision.recorded'), ['send']);
  t.deepEqual(play.context['lostUnsent'], new Set([1]), 'its agent is told behind the decision');
  t.deepEqual(send(play, applied).slice(-2), ['report', 'abandon']);
  t.like(play.context, { step: 1, attempt: 2 });
  send(play, [
    settled,
    ...abandoned(1),
    ...from('machine.loaded', agents),
    ...counts(2),
    ...votesAndMeasures,
  ]);
  t.deepEqual(play.context['lostUnsent'], new Set());
});

test('trainer: TRN-4, after the decision nobody waits for a machine that is lost as a whole', (t) => {
  const play = training();
  send(play, votesAndMeasures);
  t.deepEqual(send(play, [machineLost]), ['reportLoss']);
  t.deepEqual(send(play, applied.slice(0, 1)), ['heardApplied', 'report', 'abandon']);
  t.like(play.context, { step: 1, attempt: 2 });
  t.deepEqual(send(play, [machineJoined]), ['abandonMachine'], 'its agent learns which attempt it is');
  t.deepEqual(send(play, [joined(1), settled, ...abandoned(1)]).slice(0, 1), ['abandonJoined']);
  t.is(play.state, 'recovering.rebuilding');
  t.is((play.context['down'] as Set<number>).size, 0);
  t.is((play.context['downMachines'] as Set<number>).size, 0);
});

test('trainer: TRN-4, where a connection breaks behind the decision it is said again to those who have not answered', (t) => {
  const play = training();
  send(play, [...votesAndMeasures, ...applied.slice(0, 1)]);
  t.deepEqual(send(play, [broken]), ['reportLoss', 'decideAgain']);
  t.is(play.state, 'committing');
  t.deepEqual(send(play, applied.slice(1)), ['heardApplied', 'report', 'abandon']);
});

test('trainer: TRN-5, nothing opens until the lost worker is back, all have left the attempt and all hold one version', (t) => {
  const play = training();
  send(play, [lost(1)]);
  send(play, [settled, ...abandoned(0, true, [0])]);
  t.is(play.state, 'recovering.abandoning');
  t.deepEqual(send(play, [joined(1)]), ['abandonJoined']);
  t.deepEqual(send(play, abandoned(0, false, [1])), ['heard', 'rebuild']);
  send(play, from('machine.loaded', agents.slice(0, 1)));
  t.is(play.state, 'recovering.rebuilding');
  t.deepEqual(send(play, from('machine.loaded', agents.slice(1))), ['heard', 'reportRecovered']);
  t.deepEqual(send(play, counts(1)).at(-1), 'open');
  t.like(play.context, { step: 1, attempt: 2, broken: false });
});

test('trainer: state that nobody holds comes from a snapshot, or from the seed where the run may begin anew', (t) => {
  const stateless = (changes: Partial<TrainerInput>): Play => {
    const play = training({ step: 4, stopAfter: 9, ...changes });
    send(play, [lost(1), joined(1), settled, ...abandoned(4, false)]);
    t.is(play.state, 'recovering.seeking');
    return play;
  };
  const back = stateless({});
  t.deepEqual(back.send('snapshot.found', { step: 2, body: { exists: true } }), ['restore']);
  t.like(back.context, { step: 2, saved: 2 });
  const anew = stateless({});
  t.deepEqual(anew.send('snapshot.found', { step: 0, body: { exists: false } }), ['restore']);
  const over = stateless({ restartsFromBeginning: false });
  t.deepEqual(over.send('snapshot.found', { step: 0, body: { exists: false } }), ['failRecovery']);
  t.is(over.state, 'failed');
  const unreadable = stateless({});
  t.deepEqual(unreadable.send('ask.failed'), ['failRecovery']);
});

test('trainer: what the commit made due is done once, also when a loss interrupts it', (t) => {
  const play = training({ ...due, stopAfter: 9 });
  commit(play);
  t.is(play.state, 'evaluating');
  send(play, [lost(1), joined(1), settled, ...abandoned(1)]);
  t.is(send(play, from('machine.loaded', agents)).at(-1), 'evaluate');
  t.is(send(play, from('machine.evaluated', agents)).at(-1), 'checkpoint');
  send(play, [lost(1), ['checkpoint.written', { step: 1 }], joined(1), settled, ...abandoned(1)]);
  send(play, from('machine.loaded', agents));
  t.is(play.state, 'choosing', 'the checkpoint was finished nevertheless');
});

test('trainer: MOV-2, experts move once all lie beside what is held; the attempt that follows opens the next step', (t) => {
  const play = training({ schedule: { ...dealt, dealEvery: 2 }, stopAfter: 9 });
  send(play, counts(2));
  t.false(commit(play).includes('deal'), 'step 1 is too early');
  t.is(commit(play).at(-1), 'deal');
  play.send('experts.dealt', { body: { moves: true } });
  t.deepEqual(send(play, from('machine.staged', agents.slice(0, 1))), []);
  t.deepEqual(send(play, from('machine.staged', agents.slice(1))), ['seatExperts', 'abandon']);
  t.like(play.context, { step: 2, attempt: 2, dealt: 2 });
  send(play, [settled, ...abandoned(2)]);
  t.deepEqual(send(play, from('machine.loaded', agents)).slice(-1), ['reportRecovered']);
  t.is(play.state, 'choosing');
  t.is(send(play, counts(3)).at(-1), 'open');
});

test('trainer: MOV-2, nobody moves where nothing is gained, at the end, or after a stop; a loss on the way begins anew', (t) => {
  const idle = training({ schedule: dealt, stopAfter: 9 });
  commit(idle);
  idle.send('experts.dealt', { body: { moves: false } });
  t.is(idle.state, 'choosing');
  t.like(idle.context, { dealt: 1, attempt: 1 });
  t.false(commit(training({ schedule: dealt, stopAfter: 1 })).includes('deal'));
  const stopped = training({ schedule: dealt, stopAfter: 9 });
  stopped.send('run.stop');
  t.false(commit(stopped).includes('deal'));

  const struck = training({ schedule: dealt, stopAfter: 9 });
  commit(struck);
  struck.send('experts.dealt', { body: { moves: true } });
  t.deepEqual(send(struck, [lost(1)]), ['reportLoss', 'abandon'], 'where they sit is decided by nobody');
  send(struck, [joined(1), settled, ...abandoned(1)]);
  t.is(send(struck, from('machine.loaded', agents)).at(-1), 'deal');
});

test('trainer: every answer of an attempt is behind its fence', (t) => {
  for (const type of [
    'machine.voted',
    'machine.measured',
    'machine.balanced',
    'machine.applied',
    'machine.loaded',
    'machine.abandoned',
    'snapshot.found',
    'experts.dealt',
    'machine.staged',
  ])
    t.true(fencedByTrainer.has(type), type);
  t.false(fencedByTrainer.has('checkpoint.written'));
});
