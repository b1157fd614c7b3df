import test from 'ava';
import type { Fault } from '@troupe/sim/faults';
import { resolveTopology, type ResolvedTopology } from '@troupe/topology';
import type { Simulation } from './simulation.ts';
import { openSimulator, type Simulator } from './simulator.ts';

const STEPS = 8;

const topologyOf = (over: {
  readonly machines?: object;
  readonly recovery?: object;
  readonly parallel?: object;
  readonly checkpoint?: object;
}): ResolvedTopology =>
  resolveTopology({
    model: { vocab: 257, layers: 2, dModel: 16, heads: 2, seqLen: 8, moe: { experts: 4, topK: 2 } },
    data: { synthetic: 'zipf' },
    train: { steps: STEPS, batch: 8, grains: 8 },
    eval: { every: 0 },
    launcher: { kind: 'local' },
    parallel: { dp: 4, ep: 2, zero: 1, ...over.parallel },
    checkpoint: { every: 3, ...over.checkpoint },
    machines: { count: 4, devices: ['cpu:0'], min: 1, ...over.machines },
    recovery: { machines: 'shrink', waitSeconds: 20, ...over.recovery },
  });

const lost = (target: string, when: Partial<Fault> = { atStep: 5 }): Fault => ({
  kind: 'crash',
  target,
  restartAfterMs: -1,
  ...when,
});

const stepsOf = ({ events }: Simulation): readonly (readonly [number, number])[] =>
  events.flatMap((event) => (event.event === 'step' ? [[event.step, event.loss] as const] : []));

const simulatorOf = (over: Parameters<typeof topologyOf>[0] = {}): Promise<Simulator> =>
  openSimulator(topologyOf(over), {});

const run = async (simulator: Simulator, faults: readonly Fault[], seed = 1): Promise<Simulation> =>
  simulator.run({ seed, steps: STEPS, faults });

/** Machines of the last layout. */
const agentsOf = ({ actors }: Simulation): number =>
  actors.filter(({ address }) => address.startsWith('agent/')).length;

const reasonOf = ({ result }: Simulation): unknown => result.error?.details['reason'] ?? null;

test('simulate: whichever machine is lost for good, the run shrinks and has the curve of the undisturbed one', async (t) => {
  const simulator = await simulatorOf();
  const clean = await run(simulator, []);
  for (const machine of [0, 3]) {
    const after = await run(simulator, [lost(`machine/${machine}`)]);
    t.is(after.violation, null);
    t.is(after.result.exitCode, 0);
    t.deepEqual(stepsOf(after), stepsOf(clean), 'each step once');
    t.is(agentsOf(after), 2, 'dp 2, since 3 does not divide the grains');
  }
});

test('simulate: exactly half of the machines go on when whoever started the others has seen them end, and else nobody does', async (t) => {
  const simulator = await simulatorOf();
  const clean = await run(simulator, []);
  const seen = await run(simulator, [lost('agent/0'), lost('agent/3')]);
  t.is(seen.violation, null);
  t.deepEqual(stepsOf(seen), stepsOf(clean));
  const unseen = await run(simulator, [lost('agent/0'), lost('machine/3')]);
  t.is(unseen.violation, null, 'it ends, and says what it has lost');
  t.is(unseen.result.exitCode, 76);
  t.is(reasonOf(unseen), 'half');
  t.regex(
    unseen.result.error?.message ?? '',
    /^m0, m3 were lost and did not come back within 20 s; 2 of 4 machines/u,
  );
});

test('simulate: a spare machine stands in for one that is lost; the next loss ends the run', async (t) => {
  const machines = { count: 2, spares: 1, min: 2 };
  const recovery = { machines: 'spare' };
  const simulator = await simulatorOf({ machines, recovery, parallel: { dp: 2 } });
  const clean = await run(simulator, []);
  const once = await run(simulator, [lost('agent/1')]);
  t.is(once.violation, null);
  t.deepEqual(stepsOf(once), stepsOf(clean));
  t.is(agentsOf(once), 2);
  const twice = await run(simulator, [lost('agent/1'), lost('agent/0', { atStep: 7 })]);
  t.is(twice.violation, null);
  t.is(reasonOf(twice), 'no-spare');
});

test('simulate: a run ends where fewer machines are left than machines.min, and names it', async (t) => {
  const simulator = await simulatorOf({ machines: { min: 3 } });
  const both = await run(simulator, [lost('agent/1'), lost('agent/2')]);
  t.is(both.violation, null);
  t.is(reasonOf(both), 'too-few');
  t.regex(both.result.error?.message ?? '', /m1, m2 were lost .*machines\.min is 3/u);
});

test('simulate: machines that are lost while others are waited for, or while the run is laid out anew, are lost too', async (t) => {
  const simulator = await simulatorOf();
  const clean = await run(simulator, []);
  const first = await run(simulator, [lost('agent/1')]);
  const lostMs = first.struck[0]?.atMs ?? 0;
  const waitedMs = lostMs + 20_000;
  // The next layout is that of m0 and m2, and m3 idles.
  const moments = [lostMs + 10_000, waitedMs + 2, (waitedMs + first.virtualMs) / 2];
  for (const atMs of moments) {
    const second = await run(simulator, [lost('agent/1'), lost('agent/2', { atMs })]);
    t.is(second.violation, null);
    t.is(second.result.error?.message, undefined);
    t.deepEqual(stepsOf(second), stepsOf(clean), `lost at ${atMs} of ${first.virtualMs} ms`);
    t.is(second.struck.length, 2);
  }
});

test('simulate: without a checkpoint the run goes on from its first step, or ends where it may not', async (t) => {
  const clean = await run(await simulatorOf(), []);
  const checkpoint = { every: 0 };
  const again = await run(await simulatorOf({ checkpoint }), [lost('machine/2')]);
  t.is(again.violation, null);
  t.deepEqual(stepsOf(again), stepsOf(clean));
  const never = await run(await simulatorOf({ checkpoint, recovery: { fromStart: false } }), [
    lost('machine/2'),
  ]);
  t.is(never.violation, null);
  t.is(reasonOf(never), 'no-state');
});

test('simulate: a lost machine that comes back in time is no reason to shrink', async (t) => {
  const simulator = await simulatorOf();
  const clean = await run(simulator, []);
  const back = await run(simulator, [lost('machine/1', { atStep: 5, restartAfterMs: 15_000 })]);
  t.is(back.violation, null);
  t.deepEqual(stepsOf(back), stepsOf(clean));
  t.is(agentsOf(back), 4);
});
