import test from 'ava';
import { address, InvariantError, TroupeError } from '@troupe/core';
import { MAILBOX_CAPACITY, systemAddress, type ActorEvent, type Self } from '@troupe/runtime';
import { assign, createMachine } from 'xstate';
import { far, house, mount, near, type TestEffects } from './runtime-house.ts';

const kinds = ['ping.sent', 'question.asked', 'answer.given', 'other.sent', 'epoch.raise'];
const accepting = createMachine({
  initial: 'open',
  states: { open: { on: { 'ping.sent': { actions: 'note' }, 'other.sent': { actions: 'note' } } } },
});
const asker = createMachine({
  initial: 'asking',
  states: {
    asking: {
      on: {
        'ping.sent': { actions: 'ask' },
        'answer.given': { actions: 'note' },
        'ask.failed': { actions: 'note' },
      },
    },
  },
});
const answerer = createMachine({
  initial: 'ready',
  states: { ready: { on: { 'question.asked': { actions: 'answer' } } } },
});

const noting =
  (log: ActorEvent[], others: (self: Self) => TestEffects = () => ({})) =>
  (self: Self): TestEffects => ({
    note: (event: ActorEvent) => void log.push(event),
    ...others(self),
  });
const asking =
  (to: string, deadlineMs = 1000) =>
  (self: Self): TestEffects => ({
    ask: () =>
      self.ask(
        address(to),
        'question.asked',
        { step: 3, attempt: 2, layer: 1, body: { q: 7 } },
        { deadlineMs, reason: 'a test' },
      ),
  });

for (const place of ['near', 'far'] as const) {
  test(`ActorSystem: tell carries every field to an actor on the ${place} node, in order, never inside the call`, (t) => {
    const h = house(kinds);
    const log: ActorEvent[] = [];
    const to = mount(place === 'near' ? h.near : h.far, `${place}/a`, {
      machine: accepting,
      effects: noting(log),
    });
    h.near.tell(to, 'ping.sent', {
      step: 5,
      attempt: 2,
      version: 4,
      layer: 3,
      microbatch: 1,
      body: { x: [1, 'two', null] },
      tensors: { weights: Float32Array.of(1, 2), counts: Int32Array.of(3) },
    });
    for (let i = 0; i < 100; i++) h.near.tell(to, 'other.sent', { step: i });
    t.is(log.length, 0);
    h.run();
    const first = log.find(({ type }) => type === 'ping.sent');
    t.deepEqual({ ...first } as object, {
      type: 'ping.sent',
      from: systemAddress(near),
      step: 5,
      attempt: 2,
      version: 4,
      layer: 3,
      microbatch: 1,
      body: { x: [1, 'two', null] },
      tensors: { weights: Float32Array.of(1, 2), counts: Int32Array.of(3) },
    });
    t.deepEqual(
      log.filter(({ type }) => type === 'other.sent').map(({ step }) => step),
      Array.from({ length: 100 }, (_, i) => i),
    );
    h.near.tell(to, 'ping.sent');
    h.run();
    const bare = log.at(-1);
    t.deepEqual(
      [bare?.step, bare?.attempt, bare?.version, bare?.layer, bare?.microbatch, bare?.body, bare?.tensors],
      [0, 0, 0, -1, -1, {}, {}],
    );
  });

  test(`ActorSystem: ask gets the reply as an event of the reply's type, across ${place === 'near' ? 'one node' : 'two nodes'}`, (t) => {
    const h = house(kinds);
    const log: ActorEvent[] = [];
    const to = mount(place === 'near' ? h.near : h.far, `${place}/b`, {
      machine: answerer,
      effects: (self) => ({
        answer: (event: ActorEvent) =>
          self.reply(event, 'answer.given', { step: event.step, body: { a: Number(event.body['q']) * 6 } }),
      }),
    });
    const from = mount(h.near, 'near/a', { machine: asker, effects: noting(log, asking(to)) });
    h.near.tell(from, 'ping.sent');
    h.run();
    t.is(log.length, 1);
    t.like(log[0], { type: 'answer.given', from: to, step: 3, body: { a: 42 } });
    t.deepEqual(h.failures, []);
    t.true(h.clock.now() < 1000, 'the deadline of an answered ask is disarmed');
    t.is(h.clock.pending, 0);
  });

  test(`ActorSystem: RUN-2, an unaccepted ask is refused with code, state and kind, from the ${place} node`, (t) => {
    const h = house(kinds);
    const log: ActorEvent[] = [];
    const to = mount(place === 'near' ? h.near : h.far, `${place}/b`, { machine: accepting });
    const from = mount(h.near, 'near/a', { machine: asker, effects: noting(log, asking(to)) });
    h.near.tell(from, 'ping.sent');
    h.run();
    t.is(log.length, 1);
    t.like(log[0], { type: 'ask.failed', from: to });
    t.is(log[0]?.error?.code, 'TROUPE_ACTOR_REFUSED');
    t.is(log[0]?.error?.message, `${to} in state open does not accept question.asked`);
    t.is(log[0]?.error?.origin, to);
    t.deepEqual(h.failures, []);
    t.is(h.turns.find(({ address: at }) => at === to)?.outcome, 'refused');
  });

  test(`ActorSystem: an ask to an address that nobody has on the ${place} node fails with TROUPE_ACTOR_UNKNOWN`, (t) => {
    const h = house(kinds);
    const log: ActorEvent[] = [];
    const from = mount(h.near, 'near/a', { machine: asker, effects: noting(log, asking(`${place}/nobody`)) });
    h.near.tell(from, 'ping.sent');
    h.run();
    t.is(log[0]?.error?.code, 'TROUPE_ACTOR_UNKNOWN');
    t.regex(log[0]?.error?.message ?? '', new RegExp(`${place}/nobody on ${place === 'near' ? near : far}`));
  });
}

test('ActorSystem: RUN-2, an unaccepted tell comes back and fails a sender that has no state for it', (t) => {
  const h = house(kinds);
  mount(h.far, 'far/b', { machine: answerer });
  const teller = createMachine({
    initial: 'on',
    states: { on: { on: { 'ping.sent': { actions: 'tell' } } } },
  });
  const from = mount(h.near, 'near/a', {
    machine: teller,
    effects: (self) => ({ tell: () => self.tell(address('far/b'), 'other.sent') }),
  });
  h.near.tell(from, 'ping.sent');
  h.run();
  t.is(h.failures.length, 1);
  t.is(h.failures[0]?.address, from);
  t.is(h.failures[0]?.error.code, 'TROUPE_ACTOR_REFUSED');
  t.regex(h.failures[0]?.error.message ?? '', /far\/b in state ready does not accept other.sent/);
});

test('ActorSystem: RUN-2, a sender with a state for refusals gets the refusal as an event', (t) => {
  const h = house(kinds);
  mount(h.far, 'far/b', { machine: answerer });
  const log: ActorEvent[] = [];
  const teller = createMachine({
    initial: 'on',
    states: { on: { on: { 'ping.sent': { actions: 'tell' }, 'message.refused': { actions: 'note' } } } },
  });
  const from = mount(h.near, 'near/a', {
    machine: teller,
    effects: noting(log, (self) => ({ tell: () => self.tell(address('far/b'), 'other.sent', { step: 9 }) })),
  });
  h.near.tell(from, 'ping.sent');
  h.run();
  t.like(log[0], { type: 'message.refused', from: address('far/b'), step: 9 });
  t.is((JSON.parse(log[0]!.body['error'] as string) as { code: string }).code, 'TROUPE_ACTOR_REFUSED');
  t.deepEqual(h.failures, []);
});

test('ActorSystem: a refusal of what was told from outside is logged, not lost', (t) => {
  const h = house(kinds);
  mount(h.far, 'far/b', { machine: answerer });
  h.near.tell(address('far/b'), 'other.sent');
  h.near.tell(address('near/nobody'), 'other.sent');
  h.run();
  t.deepEqual(
    h.warnings.map(({ message }) => message),
    ['message refused', 'message refused'],
  );
  t.deepEqual(
    h.warnings.map(({ fields }) => (JSON.parse(String(fields['error'])) as { code: string }).code).toSorted(),
    ['TROUPE_ACTOR_REFUSED', 'TROUPE_ACTOR_UNKNOWN'],
  );
});

test('ActorSystem: RUN-4, an ask that nobody answers fails at its deadline and names both ends and the reason', (t) => {
  const h = house(kinds);
  const log: ActorEvent[] = [];
  mount(h.far, 'far/b', { machine: answerer, effects: () => ({ answer: () => {} }) });
  const from = mount(h.near, 'near/a', { machine: asker, effects: noting(log, asking('far/b', 250)) });
  h.near.tell(from, 'ping.sent');
  h.run(249);
  t.deepEqual(log, []);
  h.run();
  t.like(log[0], { type: 'ask.failed', step: 3, attempt: 2, layer: 1 });
  t.is(log[0]?.error?.code, 'TROUPE_DEADLINE');
  t.true(log[0]?.error?.retryable);
  t.is(
    log[0]?.error?.message,
    'near/a asked far/b for question.asked (a test) and got no answer within 250 ms',
  );
});

test('ActorSystem: an answer after the deadline is dropped', (t) => {
  const h = house(kinds);
  const log: ActorEvent[] = [];
  const later = createMachine({
    initial: 'ready',
    states: { ready: { on: { 'question.asked': { actions: 'later' } } } },
  });
  mount(h.far, 'far/b', {
    machine: later,
    effects: (self) => ({
      later: (event: ActorEvent) => void self.clock.after(300, () => self.reply(event, 'answer.given')),
    }),
  });
  const from = mount(h.near, 'near/a', { machine: asker, effects: noting(log, asking('far/b', 250)) });
  h.near.tell(from, 'ping.sent');
  h.run();
  t.deepEqual(
    log.map(({ type }) => type),
    ['ask.failed'],
  );
});

test('ActorSystem: an ask of a kind that cannot be encoded fails at once, with its code', (t) => {
  const h = house(['ping.sent']);
  const log: ActorEvent[] = [];
  mount(h.far, 'far/b', { machine: answerer });
  const from = mount(h.near, 'near/a', { machine: asker, effects: noting(log, asking('far/b')) });
  h.near.tell(from, 'ping.sent');
  h.run();
  t.is(log[0]?.error?.code, 'TROUPE_WIRE_KIND');
  t.true(h.clock.now() < 1000);
});

test('ActorSystem: an error that a handler gives to refuse arrives with its code and details', (t) => {
  const h = house(kinds);
  const log: ActorEvent[] = [];
  mount(h.far, 'far/b', {
    machine: answerer,
    effects: (self) => ({
      answer: (event: ActorEvent) =>
        self.refuse(event, new TroupeError('TROUPE_TEST_CODE', 'no', { retryable: true, details: { n: 1 } })),
    }),
  });
  const from = mount(h.near, 'near/a', { machine: asker, effects: noting(log, asking('far/b')) });
  h.near.tell(from, 'ping.sent');
  h.run();
  t.like(log[0]?.error, {
    code: 'TROUPE_TEST_CODE',
    message: 'no',
    retryable: true,
    details: { n: 1 },
    origin: 'far/b',
  });
});

test('ActorSystem: only a request can be replied to', (t) => {
  const h = house(kinds);
  const to = mount(h.near, 'near/a', {
    machine: accepting,
    effects: (self) => ({ note: (event: ActorEvent) => self.reply(event, 'answer.given') }),
  });
  h.near.tell(to, 'ping.sent');
  h.run();
  t.true(h.failures[0]?.error instanceof InvariantError);
});

test('ActorSystem: a mailbox is bounded, and a sender that fills it fails the actor, not the node', (t) => {
  const h = house(kinds);
  const log: ActorEvent[] = [];
  const flooded = mount(h.near, 'near/a', { machine: accepting, effects: noting(log) });
  const calm = mount(h.near, 'near/b', { machine: accepting, effects: noting(log) });
  for (let i = 0; i < MAILBOX_CAPACITY; i++) h.near.tell(flooded, 'ping.sent');
  t.deepEqual(h.failures, []);
  t.is(h.near.statuses().find(({ address: at }) => at === flooded)?.mailboxSize, MAILBOX_CAPACITY);
  h.near.tell(flooded, 'ping.sent');
  t.is(h.failures[0]?.error.code, 'TROUPE_MAILBOX_FULL');
  t.is(h.failures[0]?.address, flooded);
  h.near.tell(calm, 'other.sent');
  h.run();
  t.is(log.filter(({ type }) => type === 'other.sent').length, 1);
});

test('ActorSystem: RUN-3, events of an earlier attempt, or of an earlier step of the same one, are dropped and counted', (t) => {
  const h = house(kinds);
  const log: ActorEvent[] = [];
  const machine = createMachine({
    context: { step: 5, attempt: 2 },
    initial: 'open',
    states: {
      open: {
        on: {
          'ping.sent': { actions: 'note' },
          'other.sent': { actions: 'note' },
          'epoch.raise': {
            actions: assign({
              step: ({ event }: { event: { type: string; step?: number } }) => event.step ?? 0,
              attempt: 1,
            }),
          },
        },
      },
    },
  });
  const to = mount(h.far, 'far/a', {
    machine,
    effects: noting(log),
    fence: {
      epoch: (context: { step: number; attempt: number }) => context,
      fenced: new Set(['ping.sent', 'question.asked']),
    },
  });
  const pairs = [
    [5, 1],
    [5, 2],
    [5, 3],
    [4, 2],
    [4, 9],
    [6, 1],
    [6, 2],
  ] as const;
  for (const [step, attempt] of pairs) h.near.tell(to, 'ping.sent', { step, attempt });
  h.near.tell(to, 'other.sent', { step: 1, attempt: 1 });
  h.run();
  t.deepEqual(
    log.map(({ type, step, attempt }) => [type, step, attempt]),
    [
      ['ping.sent', 5, 2],
      ['ping.sent', 5, 3],
      ['ping.sent', 4, 9],
      ['ping.sent', 6, 2],
      ['other.sent', 1, 1],
    ],
    'a later attempt may have gone back to an earlier step',
  );
  t.is(h.far.fencedEvents, 3);
  h.near.tell(to, 'question.asked', { step: 1 });
  h.run();
  t.is(h.far.fencedEvents, 4, 'stale comes before unaccepted: no refusal for what nobody waits for');
  h.near.tell(to, 'epoch.raise', { step: 7 });
  h.near.tell(to, 'ping.sent', { step: 6, attempt: 1 });
  h.run();
  t.is(h.far.fencedEvents, 5, 'the epoch is that of the context at the time of the turn');
  t.deepEqual(
    h.turns.filter(({ outcome }) => outcome === 'fenced').map(({ event }) => event.step),
    [5, 4, 6, 1, 6],
  );
});

test('ActorSystem: a node describes its actors, their states and their mailboxes to whoever asks', (t) => {
  const h = house(kinds);
  const log: ActorEvent[] = [];
  mount(h.far, 'far/a', { machine: accepting });
  mount(h.far, 'far/b', {
    machine: createMachine({
      initial: 'serving',
      states: { serving: { initial: 'gathering', states: { gathering: {} } } },
    }),
  });
  const watcher = createMachine({
    initial: 'on',
    states: { on: { on: { 'ping.sent': { actions: 'ask' }, 'system.described': { actions: 'note' } } } },
  });
  const from = mount(h.near, 'near/a', {
    machine: watcher,
    effects: noting(log, (self) => ({
      ask: () => self.ask(systemAddress(far), 'system.describe', {}, { deadlineMs: 10, reason: 'x' }),
    })),
  });
  h.near.tell(from, 'ping.sent');
  h.run();
  t.deepEqual(log[0]?.body['lines'], ['far/a open 0', 'far/b serving.gathering 0']);
});

test('ActorSystem: a packet that cannot be decoded is refused, its credit returns, the node goes on', (t) => {
  const h = house(kinds);
  const log: ActorEvent[] = [];
  const to = mount(h.far, 'far/a', { machine: accepting, effects: noting(log) });
  const transport = h.transports.get(near)!;
  transport.send(far, 'control', { header: Uint8Array.of(1, 2, 3), frames: [] });
  h.near.tell(to, 'ping.sent');
  h.run();
  t.is(h.warnings[0]?.message, 'packet refused');
  t.is(log.length, 1);
  t.is(transport.queuedBytes(far), 0);
});

test('ActorSystem: the same messages give the same turns', (t) => {
  const trace = (): unknown => {
    const h = house(kinds);
    const chatter = createMachine({
      initial: 'on',
      states: {
        on: {
          on: {
            'ping.sent': { actions: 'pass' },
            'question.asked': { actions: 'answer' },
            'answer.given': { actions: 'pass' },
          },
        },
      },
    });
    const names = ['near/a', 'far/b', 'near/c', 'far/d'];
    for (const [index, name] of names.entries()) {
      const next = address(names[(index + 1) % names.length] ?? '');
      mount(name.startsWith('far') ? h.far : h.near, name, {
        machine: chatter,
        effects: (self) => ({
          pass: (event: ActorEvent) => {
            if (event.step < 12) self.tell(next, 'ping.sent', { step: event.step + 1 });
            if (event.step < 12 && event.step % 3 === 0)
              self.ask(next, 'question.asked', { step: event.step + 1 }, { deadlineMs: 5, reason: 'x' });
          },
          answer: (event: ActorEvent) => self.reply(event, 'answer.given', { step: event.step + 2 }),
        }),
      });
    }
    for (const name of names) h.near.tell(address(name), 'ping.sent');
    h.run();
    t.deepEqual(h.failures, []);
    return h.turns.map(({ node, address: at, event, outcome, stateAfter }) => [
      node,
      at,
      event.type,
      event.from,
      event.step,
      outcome,
      stateAfter,
    ]);
  };
  const first = trace() as readonly unknown[];
  t.true(first.length > 100, `${first.length} turns`);
  t.deepEqual(trace(), first);
});
