import test from 'ava';
import { LaneQueue, QueuedPacket } from './lane-queue.ts';

const packet = (life: number): QueuedPacket =>
  new QueuedPacket({ header: new Uint8Array(10), frames: [] }, 10, undefined, life);

test('lane queue: what a dead life left is taken out; its successor’s packets stay on their way, and leave once', (t) => {
  const queue = new LaneQueue();
  const packets = [packet(1), packet(2), packet(1), packet(2)];
  for (const each of packets) queue.push(each);
  t.is(queue.take(100), packets[0]!);
  t.is(queue.take(100), packets[1]!);
  t.deepEqual(queue.clear(1), [packets[0]!, packets[2]!]);
  t.is(queue.onWayBytes, 10);
  t.is(queue.queuedBytes, 20);
  t.false(queue.release(packets[0]!), 'it belonged to an earlier connection');
  t.is(queue.take(100), packets[3]!, 'the other one has left already');
  t.true(queue.release(packets[1]!));
  t.true(queue.release(packets[3]!));
  t.is(queue.queuedBytes, 0);
  t.is(queue.take(100), null);
});
