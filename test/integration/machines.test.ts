import test from 'ava';
import type { Fault, FaultCondition } from '@troupe/sim/faults';
import type { Simulation, SimulationOptions } from 'troupe';
import { numbersOf, simulateTiny, withCheckpoints } from './struck-tiny.ts';

/** Four workers, copies of whose shards lie elsewhere, on so many machines. */
const run = (machines: number, options: Partial<SimulationOptions> = {}): Promise<Simulation> =>
  simulateTiny(withCheckpoints({ dp: 4, ep: 2, buddies: true, machines }), { checkpoints: true, ...options });

test('machines: AGT-2, TRN-6, numbers are those of one machine, and the trainer hears four messages of each in a step', async (t) => {
  const alone = await run(1);
  for (const numMachines of [2, 4]) {
    const heard = new Map<number, string[]>();
    const far = await run(numMachines, {
      observe: ({ address, event }) => {
        if (address !== 'trainer' || !event.from.startsWith('agent/')) return;
        const said = heard.get(event.step) ?? [];
        heard.set(event.step, [...said, `${event.type} ${event.from}`]);
      },
    });
    t.is(far.violation, null);
    t.is(far.result.error, null);
    t.deepEqual(numbersOf(far), numbersOf(alone));
    const agents = Array.from({ length: numMachines }, (_, machine) => `agent/m${machine}`);
    const kinds = ['machine.applied', 'machine.counted', 'machine.measured', 'machine.voted'];
    for (const step of [1, 2, 3])
      t.deepEqual(
        heard.get(step)?.toSorted(),
        kinds.flatMap((kind) => agents.map((agent) => `${kind} ${agent}`)),
        `step ${step} on ${numMachines} machines`,
      );
  }
});

const crashed = (target: string, when: FaultCondition | number, more: Partial<Fault> = {}): Fault => ({
  kind: 'crash',
  target,
  ...(typeof when === 'number' ? { atStep: when } : { when }),
  ...more,
});
const trainerIn = (state: string, times = 1): FaultCondition => ({ actor: 'trainer', state, times });

/** What a run survives; the second machine has no store. */
const survived: Readonly<Record<string, readonly Fault[]>> = {
  'the agent of a machine, and all workers with it': [crashed('agent/1', 3)],
  'the machine, silently': [crashed('machine/1', 3)],
  'the agent between decision and update': [crashed('agent/1', trainerIn('committing', 2))],
  'the agent while another worker is awaited': [
    crashed('worker/0', 3),
    crashed('agent/1', trainerIn('recovering.abandoning')),
  ],
  'a worker while a machine comes back': [
    crashed('agent/1', 3),
    crashed('worker/2', { actor: 'agent/m1', state: 'leaving', times: 1 }),
  ],
  'the actor that is the agent': [crashed('agent/m1', 3)],
  'an agent that hangs and wakes as a zombie': [
    { kind: 'hang', target: 'agent/1', atStep: 3, forMs: 20_000 },
  ],
  'an agent that the lead does not reach': [
    { kind: 'partition', target: 'lead/0,agent/1', atStep: 3, forMs: 15_000 },
  ],
  'a message between the lead and the agent beside it': [
    { kind: 'drop', target: 'lead/0,agent/0', atStep: 3 },
  ],
  'a worker that its agent does not reach': [
    { kind: 'partition', target: 'worker/3,agent/1', atStep: 3, forMs: 15_000 },
  ],
  'a worker that hangs': [{ kind: 'hang', target: 'worker/3', atStep: 3, forMs: 20_000 }],
};

test('machines: SUP-6, SUP-7, a machine, its agent or a worker that is lost at any time changes no number', async (t) => {
  const clean = await run(2);
  for (const [name, faults] of Object.entries(survived)) {
    const struck = await run(2, { faults });
    t.is(struck.violation, null, name);
    t.is(struck.result.error, null, name);
    t.is(struck.struck.length, faults.length, name);
    t.true(
      struck.events.some(({ event }) => event === 'recovered'),
      name,
    );
    t.deepEqual(numbersOf(struck), numbersOf(clean), name);
  }
});

test('machines: a lost machine is named as one, and is one loss', async (t) => {
  const machine = await run(2, { faults: [crashed('agent/1', 3)] });
  const fault = machine.events.find(({ event }) => event === 'fault');
  t.regex(
    fault?.event === 'fault' ? fault.message : '',
    /^machine\/1 was lost \(agent\/1: the connection was closed\) after step 2; it had worker\/2, worker\/3; recovering$/,
  );
});

/** Ends of the lead, by where it and the run stand. */
const leadLosses: Readonly<Record<string, readonly Fault[]>> = {
  'in a step': [crashed('lead/0', 3)],
};

test('machines: TKO, another lead takes over, and no number changes', async (t) => {
  const clean = await run(2);
  for (const [name, faults] of Object.entries(leadLosses)) {
    const struck = await run(2, { faults });
    t.is(struck.violation, null, name);
    t.is(struck.result.error, null, name);
    t.is(struck.struck.length, faults.length, name);
    t.deepEqual(numbersOf(struck), numbersOf(clean), name);
  }
});
