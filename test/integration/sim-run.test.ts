import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { Packet } from '@troupe/core';
import { openReferenceDevice } from '@troupe/kernels';
import { simulate, type Simulation, type SimulationOptions } from 'troupe';
import { simulatedTiny } from './sim-tiny.ts';
import { tinyTokens, tinyTopology, trainTiny } from './tiny-cluster.ts';

const lossesOf = ({ events }: Simulation): readonly number[] =>
  events.flatMap((event) => (event.event === 'step' ? [event.loss] : []));

test('simulate: one seed has one trace, in this process and in another', async (t) => {
  const here = await simulatedTiny(3);
  const again = await simulatedTiny(3);
  t.is(here.result.error, null);
  t.is(again.traceHash, here.traceHash);
  t.is(again.virtualMs, here.virtualMs);
  t.is(again.numEvents, here.numEvents);
  t.deepEqual(again.events, here.events, 'tokens a second are of virtual time');
  const program = fileURLToPath(new URL('./sim-tiny.js', import.meta.url));
  const other = spawnSync(process.execPath, [program, '3'], { encoding: 'utf8' });
  t.is(other.status, 0, other.stderr);
  t.deepEqual(JSON.parse(other.stdout), {
    traceHash: here.traceHash,
    virtualMs: here.virtualMs,
    numEvents: here.numEvents,
  });
  t.log(`${here.numEvents} events in ${here.virtualMs.toFixed(1)} virtual ms`);
});

test('simulate: virtual time ends with the run, not with some later heartbeat', async (t) => {
  const { virtualMs, events } = await simulatedTiny(3);
  const speeds = events.flatMap((event) =>
    event.event === 'step' ? [event.tokens / event.tokensPerSecond] : [],
  );
  t.is(speeds.length, 2);
  const stepsMs = 1000 * speeds.reduce((a, b) => a + b, 0);
  t.true(virtualMs > stepsMs && virtualMs < 3 * stepsMs + 10, `${virtualMs} ms for steps of ${stepsMs} ms`);
});

test('simulate: another seed has another trace and the same loss', async (t) => {
  const [first, second] = [await simulatedTiny(3), await simulatedTiny(4)];
  t.not(second.traceHash, first.traceHash);
  t.deepEqual(lossesOf(second), lossesOf(first));
});

/** Flips one mantissa bit of the first packet whose frames hold at least `bytes`. */
function alterOnce(bytes: number): {
  readonly alter: NonNullable<SimulationOptions['alter']>;
  readonly count: () => number;
} {
  let count = 0;
  const alter = (packet: Packet): Packet => {
    const [frame] = packet.frames;
    if (count > 0 || frame === undefined || frame.byteLength < bytes) return packet;
    count++;
    const changed = frame.slice();
    changed[2] = (changed[2] ?? 0) ^ 0x10;
    return { header: packet.header, frames: [changed, ...packet.frames.slice(1)] };
  };
  return { alter, count: () => count };
}

test('simulate: SIM-2, one flipped bit in one message has another trace', async (t) => {
  const clean = await simulatedTiny(3, { keepsTrace: true });
  const { alter, count } = alterOnce(1024);
  const altered = await simulatedTiny(3, { alter, keepsTrace: true });
  t.is(count(), 1);
  t.not(altered.traceHash, clean.traceHash);
  t.true(clean.trace.length > 300, `a trace of ${clean.trace.length} lines`);
});

test('simulate: the loss is that of startCluster, bit for bit', async (t) => {
  const topology = tinyTopology({ dp: 2, ep: 2 });
  const real = await trainTiny(topology, async () => openReferenceDevice({ dtype: 'f32' }));
  const simulated = await simulate(topology, {
    seed: 9,
    openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    tokens: tinyTokens,
  });
  t.is(real.steps.length, 3);
  t.deepEqual(
    lossesOf(simulated),
    real.steps.map(({ loss }) => loss),
  );
});

test('simulate: no latency, jitter or bandwidth changes the loss', async (t) => {
  const base = lossesOf(await simulatedTiny(3));
  for (const network of [
    { latencyMs: 0, jitterMs: 0 },
    { latencyMs: 20, jitterMs: 80 },
    { jitterMs: 5, jitter: 'exponential', loss: 0.01 },
    { bytesPerMs: 200 },
    { windowBytes: { control: 1, data: 1 } },
  ] as const) {
    t.deepEqual(lossesOf(await simulatedTiny(3, { link: network })), base, JSON.stringify(network));
  }
});
