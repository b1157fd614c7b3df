import test from 'ava';
import type { ProfileRecord, SendRecord, TurnRecord } from './record.ts';
import { Arrows, TraceWriter } from './trace-writer.ts';
import type { TraceEvent } from './trace-event.ts';

const turn = (start: number, end: number, packet?: string): TurnRecord => ({
  kind: 'turn',
  actor: 'gate/L0/dp0',
  event: 'rows.return',
  from: 'expert/L0/ep0/edp0',
  start,
  end,
  slept: 0,
  before: 'awaitingRows',
  after: 'combining',
  outcome: 'handled',
  step: 3,
  attempt: 1,
  layer: 0,
  microbatch: 1,
  mailbox: 0,
  ...(packet === undefined ? {} : { packet }),
});
const send = (start: number, packet: string): SendRecord => ({
  kind: 'send',
  actor: 'expert/L0/ep0/edp0',
  to: 'gate/L0/dp0',
  message: 'rows.return',
  packet,
  bytes: 1000,
  start,
  end: start + 0.1,
});

/** Events of processes 1, 2, … in turn. */
function traceOf(...parts: readonly (readonly ProfileRecord[])[]): readonly TraceEvent[] {
  const arrows = new Arrows();
  for (const record of parts.flat()) arrows.see(record);
  return parts.flatMap((records, index) => {
    const writer = new TraceWriter(index + 1, arrows);
    return records.flatMap((record) => [...writer.events(record)]);
  });
}
const ofKind = <Ph extends TraceEvent['ph']>(events: readonly TraceEvent[], ph: Ph) =>
  events.filter((event): event is Extract<TraceEvent, { ph: Ph }> => event.ph === ph);

test('TraceWriter: a turn names its states, and what an actor did between turns is its state', (t) => {
  const [first, state, second] = ofKind(traceOf([turn(1, 2), turn(5, 6)]), 'X');
  t.like(first, { name: 'rows.return', cat: 'turn', ts: 1000, dur: 1000 });
  t.is(first?.args?.['state'], 'awaitingRows → combining');
  t.like(state, { name: 'combining', cat: 'state', ts: 2000, dur: 3000 });
  t.is(state?.args?.['until'], 'rows.return from expert/L0/ep0/edp0');
  t.is(second?.ts, 5000);
  t.is(second?.tid, first?.tid);
});

test('TraceWriter: an arrow leads from a send to the turn that handled it, with its size', (t) => {
  const events = traceOf([send(1, 'aa')], [turn(3, 4, 'aa')]);
  const [[start], [end]] = [ofKind(events, 's'), ofKind(events, 'f')];
  t.like(start, { pid: 1, ts: 1000, name: 'rows.return', id: 1 });
  t.is(start?.args?.['bytes'], 1000);
  t.like(end, { pid: 2, ts: 3000, name: 'rows.return', id: 1, bp: 'e' });
});

test('TraceWriter: an end without the other is no arrow; two packets with one name are two arrows', (t) => {
  const lost = traceOf([send(1, 'aa')], [turn(3, 4, 'bb')]);
  t.deepEqual([ofKind(lost, 's'), ofKind(lost, 'f')], [[], []]);
  const twice = traceOf([send(1, 'aa'), send(2, 'aa'), send(9, 'aa')], [turn(3, 4, 'aa'), turn(5, 6, 'aa')]);
  const ids = [1, 2];
  t.deepEqual([ofKind(twice, 's').map(({ id }) => id), ofKind(twice, 'f').map(({ id }) => id)], [ids, ids]);
});

test('TraceWriter: calls nest in their list; a thread that took no part has no slice', (t) => {
  const record: ProfileRecord = {
    kind: 'list',
    owner: 'stage/pp0/dp0/tp0',
    submitted: 0.5,
    step: 1,
    layer: 2,
    microbatch: 0,
    calls: [
      ['rope', '8×2×4', 100, 200, 1, 2, 1, 2, 0.9, 1.1, 1.9, 0.7],
      ['copy', '8', 0, 64, 2, 2.5, 2, 2.5, 0.5, 0, 0, 0],
    ],
    slept: 0,
    start: 3,
    end: 3.1,
  };
  const slices = ofKind(traceOf([record]), 'X');
  t.deepEqual(
    slices.map(({ cat, name, tid, ts, dur }) => [cat, name, tid, ts, dur]),
    [
      ['loop', 'completion', 2_000_000, 3000, 100],
      ['list', 'stage/pp0/dp0/tp0', 1_000_000, 1000, 1500],
      ['kernel', 'rope', 1_000_000, 1000, 1000],
      ['kernel', 'rope', 1_000_001, 1100, 800],
      ['kernel', 'copy', 1_000_000, 2000, 500],
    ],
  );
  t.like(slices[2]?.args, { shape: '8×2×4', layer: 2, flops: 100, bytes: 200 });
});

test('TraceWriter: a wait is a span of its own with its reason; mailboxes are counted when they change', (t) => {
  const events = traceOf([
    {
      kind: 'wait',
      owner: 'gate/L0/dp0',
      reason: 'rows of layer 0',
      awaited: ['expert/L0/ep0/edp0'],
      start: 1,
      end: 4,
    },
    { ...turn(5, 6), mailbox: 2 },
    { ...turn(7, 8), mailbox: 2 },
  ]);
  const [begin] = ofKind(events, 'b');
  const [end] = ofKind(events, 'e');
  t.like(begin, { name: 'gate/L0/dp0 waits: rows of layer 0', ts: 1000 });
  t.is(end?.id, begin?.id);
  t.is(end?.ts, 4000);
  t.deepEqual(
    ofKind(events, 'C').map(({ name, args }) => [name, args['events']]),
    [['mailbox gate/L0/dp0', 2]],
  );
});
