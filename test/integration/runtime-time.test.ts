import test from 'ava';
import { address } from '@troupe/core';
import type { ActorEvent, Self } from '@troupe/runtime';
import { createMachine } from 'xstate';
import { house, mount, type House, type TestEffects } from './runtime-house.ts';

const kinds = ['work.do', 'answer.give', 'wait.end', 'lamp.touch', 'lamp.hold'];

/** Switches off 100 ms after the last touch; a hold keeps it on. */
const lamp = createMachine({
  initial: 'off',
  states: {
    off: { entry: 'note', on: { 'lamp.touch': 'on' } },
    on: {
      entry: 'note',
      after: { 100: 'dimming' },
      on: { 'lamp.touch': { target: 'on', reenter: true }, 'lamp.hold': 'held' },
    },
    dimming: { entry: 'note', after: { 50: 'off' }, on: { 'lamp.touch': 'on' } },
    held: { entry: 'note', on: { 'lamp.touch': 'on' } },
  },
});

function mountLamp(h: House, log: string[]) {
  return mount(h.near, 'near/lamp', {
    machine: lamp,
    effects: (): TestEffects => ({
      note: () => void log.push(`${h.near.statuses()[0]?.state ?? 'new'} left at ${h.clock.now()}`),
    }),
  });
}

const stateOf = (h: House): string | undefined => h.near.statuses()[0]?.state;

test('delayed transitions: fire on the injected clock, chained ones one after the other', (t) => {
  const h = house(kinds);
  const to = mountLamp(h, []);
  h.near.tell(to, 'lamp.touch');
  h.run(99);
  t.is(stateOf(h), 'on');
  h.run(101);
  t.is(stateOf(h), 'dimming');
  h.run(149);
  t.is(stateOf(h), 'dimming');
  h.run();
  t.is(stateOf(h), 'off');
  t.is(h.clock.now(), 150);
  t.is(h.clock.pending, 0);
});

test('delayed transitions: leaving the state disarms them', (t) => {
  const h = house(kinds);
  const to = mountLamp(h, []);
  h.near.tell(to, 'lamp.touch');
  h.run(60);
  h.near.tell(to, 'lamp.hold');
  h.run();
  t.is(stateOf(h), 'held');
  t.true(h.clock.now() <= 60, 'no timer of the state that was left fires');
  t.deepEqual(h.failures, []);
});

test('delayed transitions: entering the state again starts the delay again', (t) => {
  const h = house(kinds);
  const to = mountLamp(h, []);
  h.near.tell(to, 'lamp.touch');
  h.run(80);
  h.near.tell(to, 'lamp.touch');
  h.run(179);
  t.is(stateOf(h), 'on');
  h.run(181);
  t.is(stateOf(h), 'dimming');
});

test('delayed transitions: end with the life that armed them', (t) => {
  const h = house(kinds);
  const machine = createMachine({
    initial: 'on',
    states: { on: { after: { 100: 'late' }, on: { 'work.do': { actions: 'fail' } } }, late: {} },
  });
  const to = mount(h.near, 'near/a', {
    machine,
    supervision: { strategy: 'one-for-one', intensity: 1, periodMs: 1000 },
    effects: () => ({
      fail: () => {
        throw new Error('on purpose');
      },
    }),
  });
  h.near.tell(to, 'work.do', {});
  h.run(50);
  h.near.tell(to, 'work.do', {});
  t.is(stateOf(h), 'on');
  h.run();
  t.is(h.failures.length, 1, 'the second failure within the period');
});

const waiting = createMachine({
  initial: 'ready',
  states: {
    ready: {
      on: {
        'work.do': { actions: 'wait' },
        'answer.give': { actions: 'answered' },
        'wait.end': { actions: 'end' },
      },
    },
  },
});

const waiter =
  (deadlineMs = 10_000) =>
  (self: Self): TestEffects => ({
    wait: () =>
      self.wait({
        name: 'experts',
        awaited: ['expert/L3/ep0/edp0', 'expert/L3/ep1/edp0'].map(address),
        reason: 'outputs of its rows',
        step: 12,
        layer: 3,
        microbatch: 1,
        deadlineMs,
      }),
    answered: () => self.answered('experts', address('expert/L3/ep0/edp0')),
    end: () => self.endWait('experts'),
  });

test('waits: an expired one is reported in one sentence that names only who is still missing', (t) => {
  const h = house(kinds);
  const to = mount(h.near, 'near/gate', { machine: waiting, effects: waiter() });
  h.clock.after(500, () => h.near.tell(to, 'work.do'));
  h.clock.after(900, () => h.near.tell(to, 'answer.give'));
  h.run(9000);
  t.deepEqual(h.stuck, []);
  t.is(h.near.waits().length, 1);
  t.is(h.near.waits()[0]?.sinceMs, 500);
  h.run();
  t.is(h.stuck.length, 1);
  t.is(
    h.stuck[0]?.sentence,
    'near/gate waits for expert/L3/ep1/edp0: outputs of its rows (step 12, layer 3, microbatch 1) since 10.0 s',
  );
  t.deepEqual(h.stuck[0]?.wait.awaited, [address('expert/L3/ep1/edp0')]);
  t.is(h.clock.now(), 10_500);
  t.is(h.near.waits().length, 0);
});

test('waits: one that ends in time is never reported and costs no time', (t) => {
  const h = house(kinds);
  const to = mount(h.near, 'near/gate', { machine: waiting, effects: waiter() });
  h.near.tell(to, 'work.do');
  h.clock.after(900, () => h.near.tell(to, 'wait.end'));
  h.run();
  t.deepEqual(h.stuck, []);
  t.is(h.clock.now(), 900);
});

test('waits: beginning one of the same name again replaces it', (t) => {
  const h = house(kinds);
  const to = mount(h.near, 'near/gate', { machine: waiting, effects: waiter() });
  h.near.tell(to, 'work.do');
  h.clock.after(4000, () => h.near.tell(to, 'work.do'));
  h.run(13_000);
  t.deepEqual(h.stuck, []);
  t.is(h.near.waits().length, 1);
  h.run();
  t.is(h.stuck.length, 1);
  t.is(h.clock.now(), 14_000);
});

test('waits: ending or answering one that does not exist changes nothing', (t) => {
  const h = house(kinds);
  const to = mount(h.near, 'near/gate', { machine: waiting, effects: waiter() });
  h.near.tell(to, 'wait.end');
  h.near.tell(to, 'answer.give');
  h.run();
  t.deepEqual(h.failures, []);
  t.deepEqual(h.near.waits(), []);
});

test('settle: the outcome of a promise arrives as an event, a rejection with its code', async (t) => {
  const h = house(kinds);
  const log: unknown[] = [];
  const machine = createMachine({
    initial: 'on',
    states: {
      on: {
        on: {
          'work.do': { actions: 'begin' },
          'read.done': { actions: 'note' },
          'read.failed': { actions: 'note' },
        },
      },
    },
  });
  const to = mount(h.near, 'near/a', {
    machine,
    effects: (self) => ({
      begin: () => {
        self.settle(Promise.resolve({ body: { bytes: 3 } }), 'read.done', 'read.failed', { step: 4 });
        self.settle(Promise.reject(new Error('no disk')), 'read.done', 'read.failed', { step: 5 });
      },
      note: ({ type, step, body, error }: ActorEvent) =>
        void log.push([type, step, body, error?.code, error?.message]),
    }),
  });
  h.near.tell(to, 'work.do');
  h.run();
  t.deepEqual(log, []);
  await new Promise<void>((resolve) => setImmediate(resolve));
  h.run();
  t.deepEqual(log, [
    ['read.done', 4, { bytes: 3 }, undefined, undefined],
    ['read.failed', 5, {}, 'TROUPE_UNKNOWN', 'no disk'],
  ]);
});
