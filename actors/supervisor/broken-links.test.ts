import test from 'ava';
import { lostByLinks } from './broken-links.ts';

const machines = new Map([
  ['agent/0', ['worker/0', 'worker/1']],
  ['agent/1', ['worker/2', 'worker/3']],
  ['agent/2', ['worker/4', 'worker/5']],
]);
const broken = (by: string, node: string) => ({ by, node, reason: 'no handshake for 30 s' });

test('broken links: of two machines that do not reach each other the later one counts as lost', (t) => {
  const links = [
    broken('worker/2', 'worker/4'),
    broken('worker/4', 'worker/2'),
    broken('worker/3', 'worker/4'),
  ];
  t.deepEqual(lostByLinks(links, machines), {
    agent: 'agent/2',
    reason: 'it counts as lost, since worker/2 does not reach worker/4: no handshake for 30 s',
  });
});

test('broken links: a machine with more of them counts as lost, whatever its number', (t) => {
  const links = [
    broken('worker/2', 'worker/4'),
    broken('worker/0', 'worker/3'),
    broken('worker/1', 'worker/3'),
  ];
  t.is(lostByLinks(links, machines)?.agent, 'agent/1');
});

test('broken links: one that never begins anew is never the one that counts as lost', (t) => {
  const able = new Map([...machines].slice(0, 2));
  t.is(lostByLinks([broken('worker/2', 'host/2')], able)?.agent, 'agent/1');
  t.is(lostByLinks([broken('host/2', 'host/3')], able), null);
});

test('broken links: what lies within a machine is not between machines', (t) => {
  t.is(lostByLinks([broken('worker/2', 'worker/3'), broken('worker/2', 'agent/1')], machines), null);
});
