import { readdirSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import {
  answersOnce,
  boundsHold,
  bucketsAnswered,
  bucketsCredited,
  bytesIntact,
  Checkers,
  copiesKept,
  decisionsRecorded,
  gradientsOnce,
  liveness,
  lossCurve,
  manifestsComplete,
  nothingStale,
  oneAttempt,
  oneOwner,
  rowsConserved,
  seatsAgree,
  versionsAgree,
  type Checker,
  type EndSeen,
  type PacketSeen,
  type Seen,
  type TurnSeen,
} from './index.ts';

const turn = (fields: Partial<TurnSeen>): TurnSeen => ({
  type: 'turn',
  atMs: 0,
  node: 'worker/0',
  life: 1,
  incarnation: 1,
  address: 'optimizer/dense/dp0',
  kind: 'step.open',
  from: 'trainer',
  step: 1,
  attempt: 1,
  version: 0,
  layer: -1,
  microbatch: -1,
  body: {},
  tensors: {},
  outcome: 'handled',
  stateBefore: 'collecting',
  stateAfter: 'collecting',
  mailboxSize: 0,
  ...fields,
});
const packet = (fields: Partial<PacketSeen>): PacketSeen => ({
  type: 'packet',
  atMs: 0,
  from: 'worker/1',
  fromLife: 1,
  currentLife: 1,
  to: 'worker/0',
  lane: 'data',
  bytes: 10,
  onWayBytes: 10,
  windowBytes: 100,
  ...fields,
});
const fault = (kind: 'crash' | 'slow' | 'torn-write' | 'disk-full' | 'hang', forMs?: number): Seen => ({
  type: 'fault',
  atMs: 0,
  fault: { kind, target: 'worker/1', atMs: 0, forMs },
  touches: ['worker/1'],
});
const end = (fields: Partial<EndSeen>): EndSeen => ({
  type: 'end',
  atMs: 0,
  exitCode: 0,
  message: '',
  isStuck: false,
  ...fields,
});

/** What the first violation says after a list of events; null: nothing. */
function verdict(checker: Checker, events: readonly Seen[]): string | null {
  const checkers = new Checkers([checker]);
  for (const each of events) checkers.see(each);
  return checkers.violation?.text ?? null;
}
function holds(t: ExecutionContext, checker: () => Checker, events: readonly Seen[]): void {
  t.is(verdict(checker(), events), null);
}
/** Checkers that found a planted violation. */
const broken = new Set<string>();
function breaks(t: ExecutionContext, checker: () => Checker, events: readonly Seen[], text: RegExp): void {
  broken.add(checker().name);
  t.regex(verdict(checker(), events) ?? 'nothing', text);
}

test.after('checkers: every file of this folder finds a planted violation', (t) => {
  const files = readdirSync(new URL('../../src/checkers/', import.meta.url));
  const names = files.map((file) => file.slice(0, -'.ts'.length));
  t.deepEqual(
    [...broken].toSorted(),
    names.filter((name) => !['checker', 'index', 'checkers.test'].includes(name)).toSorted(),
  );
});

test('bounds-hold: mailboxes and windows; a packet larger than the window enters an empty one', (t) => {
  const checker = (): Checker => boundsHold({ mailbox: 3 });
  holds(t, checker, [turn({ mailboxSize: 3 }), packet({ onWayBytes: 100 })]);
  holds(t, checker, [packet({ bytes: 500, onWayBytes: 500 })]);
  breaks(t, checker, [turn({ mailboxSize: 4 })], /4 events wait .* at most 3 may/);
  breaks(t, checker, [packet({ onWayBytes: 101 })], /101 bytes of worker\/1 .* at most 100 may/);
});

test('decisions-recorded: a decision is heard of when its record lasts, which is looked for once', (t) => {
  const decided = (step: number, attempt: number): TurnSeen => turn({ kind: 'commit.decide', step, attempt });
  const checker = (): Checker => {
    let looks = 0;
    return decisionsRecorded({
      sends: 'commit.decide',
      lasts: (step, attempt) => step < 3 && attempt === 1 && looks++ < 2,
    });
  };
  holds(t, checker, [decided(1, 1), decided(2, 1), decided(1, 1), turn({ step: 9 })]);
  breaks(t, checker, [decided(1, 1), decided(3, 1)], /heard of the decision of step 3, attempt 1, /);
  breaks(t, checker, [decided(1, 2)], /step 1, attempt 2, and a loss of power now would lose its record/);
});

test('bytes-intact: what was written into on its way counts when it is taken up, not when it is dropped', (t) => {
  const rows = new Float32Array(4);
  const reads = packet({ changed: [rows.buffer] });
  holds(t, bytesIntact, [packet({ changed: [] }), turn({ tensors: { rows } })]);
  holds(t, bytesIntact, [
    reads,
    turn({ tensors: { rows }, outcome: 'fenced' }),
    turn({ tensors: { rows: new Float32Array(4) } }),
  ]);
  const left = turn({ kind: 'attempt.abandon', attempt: 2 });
  holds(t, bytesIntact, [left, reads, turn({ tensors: { rows } })]);
  breaks(t, bytesIntact, [left, reads, turn({ attempt: 2, tensors: { rows } })], /changed/);
  breaks(
    t,
    bytesIntact,
    [reads, turn({ kind: 'rows.dispatch', tensors: { rows } })],
    /rows.dispatch .* changed/,
  );
});

test('buckets-answered: a part of a bucket comes back once, from who has added it', (t) => {
  const [from, by] = ['courier/dense/dp1', 'optimizer/dense/dp0'];
  const body = { from: 0, to: 8, level: 0 };
  const add = (more: Partial<TurnSeen> = {}): TurnSeen =>
    turn({ address: by, kind: 'gradient.add', from, microbatch: 0, body, ...more });
  const taken = (more: Partial<TurnSeen> = {}): TurnSeen =>
    turn({ address: from, kind: 'gradient.taken', from: by, microbatch: 0, body, ...more });
  const second = { microbatch: 1 };
  holds(t, bucketsAnswered, [add(), add(second), taken(second), taken()]);
  holds(t, bucketsAnswered, [add({ outcome: 'fenced' }), add({ attempt: 2 }), taken({ attempt: 2 })]);
  holds(t, bucketsAnswered, [add({ stateBefore: 'voted' }), add(), taken()]);
  breaks(
    t,
    bucketsAnswered,
    [taken()],
    /courier\/dense\/dp1 has elements 0 to 8 of step 1 back, which optimizer\/dense\/dp0 has not added/,
  );
  breaks(t, bucketsAnswered, [add(), taken(), taken()], /has not added, or not again/);
  breaks(t, bucketsAnswered, [add(), taken(second)], /has not added/);
  breaks(t, bucketsAnswered, [add({ stateBefore: 'voted' }), taken()], /has not added/);
});

test('buckets-credited: a courier lends as many buckets of a length at a time as it has', (t) => {
  const courier = 'courier/dense/dp0';
  const segments = [0, 8, 16, 24].map((from) => ({ from, to: from + 8 }));
  const checker = (): Checker =>
    bucketsCredited(new Map([[courier, { segments: [...segments, { from: 32, to: 33 }], rooms: 2 }]]));
  const pass = 'pass/pp0/dp0/tp0/s0';
  const lend = (segment: number, more: Partial<TurnSeen> = {}): readonly TurnSeen[] => [
    turn({ address: courier, kind: 'segment.want', from: pass, body: { segment, gradients: true }, ...more }),
    turn({ address: pass, kind: 'segment.ready', from: courier, body: { segment }, ...more }),
  ];
  const taken = (from: number, to: number, more: Partial<TurnSeen> = {}): TurnSeen =>
    turn({ address: courier, kind: 'gradient.taken', body: { from, to, level: 0 }, ...more });
  holds(t, checker, [...lend(3), ...lend(2), taken(24, 28), taken(28, 32), ...lend(1)]);
  holds(t, checker, [...lend(3), ...lend(2), ...lend(3)]);
  holds(t, checker, [...lend(3), ...lend(2), ...lend(4)]);
  holds(t, checker, [...lend(3), ...lend(2), ...lend(1, { attempt: 2 })]);
  holds(t, checker, [...lend(3), ...lend(2), ...lend(1, { body: { segment: 1, gradients: false } })]);
  const fourth = /courier\/dense\/dp0 lends pass\S+ a bucket of 8 elements in step 1: number 3 .* of 2/;
  breaks(t, checker, [...lend(3), ...lend(2), ...lend(1)], fourth);
  breaks(t, checker, [...lend(3), ...lend(2), taken(24, 28), ...lend(1)], fourth);
  breaks(t, checker, [...lend(3), ...lend(2), taken(24, 28), taken(24, 28), ...lend(1)], fourth);
  breaks(t, checker, [...lend(3), ...lend(3, { microbatch: 1 }), ...lend(2)], fourth);
});

test('gradients-once: every level lies as deep as is said', (t) => {
  const checker = (): Checker => gradientsOnce({ dense: [2, 2] });
  const add = (from: string, level: number, first: number, last: number): TurnSeen =>
    turn({ kind: 'gradient.add', from, body: { from: first, to: last, level } });
  const all = [
    turn({}),
    add('stage/0', 0, 0, 8),
    add('stage/1', 0, 0, 4),
    add('stage/1', 0, 4, 8),
    add('optimizer/dense/dp2', 1, 0, 4),
    add('optimizer/dense/dp4', 1, 0, 4),
  ];
  const measured = turn({ kind: 'norm.measured' });
  holds(t, checker, [...all, measured]);
  breaks(t, checker, [...all, add('stage/1', 0, 4, 8)], /adds elements 4 to 8 of stage\/1 twice/);
  breaks(
    t,
    checker,
    [...all.slice(0, 3), ...all.slice(4), measured],
    /level 0 elements 4 to 8 were added 1 times, expected 2/,
  );
  breaks(
    t,
    checker,
    [...all.slice(0, -1), measured],
    /level 1 elements 0 to 4 were added 1 times, expected 2/,
  );
  breaks(t, checker, [...all, add('optimizer/dense/dp6', 1, 0, 4), measured], /added 3 times, expected 2/);
  const again = (seen: TurnSeen): TurnSeen => ({ ...seen, attempt: 2 });
  holds(t, checker, [...all.slice(0, 3), ...all.map(again), again(measured)]);
});

test('liveness: a run ends as planned, or with a sentence that names what a grave fault touched', (t) => {
  const checker = (): Checker => liveness({ silenceMs: 5000 });
  const lost = end({ exitCode: 76, message: 'worker/1 was lost' });
  holds(t, checker, [end({})]);
  holds(t, checker, [fault('crash'), lost]);
  holds(t, checker, [fault('disk-full'), end({ exitCode: 75, message: 'no room' })]);
  holds(t, checker, [end({ exitCode: 5, message: 'the device of worker/0 has 40 bytes' })]);
  breaks(t, checker, [lost], /names nothing that a fault touched/);
  breaks(t, checker, [fault('slow'), lost], /names nothing/);
  breaks(t, checker, [fault('hang', 100), lost], /names nothing/);
  breaks(t, checker, [fault('crash'), end({ exitCode: 76, message: 'worker/10 was lost' })], /names nothing/);
  breaks(t, checker, [fault('crash'), end({ exitCode: 1, message: 'a bug' })], /ended with 1/);
  breaks(t, checker, [fault('crash'), end({ exitCode: 76, isStuck: true, message: 'x' })], /hangs/);
});

test('loss-curve: losses and norms of the run without faults, bit for bit', (t) => {
  const checker = (): Checker => lossCurve([{ step: 1, loss: 2, gradNorm: 0.5 }]);
  const step = (loss: number, gradNorm: number): Seen => ({ type: 'step', atMs: 0, step: 1, loss, gradNorm });
  holds(t, checker, [step(2, 0.5), { type: 'step', atMs: 0, step: 9, loss: 7, gradNorm: 7 }]);
  breaks(t, checker, [step(2 + 2 ** -51, 0.5)], /^loss of step 1/);
  breaks(t, checker, [step(2, 0.25)], /^gradNorm of step 1/);
});

test('manifests-complete: what was reported survives; who reads a torn file notices', (t) => {
  const reported = (damage: string | null): Seen => ({
    type: 'checkpoint',
    atMs: 0,
    path: 'run/step-1',
    damage,
  });
  holds(t, manifestsComplete, [reported(null)]);
  holds(t, manifestsComplete, [fault('torn-write'), reported('a hash differs')]);
  breaks(t, manifestsComplete, [fault('crash'), reported('a hash differs')], /would lose it: a hash differs/);
});

test('nothing-stale: a replaced life is not read', (t) => {
  holds(t, nothingStale, [packet({ fromLife: 2, currentLife: 2 })]);
  breaks(
    t,
    nothingStale,
    [packet({ fromLife: 1, currentLife: 2 })],
    /life 1 of worker\/1, whose life 2 has begun/,
  );
});

test('seats-agree: MOV-2, experts sit elsewhere once all has come, and everybody hears of the same seats', (t) => {
  const tensors = { groups_LE: Int32Array.of(1, 0) };
  const told = (address: string): TurnSeen => turn({ address, kind: 'experts.move', tensors });
  const staged = (from: string): TurnSeen => turn({ address: 'agent/m0', from, kind: 'experts.staged' });
  const hears = (attempt: number, groups = tensors): TurnSeen =>
    turn({ address: 'stage/pp0/dp0/tp0', kind: 'attempt.abandon', attempt, tensors: groups });
  const all = [told('a'), told('b'), staged('b'), staged('a')];
  const plain = turn({ kind: 'attempt.abandon', attempt: 2 });
  holds(t, seatsAgree, [...all, hears(2), hears(2), hears(3)]);
  holds(t, seatsAgree, [told('agent/m0'), ...all, hears(2)]);
  holds(t, seatsAgree, [hears(2), hears(3)]);
  holds(t, seatsAgree, [told('a'), plain, told('a'), staged('a'), hears(3)]);
  breaks(t, seatsAgree, [told('a'), told('b'), staged('b'), hears(2)], /a has not said that all has come/);
  const others = { groups_LE: Int32Array.of(0, 1) };
  breaks(t, seatsAgree, [...all, hears(2), hears(2, others)], /other seats in attempt 2/);
  breaks(t, seatsAgree, [...all, hears(2), hears(3, others)], /seats to which no expert moved/);
});

test('answers-once: TRN-6, a machine says each thing once in an attempt at a step', (t) => {
  const says = (kind: string, fields: Partial<TurnSeen> = {}): TurnSeen =>
    turn({ address: 'trainer', from: 'agent/m1', kind, ...fields });
  const [measured, voted] = [says('machine.measured'), says('machine.voted')];
  holds(t, answersOnce, [measured, voted, says('machine.voted', { from: 'agent/m0' })]);
  holds(t, answersOnce, [voted, says('machine.voted', { attempt: 2 }), says('machine.voted', { step: 2 })]);
  holds(t, answersOnce, [
    voted,
    says('machine.voted', { outcome: 'fenced' }),
    turn({ kind: 'gradient.vote' }),
  ]);
  breaks(
    t,
    answersOnce,
    [voted, measured, voted],
    /agent\/m1 says machine\.voted twice in step 1, attempt 1/,
  );
});

test('one-attempt: REC-1, what a node has heard to be over is taken up by none of its actors', (t) => {
  const checker = (): Checker => oneAttempt({ hears: 'attempt.abandon', fenced: ['gradient.add'] });
  const heard = turn({ address: 'stage/pp0/dp0/tp0', kind: 'attempt.abandon', attempt: 2 });
  const late = turn({ kind: 'gradient.add', attempt: 1 });
  holds(t, checker, [late, heard, turn({ ...late, outcome: 'fenced' }), turn({ ...late, attempt: 2 })]);
  holds(t, checker, [heard, turn({ ...late, node: 'worker/1' }), turn({ ...late, life: 2 })]);
  holds(t, checker, [heard, turn({ attempt: 1 })]);
  breaks(
    t,
    checker,
    [heard, turn({ kind: 'attempt.abandon', attempt: 1 }), late],
    /optimizer\/dense\/dp0 took up gradient\.add of step 1, attempt 1, and stage\/pp0\/dp0\/tp0 .* in attempt 2/,
  );
});

test('one-owner: one life of an actor acts in one place', (t) => {
  holds(t, oneOwner, [turn({}), turn({ life: 2, node: 'worker/1' }), turn({})]);
  holds(t, oneOwner, [turn({}), turn({ incarnation: 2, node: 'worker/1' })]);
  breaks(t, oneOwner, [turn({}), turn({ node: 'worker/1' })], /acts on worker\/0 and on worker\/1/);
  breaks(
    t,
    oneOwner,
    [turn({}), turn({ life: 2, node: 'worker/1' }), turn({ node: 'worker/2' })],
    /acts on worker\/0/,
  );
});

test('copies-kept: BUD-1, a shard votes, or is loaded, once its copy has taken up all of the same', (t) => {
  const ward = 'ward/dense/dp0';
  const checker = (): Checker => copiesKept(new Map([['optimizer/dense/dp0', { ward, size: 30 }]]));
  const sum = (from: number, to: number, attempt = 1): TurnSeen =>
    turn({ address: ward, kind: 'ward.sum', attempt, body: { from, to } });
  const vote = (attempt = 1): TurnSeen =>
    turn({ address: 'trainer', kind: 'gradient.vote', attempt, from: 'optimizer/dense/dp0' });
  holds(t, checker, [sum(0, 10), sum(10, 30), vote()]);
  holds(t, checker, [turn({ kind: 'gradient.vote', from: 'optimizer/expert/dp0' })]);
  breaks(t, checker, [sum(0, 10), vote()], /dp0 votes in step 1, .* ward\/dense\/dp0 has 10 of 30 elements/);
  breaks(t, checker, [sum(0, 30), vote(2)], /has 0 of 30/);
  const state = (from: number, to: number): TurnSeen =>
    turn({ address: ward, kind: 'ward.state', version: 4, body: { from, to } });
  const loaded = turn({ kind: 'shard.loaded', version: 4, from: 'optimizer/dense/dp0' });
  holds(t, checker, [state(0, 30), loaded]);
  breaks(t, checker, [state(0, 20), loaded], /says that it holds version 4 .* has 20 of 30/);
});

test('rows-conserved: as many rows reach experts as gates route, by layer', (t) => {
  const checker = (): Checker =>
    rowsConserved({
      stages: new Map([
        ['stage/pp0/dp0/tp0', [0]],
        ['stage/pp0/dp1/tp0', [0]],
      ]),
      experts: 2,
    });
  const dispatch = (source: number, rows: number, chunk = 0): TurnSeen =>
    turn({
      address: 'expert/L0/ep0/edp0',
      kind: 'rows.dispatch',
      layer: 0,
      body: { mode: 'train', source, chunk },
      tensors: { x_UD: new Float32Array(8), slots_N: new Int32Array(rows) },
    });
  const measured = (dp: number, ...counts: number[]): TurnSeen =>
    turn({
      address: 'trainer',
      kind: 'stage.measured',
      from: `stage/pp0/dp${dp}/tp0`,
      tensors: { counts_LE: Int32Array.from(counts), dropped_L: Int32Array.of(0) },
    });
  holds(t, checker, [dispatch(0, 3), dispatch(1, 4), measured(0, 1, 2), measured(1, 2, 2)]);
  const dropping = (dp: number, dropped: number): TurnSeen => ({
    ...measured(dp, 2, 2),
    tensors: { counts_LE: Int32Array.of(2, 2), dropped_L: Int32Array.of(dropped) },
  });
  holds(t, checker, [dispatch(0, 3), dispatch(1, 2), dropping(0, 1), dropping(1, 2)]);
  breaks(
    t,
    checker,
    [dispatch(0, 3), dispatch(1, 2), dropping(0, 1), dropping(1, 1)],
    /6 rows were routed, 5/,
  );
  holds(t, checker, [dispatch(0, 3), dispatch(0, 3), dispatch(1, 4), measured(0, 1, 2), measured(1, 2, 2)]);
  breaks(
    t,
    checker,
    [dispatch(0, 3), dispatch(1, 3), measured(0, 1, 2), measured(1, 2, 2)],
    /7 rows were routed, 6 reached/,
  );
  const ofSecond = [dispatch(1, 4), measured(0, 1, 2), measured(1, 2, 2)];
  holds(t, checker, [dispatch(0, 1), dispatch(0, 2, 1), ...ofSecond]);
  breaks(t, checker, [dispatch(0, 1), ...ofSecond], /7 rows were routed, 5 reached/);
  breaks(t, checker, [dispatch(0, 3), dispatch(0, 2)], /got 3 rows, and again 2 rows, of source 0/);
  const ofPeers = (): Checker =>
    rowsConserved({ stages: new Map([['stage/pp0/dp0/tp0', [0]]]), experts: 2, copies: 2 });
  const toPeer = { ...dispatch(0, 3), address: 'expert/L0/ep0/edp0/tp1' };
  holds(t, ofPeers, [dispatch(0, 3), toPeer, measured(0, 1, 2)]);
  breaks(t, ofPeers, [dispatch(0, 3), measured(0, 1, 2)], /6 rows were routed, 3 reached/);
});

test('versions-agree: one decision a step, one version behind it', (t) => {
  const decide = (address: string, apply: boolean): TurnSeen =>
    turn({ address, kind: 'commit.decide', body: { apply } });
  const applied = (from: string, version: number): TurnSeen =>
    turn({ address: 'trainer', kind: 'commit.applied', from, version });
  holds(t, versionsAgree, [decide('a', true), decide('b', true), applied('a', 1), applied('b', 1)]);
  breaks(t, versionsAgree, [decide('a', true), decide('b', false)], /step 1 was decided twice/);
  breaks(t, versionsAgree, [applied('a', 1), applied('b', 2)], /after step 1 a is at version 1, b at 2/);
});
