import test from 'ava';
import { address, TroupeError } from '@troupe/core';
import { asDeviceArray, type Device, type KernelCall } from '@troupe/kernel-set';
import type { ActorEvent, Self, Supervision } from '@troupe/runtime';
import { assign, createMachine } from 'xstate';
import { far, house, mount, near, type House, type TestEffects } from './runtime-house.ts';

const kinds = ['work.do', 'work.fail', 'work.done', 'work.hang', 'frames.send'];

const worker = createMachine({
  context: { done: 0 },
  initial: 'ready',
  states: {
    ready: {
      entry: 'begin',
      on: {
        'work.do': { actions: [assign({ done: ({ context }) => context.done + 1 }), 'note'] },
        'work.fail': { actions: ['fail', 'afterwards'] },
        'work.hang': { actions: 'hang' },
        'frames.send': { actions: 'note' },
        'ask.failed': { actions: 'note' },
      },
    },
  },
});

const failure = (text = 'broken on purpose'): TroupeError => new TroupeError('TROUPE_TEST_BROKEN', text);
const restarting = (changes: Partial<Supervision> = {}): Supervision => ({
  strategy: 'one-for-one',
  intensity: 3,
  periodMs: 1000,
  ...changes,
});

/** A device of which only the queue is asked for. */
const queueOnly = (submit: Device['submit']): Device => ({ submit }) as unknown as Device;

/** An actor that notes its lives and what it did in each. */
function mountWorker(
  h: House,
  name: string,
  log: string[],
  supervision: Supervision,
  effects: (self: Self, life: number) => TestEffects = () => ({}),
) {
  let life = 0;
  return mount(name.startsWith('far/') ? h.far : h.near, name, {
    machine: worker,
    supervision,
    dispose: () => void log.push(`${name} ends ${life}`),
    effects: (self) => {
      const own = ++life;
      return {
        begin: () => void log.push(`${name} begins ${own}`),
        note: (event: ActorEvent, context: { done: number }) =>
          void log.push(`${name} ${event.type} ${context.done} in ${own}`),
        fail: () => self.fail(failure()),
        hang: () => {},
        afterwards: () => void log.push(`${name} afterwards in ${own}`),
        ...effects(self, own),
      };
    },
  });
}

test('supervision: one-for-one restarts the failed actor alone, with a fresh state and the next incarnation', (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const [a, b] = ['near/a', 'near/b'].map((name) => mountWorker(h, name, log, restarting()));
  for (const to of [a!, b!]) h.near.tell(to, 'work.do');
  h.run();
  log.length = 0;
  h.near.tell(a!, 'work.fail');
  for (const to of [a!, b!]) h.near.tell(to, 'work.do');
  h.run();
  t.deepEqual(log.toSorted(), ['near/a begins 2', 'near/a ends 1', 'near/b work.do 2 in 1']);
  h.near.tell(a!, 'work.do');
  h.run();
  t.is(log.at(-1), 'near/a work.do 1 in 2');
  t.deepEqual(
    h.near.statuses().map(({ incarnation }) => incarnation),
    [2, 1],
  );
  t.deepEqual(h.failures, []);
  t.is(h.warnings[0]?.message, 'actor restarts');
});

test('supervision: what is left of the failed transition is not done in the next life', (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const a = mountWorker(h, 'near/a', log, restarting());
  h.near.tell(a, 'work.fail');
  h.run();
  t.deepEqual(log, ['near/a begins 1', 'near/a ends 1', 'near/a begins 2']);
});

test('supervision: a handler that throws has failed, whatever it threw', (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const a = mountWorker(h, 'near/a', log, restarting(), () => ({
    hang: () => {
      throw new RangeError('not one of ours');
    },
  }));
  h.near.tell(a, 'work.hang');
  h.run();
  t.is(log.at(-1), 'near/a begins 2');
  const b = mountWorker(h, 'near/b', log, { strategy: 'escalate', intensity: 0, periodMs: 1 }, () => ({
    hang: () => {
      throw failure('thrown');
    },
  }));
  h.near.tell(b, 'work.hang');
  h.run();
  t.is(h.failures[0]?.error.code, 'TROUPE_TEST_BROKEN');
  t.is(h.failures[0]?.address, b);
});

test('supervision: rest-for-one restarts the failed actor and those mounted after it, in that order', (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const names = ['near/a', 'near/b', 'near/c', 'near/d'];
  const [, b] = names.map((name) => mountWorker(h, name, log, restarting({ strategy: 'rest-for-one' })));
  log.length = 0;
  h.near.tell(b!, 'work.fail');
  h.run();
  t.deepEqual(log, [
    'near/b ends 1',
    'near/c ends 1',
    'near/d ends 1',
    'near/b begins 2',
    'near/c begins 2',
    'near/d begins 2',
  ]);
  t.deepEqual(
    h.near.statuses().map(({ incarnation }) => incarnation),
    [1, 2, 2, 2],
  );
});

test('supervision: escalate tells the owner of the system, and nothing is restarted', (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const a = mountWorker(h, 'far/a', log, restarting({ strategy: 'escalate' }));
  h.near.tell(a, 'work.fail');
  h.run();
  t.is(h.failures.length, 1);
  t.like(h.failures[0], { address: a });
  t.is(h.failures[0]?.error.code, 'TROUPE_TEST_BROKEN');
  t.false(log.includes('far/a begins 2'));
});

test('supervision: more than `intensity` failures within the period escalate, with the last one as cause', (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const a = mountWorker(h, 'near/a', log, restarting({ intensity: 2, periodMs: 1000 }));
  for (let i = 0; i < 2; i++) {
    h.near.tell(a, 'work.fail');
    h.run();
  }
  t.deepEqual(h.failures, []);
  h.near.tell(a, 'work.fail');
  h.run();
  t.is(h.failures[0]?.error.code, 'TROUPE_ACTOR_RESTARTS');
  t.regex(h.failures[0]?.error.message ?? '', /near\/a failed 3 times within 1000 ms/);
  t.is((h.failures[0]?.error.cause as TroupeError | undefined)?.code, 'TROUPE_TEST_BROKEN');
  t.is(log.filter((line) => line.includes('begins')).length, 3);
});

test('supervision: failures further apart than the period are forgotten', (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const a = mountWorker(h, 'near/a', log, restarting({ intensity: 1, periodMs: 100 }));
  for (let i = 0; i < 5; i++) {
    h.near.tell(a, 'work.fail');
    h.run();
    h.clock.after(100, () => {});
    h.run();
  }
  t.deepEqual(h.failures, []);
  t.is(log.filter((line) => line.includes('begins')).length, 6);
});

test('supervision: an actor that fails whenever it begins is given up, and the others go on', (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const a = mountWorker(h, 'near/a', log, restarting({ intensity: 2 }), (_self, life) =>
    life === 1
      ? {}
      : {
          begin: () => {
            throw failure(`life ${life}`);
          },
        },
  );
  const b = mountWorker(h, 'near/b', log, restarting());
  h.near.tell(a, 'work.fail');
  h.near.tell(b, 'work.do');
  t.notThrows(() => h.run());
  t.is(h.failures.length, 1);
  t.is(h.failures[0]?.error.code, 'TROUPE_ACTOR_RESTARTS');
  t.true(log.includes('near/b work.do 1 in 1'));
});

test('supervision: nothing of an ended life arrives in the next one', (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const completions: (() => void)[] = [];
  const device = queueOnly((_calls, done) => void completions.push(() => done({ error: null, kernelMs: 1 })));
  mount(h.far, 'far/silent', {
    machine: createMachine({ initial: 'on', states: { on: { on: { 'work.do': { actions: 'nothing' } } } } }),
    effects: () => ({ nothing: () => {} }),
  });
  const a = mountWorker(h, 'near/a', log, restarting(), (self) => ({
    hang: () => {
      self.submit(device, [], 'work.do');
      self.ask(address('far/silent'), 'work.do', {}, { deadlineMs: 50, reason: 'x' });
      self.wait({ name: 'w', awaited: [address('far/silent')], reason: 'y', deadlineMs: 60 });
    },
  }));
  h.near.tell(a, 'work.hang');
  h.run(1);
  t.is(completions.length, 1);
  t.is(h.near.waits().length, 1);
  h.near.tell(a, 'work.fail');
  h.run(2);
  t.is(h.near.waits().length, 0, 'waits end with the life that began them');
  for (const complete of completions) complete();
  h.run();
  t.deepEqual(log, ['near/a begins 1', 'near/a ends 1', 'near/a begins 2']);
  t.deepEqual(h.stuck, []);
  t.deepEqual(h.failures, []);
});

test('supervision: messages that a failed life did not read give their credit back', (t) => {
  const h = house(kinds, { creditBytes: { control: 1 << 16, data: 3000 } });
  const log: string[] = [];
  const a = mountWorker(h, 'far/a', log, restarting({ intensity: 100 }));
  const tensors = { frame: new Uint8Array(1000) };
  h.near.tell(a, 'work.fail', { tensors });
  for (let i = 0; i < 20; i++) h.near.tell(a, 'frames.send', { tensors });
  h.run();
  t.is(h.transports.get(near)?.queuedBytes(far), 0, 'nothing waits for a credit that never comes');
  h.near.tell(a, 'work.do');
  h.run();
  t.is(log.at(-1), 'far/a work.do 1 in 2');
  t.deepEqual(h.failures, []);
});

test("supervision: a kernel that fails without a state for it fails the actor with the kernel's code", (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const device = queueOnly((_calls, done) => {
    h.clock.after(1, () => done({ error: new TroupeError('TROUPE_KERNEL_RANGE', 'id 99'), kernelMs: 0 }));
  });
  const a = mountWorker(h, 'near/a', log, { strategy: 'escalate', intensity: 0, periodMs: 1 }, (self) => ({
    hang: () => self.submit(device, [], 'work.do', { step: 3 }),
  }));
  h.near.tell(a, 'work.hang');
  h.run();
  t.is(h.failures[0]?.error.code, 'TROUPE_KERNEL_RANGE');
  t.is(h.failures[0]?.error.details['origin'], 'near/a');
});

test('supervision: queued kernels are done at once, and still fail the actor when they fail', (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const device = queueOnly((calls, done) => {
    h.clock.after(5, () => {
      log.push('ran');
      const error = calls.length === 0 ? null : new TroupeError('TROUPE_KERNEL_RANGE', 'id 99');
      done({ error, kernelMs: 1 });
    });
  });
  const bad: KernelCall[] = [
    {
      op: 'sum.reset',
      sum: { values: asDeviceArray(new BigInt64Array(0)), overflow: asDeviceArray(new Int32Array(1)) },
    },
  ];
  const a = mountWorker(h, 'near/a', log, { strategy: 'escalate', intensity: 0, periodMs: 1 }, (self) => ({
    hang: () => self.queue(device, [], 'work.do', { step: 3 }),
    note: (event: ActorEvent, context: { done: number }) => {
      log.push(`${event.type} of step ${event.step}`);
      if (context.done === 1) self.queue(device, bad, 'work.do', { step: 4 });
    },
  }));
  h.near.tell(a, 'work.hang');
  h.run();
  t.deepEqual(log, ['near/a begins 1', 'work.do of step 3', 'work.do of step 4', 'ran', 'ran']);
  t.is(h.failures[0]?.error.code, 'TROUPE_KERNEL_RANGE');
  t.is(h.failures[0]?.error.details['origin'], 'near/a');
});

test('supervision: a stopped system handles nothing more and disarms everything', (t) => {
  const h = house(kinds);
  const log: string[] = [];
  const a = mountWorker(h, 'near/a', log, restarting(), (self) => ({
    hang: () => self.wait({ name: 'w', awaited: [], reason: 'y', deadlineMs: 60 }),
  }));
  h.near.tell(a, 'work.hang');
  h.run(1);
  h.near.tell(a, 'work.do');
  h.near.stop();
  h.near.tell(a, 'work.do');
  h.run();
  t.deepEqual(log, ['near/a begins 1', 'near/a ends 1']);
  t.deepEqual(h.stuck, []);
  t.true(h.clock.now() < 60);
});
