import test from 'ava';
import { Places, placesOf } from './places.ts';
import type { Place } from './hello.ts';

const place = (host: string): Place => ({ control: `tcp://${host}:1`, data: `tcp://${host}:2` });
const [a, b, c] = [place('10.0.0.1'), place('10.0.0.2'), place('10.0.0.3')];

test('places: where a peer said it is comes before where the topology says, each once', (t) => {
  t.deepEqual(placesOf({ ...b, others: [c] }, { ...a, others: [b] }), [b, c, a]);
  t.deepEqual(placesOf(undefined, a), [a]);
  t.deepEqual(placesOf(undefined), []);
});

test('places: a name is looked for under IPv6 last; addresses, localhost and sockets are what they are', (t) => {
  const name = place('gpu-1.lab');
  t.deepEqual(placesOf({ ...name, others: [a] }), [name, a, { ...name, family: 6 }]);
  for (const only of [a, place('[fd00::1]'), place('localhost'), { control: 'ipc://c', data: 'ipc://d' }])
    t.deepEqual(placesOf(only), [only]);
});

test('places: one after the other, round and round, and the one that worked first again', (t) => {
  const places = new Places();
  places.know([a, b, c]);
  const seen = [0, 1, 2, 3].map(() => {
    const { current, rounds } = places;
    places.next();
    return [current, rounds];
  });
  t.deepEqual(seen, [[a, 0], [b, 0], [c, 0], [a, 1]]); // prettier-ignore
  t.is(places.current, b);
  places.found();
  t.is(places.rounds, 0);
  places.know([c, a, b]);
  t.deepEqual(places.current, b, 'the place stays when the list changes');
  places.know([a, c]);
  t.deepEqual(places.current, a);
});

test('places: a node is refused when it is refused everywhere, and the sentence names every place', (t) => {
  const places = new Places();
  places.know([a, b]);
  places.note('another key', true);
  t.false(places.allRefuse);
  places.next();
  places.note('nobody listens there');
  t.false(places.allRefuse);
  t.is(places.describe(), 'tcp://10.0.0.1:1 (another key), tcp://10.0.0.2:1 (nobody listens there)');
  places.note('another key', true);
  t.true(places.allRefuse);
  places.found();
  t.false(places.allRefuse);
});
