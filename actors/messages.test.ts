import test from 'ava';
import { fencedKinds, on, PureMachine, type Machine } from '@troupe/runtime';
import { createMachine, setup, type AnyStateMachine } from 'xstate';
import { agentMachine } from './agent/machine.ts';
import { askerMachine } from './asker/machine.ts';
import { courierMachine } from './courier/machine.ts';
import { expertMachine } from './expert/machine.ts';
import { feederMachine } from './feeder/machine.ts';
import { gateMachine } from './gate/machine.ts';
import { fencedByTrainer } from './trainer/events.ts';
import { messageKinds, messages, serviceMessages, type Role } from './messages.ts';
import { optimizerMachine } from './optimizer/machine.ts';
import { serviceMachine } from './service/machine.ts';
import { stageMachine } from './stage/machine.ts';
import { storeMachine } from './store/machine.ts';
import { supervisorMachine } from './supervisor/machine.ts';
import { trainerMachine } from './trainer/machine.ts';
import { wardMachine } from './ward/machine.ts';

const machines: Readonly<Partial<Record<Role, AnyStateMachine>>> = {
  trainer: trainerMachine,
  agent: agentMachine,
  feeder: feederMachine,
  stage: stageMachine,
  gate: gateMachine,
  expert: expertMachine,
  optimizer: optimizerMachine,
  ward: wardMachine,
  courier: courierMachine,
  store: storeMachine,
  supervisor: supervisorMachine,
  service: serviceMachine,
  asker: askerMachine,
};

/** Kinds that a machine takes in one state or another. */
const takenBy = (machine: AnyStateMachine): ReadonlySet<string> => new Set(machine.events);

test('messages: every kind that comes to a role is taken by its machine, and no machine takes a message that does not', (t) => {
  const all = { ...messages, ...serviceMessages };
  for (const [role, machine] of Object.entries(machines)) {
    const taken = takenBy(machine);
    const sent = Object.entries(all).filter(([, { to }]) => (to as readonly string[]).includes(role));
    for (const [kind] of sent)
      t.true(
        taken.has(kind) || kind.startsWith('message.') || kind === 'system.described',
        `${role} takes ${kind}`,
      );
    for (const kind of taken)
      t.true(!Object.hasOwn(all, kind) || sent.some(([each]) => each === kind), `${kind} goes to ${role}`);
  }
});

test('messages: names are noun.verb, roles are known, and what the program says never needs a fence', (t) => {
  for (const [kind, { from, to, fenced, says }] of Object.entries({ ...messages, ...serviceMessages })) {
    t.regex(kind, /^[a-z]+\.[a-z]+$/);
    t.true(from.length > 0 && to.length > 0 && says.endsWith('.'), kind);
    if (from.length === 1 && (from as readonly string[]).includes('program')) t.false(fenced, kind);
  }
  t.is(messageKinds.size, Object.keys(messages).length);
});

test('messages: a fence has the fenced kinds of its role and the fenced events of its own, and no other', (t) => {
  t.true(fencedByTrainer.has('machine.voted') && fencedByTrainer.has('ask.failed'));
  t.false(fencedByTrainer.has('checkpoint.written') || fencedByTrainer.has('run.stop'));
  t.false(fencedByTrainer.has('rows.dispatch'), 'goes to experts');
  t.deepEqual([...fencedKinds({}, 'trainer', {})], []);
});

test('actions: one that is due on some kinds of events alone may not stand on a transition of another', (t) => {
  const actions = { keep: on('rows.dispatch') };
  const machine = (kind: string): Machine =>
    setup({ actions }).createMachine({
      initial: 'open',
      states: { open: { on: { [kind]: { actions: 'keep' } } } },
    });
  t.notThrows(() => new PureMachine(machine('rows.dispatch')));
  t.throws(() => new PureMachine(machine('rows.return')), {
    message: /the action keep, which is due on rows.dispatch, on a transition of rows.return/,
  });
  const behind = setup({ actions }).createMachine({
    initial: 'a',
    states: { a: { on: { 'rows.return': 'b' } }, b: { always: { target: 'c', actions: 'keep' } }, c: {} },
  });
  t.throws(() => new PureMachine(behind), { message: /on a transition of rows.return/ });
  t.notThrows(() => new PureMachine(createMachine({ initial: 'a', states: { a: {} } })));
  for (const each of Object.values(machines)) t.notThrows(() => new PureMachine(each));
});
