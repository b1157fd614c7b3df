import test from 'ava';
import fc from 'fast-check';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { storeMachine } from './machine.ts';

const kinds = [
  'slices.read',
  'slice.ready',
  'slice.failed',
  'checkpoint.begin',
  'snapshot.slice',
  'snapshot.sent',
  'checkpoint.finished',
  'checkpoint.broken',
  'checkpoint.abandon',
  'snapshot.find',
  'snapshot.release',
  'step.open',
] as const;
const always = [
  'slices.read',
  'slice.ready',
  'slice.failed',
  'snapshot.slice',
  'snapshot.sent',
  'checkpoint.abandon',
  'snapshot.find',
  'snapshot.release',
];
const begin = { step: 4, body: { numShards: 2 } };

test('store: STO-1, writes when every announced piece has come, whatever the order, also before it is told to begin', (t) => {
  const events = [
    { type: 'checkpoint.begin', fields: begin },
    { type: 'snapshot.slice', fields: {} },
    { type: 'snapshot.slice', fields: {} },
    { type: 'snapshot.slice', fields: {} },
    { type: 'snapshot.sent', fields: { body: { pieces: 2 } } },
    { type: 'snapshot.sent', fields: { body: { pieces: 1 } } },
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray(events, { minLength: events.length }), (order) => {
      const play = new Play(storeMachine);
      order.forEach(({ type, fields }, index) => {
        const actions = play.send(type, fields);
        t.is(actions.includes('finish'), index === order.length - 1);
      });
      t.is(play.state, 'writing');
    }),
  );
});

test('store: idle, gathering, writing and idle again; a broken checkpoint is reported as one', (t) => {
  const visited = new Set<string>();
  const play = new Play(storeMachine, undefined, visited);
  t.deepEqual(acceptedOf(play, kinds).toSorted(), ['checkpoint.begin', ...always].toSorted());
  t.deepEqual(play.send('checkpoint.begin', { step: 4, body: { numShards: 1 } }), ['open']);
  t.deepEqual(acceptedOf(play, kinds).toSorted(), always.toSorted(), 'a second one does not begin meanwhile');
  t.deepEqual(play.send('snapshot.slice'), ['put']);
  t.deepEqual(play.send('snapshot.sent', { body: { pieces: 1 } }), ['finish']);
  t.deepEqual(
    acceptedOf(play, kinds).toSorted(),
    ['checkpoint.broken', 'checkpoint.finished', ...always].toSorted(),
  );
  t.deepEqual(play.send('checkpoint.finished'), ['reportWritten']);
  t.is(play.context['step'], 4);
  play.send('checkpoint.begin', { step: 8, body: { numShards: 1 } });
  t.is(play.state, 'gathering', 'counts start anew');
  play.send('snapshot.slice');
  play.send('snapshot.sent', { body: { pieces: 1 } });
  t.deepEqual(play.send('checkpoint.broken'), ['reportBroken']);
  t.is(play.state, 'idle');
  const rest = ['completing', 'discarding'];
  t.deepEqual([...visited, ...rest].toSorted(), leafStates(storeMachine).toSorted());
});

test('store: STO-2, an abandoned attempt throws away what lacks pieces and finishes what has them all, and then says so', (t) => {
  const abandon = { attempt: 3 };
  const idle = new Play(storeMachine);
  const gathering = new Play(storeMachine);
  gathering.send('checkpoint.begin', begin);
  gathering.send('snapshot.sent', { body: { pieces: 1 } });
  for (const play of [idle, gathering]) {
    t.deepEqual(play.send('checkpoint.abandon', abandon), ['discard']);
    t.deepEqual(play.send('checkpoint.abandon', { attempt: 4 }), [], 'once');
    t.deepEqual(play.send('checkpoint.discarded'), ['reportSettled']);
    t.is(play.state, 'idle');
    t.is(play.context['attempt'], 4);
    t.deepEqual(play.send('checkpoint.begin', { step: 8, body: { numShards: 1 } }), ['open']);
    t.is(play.state, 'gathering', 'counts start anew');
  }
  for (const [type, report] of [
    ['checkpoint.finished', 'reportWritten'],
    ['checkpoint.broken', 'reportBroken'],
  ] as const) {
    const writing = new Play(storeMachine);
    writing.send('checkpoint.begin', { step: 4, body: { numShards: 1 } });
    writing.send('snapshot.sent', { body: { pieces: 0 } });
    t.deepEqual(writing.send('checkpoint.abandon', abandon), []);
    t.is(writing.state, 'completing');
    t.deepEqual(writing.send(type), [report, 'reportSettled']);
    t.is(writing.state, 'idle');
  }
});

test('store: STO-6, where machines write parts, the checkpoint is made when the last of them has its own, or says why not', (t) => {
  const play = new Play(storeMachine, { numParts: 2 });
  t.deepEqual(play.send('checkpoint.begin', { step: 4, body: { numShards: 7 } }), ['open']);
  t.deepEqual(play.send('part.written', { body: { machine: 1 } }), ['takePart']);
  t.is(play.state, 'gathering');
  t.deepEqual(play.send('part.failed', { body: { machine: 0 } }), ['losePart', 'finish']);
  t.is(play.state, 'writing');
});

test('store: answers reads in every state', (t) => {
  const play = new Play(storeMachine);
  t.deepEqual(play.send('slices.read'), ['readSlice']);
  play.send('checkpoint.begin', begin);
  t.deepEqual(play.send('slices.read'), ['readSlice']);
  t.deepEqual(play.send('slice.ready'), ['answerSlice']);
  t.deepEqual(play.send('slice.failed'), ['refuseSlice']);
  t.is(play.state, 'gathering');
});
