import test from 'ava';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { supervisorMachine, type SupervisorInput } from './machine.ts';

const kinds = [
  'worker.lost',
  'worker.stuck',
  'actor.failed',
  'system.described',
  'machine.described',
  'ask.failed',
  'worker.joined',
  'link.lost',
  'link.unreached',
  'run.finished',
] as const;
/** Two workers; no loss is tolerated. */
const input: SupervisorInput = {
  heartbeatMs: 250,
  machines: new Map(),
  lives: new Map([
    ['worker/0', 1],
    ['worker/1', 1],
  ]),
  mostLosses: 0,
  mostBreaks: 0,
};
const forgiving: SupervisorInput = { ...input, mostLosses: 9, mostBreaks: 9 };
const of = (incarnation: number, node = 'worker/1', more: object = {}) => ({
  body: { node, incarnation, ...more },
});
const foreign = ['step.open', 'gradient.vote', 'heartbeat.due', 'checkpoint.begin'] as const;

test('supervisor: looks at every worker at once and again after each heartbeat', (t) => {
  const play = new Play(supervisorMachine, input);
  t.deepEqual(play.first, ['ping']);
  t.is(play.armed.length, 1);
  t.regex(play.armed[0] ?? '', /after 250$/);
  const [due = ''] = (play.armed[0] ?? '').split(' after ');
  t.deepEqual(play.send(due), ['ping']);
  t.is(play.state, 'watching');
  t.is(play.armed.length, 2, 'the next heartbeat is armed');
  t.deepEqual(play.send('system.described'), ['remember']);
  t.is(play.armed.length, 2, 'an answer arms nothing');
});

test('supervisor: SUP-1, the first failure is reported and what follows changes nothing', (t) => {
  const reports = {
    'worker.lost': 'reportLost',
    'actor.failed': 'reportFailed',
    'ask.failed': 'reportLost',
    'link.lost': 'reportLost',
  } as const;
  for (const [type, report] of Object.entries(reports)) {
    const play = new Play(supervisorMachine, input);
    t.deepEqual(play.send(type, of(1)), [report]);
    t.is(play.state, 'ended');
    t.true(play.context['ended']);
    for (const later of kinds) if (later !== 'run.finished') t.deepEqual(play.send(later, of(1)), [], later);
    t.is(play.state, 'ended');
  }
});

test('supervisor: a wait that expired is explained by a last look at the awaited actor', (t) => {
  for (const [answer, actions] of [
    ['system.described', ['remember', 'reportStuck']],
    ['ask.failed', ['reportStuck']],
    ['worker.lost', ['reportLost']],
    ['actor.failed', ['reportFailed']],
  ] as const) {
    const play = new Play(supervisorMachine, input);
    t.deepEqual(play.send('worker.stuck'), ['describeAwaited']);
    t.is(play.state, 'explaining');
    t.deepEqual(play.send('worker.stuck'), [], 'only one is explained');
    t.deepEqual(play.send(answer), actions);
    t.is(play.state, 'ended');
  }
});

test('supervisor: every state accepts every report of its world and refuses all else', (t) => {
  const visited = new Set<string>();
  const watching = (): Play => new Play(supervisorMachine, input, visited);
  const explaining = watching();
  explaining.send('worker.stuck');
  const ended = watching();
  ended.send('run.finished');
  for (const play of [watching(), explaining, ended]) {
    t.deepEqual(acceptedOf(play, kinds, of(1)), kinds, play.state);
    t.deepEqual(acceptedOf(play, foreign, of(1)), [], play.state);
  }
  t.deepEqual([...visited].toSorted(), leafStates(supervisorMachine).toSorted());
});

test('supervisor: SUP-1, a lost worker is restarted, however its loss is noticed, and a second notice is no news', (t) => {
  for (const [type, fields] of [
    ['worker.lost', of(1)],
    ['ask.failed', of(1)],
    ['actor.failed', of(1, 'worker/1', { retryable: true })],
  ] as const) {
    const play = new Play(supervisorMachine, forgiving);
    t.deepEqual(play.send(type, fields), ['restart']);
    t.is((play.context['lives'] as ReadonlyMap<string, number>).get('worker/1'), 2);
    for (const again of ['worker.lost', 'ask.failed', 'actor.failed', 'link.lost'])
      t.deepEqual(play.send(again, of(1)), [], `SUP-3: ${again} of the life before`);
    const accused = of(1, 'worker/0', { by: 'worker/1' });
    t.deepEqual(play.send('link.lost', accused), [], 'SUP-4: what the life before says of others');
    t.deepEqual(play.send('worker.joined', of(2)), ['welcome']);
    t.deepEqual(play.send('link.lost', accused), ['reopen'], 'SUP-4: what the next one says');
    t.deepEqual(play.send('worker.lost', of(2)), ['restart'], 'the next life can be lost too');
    t.is(play.state, 'watching');
  }
});

test('supervisor: SUP-1, one loss more than the limit ends the run; an error that would come again does too', (t) => {
  const play = new Play(supervisorMachine, { ...input, mostLosses: 2 });
  t.deepEqual(play.send('worker.lost', of(1)), ['restart']);
  t.deepEqual(play.send('worker.lost', of(2)), ['restart'], 'lost before it joined');
  t.deepEqual(play.send('worker.lost', of(3)), ['reportLost']);
  t.is(play.state, 'ended');
  const aging = new Play(supervisorMachine, { ...input, mostLosses: 1, mostBreaks: 1 });
  for (const life of [1, 2, 3]) {
    t.deepEqual(aging.send('worker.lost', of(life)), ['restart'], 'those of the period alone count');
    aging.send('worker.joined', of(life + 1));
    t.deepEqual(aging.send('link.lost', of(life + 1)), ['reopen']);
    aging.send('loss.aged');
    aging.send('break.aged');
  }
  const failing = new Play(supervisorMachine, forgiving);
  t.deepEqual(failing.send('actor.failed', of(1, 'worker/1', { retryable: false })), ['reportFailed']);
  const agent = new Play(supervisorMachine, forgiving);
  t.deepEqual(agent.send('actor.failed', of(1, 'agent/0', { retryable: true })), ['reportFailed']);
});

test('supervisor: SUP-5, a life that does not join in time is lost, one that has joined or was replaced is not', (t) => {
  const play = new Play(supervisorMachine, { ...input, mostLosses: 2 });
  play.send('worker.lost', of(1));
  t.deepEqual(play.send('join.due', of(2)), ['restart']);
  t.deepEqual(play.send('join.due', of(2)), [], 'of a life that has been replaced');
  t.deepEqual(play.send('worker.joined', of(3)), ['welcome']);
  t.deepEqual(play.send('join.due', of(3)), []);
  const gone = new Play(supervisorMachine, { ...input, mostLosses: 9 });
  gone.send('worker.lost', of(1));
  t.deepEqual(gone.send('join.due', of(2)), ['restart']);
  t.deepEqual(gone.send('join.due', of(3)), [], 'one that never comes back is not waited for without end');
  gone.send('worker.joined', of(3));
  gone.send('worker.lost', of(3));
  t.deepEqual(gone.send('join.due', of(4)), ['restart'], 'it had come back');
  const over = new Play(supervisorMachine, { ...input, mostLosses: 1 });
  over.send('worker.lost', of(1));
  t.deepEqual(over.send('join.due', of(2)), ['reportLost']);
  t.is(over.state, 'ended');
});

test('supervisor: SUP-4, a broken connection to a worker that lives restarts the attempt, also a late notice', (t) => {
  const play = new Play(supervisorMachine, forgiving);
  t.deepEqual(play.send('link.lost', of(1)), ['reopen']);
  play.send('worker.lost', of(1));
  t.deepEqual(play.send('link.lost', of(1)), [], 'its next life opens a new attempt anyway');
  play.send('worker.joined', of(2));
  t.deepEqual(
    play.send('link.lost', of(1)),
    ['reopen'],
    'what was sent to the next life may have gone to the last one',
  );
});

/** Two machines with two workers each; the store is on the first. */
const twoMachines: SupervisorInput = {
  ...forgiving,
  machines: new Map([['agent/1', ['worker/2', 'worker/3']]]),
  lives: new Map(['agent/1', 'worker/0', 'worker/1', 'worker/2', 'worker/3'].map((node) => [node, 1])),
};

test('supervisor: SUP-7, a lost agent is a lost machine: all workers there begin their next life, and it is one loss', (t) => {
  for (const [type, fields] of [
    ['worker.lost', of(1, 'agent/1')],
    ['ask.failed', of(1, 'agent/1')],
    ['actor.failed', of(1, 'agent/1', { retryable: true })],
  ] as const) {
    const play = new Play(supervisorMachine, { ...twoMachines, mostLosses: 1 });
    t.deepEqual(play.send(type, fields), ['restart']);
    const lives = play.context['lives'] as ReadonlyMap<string, number>;
    t.deepEqual(
      [...lives].filter(([, life]) => life === 2).map(([node]) => node),
      ['agent/1', 'worker/2', 'worker/3'],
    );
    t.deepEqual(play.send('worker.lost', of(1, 'worker/2')), [], 'SUP-3: its workers are lost with it');
    t.deepEqual(play.send('link.lost', of(1, 'worker/3')), []);
    t.deepEqual(play.send('worker.joined', of(2, 'agent/1')), ['welcome']);
    t.deepEqual(play.send('worker.joined', of(2, 'worker/2')), ['welcome']);
    t.deepEqual(play.send('worker.lost', of(1, 'worker/1')), ['reportLost'], 'one loss was tolerated');
  }
});

test('supervisor: SUP-7, the agent beside the store is never restarted: its silence ends no run by itself, an error of it does', (t) => {
  const play = new Play(supervisorMachine, twoMachines);
  t.deepEqual(play.send('ask.failed', of(1, 'agent/0')), []);
  t.deepEqual(play.send('link.lost', of(1, 'agent/0')), ['reopen']);
  t.deepEqual(play.send('actor.failed', of(1, 'agent/0', { retryable: true })), ['reportFailed']);
});

test('supervisor: SUP-9, a machine is waited for from its first loss on, until it is back', (t) => {
  const play = new Play(supervisorMachine, twoMachines);
  const overdue = () => [...(play.context['overdue'] as ReadonlySet<string>)];
  play.send('worker.lost', of(1, 'agent/1'));
  t.deepEqual(play.send('worker.lost', of(2, 'agent/1')), ['restart'], 'lost again before it is back');
  t.deepEqual(play.send('wait.over', of(2, 'agent/1')), [], 'the wait began with the first loss');
  t.deepEqual(play.send('wait.over', of(1, 'agent/1')), ['reportOverdue']);
  t.deepEqual(overdue(), ['agent/1']);
  play.send('worker.joined', of(3, 'agent/1'));
  t.deepEqual(overdue(), [], 'it is back, while another one is still waited for');
  play.send('worker.lost', of(3, 'agent/1'));
  t.deepEqual(play.send('wait.over', of(1, 'agent/1')), [], 'of an absence that is over');
  t.deepEqual(play.send('wait.over', of(3, 'agent/1')), ['reportOverdue']);
  t.deepEqual([...(play.context['waits'] as ReadonlyMap<string, number>)], [['agent/1', 3]]);
});

test('supervisor: SUP-8, a life that the lead before asked for is a loss and its return; one that agents know of is no news', (t) => {
  const play = new Play(supervisorMachine, twoMachines);
  t.deepEqual(play.send('worker.joined', of(2, 'worker/2')), ['adopt']);
  t.deepEqual(play.send('worker.joined', of(2, 'worker/2')), []);
  const lives = { body: { nodes: ['worker/3'] }, tensors: { lives_N: Int32Array.of(3) } };
  t.deepEqual(play.send('machine.lives', lives), []);
  t.deepEqual(play.send('worker.joined', of(3, 'worker/3')), []);
  t.deepEqual(play.send('worker.lost', of(2, 'worker/3')), [], 'of a life that is over');
  t.deepEqual(play.send('worker.lost', of(3, 'worker/3')), ['restart']);
  t.is((play.context['lives'] as ReadonlyMap<string, number>).get('worker/3'), 4);
});

test('supervisor: SUP-10, links that do not come up are judged together, once, and a machine that is cut off is lost', (t) => {
  const machines = new Map([
    ['agent/0', ['worker/0']],
    ['agent/1', ['worker/1']],
  ]);
  const lives = new Map(
    [...machines.keys(), 'worker/0', 'worker/1'].map((node): [string, number] => [node, 1]),
  );
  const play = new Play(supervisorMachine, { ...forgiving, machines, lives });
  const unreached = { body: { node: 'worker/1', by: 'worker/0', reason: 'no handshake' } };
  t.deepEqual(play.send('link.unreached', unreached), ['judgeSoon']);
  t.deepEqual(play.send('link.unreached', unreached), []);
  t.deepEqual(play.send('links.due'), ['judgeLinks']);
  t.deepEqual(play.send('link.unreached', unreached), ['judgeSoon'], 'the next ones are judged anew');
  t.deepEqual(play.send('machine.cut', of(1, 'agent/1', { reason: 'a link' })), ['restart']);
  t.deepEqual(play.send('machine.cut', of(1, 'agent/1', { reason: 'a link' })), []);
  t.deepEqual(play.send('link.unreached', unreached), [], 'a machine that is away is waited for');
});
