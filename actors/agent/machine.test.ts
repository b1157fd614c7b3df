import { address, type Address } from '@troupe/core';
import test from 'ava';
import fc from 'fast-check';
import { Layout, resolveTopology } from '@troupe/topology';
import { agentFor, crewOf, holdersOf, leaversOf } from '../crew.ts';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import type { Votes } from '../votes.ts';
import { fencedByAgent } from './events.ts';
import { LeadLives } from './lead-lives.ts';
import { agentMachine } from './machine.ts';

/** Two workers a machine; the copies of shards are on the other machine. */
const layout = new Layout(
  resolveTopology({
    model: { layers: 1, moe: { experts: 4 } },
    parallel: { dp: 4, ep: 2, zero: 1 },
    recovery: { buddies: true },
    machines: ['h0', 'h1'].map((host) => ({ host, devices: ['cpu:0', 'cpu:1'] })),
  }),
);
const crew = crewOf(layout, 1);
const shards = crew.shards.map((each) => each.address);
const stages = crew.stages.map((each) => each.address);
const holders = holdersOf(crew).map((each) => each.address);
const leavers = leaversOf(crew).map((each) => each.address);

type Sent = readonly [string, Parameters<Play['send']>[1]?];
const send = (play: Play, events: readonly Sent[]): readonly string[] =>
  events.flatMap(([type, fields]) => play.send(type, fields));
const from = (type: string, who: readonly Address[], fields: object = {}): readonly Sent[] =>
  who.map((each) => [type, { from: each, ...fields }] as const);
const counts = (step: number): readonly Sent[] => from('batch.counted', crew.feeders, { step });
const vote = (norm: bigint, overflow = false) => ({
  body: { overflow },
  tensors: { norm128: BigInt64Array.of(norm, 0n) },
});
const votes = from('gradient.vote', shards, vote(1n));
const measures = from('stage.measured', stages);
const openStep = (step: number, attempt = 1): Sent => ['step.open', { step, attempt }];
const leave = (attempt: number): Sent => ['attempt.leave', { attempt, body: { down: [], reason: 'a loss' } }];
const abandoned = from('attempt.abandoned', leavers, { version: 3, body: { loaded: true } });

const kinds = [
  'batch.prefetch',
  'batch.counted',
  'experts.measured',
  'step.open',
  'gradient.vote',
  'stage.measured',
  'balance.share',
  'balance.shared',
  'commit.decide',
  'commit.applied',
  'commit.forget',
  'evaluation.open',
  'stage.evaluated',
  'generation.open',
  'generation.logits',
  'experts.move',
  'experts.staged',
  'snapshot.take',
  'attempt.leave',
  'attempt.join',
  'attempt.abandoned',
  'shard.keep',
  'shard.send',
  'shard.restore',
  'shard.loaded',
  'machine.describe',
  'system.described',
  'ask.failed',
  'worker.joined',
  'link.lost',
  'link.unreached',
  'worker.stuck',
  'actor.failed',
  'rows.return',
] as const;
/** Feeders are ahead, kernels are counted late, and something may be lost, or be looked at, at any time. */
const always = [
  'batch.prefetch',
  'batch.counted',
  'experts.measured',
  'attempt.leave',
  'commit.forget',
  'machine.describe',
  'system.described',
  'ask.failed',
  'worker.joined',
  'link.lost',
  'link.unreached',
  'worker.stuck',
  'actor.failed',
];

/** An agent between steps. */
function waiting(visited = new Set<string>()): Play {
  const play = new Play(agentMachine, { crew, joins: false }, visited);
  send(play, from('shard.loaded', shards));
  return play;
}
function stepping(visited = new Set<string>()): Play {
  const play = waiting(visited);
  send(play, [openStep(1)]);
  return play;
}

test('agent: AGT-1, of every machine exactly those who live there, and of all machines together all of the run', (t) => {
  const crews = [0, 1].map((machine) => crewOf(layout, machine));
  t.deepEqual(
    crews.map((each) => each.nodes.map(Number)),
    [
      [0, 1],
      [2, 3],
    ],
  );
  t.is(new Set(crews.flatMap((each) => each.shards.map(({ address: name }) => name))).size, 8);
  for (const each of crews)
    for (const { worker } of leaversOf(each)) t.is(layout.machineOf(worker), each.machine);
  t.deepEqual(crewOf(layout, 1), crew, 'asked again, the same in the same order');
});

test('agent: passes by every state, each of which refuses what it does not wait for', (t) => {
  const visited = new Set<string>();
  const play = new Play(agentMachine, { crew, joins: false }, visited);
  const expectOnly = (state: string, types: readonly string[]): void => {
    t.is(play.state, state);
    const fields = { body: { worker: 2 }, tensors: { norm128: new BigInt64Array(2) } };
    t.deepEqual(
      acceptedOf(play, kinds, fields).toSorted(),
      [...new Set([...always, ...types])].toSorted(),
      state,
    );
  };
  t.deepEqual(play.first, ['awaitLoading']);
  expectOnly('loading', ['shard.loaded']);
  t.is(send(play, from('shard.loaded', shards)).at(-1), 'reportLoaded');
  const between = [
    'step.open',
    'commit.decide',
    'evaluation.open',
    'generation.open',
    'experts.move',
    'snapshot.take',
    'shard.keep',
    'shard.send',
  ];
  expectOnly('waiting', between);
  t.deepEqual(send(play, [openStep(1)]), ['openStep']);
  expectOnly('stepping', ['gradient.vote', 'stage.measured', 'balance.share', 'balance.shared']);
  send(play, [...votes, ...measures]);
  expectOnly('waiting', between);
  t.deepEqual(play.send('commit.decide', { step: 1 }), ['decide']);
  expectOnly('committing', ['commit.applied', 'commit.decide']);
  t.is(send(play, from('commit.applied', holders)).at(-1), 'reportApplied');
  for (const [open, state, answer, who] of [
    ['evaluation.open', 'evaluating', 'stage.evaluated', stages],
    ['generation.open', 'answering', 'generation.logits', stages],
    ['experts.move', 'moving', 'experts.staged', holders],
  ] as const) {
    play.send(open, { step: 1 });
    expectOnly(state, [answer]);
    send(play, from(answer, who));
    expectOnly('waiting', between);
  }
  t.deepEqual(send(play, [leave(2)]), ['leave']);
  expectOnly('leaving', ['attempt.join', 'attempt.abandoned']);
  t.is(send(play, abandoned).at(-1), 'reportAbandoned');
  expectOnly('returning', ['shard.keep', 'shard.send', 'shard.restore', 'shard.loaded']);
  send(play, from('shard.loaded', shards));
  expectOnly('waiting', between);
  t.is(new Play(agentMachine, { crew, joins: true }, visited).state, 'joining');
  t.deepEqual([...visited, 'beginning'].toSorted(), leafStates(agentMachine).toSorted());
});

test('agent: AGT-2, votes and measures go up once each, when the last of the machine has answered, in any order', (t) => {
  const answers = [...votes, ...measures];
  fc.assert(
    fc.property(fc.shuffledSubarray(answers, { minLength: answers.length }), (order) => {
      const play = stepping();
      const seen = order.map((each) => send(play, [each]));
      const times = (action: string): number => seen.flat().filter((each) => each === action).length;
      t.deepEqual([times('reportVotes'), times('reportMeasures'), times('endStep')], [1, 1, 1]);
      const lastOf = (type: string): number => order.findLastIndex(([each]) => each === type);
      t.true(seen[lastOf('gradient.vote')]?.includes('reportVotes'));
      t.true(seen[lastOf('stage.measured')]?.includes('reportMeasures'));
      t.is((play.context['votes'] as Votes).normSum[0], BigInt(shards.length));
    }),
  );
});

test('agent: AGT-2, one that answers twice does not answer for another', (t) => {
  const play = stepping();
  const [first, ...rest] = votes;
  t.false(send(play, [first!, ...rest.slice(0, -1), first!]).includes('reportVotes'));
  t.true(send(play, rest.slice(-1)).includes('reportVotes'));
});

test('agent: AGT-2, one bad vote makes those of the machine bad', (t) => {
  const play = stepping();
  send(play, [...votes.slice(1), ...from('gradient.vote', shards.slice(0, 1), vote(1n, true))]);
  t.true((play.context['votes'] as Votes).overflow);
});

test('agent: a step is counted when all feeders of the machine have, and again when it is asked for again', (t) => {
  const play = stepping();
  t.deepEqual(play.send('batch.prefetch', { step: 2 }), ['prefetch']);
  t.deepEqual(send(play, counts(2)), ['keepCount', 'keepCount', 'reportCount']);
  t.deepEqual(send(play, counts(2)), ['keepCount', 'keepCount'], 'nobody asked');
  play.send('batch.prefetch', { step: 2 });
  t.is(send(play, counts(2)).at(-1), 'reportCount');
  send(play, [...votes, ...measures, ['commit.decide', { step: 1 }], ...from('commit.applied', holders)]);
  send(play, [openStep(2)]);
  t.deepEqual(
    [...(play.context['uncounted'] as Map<number, unknown>).keys()],
    [],
    'of an open step nothing is kept',
  );
});

test('agent: AGT-3, a new attempt begins with nothing counted; attempts of the agent never fall', (t) => {
  const play = stepping();
  send(play, votes.slice(1));
  send(play, [leave(4), ...abandoned, ...from('shard.loaded', shards), openStep(1, 4)]);
  t.false(send(play, votes.slice(0, 1)).includes('reportVotes'));
  t.is((play.context['votes'] as Votes).normSum[0], 1n);
  send(play, [leave(3)]);
  t.is(play.context['attempt'], 4);
});

test('agent: AGT-3, one that takes the place of a lost one is in no attempt before it is told which, and passes it on to who joins', (t) => {
  const play = new Play(agentMachine, { crew, joins: true });
  t.is(play.state, 'joining');
  t.is(
    play.context['attempt'],
    Number.POSITIVE_INFINITY,
    'so that everything of an attempt is behind its fence',
  );
  t.deepEqual(acceptedOf(play, kinds, { body: { worker: 2 } }).toSorted(), always.toSorted());
  t.deepEqual(play.send('worker.joined', { body: { node: 'worker/2', incarnation: 2 } }), ['passJoined']);
  t.is((play.context['lives'] as Map<string, number>).get('worker/2'), 2);
  t.deepEqual(send(play, [leave(7)]), ['leave']);
  t.is(play.context['attempt'], 7);
  t.deepEqual(play.send('attempt.join', { attempt: 7, body: { worker: 2 } }), ['join']);
  t.is(send(play, abandoned).at(-1), 'reportAbandoned');
});

test('agent: AGT-3, what a loss interrupts is begun anew in any state', (t) => {
  for (const before of [
    [],
    [openStep(1)],
    [openStep(1), ...votes, ...measures, ['commit.decide', { step: 1 }]],
    [['evaluation.open', { step: 1 }]],
    [['experts.move', { step: 1 }]],
    [leave(2), ...abandoned.slice(1)],
    [leave(2), ...abandoned],
  ] as readonly (readonly Sent[])[]) {
    const play = waiting();
    send(play, before);
    t.deepEqual(send(play, [leave(5)]), ['leave'], play.state);
    t.is(play.state, 'leaving');
    t.is((play.context['versions'] as Map<Address, number>).size, 0);
    t.is(send(play, abandoned).at(-1), 'reportAbandoned', 'all are asked again');
  }
});

test('agent: AGT-1, while a decision is carried out nobody waits for what was on a lost worker, and all that is left answers', (t) => {
  const [gone] = crew.nodes;
  const left = holdersOf(crew).flatMap((each) => (each.worker === gone ? [] : [each.address]));
  const committing = (): Play => {
    const play = stepping();
    send(play, [...votes, ...measures, ['commit.decide', { step: 1 }]]);
    return play;
  };
  const forget: Sent = ['commit.forget', { body: { worker: gone } }];
  const play = committing();
  t.deepEqual(send(play, [forget]), ['forget']);
  t.is(send(play, from('commit.applied', left)).at(-1), 'reportApplied');
  const late = committing();
  send(late, from('commit.applied', left));
  t.deepEqual(send(late, [forget]), ['forget', 'reportApplied'], 'nobody else is awaited');
  t.deepEqual(send(waiting(), [forget]), [], 'all had answered');
});

test('agent: shards that get their state from elsewhere may have it before the trainer says that others keep theirs', (t) => {
  const play = waiting();
  send(play, [leave(2), ...abandoned]);
  t.is(send(play, from('shard.loaded', shards)).at(-1), 'reportLoaded');
  t.deepEqual(play.send('shard.keep', { attempt: 2 }), []);
  t.is(play.state, 'waiting');
});

test('agent: every answer of an attempt is behind its fence, and feeders, which know of none, are not', (t) => {
  for (const kind of ['gradient.vote', 'stage.measured', 'commit.applied', 'attempt.abandoned', 'shard.keep'])
    t.true(fencedByAgent.has(kind), kind);
  for (const kind of ['batch.counted', 'batch.prefetch', 'attempt.leave'])
    t.false(fencedByAgent.has(kind), kind);
  t.is(address('agent/m1'), agentFor(layout, crew.nodes[0]!));
});

test('agent: a decision that is said again, since a connection broke, is carried out once and answered again', (t) => {
  const play = stepping();
  const decide: Sent = ['commit.decide', { step: 1 }];
  send(play, [...votes, ...measures]);
  t.deepEqual(send(play, [decide]), ['decide']);
  t.deepEqual(send(play, [decide]), [], 'it is on its way');
  send(play, from('commit.applied', holders));
  t.deepEqual(send(play, [decide]), ['reportApplied']);
  t.is(play.state, 'waiting');
  send(play, [openStep(2), ...votes, ...measures]);
  t.deepEqual(send(play, [['commit.decide', { step: 2 }]]), ['decide']);
});

test('agent: TKO-2, it keeps the records of the last two decisions, and follows the lead of the newest epoch alone', (t) => {
  const play = stepping();
  for (const step of [1, 2, 3]) {
    if (step > 1) send(play, [openStep(step)]);
    send(play, [...votes, ...measures, ['commit.decide', { step, body: { record: `record ${step}` } }]]);
    send(play, from('commit.applied', holders));
  }
  t.deepEqual(play.context['records'], ['record 2', 'record 3']);
  t.is(play.context['applied'], play.context['decided']);
  const asks = (epoch: number, process = 'a'): Sent => ['lead.asks', { body: { epoch, process } }];
  t.deepEqual(send(play, [asks(2)]), ['holdForLead']);
  t.deepEqual(send(play, [asks(2)]), ['holdForLead'], 'asked again by the same');
  t.deepEqual(send(play, [asks(2, 'b')]), ['refuseLead'], 'another process of that number');
  t.deepEqual(send(play, [asks(4, 'b'), asks(3)]), ['holdForLead', 'refuseLead']);
});

test('agent: TKO-1, a lead is begun again within the limit, and the end of one that was replaced is no news', (t) => {
  const lives = new LeadLives({ intensity: 2, periodMs: 100 });
  t.is(lives.lost(1, 0), 'restart');
  t.is(lives.lost(1, 1), 'no news');
  t.is(lives.lost(2, 50), 'restart');
  t.is(lives.lost(3, 60), 'beyond');
  t.is(lives.lost(3, 120), 'restart', 'the first is long ago');
  t.is(lives.life, 4);
});
