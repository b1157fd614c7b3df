import test from 'ava';
import fc from 'fast-check';
import {
  assign,
  createActor,
  createMachine,
  raise,
  setup,
  type AnyActorScope,
  type AnyStateMachine,
} from 'xstate';
import { PureMachine } from './pure-machine.ts';

/** Everything that our statecharts use, and every way from one state to another. */
const machine = setup({
  types: {
    context: {} as { count: number; limit: number; last: string },
    events: {} as { type: string; by: number },
    input: {} as { limit: number },
  },
  actions: {
    enter: () => {},
    leave: (_scope, _params: { readonly from: string }) => {},
    act: (_scope, _params: { readonly count: number }) => {},
    add: assign({ count: ({ context, event }) => context.count + event.by, last: ({ event }) => event.type }),
  },
  guards: {
    few: ({ context }) => context.count < context.limit,
    many: ({ context }) => context.count >= context.limit,
    less: ({ context }, { than }: { readonly than: number }) => context.count < than,
  },
  delays: { soon: ({ context }) => 10 * context.count },
}).createMachine({
  id: 'all',
  context: ({ input }) => ({ count: 0, limit: input.limit, last: '' }),
  entry: 'enter',
  initial: 'one',
  on: {
    up: { actions: 'add' },
    home: '.one',
    again: { target: '.two', reenter: true },
    deep: '#all.two.right.far',
  },
  states: {
    one: {
      entry: ['enter', { type: 'act', params: ({ context }) => ({ count: context.count }) }],
      exit: { type: 'leave', params: { from: 'one' } },
      on: {
        go: [{ guard: 'few', target: 'two', actions: 'add' }, { target: 'two.right' }],
        // Forbidden here, whatever the machine says above.
        home: {},
        self: { target: 'one' },
        stay: { target: 'one', reenter: true, actions: 'add' },
      },
    },
    two: {
      entry: { type: 'leave', params: { from: 'above two' } },
      exit: [{ type: 'leave', params: { from: 'two' } }, assign({ last: 'left' })],
      initial: 'left',
      after: { soon: 'one' },
      on: {
        go: { guard: { type: 'less', params: { than: 6 } }, target: '.right' },
        inside: { target: 'two' },
        reset: { target: 'two', reenter: true, actions: assign(() => ({ count: 0 })) },
      },
      states: {
        left: {
          entry: 'enter',
          exit: { type: 'leave', params: { from: 'left' } },
          on: { flip: 'right', up: { guard: 'few', actions: ['add', raise({ type: 'flip', by: 1 })] } },
        },
        right: {
          entry: { type: 'leave', params: { from: 'above right' } },
          exit: { type: 'leave', params: { from: 'right' } },
          initial: 'near',
          always: { guard: 'many', target: '#all.three', actions: 'add' },
          on: { flip: 'left' },
          states: {
            near: { on: { go: 'far' }, after: { 5: 'far' } },
            far: { entry: assign({ count: ({ context }) => context.count + 1 }), on: { flip: '#all.one' } },
          },
        },
      },
    },
    three: {
      entry: 'enter',
      always: [
        { guard: ({ context }) => context.count > 8, target: 'one', actions: assign({ count: 0 }) },
        { guard: ({ context }) => context.count === 7, actions: 'enter' },
        {
          guard: ({ context }) => context.count > 2 && context.count < 6,
          actions: assign({ count: ({ context }) => context.count + 1 }),
        },
      ],
      on: { flip: { actions: raise({ type: 'up', by: 1 }) }, go: { target: 'two.left' } },
    },
  },
});

const types = ['up', 'home', 'again', 'deep', 'go', 'self', 'stay', 'inside', 'reset', 'flip', 'none'];

/** The same by xstate's own transition, in the words of {@link PureMachine}. */
function byXstate(chart: AnyStateMachine, input: unknown) {
  let done: string[] = [];
  const inert = createActor(chart, { input } as never);
  const scope = {
    self: inert,
    system: inert.system,
    defer: () => {},
    actionExecutor: ({
      type,
      params,
      info,
    }: {
      type: string;
      params: unknown;
      info: { context: unknown };
    }) => {
      if (type === 'xstate.raise') {
        const { id, delay } = params as { id: string; delay?: number };
        if (delay !== undefined) done.push(`arm ${id} ${delay}`);
      } else if (type === 'xstate.cancel') done.push(`cancel ${(params as { sendId: string }).sendId}`);
      else if (!type.startsWith('xstate.'))
        done.push(`${type} ${JSON.stringify(params)} ${JSON.stringify(info.context)}`);
    },
  } as unknown as AnyActorScope;
  let snapshot = chart.getInitialSnapshot(scope, input);
  const shown = () => {
    const found = { value: JSON.stringify(snapshot.value), context: { ...snapshot.context }, done };
    done = [];
    return found;
  };
  return {
    first: shown(),
    send: (event: { type: string; by: number }) => {
      if (!snapshot.can(event)) return null;
      snapshot = chart.transition(snapshot, event, scope);
      return shown();
    },
  };
}

const nested = (state: string): unknown => {
  const [name = '', ...rest] = state.split('.');
  return rest.length === 0 ? name : { [name]: nested(rest.join('.')) };
};

test('statechart: the tables do what xstate does, in every state and for every event', (t) => {
  const states = new Set<string>();
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.record({ type: fc.constantFrom(...types), by: fc.integer({ min: 0, max: 3 }) }), {
        maxLength: 40,
      }),
      (limit, events) => {
        const theirs = byXstate(machine, { limit });
        const ours = new PureMachine(machine);
        let result = ours.initial({ limit });
        const check = (expected: ReturnType<typeof theirs.send>): void => {
          const { snapshot, actions, armed, cancelled } = result;
          states.add(snapshot.state);
          t.is<unknown, unknown>(JSON.stringify(nested(snapshot.state)), expected?.value);
          t.deepEqual(snapshot.context, expected?.context);
          const done = expected?.done ?? [];
          t.deepEqual(
            actions.map(
              ({ type, params, context }) => `${type} ${JSON.stringify(params)} ${JSON.stringify(context)}`,
            ),
            done.filter((each) => !/^(?:arm|cancel) /u.test(each)),
          );
          t.deepEqual(
            cancelled.map((id) => `cancel ${id}`),
            done.filter((each) => each.startsWith('cancel ')),
          );
          // A delay that was armed and cancelled in one transition is left out.
          const kept = done.filter(
            (each, index) =>
              each.startsWith('arm ') && !done.slice(index).includes(`cancel ${each.split(' ')[1]}`),
          );
          t.deepEqual(
            armed.map(({ id, delayMs }) => `arm ${id} ${delayMs}`),
            kept,
          );
        };
        check(theirs.first);
        for (const event of events) {
          const before = result.snapshot;
          const taken = ours.transition(before, event);
          const expected = theirs.send(event);
          t.is(taken === null, expected === null, `${event.type} in ${before.state}`);
          if (taken === null) continue;
          result = taken;
          check(expected);
        }
      },
    ),
    { numRuns: 300 },
  );
  t.deepEqual([...states].toSorted(), ['one', 'three', 'two.left', 'two.right.far', 'two.right.near']);
});

test('statechart: what actors do not use is refused by name', (t) => {
  const refusals: readonly (readonly [AnyStateMachine, RegExp])[] = [
    [createMachine({ id: 'p', type: 'parallel', states: { a: {}, b: {} } }), /'p' has the parallel state/],
    [createMachine({ initial: 'a', states: { a: { type: 'final' } } }), /final state/],
    [createMachine({ initial: 'a', states: { a: { on: { '*': {} } } } }), /wildcard/],
    [createMachine({ initial: 'a', states: { a: { invoke: { src: 'x' } } } } as never), /actors invoked/],
    [
      createMachine({ initial: 'a', states: { a: { on: { x: { guard: 'absent' } } } } } as never),
      /no plain guard/,
    ],
  ];
  for (const [each, message] of refusals) t.throws(() => new PureMachine(each), { message });
});
