import test from 'ava';
import { assert, TroupeError } from '@troupe/core';
import { memoryStorage } from '@troupe/sim';
import type { RelayoutEvent } from '@troupe/telemetry';
import { resolveTopology, type ResolvedTopology } from '@troupe/topology';
import type { RunResult } from '../run-result.ts';
import { RelayoutList } from './relayout-list.ts';
import type { RelayoutOutcome } from './relayout.ts';
import { Relayouts, type AfterFailure } from './relayouts.ts';

const layout = (dp: number): ResolvedTopology =>
  resolveTopology({
    model: { vocab: 64, layers: 2, dModel: 16, heads: 2, seqLen: 8 },
    data: { synthetic: 'zipf' },
    train: { batch: 12, grains: 12 },
    parallel: { dp },
    machines: [{ host: 'here', devices: Array.from({ length: dp }, (_, index) => `cpu:${index}`) }],
  });
const [one, two, three] = [layout(1), layout(2), layout(3)];

const why = (id: string) => ({ id, kind: 'apply', by: 'ada', what: `apply ${id}` }) as const;
const saved = (step: number): RunResult => ({ exitCode: 130, step, loss: 1, error: null });
const failed = (step: number): RunResult => ({
  exitCode: 76,
  step,
  loss: 1,
  error: new TroupeError('TROUPE_WORKER_LOST', 'worker/1 ended'),
});

/** A run that begins in layout 1 and has made a step. */
async function playOf(afterFailure: AfterFailure = () => null) {
  const storage = memoryStorage();
  const list = await RelayoutList.open(storage, 'run');
  const events: RelayoutEvent[] = [];
  const written = async (): Promise<string> =>
    (await storage.exists('run/relayouts.json'))
      ? new TextDecoder().decode(await storage.read('run/relayouts.json'))
      : '';
  /** What lay on the disk when the run was told to save. */
  const saves: Promise<string>[] = [];
  let nowMs = 0;
  const relayouts = new Relayouts(one, {
    list,
    nowMs: () => nowMs,
    report: (event) => events.push(event),
    save: () => void saves.push(written()),
    afterFailure,
  });
  relayouts.stepped(1);
  const states = (): readonly string[] => events.map(({ state }) => state);
  return { relayouts, storage, saves, states, written, wait: (ms: number) => void (nowMs += ms) };
}

/** Asks, and waits until that is recorded. */
async function ask(relayouts: Relayouts, next: ResolvedTopology, id: string) {
  let outcome: Promise<RelayoutOutcome> | null = null;
  await new Promise<void>((resolve) => {
    outcome = relayouts.ask(next, why(id), resolve);
  });
  assert(outcome !== null, 'it was asked');
  // In an object: who awaits this does not wait for that.
  return { outcome: outcome as Promise<RelayoutOutcome> };
}

test('relayouts: RLY-2, who asked for what lasts before the run is told to save', async (t) => {
  const { relayouts, saves, states, wait } = await playOf();
  const { outcome } = await ask(relayouts, two, 'a');
  t.is(saves.length, 1);
  t.regex((await saves[0]) ?? '', /"id":"a".*"by":"ada".*"state":"open"/u);
  wait(10);
  relayouts.stepped(2);
  t.is(relayouts.after(saved(2), false), two);
  wait(500);
  relayouts.opened();
  wait(20);
  relayouts.stepped(3);
  t.like(await outcome, { state: 'done', step: 2, pauseMs: 500, problem: null });
  t.deepEqual(states(), ['open', 'done']);
  t.is(saves.length, 1, 'it is told once');
});

test('relayouts: RLY-1, one at a time, and an id that was done is answered', async (t) => {
  const { relayouts, storage, saves } = await playOf();
  const begun = ask(relayouts, two, 'a');
  t.throws(() => void relayouts.ask(three, why('b')), { code: 'TROUPE_RELAYOUT_BUSY' });
  const pending = (await begun).outcome;
  relayouts.after(saved(1), false);
  t.throws(() => void relayouts.ask(three, why('b')), { code: 'TROUPE_RELAYOUT_BUSY' });
  relayouts.stepped(2);
  const outcome = await pending;
  t.deepEqual(await relayouts.ask(two, why('a')), outcome);
  t.is(saves.length, 1);
  const next = await RelayoutList.open(storage, 'run');
  t.like(next.find('a'), { state: 'done', step: 1 }, 'a run that goes on knows of it');
});

test('relayouts: RLY-4, a layout that fails before its first step gives way to the one before', async (t) => {
  const { relayouts, states } = await playOf();
  const { outcome } = await ask(relayouts, two, 'a');
  t.is(relayouts.after(saved(1), false), two);
  t.is(relayouts.after(failed(1), false), one);
  t.is(relayouts.present, one);
  relayouts.opened();
  relayouts.stepped(2);
  t.like(await outcome, { state: 'returned', problem: { code: 'TROUPE_WORKER_LOST' } });
  t.deepEqual(states(), ['open', 'returned']);

  const other = await ask(relayouts, three, 'b');
  t.is(relayouts.after(saved(2), false), three);
  relayouts.stepped(3);
  t.like(await other.outcome, { state: 'done' });
  t.is(relayouts.after(failed(3), false), null, 'behind its first step it goes forward');
});

test('relayouts: RLY-4, a run whose old layout fails too ends with that', async (t) => {
  const { relayouts } = await playOf();
  const { outcome } = await ask(relayouts, two, 'a');
  relayouts.after(saved(1), false);
  relayouts.after(failed(1), false);
  t.is(relayouts.after(failed(1), false), null);
  t.like(await outcome, { state: 'dropped', problem: { code: 'TROUPE_WORKER_LOST' } });
});

test('relayouts: RLY-5, an end is an end: one that was asked for, and that of the last step', async (t) => {
  for (const [result, isAsked] of [
    [saved(1), true],
    [{ ...saved(2), exitCode: 0 }, false],
  ] as const) {
    const { relayouts, states } = await playOf();
    const { outcome } = await ask(relayouts, two, 'a');
    t.is(relayouts.after(result, isAsked), null);
    t.like(await outcome, { state: 'dropped' });
    t.deepEqual(states(), ['open', 'dropped']);
    t.throws(() => void relayouts.ask(three, why('b')), { code: 'TROUPE_RUN_ENDED' });
  }
});

test('relayouts: what cannot be recorded is not done, and the run goes on', async (t) => {
  const storage = Object.assign(memoryStorage(), {
    writeAtomic: () => Promise.reject(new TroupeError('TROUPE_STORAGE_FULL', 'the disk is full')),
  });
  const saves: number[] = [];
  const relayouts = new Relayouts(one, {
    list: await RelayoutList.open(storage, 'run'),
    nowMs: () => 0,
    report: () => {},
    save: () => void saves.push(1),
    afterFailure: () => null,
  });
  relayouts.stepped(1);
  const { state, problem } = await relayouts.ask(two, why('a'));
  t.is(state, 'dropped');
  t.is(problem?.code, 'TROUPE_RELAYOUT_UNRECORDED');
  t.deepEqual(saves, []);
  t.is(relayouts.present, one);
});

test('relayouts: a failure for good goes on where somebody knows a layout, under an id of its own', async (t) => {
  const loss = { id: 'loss-1', kind: 'loss', by: 'recovery.machines', what: 'without m1' } as const;
  const { relayouts, states, written } = await playOf(({ topology, step }) =>
    topology === one && step === 1 ? { next: two, why: loss } : null,
  );
  t.is(relayouts.after(failed(1), false), two);
  relayouts.stepped(2);
  t.deepEqual(states(), ['open', 'done']);
  t.like(await relayouts.ask(two, loss), { state: 'done' });
  // Records are written one after another.
  await ask(relayouts, three, 'next');
  t.regex(await written(), /"id":"loss-1".*"state":"done"/u);
});
