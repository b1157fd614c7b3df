import test from 'ava';
import fc from 'fast-check';
import { InvariantError, nodeId, type Lane, type Packet, type Transport } from '@troupe/core';
import { SimNetwork, SimProcess, Trace, VirtualClock, type LinkModel, type TurnSeen } from '@troupe/sim';

const a = nodeId('worker/0');
const b = nodeId('worker/1');
const packet = (id: number, frameBytes = 0): Packet => ({
  header: Uint8Array.of(id),
  frames: frameBytes === 0 ? [] : [new Uint8Array(frameBytes).fill(id)],
});

function open({ seed = 1, ...link }: Partial<LinkModel> & { readonly seed?: number }) {
  const clock = new VirtualClock();
  const trace = new Trace(true);
  const network = new SimNetwork(clock, trace, { seed, link });
  const processes = [new SimProcess(a, 1, clock), new SimProcess(b, 1, clock)] as const;
  const [from, to] = processes.map((process) => network.connect(process)) as [Transport, Transport];
  return { clock, trace, network, processes, from, to };
}

test('SimNetwork: a packet takes latency plus size over bandwidth, the first a round trip more', (t) => {
  const { clock, from, to } = open({ latencyMs: 3, jitterMs: 0, bytesPerMs: 100 });
  const arrivals: number[] = [];
  to.onPacket(() => arrivals.push(clock.now()));
  from.send(b, 'data', packet(1, 999));
  t.deepEqual(arrivals, []);
  while (clock.runNext());
  t.deepEqual(arrivals, [2 * 3 + 3 + 1000 / 100]);
});

test('SimNetwork: jitter is added per packet, inside its bound, and a seed decides it', (t) => {
  const arrivalsOf = (seed: number): readonly number[] => {
    const { clock, from, to } = open({ seed, latencyMs: 1, jitterMs: 4, bytesPerMs: 1e12 });
    const arrivals: number[] = [];
    to.onPacket(() => arrivals.push(clock.now()));
    let sentMs = 0;
    // The first brings the connection up.
    from.send(b, 'control', packet(99));
    while (clock.runNext());
    arrivals.length = 0;
    sentMs = clock.now();
    for (let i = 0; i < 30; i++) {
      clock.after(i * 10, () => from.send(b, 'control', packet(i)));
    }
    while (clock.runNext());
    return arrivals.map((at, index) => at - sentMs - 10 * index);
  };
  const travel = arrivalsOf(7);
  t.is(travel.length, 30);
  t.true(
    travel.every((ms) => ms >= 1 && ms < 5.001),
    travel.join(', '),
  );
  t.true(new Set(travel.map((ms) => ms.toFixed(3))).size > 20, 'every packet draws its own');
  t.deepEqual(arrivalsOf(7), travel);
  t.notDeepEqual(arrivalsOf(8), travel);
});

test('SimNetwork: order holds per lane and pair for any sizes, jitter and times of sending', (t) => {
  const sending = fc.record({
    lane: fc.constantFrom<Lane>('control', 'data'),
    bytes: fc.nat(5000),
    atMs: fc.integer({ min: 0, max: 20 }),
    back: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.nat(1000), fc.array(sending, { minLength: 2, maxLength: 40 }), (seed, sendings) => {
      const { clock, from, to } = open({ seed, latencyMs: 0.5, jitterMs: 10, bytesPerMs: 500 });
      const sent = new Map<string, number[]>();
      const received = new Map<string, number[]>();
      const note = (log: Map<string, number[]>, key: string, id: number): void =>
        void log.set(key, [...(log.get(key) ?? []), id]);
      to.onPacket((_from, lane, { header }) => note(received, `to ${lane}`, header[0]!));
      from.onPacket((_from, lane, { header }) => note(received, `back ${lane}`, header[0]!));
      sendings.forEach(({ lane, bytes, atMs, back }, id) =>
        clock.after(atMs, () => {
          note(sent, `${back ? 'back' : 'to'} ${lane}`, id);
          (back ? to : from).send(back ? a : b, lane, packet(id, bytes));
        }),
      );
      while (clock.runNext());
      const byKey = (log: ReadonlyMap<string, readonly number[]>): unknown => Object.fromEntries(log);
      t.deepEqual(byKey(received), byKey(sent));
    }),
  );
});

test('SimNetwork: NET-1, a frame that changes before its packet is taken arrives changed, later changes do not show', (t) => {
  const { clock, from, to } = open({});
  const frame = Uint8Array.of(1, 2, 3);
  const got: Uint8Array[] = [];
  to.onPacket((_from, _lane, { frames }) => got.push(frames[0]!));
  from.send(b, 'data', { header: Uint8Array.of(0), frames: [frame] });
  frame.fill(9);
  while (clock.runNext());
  frame.fill(7);
  t.deepEqual([...got[0]!], [9, 9, 9]);
});

test('SimNetwork: sent is called when the receiver releases the packet; queued bytes fall back to 0', (t) => {
  const { clock, from, to } = open({ latencyMs: 2, jitterMs: 0 });
  const log: string[] = [];
  to.onPacket((_from, _lane, _packet, release) => {
    log.push('received');
    clock.after(5, release);
  });
  from.send(b, 'data', packet(1, 99), () => log.push(`sent at ${clock.now() >= 7}`));
  t.is(from.queuedBytes(b), 100);
  while (clock.runNext());
  t.deepEqual(log, ['received', 'sent at true']);
  t.is(from.queuedBytes(b), 0);
  t.is(from.stats().bytesSent, 100);
  t.is(to.stats().bytesReceived, 100);
  t.is(to.stats().messagesReceived, 1);
});

test('SimNetwork: a node connects once', (t) => {
  const { network, processes } = open({});
  t.throws(() => network.connect(processes[0]), { instanceOf: InvariantError });
});

const turn: TurnSeen = {
  type: 'turn',
  atMs: 1,
  node: a,
  life: 1,
  incarnation: 1,
  address: 'stage/pp0/dp0/tp0',
  kind: 'forward.done',
  from: 'gate/L0/pp0/dp0',
  step: 1,
  attempt: 1,
  version: 0,
  layer: 0,
  microbatch: 0,
  body: {},
  tensors: {},
  outcome: 'handled',
  stateBefore: 'training.waiting',
  stateAfter: 'training.running',
  mailboxSize: 0,
};

test('Trace: SIM-2, the hash follows time, order, nodes, every word of a turn and every byte of a packet', (t) => {
  const hash = (change: {
    atMs?: number;
    byte?: number;
    frame?: number;
    swap?: boolean;
    turn?: Partial<TurnSeen>;
    note?: string;
  }): string => {
    const trace = new Trace();
    const first = (): void => trace.turn({ ...turn, ...change.turn });
    const second = (): void =>
      trace.packet(change.atMs ?? 2, a, b, {
        header: Uint8Array.of(change.byte ?? 7),
        frames: [Uint8Array.of(change.frame ?? 8)],
      });
    const third = (): void => trace.note({ atMs: 3, node: b, text: change.note ?? 'peer.up' });
    for (const record of change.swap === true ? [second, first, third] : [first, second, third]) record();
    t.is(trace.numLines, 3);
    t.deepEqual(trace.lines, [], 'lines are kept only on request');
    return trace.digest();
  };
  const hashes = [
    {},
    { atMs: 2.5 },
    { byte: 6 },
    { frame: 6 },
    { swap: true },
    { note: 'peer.lost' },
    { turn: { atMs: 1.5 } },
    { turn: { node: b } },
    { turn: { incarnation: 2 } },
    { turn: { address: 'stage/pp0/dp1/tp0' } },
    { turn: { kind: 'backward.done' } },
    { turn: { from: 'gate/L1/pp0/dp0' } },
    { turn: { step: 2 } },
    { turn: { attempt: 2 } },
    { turn: { version: 1 } },
    { turn: { layer: 1 } },
    { turn: { microbatch: 1 } },
    { turn: { outcome: 'refused' as const } },
    { turn: { stateBefore: 'idle' } },
    { turn: { stateAfter: 'idle' } },
  ].map((change) => hash(change));
  t.is(new Set(hashes).size, hashes.length);
  t.is(hashes[0], hash({}));
});
