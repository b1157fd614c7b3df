import test, { type ExecutionContext } from 'ava';
import type { Fault, FaultCondition } from '@troupe/sim/faults';
import type { Simulation, SimulationOptions } from 'troupe';
import { crash, numbersOf, simulateTiny, withCheckpoints } from './struck-tiny.ts';
import type { TinyLayout } from './tiny-cluster.ts';

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

/** The lead wakes so long after, in the steps of the one that has taken over 12.2 s behind. */
const PAUSE_MS = 12_190;

const agentIn = (machine: number, state: string, times = 1): FaultCondition => ({
  actor: `agent/m${machine}`,
  state,
  times,
});
const endOfLead = (when: FaultCondition | number): Fault => crashed('lead/0', when);

/** Ends of the lead, by where it and the run stand. */
const leadLosses: Readonly<Record<string, readonly Fault[]>> = {
  'before a journal write': [endOfLead(trainerIn('recording', 3))],
  'behind the first of the sends': [endOfLead(agentIn(1, 'committing', 3))],
  'during a checkpoint': [endOfLead(trainerIn('checkpointing'))],
  'while a lost worker is awaited': [crash(3, 3), endOfLead(trainerIn('recovering.abandoning'))],
  'twice, the second while it takes over': [endOfLead(3), endOfLead(trainerIn('takingOver.asking'))],
  'with a worker, when the decision is out': [
    endOfLead(trainerIn('committing', 3)),
    crash(1, trainerIn('committing', 3)),
  ],
  'with a machine, when the decision is recorded': [
    endOfLead(trainerIn('recording', 3)),
    crashed('agent/1', trainerIn('recording', 3)),
  ],
};

/** More of them, which are not run every time. */
const moreLeadLosses: typeof leadLosses = {
  'before anything is loaded': [{ kind: 'crash', target: 'lead/0', atMs: 0 }],
  'when all have voted': [endOfLead(agentIn(1, 'waiting', 5))],
  'behind the first that has applied': [endOfLead(agentIn(0, 'waiting', 6))],
  'during the evaluation': [endOfLead(trainerIn('evaluating'))],
  'behind an evaluation': [endOfLead(agentIn(1, 'evaluating'))],
  'while shards get their state back': [crash(3, 3), endOfLead(trainerIn('recovering.rebuilding'))],
  'twice, in two steps': [endOfLead(2), endOfLead(4)],
  'twice, the second as the run goes on': [endOfLead(3), endOfLead(trainerIn('recovering.rebuilding'))],
  'when a machine comes back': [crashed('agent/1', 3), endOfLead(trainerIn('recovering.abandoning'))],
  'with a machine that falls silent': [endOfLead(3), crashed('machine/1', 3)],
  'and it comes back late': [crashed('lead/0', 3, { restartAfterMs: 5000 })],
  ...Object.fromEntries(
    [1, 2, 4].flatMap((times) =>
      ['training', 'recording', 'committing'].map((state) => [
        `${state} ${times}, and a worker before it`,
        [crash(1, trainerIn(state, times)), endOfLead(trainerIn(state, times))],
      ]),
    ),
  ),
};

/** Layouts of four workers in which the lead is lost. */
const leadLayouts: readonly TinyLayout[] = [
  { dp: 4, ep: 2, buddies: true, machines: 4 },
  { dp: 4, ep: 2, zero: 0, machines: 2 },
  { dp: 2, ep: 2, pp: 2, zero: 3, buddies: true, microbatches: 2, machines: 2 },
  { dp: 4, ep: 2, zero: 2, offload: true, buddies: true, machines: 2 },
];

const isLong = process.env['TROUPE_LONG'] === '1';

async function goesOn(
  t: ExecutionContext,
  layout: TinyLayout,
  losses: typeof leadLosses,
  options: Partial<SimulationOptions> = {},
): Promise<void> {
  const topology = withCheckpoints(layout);
  const clean = await simulateTiny(topology, { checkpoints: true });
  for (const [what, faults] of Object.entries(losses)) {
    const name = `${what} ${JSON.stringify(layout)}`;
    const struck = await simulateTiny(topology, { checkpoints: true, faults, ...options });
    t.is(struck.violation, null, name);
    t.is(struck.result.error, null, name);
    t.is(struck.struck.length, faults.length, name);
    t.deepEqual(numbersOf(struck), numbersOf(clean), name);
    t.deepEqual(stepsOf(struck, 'checkpoint'), [2, 4, 5], name);
    t.true(
      struck.events.some((event) => event.event === 'recovered' && event.worker.includes('lead/0')),
      name,
    );
  }
}

const stepsOf = ({ events }: Simulation, kind: 'checkpoint'): readonly number[] =>
  events.flatMap((event) => (event.event === kind ? [event.step] : []));

test('machines: TKO-1 to TKO-6, a lead that is lost is replaced, workers live on, and every number and line is as without', async (t) => {
  const usual: TinyLayout = { dp: 4, ep: 2, buddies: true, machines: 2 };
  await goesOn(t, usual, isLong ? { ...leadLosses, ...moreLeadLosses } : leadLosses);
  if (isLong) for (const layout of leadLayouts) await goesOn(t, layout, { ...leadLosses, ...moreLeadLosses });
});

test('machines: TKO-3, TKO-5, a journal that is gone or whose end is torn, and a record that nobody has synced', async (t) => {
  const clean = await run(2);
  let decidedMs = 0;
  await run(2, {
    observe: ({ address, stateAfter, event }, atMs) => {
      if (address === 'trainer' && stateAfter === 'recording' && event.step === 3) decidedMs = atMs;
    },
  });
  const reads = (bytes: (all: Uint8Array) => Uint8Array) => ({
    plant: {
      disk: { reads: (path: string, all: Uint8Array) => (path.endsWith('journal') ? bytes(all) : all) },
    },
  });
  const afterAppend: Fault = { kind: 'crash', target: 'lead/0', atMs: decidedMs + 0.3 };
  let numReads = 0;
  const cases: Readonly<Record<string, readonly [Fault, Partial<SimulationOptions>]>> = {
    'appended, not synced': [afterAppend, {}],
    'gone, and one agent has heard': [
      endOfLead(agentIn(1, 'committing', 3)),
      reads((all) => all.subarray(0, 0)),
    ],
    torn: [
      endOfLead(agentIn(1, 'committing', 3)),
      // What the new lead writes in its place is whole, and it looks.
      reads((all) => (numReads++ === 0 ? all.subarray(0, all.byteLength - 9) : all)),
    ],
  };
  for (const [name, [fault, options]] of Object.entries(cases)) {
    const struck = await run(2, { faults: [fault], ...options });
    t.is(struck.violation, null, name);
    t.is(struck.result.error, null, name);
    t.deepEqual(numbersOf(struck), numbersOf(clean), name);
  }
});

test('machines: TKO-1, a lead that stood still wakes when another has the run: it decides nothing, and changes nothing', async (t) => {
  const clean = await run(2);
  const heard: string[] = [];
  const struck = await run(2, {
    faults: [{ kind: 'hang', target: 'lead/0', when: trainerIn('recording', 3), forMs: PAUSE_MS }],
    observe: ({ address, event }) => {
      if (address === 'trainer' && /^(?:lead|decision)[.]/u.test(event.type))
        heard.push(`${event.type} ${event.step}`);
    },
  });
  t.is(struck.violation, null);
  t.is(struck.result.error, null);
  t.deepEqual(numbersOf(struck), numbersOf(clean));
  t.is(heard.filter((each) => each === 'decision.unrecorded 3').length, 1, 'the old lead looks, and ends');
  t.deepEqual(
    heard.filter((each) => each !== 'decision.unrecorded 3'),
    [
      'decision.recorded 1',
      'decision.recorded 2',
      'lead.claimed 0',
      ...[3, 4, 5].map((step) => `decision.recorded ${step}`),
    ],
  );
});

test('machines: a lead that is lost more often than recovery.losses allows ends the run with 76', async (t) => {
  const never = withCheckpoints({ dp: 4, ep: 2, buddies: true, machines: 2, losses: 0 });
  const { result, violation } = await simulateTiny(never, { checkpoints: true, faults: [endOfLead(3)] });
  t.is(result.exitCode, 76);
  t.is(violation, null);
  t.regex(
    result.error?.message ?? '',
    /^lead\/0 was lost \(killed\) once more than recovery[.]losses allows/,
  );
});
