import test from 'ava';
import fc from 'fast-check';
import { leafStates, Play } from '../testing/play.ts';
import { fencedByPart } from './events.ts';
import { partMachine } from './machine.ts';

const of = (attempt: number) => ({ step: 4, attempt });
const sent = (pieces: number, attempt = 1) => ({ attempt, body: { pieces } });

test('part: STO-4, it is finished when all shards of the machine have sent all they announced, whatever comes first', (t) => {
  const events = [
    { type: 'part.begin', fields: of(1) },
    { type: 'snapshot.slice', fields: of(1) },
    { type: 'snapshot.slice', fields: of(1) },
    { type: 'snapshot.slice', fields: of(1) },
    { type: 'snapshot.sent', fields: sent(2) },
    { type: 'snapshot.sent', fields: sent(1) },
  ];
  const visited = new Set<string>();
  fc.assert(
    fc.property(fc.shuffledSubarray(events, { minLength: events.length }), (order) => {
      const play = new Play(partMachine, { numShards: 2 }, visited);
      order.forEach(({ type, fields }, index) => {
        t.is(play.send(type, fields).includes('finish'), index === order.length - 1);
      });
      t.deepEqual(play.send('part.finished', of(1)), ['reportWritten']);
      t.is(play.state, 'idle');
    }),
  );
  t.deepEqual([...visited].toSorted(), leafStates(partMachine).toSorted());
});

test('part: STO-5, pieces of a newer attempt end what was begun in an older one, before the store says so and after', (t) => {
  const begun = (): Play => {
    const play = new Play(partMachine, { numShards: 1 });
    play.send('part.begin', of(1));
    play.send('snapshot.slice', of(1));
    return play;
  };
  const overtaken = begun();
  t.deepEqual(overtaken.send('snapshot.slice', of(2)), ['discard', 'put']);
  t.deepEqual(overtaken.send('part.abandon', of(2)), [], 'it is known');
  t.deepEqual(overtaken.send('part.begin', of(2)), ['open']);
  t.deepEqual(overtaken.send('snapshot.sent', sent(1, 2)), ['finish'], 'the piece that came first counts');
  const told = begun();
  t.deepEqual(told.send('part.abandon', of(2)), ['discard']);
  t.deepEqual(told.send('part.begin', of(2)), ['open']);
  t.is(told.state, 'gathering');
  const writing = begun();
  writing.send('snapshot.sent', sent(1));
  t.is(writing.state, 'writing');
  t.deepEqual(writing.send('part.begin', of(2)), ['discard', 'open']);
  t.deepEqual(writing.send('part.finished', of(1)), [], 'of an attempt that is over');
  t.true(['part.begin', 'snapshot.slice', 'snapshot.sent'].every((kind) => fencedByPart.has(kind)));
});

test('part: one that cannot be written is told of, and the next one begins', (t) => {
  const play = new Play(partMachine, { numShards: 1 });
  play.send('part.begin', of(1));
  t.deepEqual(play.send('snapshot.sent', sent(0)), ['finish']);
  t.deepEqual(play.send('part.broken', of(1)), ['reportBroken']);
  t.deepEqual(play.send('part.begin', { step: 8, attempt: 1 }), ['open']);
  t.is(play.context['step'], 8);
});
