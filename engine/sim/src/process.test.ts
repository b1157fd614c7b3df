import test from 'ava';
import { nodeId } from '@troupe/core';
import { SimProcess } from './process.ts';
import { VirtualClock } from './virtual-clock.ts';

function process() {
  const clock = new VirtualClock();
  const ran: string[] = [];
  const life = new SimProcess(nodeId('worker/0'), 1, clock);
  const note = (name: string) => (): void => void ran.push(`${name} ${clock.now()}`);
  const finish = (): readonly string[] => {
    while (clock.runNext());
    return ran;
  };
  return { clock, life, note, finish };
}

test('process: PRC-3, what falls due while the loop is occupied runs behind it, in order', (t) => {
  const { life, note, finish } = process();
  life.after(1, () => {
    note('turn')();
    life.occupy(2);
    life.occupy(1);
  });
  life.after(2, note('a'));
  life.after(3, note('b'));
  life.after(5, note('c'));
  t.deepEqual(finish(), ['turn 1', 'a 4', 'b 4', 'c 5']);
  t.false(life.isHanging);
});

test('process: PRC-3, one of those that waited may occupy the loop again', (t) => {
  const { life, note, finish } = process();
  life.after(0, () => life.occupy(2));
  life.after(1, () => {
    note('a')();
    life.occupy(3);
  });
  life.after(1, note('b'));
  t.deepEqual(finish(), ['a 2', 'b 5']);
});

test('process: PRC-2, a hang holds what an occupied loop held', (t) => {
  const { life, note, finish } = process();
  life.after(0, () => life.occupy(2));
  life.after(1, note('a'));
  life.after(1, () => life.hang(4));
  t.deepEqual(finish(), ['a 2'], 'the hang itself waits for the loop');
});

test('process: PRC-1, nothing runs after its death, and nothing that waited', (t) => {
  const { life, note, finish, clock } = process();
  life.after(0, () => life.occupy(5));
  life.after(1, note('a'));
  clock.after(3, () => life.kill());
  t.deepEqual(finish(), []);
});
