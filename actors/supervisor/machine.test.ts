import test from 'ava';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { supervisorMachine } from './machine.ts';

const kinds = [
  'worker.lost',
  'worker.stuck',
  'actor.failed',
  'system.described',
  'ask.failed',
  'run.finished',
] as const;
const foreign = ['step.open', 'gradient.vote', 'heartbeat.due', 'checkpoint.begin'] as const;

test('supervisor: looks at every worker at once and again after each heartbeat', (t) => {
  const play = new Play(supervisorMachine, { heartbeatMs: 250 });
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
    'ask.failed': 'reportSilent',
  } as const;
  for (const [type, report] of Object.entries(reports)) {
    const play = new Play(supervisorMachine, { heartbeatMs: 250 });
    t.deepEqual(play.send(type), [report]);
    t.is(play.state, 'ended');
    t.true(play.context['ended']);
    for (const later of kinds)
      if (later !== 'run.finished') t.deepEqual(play.accepts(later) ? play.send(later) : [], [], later);
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
    const play = new Play(supervisorMachine, { heartbeatMs: 250 });
    t.deepEqual(play.send('worker.stuck'), ['describeAwaited']);
    t.is(play.state, 'explaining');
    t.deepEqual(play.send('worker.stuck'), [], 'only one is explained');
    t.deepEqual(play.send(answer), actions);
    t.is(play.state, 'ended');
  }
});

test('supervisor: every state accepts every report of its world and refuses all else', (t) => {
  const visited = new Set<string>();
  const watching = (): Play => new Play(supervisorMachine, { heartbeatMs: 250 }, visited);
  const explaining = watching();
  explaining.send('worker.stuck');
  const ended = watching();
  ended.send('run.finished');
  for (const play of [watching(), explaining, ended]) {
    t.deepEqual(acceptedOf(play, kinds), kinds, play.state);
    t.deepEqual(acceptedOf(play, foreign), [], play.state);
  }
  t.deepEqual([...visited].toSorted(), leafStates(supervisorMachine).toSorted());
});
