import test from 'ava';
import type { Fault, FaultCondition } from '@troupe/sim/faults';
import type { Simulation, SimulationOptions } from 'troupe';
import { crash, numbersOf, simulateTiny, withCheckpoints } from './struck-tiny.ts';
import type { TinyLayout } from './tiny-cluster.ts';
import { inPart } from '../mixtures/part.ts';

interface Layout extends TinyLayout {
  readonly buddies: boolean;
}

const run = (
  { buddies, ...layout }: Layout,
  options: Partial<SimulationOptions> = {},
): Promise<Simulation> => {
  const topology = withCheckpoints(layout);
  return simulateTiny(
    { ...topology, recovery: { ...topology.recovery, buddies } },
    { checkpoints: true, ...options },
  );
};

const recoveries = ({ events }: Simulation): readonly string[] =>
  events.flatMap((event) => (event.event === 'recovered' ? [`${event.from}+${event.repeatedSteps}`] : []));

const phases = (dp: number): Readonly<Record<string, FaultCondition>> => ({
  'while buddies get their first copies': { actor: `optimizer/dense/dp${dp}`, state: 'publishing' },
  'in the middle of the forward pass': { actor: `gate/L1/pp0/dp${dp}`, state: 'awaitingRows', times: 3 },
  'while sums are measured': { actor: `optimizer/expert/dp${dp}`, state: 'measuring', times: 3 },
  'while its buddy gets the sum': { actor: `optimizer/dense/dp${dp}`, state: 'gathering', times: 3 },
  'after its vote': { actor: `optimizer/dense/dp${dp}`, state: 'voted', times: 3 },
  'between decision and update': { actor: 'trainer', state: 'committing', times: 3 },
  'in the middle of an update': { actor: `optimizer/dense/dp${dp}`, state: 'applying', times: 3 },
  'while it publishes': { actor: `optimizer/expert/dp${dp}`, state: 'collecting', times: 4 },
  'while a checkpoint is gathered': { actor: 'store/m0', state: 'gathering' },
});

/** Fewer phases where a layout only adds another kind of slice or of gradient. */
const isBrief = ({ zero = 1, microbatches = 1 }: TinyLayout): boolean => zero === 0 || microbatches > 1;
const briefly: ReadonlySet<string> = new Set(['while sums are measured', 'between decision and update']);

const layouts: readonly TinyLayout[] = [
  { dp: 2, ep: 1 },
  { dp: 2, ep: 2 },
  { dp: 2, ep: 2, zero: 0 },
  { dp: 2, ep: 2, microbatches: 2 },
  { dp: 4, ep: 2 },
  { dp: 4, ep: 4 },
];

for (const layout of inPart(layouts, 0, 2)) {
  const { dp, ep, zero = 1, microbatches = 1 } = layout;
  test(`buddies: BUD-1, a loss in any phase repeats no step (dp ${dp}, ep ${ep}, zero ${zero}, microbatches ${microbatches})`, async (t) => {
    const plain = await run({ ...layout, buddies: false });
    const expected = numbersOf(plain);
    t.is(expected.length, 6);
    t.deepEqual(numbersOf(await run({ ...layout, buddies: true })), expected, 'buddies change no number');
    const worker = dp - 1;
    for (const [phase, when] of Object.entries(phases(worker))) {
      if (isBrief(layout) && !briefly.has(phase)) continue;
      const struck = await run({ ...layout, buddies: true }, { faults: [crash(worker, when)] });
      t.is(struck.struck.length, 1, `${phase}: the fault struck`);
      t.is(struck.result.error, null, phase);
      t.is(struck.violation, null, phase);
      t.deepEqual(numbersOf(struck), expected, phase);
      const [recovered, ...more] = recoveries(struck);
      t.is(more.length, 0, phase);
      if (phase === 'while buddies get their first copies') t.regex(recovered ?? '', /^(peers|seed)\+0$/);
      else t.is(recovered, 'peers+0', phase);
    }
  });
}

/** Workers n and n + 2 keep each other's state. */
const several: Readonly<
  Record<string, { readonly faults: readonly Fault[]; readonly from: readonly string[] }>
> = {
  'a worker and its buddy at once': { faults: [crash(1, 4), crash(3, 4)], from: ['snapshot+1'] },
  'two workers that do not keep each other': { faults: [crash(0, 4), crash(1, 4)], from: ['peers+0'] },
  'a worker, later its buddy': { faults: [crash(1, 3), crash(3, 5)], from: ['peers+0', 'peers+0'] },
  'the same worker twice': { faults: [crash(1, 3), crash(1, 5)], from: ['peers+0', 'peers+0'] },
  'all, one after the other': {
    faults: [crash(0, 2), crash(1, 3), crash(2, 4), crash(3, 5)],
    from: ['peers+0', 'peers+0', 'peers+0', 'peers+0'],
  },
  'a worker and its buddy, and another one after they went back': {
    faults: [crash(1, 4), crash(3, 4), crash(2, 5)],
    from: ['snapshot+1', 'peers+0'],
  },
  'the buddy while it sends': {
    faults: [crash(1, 4), crash(3, { actor: 'trainer', state: 'recovering.rebuilding' })],
    from: ['snapshot+1'],
  },
  'a part of what a shard sends its buddy': {
    faults: [{ kind: 'drop', target: 'worker/1,worker/3', atStep: 3 }],
    from: ['peers+0'],
  },
  'a worker that hangs and wakes as a zombie': {
    faults: [{ kind: 'hang', target: 'worker/1', atStep: 3, forMs: 20_000 }],
    from: ['peers+0'],
  },
  'another one while the first is rebuilt': {
    faults: [crash(1, 4), crash(2, { actor: 'trainer', state: 'recovering.rebuilding' })],
    from: ['peers+0'],
  },
  'a buddy in the middle of an update of its copy': {
    faults: [crash(3, { actor: 'ward/dense/dp1', state: 'applying', times: 3 })],
    from: ['peers+0'],
  },
};

for (const layout of [
  { dp: 4, ep: 2 },
  { dp: 4, ep: 4 },
] as const) {
  test(`buddies: BUD-3, several losses change no number (dp 4, ep ${layout.ep})`, async (t) => {
    const expected = numbersOf(await run({ ...layout, buddies: false }));
    for (const [name, { faults, from }] of Object.entries(several)) {
      const struck = await run({ ...layout, buddies: true }, { faults });
      t.is(struck.struck.length, faults.length, name);
      t.is(struck.result.error, null, name);
      t.is(struck.violation, null, name);
      t.deepEqual(numbersOf(struck), expected, name);
      t.deepEqual(recoveries(struck), from, name);
    }
  });
}
