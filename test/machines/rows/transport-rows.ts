import { deepStrictEqual, ok } from 'node:assert/strict';
import { assertUndisturbed, heard, lostAfter, nodesOf, paced, type Nodes } from './nodes.ts';
import { milliseconds, pass, seconds, type Row } from './row.ts';
import type { Talk } from '../lab/talk.ts';

/** A heartbeat a second, and five seconds of silence behind it (`heartbeatMs`, `lostMs`); the rest is a busy machine. */
const SILENCE_MS = 6000;
const BUSY_MS = 4000;

interface Trips {
  readonly medianMs: number;
  readonly worstMs: number;
}

async function trips(talk: Talk, to: string, count: number, bytes: number): Promise<Trips> {
  const from = talk.said.length;
  talk.tell({ trips: { to, count, bytes, text: 'x' } });
  return (await talk.answer('trips', { from, limitMs: 120_000 })).line['trips'] as Trips;
}

async function stream(talk: Talk, to: string, count: number): Promise<number> {
  const from = talk.said.length;
  talk.tell({ stream: { to, count, bytes: 2 ** 20 } });
  const { line } = await talk.answer('stream', { from, limitMs: 120_000 });
  const { failed, megabytesPerSecond } = line['stream'] as { failed: number; megabytesPerSecond: number };
  deepStrictEqual(failed, 0, 'every packet is taken');
  return megabytesPerSecond;
}

const between =
  (play: (nodes: Nodes, lab: Parameters<Row['play']>[0]) => Promise<string>): Row['play'] =>
  async (lab) => {
    const nodes = await nodesOf(lab);
    try {
      return await play(nodes, lab);
    } finally {
      nodes.end();
    }
  };

/** Both ends lose each other within the silence, whatever `break` does to the link. */
const loses = (cut: (lab: Parameters<Row['play']>[0]) => Promise<void>): Row['play'] =>
  between(async (nodes, lab) => {
    await paced(nodes);
    const atMs = performance.now();
    await cut(lab);
    const [a, b] = await Promise.all(
      [nodes.a, nodes.b].map((talk) => lostAfter(talk, atMs, SILENCE_MS + BUSY_MS)),
    );
    return `the first machine lost the second after ${seconds(a ?? NaN)}, the second the first after ${seconds(b ?? NaN)}`;
  });

const two = { machines: 2, ssh: false } as const;

/** A link that is down for a while: nothing is lost, in either direction. */
const heals = (downMs: number): Row => ({
  name: `a link down for ${downMs / 1000} s heals`,
  lab: two,
  play: between(async (nodes, lab) => {
    await paced(nodes);
    await lab.links.cut(lab.at(0), lab.at(1));
    await pass(downMs);
    await lab.links.heal();
    const gaps: number[] = [];
    for (const talk of [nodes.a, nodes.b]) {
      const after = await heard(talk, 100 + downMs / 20, 60_000);
      assertUndisturbed(talk, after);
      gaps.push(after.gapMs);
    }
    ok(
      gaps.every((gapMs) => gapMs >= downMs - 100),
      'the link was down',
    );
    return `longest silence ${gaps.map(seconds).join(' and ')}, all packets in order`;
  }),
});

/** The transport as it is, between two machines, under CURVE. */
export const transportRows: readonly Row[] = [
  {
    name: 'messages both ways',
    lab: two,
    play: between(async ({ a, b }) => {
      const there = await trips(a, 'b', 300, 65_536);
      const back = await trips(b, 'a', 300, 65_536);
      const rate = await stream(a, 'b', 200);
      return `64 KiB to and fro ${milliseconds(there.medianMs)} and ${milliseconds(back.medianMs)} (median of 300), ${rate.toFixed(0)} MB/s in frames of 1 MiB`;
    }),
  },
  heals(1000),
  heals(3000),
  { name: 'a link cut for good', lab: two, play: loses((lab) => lab.links.cut(lab.at(0), lab.at(1))) },
  {
    name: 'a link cut one way, from the first to the second',
    lab: two,
    play: loses((lab) => lab.links.cutOneWay(lab.at(0), lab.at(1))),
  },
  {
    name: 'a machine without power',
    lab: two,
    play: between(async (nodes, lab) => {
      await paced(nodes);
      const atMs = performance.now();
      await lab.powerOff(lab.at(1));
      deepStrictEqual(lab.at(1).processes(), []);
      return `lost after ${seconds(await lostAfter(nodes.a, atMs, SILENCE_MS + BUSY_MS))}, no process left on it`;
    }),
  },
  {
    name: '5 ms of delay, and 2 frames in 100 lost',
    lab: { ...two, delayMs: 5 },
    play: between(async (nodes, lab) => {
      const clean = await trips(nodes.a, 'b', 50, 1000);
      ok(clean.medianMs >= 10, `to and fro takes ${clean.medianMs} ms`);
      await lab.links.lose(lab.at(0), lab.at(1), 20_000);
      const lossy = await trips(nodes.a, 'b', 200, 20_000);
      const rate = await stream(nodes.a, 'b', 8);
      return `to and fro ${milliseconds(clean.medianMs)}; with losses ${milliseconds(lossy.medianMs)} (worst ${milliseconds(lossy.worstMs)}), ${rate.toFixed(1)} MB/s, every packet taken`;
    }),
  },
  {
    name: '100 Mbit/s',
    lab: two,
    play: between(async (nodes, lab) => {
      await lab.links.limit(lab.at(0), 100e6);
      const rate = await stream(nodes.a, 'b', 24);
      ok(rate < 14, `${rate} MB/s`);
      await lab.links.limit(lab.at(0), null);
      return `${rate.toFixed(1)} MB/s, then ${(await stream(nodes.a, 'b', 64)).toFixed(0)} MB/s without it`;
    }),
  },
];
