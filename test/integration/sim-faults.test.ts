import test from 'ava';
import { faultKinds, type Fault } from '@troupe/sim/faults';
import type { Simulation } from 'troupe';
import { simulatedTiny } from './sim-tiny.ts';

const lossesOf = ({ events }: Simulation): readonly number[] =>
  events.flatMap((event) => (event.event === 'step' ? [event.loss] : []));

/** Faults that slow a run and change nothing else. */
const harmless: readonly Fault[] = [
  { kind: 'hang', target: 'worker/1', atStep: 1, forMs: 500 },
  { kind: 'slow', target: 'worker/0', atStep: 1, factor: 10 },
  { kind: 'skew', target: 'worker/0', atStep: 1, factor: 3 },
  { kind: 'nan', target: 'worker/0', atStep: 1 },
  { kind: 'delay', target: 'worker/0,worker/1', atStep: 1, factor: 100 },
  { kind: 'partition', target: 'worker/0,worker/1', atStep: 1, forMs: 1000 },
  { kind: 'partition', target: 'worker/0,agent/0', atMs: 1, forMs: 1000, oneWay: true },
  { kind: 'clog', target: 'worker/0', atStep: 1, factor: 100 },
];

/** Faults that end a process, an actor or a connection, and what the run says of it when it cannot go on. */
const grave: readonly { readonly fault: Fault; readonly says: RegExp }[] = [
  { fault: { kind: 'crash', target: 'worker/1', atStep: 1, restartAfterMs: -1 }, says: /worker\/1/ },
  { fault: { kind: 'crash', target: 'agent/0', atStep: 2 }, says: /lead\/0 was lost, after step 1/ },
  { fault: { kind: 'crash', target: 'machine/0', atStep: 2 }, says: /lead\/0 was lost, after step 1/ },
];

for (const fault of harmless) {
  test(`simulate: ${fault.kind} ${fault.target} takes time and changes no loss`, async (t) => {
    const clean = await simulatedTiny(3);
    const struck = await simulatedTiny(3, { faults: [fault] });
    t.is(struck.result.error, null);
    t.deepEqual(
      struck.struck.map((each) => each.fault),
      [fault],
    );
    t.deepEqual(lossesOf(struck), lossesOf(clean));
    t.not(struck.traceHash, clean.traceHash);
    if (fault.kind !== 'skew') t.true(struck.virtualMs > clean.virtualMs, `${struck.virtualMs} ms`);
  });
}

for (const { fault, says } of grave) {
  test(`simulate: ${fault.kind} ${fault.target} without a way back ends with 76 and says why`, async (t) => {
    const { result } = await simulatedTiny(3, { faults: [fault] });
    t.is(result.exitCode, 76);
    t.regex(result.error?.message ?? '', says);
  });
}

test('simulate: a fault strikes when an actor enters a state, after that turn', async (t) => {
  const when = { actor: 'expert/L*/ep1/edp0', state: 'serving.backwarding', times: 2 };
  const faults: readonly Fault[] = [{ kind: 'crash', target: 'worker/1', when }];
  const { struck, trace } = await simulatedTiny(3, { faults, keepsTrace: true });
  t.is(struck.length, 1);
  const entered = trace.filter(({ text }) => /^expert\/L\d\/ep1\/.* → serving\.backwarding$/.test(text));
  t.true(entered.length >= 2);
  t.is(entered[1]?.atMs, struck[0]?.atMs);
});

test('faultKinds: every kind says what it means and is aimed at something', (t) => {
  for (const { kind, aims, meaning } of faultKinds) {
    t.true(aims.length > 0, kind);
    t.true(meaning.length > 30, kind);
  }
});
