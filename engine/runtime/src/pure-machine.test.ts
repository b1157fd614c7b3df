import test from 'ava';
import { assign, createMachine, setup } from 'xstate';
import { PureMachine, type MachineSnapshot, type TransitionResult } from './pure-machine.ts';

/** Takes an event that the state must accept. */
function take(
  machine: PureMachine,
  snapshot: MachineSnapshot,
  event: { readonly type: string; readonly by?: string },
): TransitionResult {
  const result = machine.transition(snapshot, event);
  if (result === null) throw new Error(`${event.type} is not accepted in ${snapshot.state}`);
  return result;
}

const doorMachine = setup({
  types: {
    context: {} as { opened: number },
    events: {} as { type: 'open' | 'close' | 'alarm' | 'lock'; by?: string },
    input: {} as { opened: number },
  },
  actions: { creak: () => {}, note: (_scope, _params: { readonly what: string }) => {}, ring: () => {} },
  guards: { quiet: ({ context }) => context.opened < 2 },
  delays: { shut: ({ context }) => context.opened * 100 },
}).createMachine({
  id: 'door',
  context: ({ input }) => ({ opened: input.opened }),
  initial: 'closed',
  states: {
    closed: {
      on: {
        open: {
          guard: 'quiet',
          target: 'open',
          actions: ['creak', assign({ opened: ({ context }) => context.opened + 1 })],
        },
      },
    },
    open: {
      entry: { type: 'note', params: { what: 'entered' } },
      after: { shut: 'closed' },
      on: { close: 'closed', alarm: { actions: 'ring' } },
    },
  },
});

test('PureMachine: returns the next snapshot and the actions in order, and runs none of them', (t) => {
  const machine = new PureMachine(doorMachine);
  const first = machine.initial({ opened: 0 });
  t.is(first.snapshot.state, 'closed');
  t.deepEqual(first.actions, []);
  const { snapshot, actions, armed, cancelled } = take(machine, first.snapshot, {
    type: 'open',
    by: 'me',
  });
  t.is(snapshot.state, 'open');
  t.deepEqual(snapshot.context, { opened: 1 });
  t.deepEqual(
    actions.map(({ type, params, event }) => [type, params, event]),
    [
      ['creak', undefined, { type: 'open', by: 'me' }],
      ['note', { what: 'entered' }, { type: 'open', by: 'me' }],
    ],
  );
  t.is(armed.length, 1);
  t.is(armed[0]?.delayMs, 100);
  t.deepEqual(cancelled, []);
  t.is(first.snapshot.state, 'closed', 'the snapshot before is untouched');
});

test('PureMachine: leaving a state cancels the delay that it armed, by the same id', (t) => {
  const machine = new PureMachine(doorMachine);
  const open = take(machine, machine.initial({ opened: 0 }).snapshot, { type: 'open' });
  const closed = take(machine, open.snapshot, { type: 'close' });
  t.deepEqual(
    closed.cancelled,
    open.armed.map(({ id }) => id),
  );
  const fired = take(machine, open.snapshot, open.armed[0]!.event);
  t.is(fired.snapshot.state, 'closed');
});

test('PureMachine: an unaccepted event is seen by can(), guards included', (t) => {
  const machine = new PureMachine(doorMachine);
  const { snapshot } = machine.initial({ opened: 0 });
  t.true(snapshot.can({ type: 'open' }));
  t.false(snapshot.can({ type: 'lock' }));
  t.false(snapshot.can({ type: 'close' }));
  t.is(machine.transition(snapshot, { type: 'close' }), null);
  t.false(new PureMachine(doorMachine).initial({ opened: 2 }).snapshot.can({ type: 'open' }));
});

test('PureMachine: one instance serves many snapshots, each a function of its own past', (t) => {
  const machine = new PureMachine(doorMachine);
  const a = take(machine, machine.initial({ opened: 0 }).snapshot, { type: 'open' });
  const b = take(machine, machine.initial({ opened: 1 }).snapshot, { type: 'open' });
  t.deepEqual([a.snapshot.context, b.snapshot.context], [{ opened: 1 }, { opened: 2 }]);
  t.deepEqual([a.armed[0]?.delayMs, b.armed[0]?.delayMs], [100, 200]);
  const again = take(machine, machine.initial({ opened: 0 }).snapshot, { type: 'open' });
  t.deepEqual(again.snapshot, a.snapshot);
  t.deepEqual(again.armed, a.armed, 'nothing global, such as a session id, is in what comes out');
});

test('PureMachine: entry actions of the first state and raised events without delay are part of one transition', (t) => {
  const machine = createMachine({
    initial: 'a',
    states: { a: { entry: 'hello', always: 'b' }, b: { entry: 'world' } },
  });
  const { snapshot, actions } = new PureMachine(machine).initial(undefined);
  t.is(snapshot.state, 'b');
  t.deepEqual(
    actions.map(({ type }) => type),
    ['hello', 'world'],
  );
});
