import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import type { Fault, FaultCondition } from '@troupe/sim/faults';
import { simulate, type Simulation, type SimulationOptions } from 'troupe';
import { crash, numbersOf, simulateTiny, withCheckpoints } from './struck-tiny.ts';
import { tinyTokens, tinyTopology, type TinyLayout } from './tiny-cluster.ts';
import { inPart } from '../mixtures/part.ts';

const run = (layout: TinyLayout, options: Partial<SimulationOptions> = {}): Promise<Simulation> =>
  simulateTiny(
    options.checkpoints === true ? withCheckpoints(layout) : tinyTopology({ steps: 3, ...layout }),
    options,
  );

const recoveries = ({ events }: Simulation) =>
  events.flatMap((event) => (event.event === 'recovered' ? [event] : []));

/** Where a step stands when a worker dies. Two layers: a worker's gates and experts enter each state twice a step. */
const phases = (
  dp: number,
  layout: (typeof layouts)[number],
): Readonly<Record<string, FaultCondition | number>> => ({
  'while parameters are drawn': 0,
  'while shards publish for the first time': { actor: `optimizer/dense/dp${dp}`, state: 'collecting' },
  'when a step has been opened': { actor: 'trainer', state: 'training', times: 2 },
  'in the middle of the forward pass': { actor: `gate/L1/pp0/dp${dp}`, state: 'awaitingRows', times: 2 },
  'in the middle of the backward pass': {
    actor: `gate/L1/pp0/dp${dp}`,
    state: 'awaitingGradients',
    times: 2,
  },
  'while sums are measured': { actor: `optimizer/dense/dp${dp}`, state: 'measuring', times: 2 },
  // Elsewhere a shard never stands in this state: it sums all it owns, or its one peer was faster.
  ...(layout.dp === 4 && layout.zero === 0
    ? { 'while sums are exchanged': { actor: `optimizer/dense/dp${dp}`, state: 'gathering', times: 2 } }
    : {}),
  'after its vote': { actor: `optimizer/dense/dp${dp}`, state: 'voted', times: 2 },
  'between decision and update': { actor: 'trainer', state: 'committing', times: 2 },
  'in the middle of an update': { actor: `optimizer/dense/dp${dp}`, state: 'applying', times: 2 },
  'while it publishes': { actor: `optimizer/dense/dp${dp}`, state: 'collecting', times: 3 },
  'during an evaluation': { actor: 'trainer', state: 'evaluating' },
});

const layouts = [
  { dp: 2, ep: 1, zero: 0 },
  { dp: 2, ep: 1, zero: 1 },
  { dp: 2, ep: 2, zero: 0 },
  { dp: 2, ep: 2, zero: 1 },
  { dp: 4, ep: 2, zero: 0 },
  { dp: 4, ep: 2, zero: 1 },
] as const;

for (const layout of inPart(layouts, 1, 2)) {
  const name = `dp ${layout.dp}, ep ${layout.ep}, zero ${layout.zero}`;
  test(`recovery: a worker that dies in any phase changes no number (${name})`, async (t) => {
    const clean = await run(layout);
    t.is(clean.result.error, null);
    t.deepEqual(recoveries(clean), []);
    const expected = numbersOf(clean);
    t.is(expected.length, 4);
    for (const dp of layout.dp === 2 ? [0, 1] : [layout.dp - 1]) {
      for (const [phase, when] of Object.entries(phases(dp, layout))) {
        const fault: Fault = {
          kind: 'crash',
          target: `worker/${dp}`,
          ...(typeof when === 'number' ? { atMs: when } : { when }),
        };
        const struck = await run(layout, { faults: [fault] });
        const where = `worker/${dp} ${phase}`;
        t.is(struck.struck.length, 1, `${where}: the fault struck`);
        t.is(struck.result.error, null, where);
        t.is(struck.result.exitCode, 0, where);
        t.deepEqual(numbersOf(struck), expected, where);
        const [recovered, ...more] = recoveries(struck);
        t.is(more.length, 0, where);
        t.is(recovered?.worker, `worker/${dp}`, where);
      }
    }
  });
}

/** Losses that meet a checkpoint, another loss or a recovery; and losses of something else than a process. */
const harder: Readonly<
  Record<string, { readonly faults: readonly Fault[]; readonly whole: string; readonly sharded: string }>
> = {
  // What lacks pieces is thrown away: the run goes back behind it.
  'while a checkpoint is gathered': {
    faults: [crash(1, { actor: 'store/m0', state: 'gathering' })],
    whole: 'peers+0',
    sharded: 'seed+2',
  },
  'while a checkpoint with all its pieces is written': {
    faults: [crash(1, { actor: 'store/m0', state: 'writing' })],
    whole: 'peers+0',
    sharded: 'snapshot+0',
  },
  'while a second checkpoint is gathered': {
    faults: [crash(1, { actor: 'store/m0', state: 'gathering', times: 2 })],
    whole: 'peers+0',
    sharded: 'snapshot+2',
  },
  'both workers at once': { faults: [crash(0, 4), crash(1, 4)], whole: 'snapshot+1', sharded: 'snapshot+1' },
  'the other one while the first is awaited': {
    faults: [crash(1, 3), crash(0, { actor: 'trainer', state: 'recovering.abandoning' })],
    whole: 'snapshot+0',
    sharded: 'snapshot+0',
  },
  'the one that sends its state': {
    faults: [crash(1, 4), crash(0, { actor: 'trainer', state: 'recovering.rebuilding' })],
    whole: 'snapshot+1',
    sharded: 'snapshot+1',
  },
  'the new life while it reads the snapshot': {
    faults: [crash(1, 4), crash(1, { actor: 'trainer', state: 'recovering.restoring' })],
    whole: 'peers+0',
    sharded: 'snapshot+1',
  },
  'a packet between two workers': {
    faults: [{ kind: 'drop', target: 'worker/0,worker/1', atStep: 3 }],
    whole: 'peers+0',
    sharded: 'peers+0',
  },
  'one actor': {
    faults: [{ kind: 'crash', target: 'expert/L0/ep0/edp0', atStep: 3 }],
    whole: 'peers+0',
    sharded: 'snapshot+0',
  },
  'a worker that hangs and wakes as a zombie': {
    faults: [{ kind: 'hang', target: 'worker/1', atStep: 3, forMs: 20_000 }],
    whole: 'peers+0',
    sharded: 'snapshot+0',
  },
  'a worker that the agent does not reach': {
    faults: [{ kind: 'partition', target: 'worker/1,agent/0', atStep: 3, forMs: 15_000 }],
    whole: 'peers+0',
    sharded: 'snapshot+0',
  },
};

for (const [key, layout] of [
  ['whole', { dp: 2, ep: 1, zero: 0 }],
  ['sharded', { dp: 2, ep: 2, zero: 1 }],
] as const) {
  test(`recovery: losses that meet checkpoints and other losses change no number (${key} copies)`, async (t) => {
    const clean = await run(layout, { checkpoints: true });
    const expected = numbersOf(clean);
    t.is(expected.length, 6);
    for (const [name, loss] of Object.entries(harder)) {
      const struck = await run(layout, { checkpoints: true, faults: loss.faults });
      t.is(struck.result.error, null, name);
      t.is(struck.violation, null, name);
      t.deepEqual(numbersOf(struck), expected, name);
      t.deepEqual(
        recoveries(struck).map(({ from, repeatedSteps }) => `${from}+${repeatedSteps}`),
        [loss[key]],
        name,
      );
    }
  });
}

test('recovery: one seed has one trace, losses and snapshots included', async (t) => {
  const faults = [crash(0, 4), crash(1, 4)];
  const [one, again] = [
    await run({ dp: 2, ep: 2 }, { checkpoints: true, faults }),
    await run({ dp: 2, ep: 2 }, { checkpoints: true, faults }),
  ];
  t.is(recoveries(one).length, 1);
  t.is(again.traceHash, one.traceHash);
});

test('recovery: a run that may not restart ends with 76 and says why; so does one whose worker never returns', async (t) => {
  const topology = tinyTopology({ dp: 2, ep: 2, steps: 3 });
  const options = {
    seed: 3,
    openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    tokens: tinyTokens,
  };
  const stateless = { ...topology, recovery: { ...topology.recovery, fromStart: false } };
  const over = await simulate(stateless, { ...options, faults: [crash(1, 2)] });
  t.is(over.result.exitCode, 76);
  t.regex(over.result.error?.message ?? '', /^worker\/1 was lost with state that no other worker holds/);
  const gone = await simulate(topology, { ...options, faults: [{ ...crash(1, 2), restartAfterMs: -1 }] });
  t.is(gone.result.exitCode, 76);
  t.regex(
    gone.result.error?.message ?? '',
    /^agent\/m0 waits for optimizer\/.*: the run to recover from the loss of worker\/1/,
  );
});
