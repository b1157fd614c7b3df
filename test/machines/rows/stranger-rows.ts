import { deepStrictEqual, match, ok } from 'node:assert/strict';
import { newCurvePair, type CurveKeys, type Endpoints } from '@troupe/transport';
import { Capture } from '../lab/capture.ts';
import type { Lab } from '../lab/lab.ts';
import { listeningPorts } from '../lab/listening-ports.ts';
import { Talk } from '../lab/talk.ts';
import { tcpStreams } from '../lab/tcp-streams.ts';
import { sharedPair } from '../programs/x25519-pair.ts';
import { emptied, LabRun } from './lab-run.ts';
import { heard } from './nodes.ts';
import { milliseconds, type Row } from './row.ts';

const STEPS = 100;
const BEGINS_AT = 10;
/** Where the processes of each machine listen, two ports each. */
const PORT = 7100;
/** Descriptors that a process of the run may have, and connections that want more of them. */
const DESCRIPTORS = 1024;
const CROWD = 1100;

interface Knocked {
  readonly outcome: string;
  readonly bytesBehindGreeting: number;
}

/** Greets at a port without a key; who has none hears nothing behind a greeting, and is hung up on. */
async function assertShut(stranger: Talk, order: object, key: string): Promise<void> {
  const from = stranger.said.length;
  stranger.tell(order);
  const { line } = await stranger.answer(key, { from });
  deepStrictEqual((line[key] as Knocked).outcome, 'hung up on', JSON.stringify(order).slice(0, 200));
  deepStrictEqual((line[key] as Knocked).bytesBehindGreeting, 0, JSON.stringify(order).slice(0, 200));
}

/** Calls every process of a machine under keys of another run; none answers. */
async function assertForeign(lab: Lab, host: string, ports: readonly number[]): Promise<number> {
  const caller = new Talk(lab.at(2), 'node');
  caller.tell({ open: { node: 'stranger', host: lab.at(2).address, curve: sharedPair() } });
  await caller.answer('endpoints');
  const place = (port: number): Endpoints => ({
    control: `tcp://${host}:${port}`,
    data: `tcp://${host}:${port + 1}`,
  });
  const first = ports.filter((port) => port % 2 === 0);
  const peers = Object.fromEntries(first.map((port) => [`agent/${port}`, place(port)]));
  caller.tell({ peers });
  await caller.answer('ready');
  for (const to of Object.keys(peers)) {
    const from = caller.said.length;
    caller.tell({ pace: { to, everyMs: 1000 } });
    const { line } = await caller.answer('unsent', { from });
    // The refusal is heard, or the silence behind it.
    match(String(line['unsent']), /^TROUPE_TRANSPORT_(?:REFUSED|PEER_LOST)$/u);
  }
  ok(!caller.said.some(({ line }) => 'peer' in line), 'a stranger has no peer');
  caller.end();
  return first.length;
}

/** Says once more what was said to a machine, to who listens there now. */
async function replayed(
  stranger: Talk,
  capture: Capture,
  host: string,
  ports: readonly number[],
): Promise<number> {
  const tapes = tcpStreams(capture.frames).filter(({ to, port }) => to === host && ports.includes(port));
  ok(tapes.length >= ports.length, `${tapes.length} connections were recorded`);
  for (const { port, bytes } of tapes) {
    const from = stranger.said.length;
    stranger.tell({ replay: { host, port, base64: bytes.subarray(0, 2 ** 20).toString('base64') } });
    const { line } = await stranger.answer('replay', { from });
    deepStrictEqual((line['replay'] as Knocked).outcome, 'hung up on');
  }
  return tapes.length;
}

const strangersRow: Row = {
  name: 'launch over ssh: strangers: other mechanisms, keys of another run, what was recorded, and a crowd',
  lab: { machines: 3 },
  play: async (lab) => {
    const capture = await Capture.open(lab);
    const run = new LabRun(lab, {
      machines: 2,
      steps: STEPS,
      set: [
        'parallel={dp: 4, ep: 2, zero: 1}',
        `wire.port=${PORT}`,
        `launcher.ssh.prelude=ulimit -n ${DESCRIPTORS}`,
      ],
    });
    await run.step(BEGINS_AT);
    await capture.end();
    const quiet = run.pace;
    const host = lab.at(1).address;
    const ports = await listeningPorts(lab.at(1));
    const stranger = new Talk(lab.at(2), 'stranger');
    for (const port of ports)
      for (const mechanism of ['NULL', 'PLAIN'])
        await assertShut(stranger, { knock: { host, port, mechanism } }, 'knock');
    const numTapes = await replayed(stranger, capture, host, ports);
    const numCalled = await assertForeign(lab, host, ports);
    // All at one process, which has two ports behind those of its agent.
    stranger.tell({ crowd: { host, ports: ports.slice(2, 4), count: CROWD } });
    const { line } = await stranger.answer('crowd');
    const { standing } = line['crowd'] as { readonly standing: number };
    const during = run.numSteps;
    ok(during < STEPS - 5, `the run was over before the strangers were: step ${during}`);
    await run.assertCurve(300_000);
    deepStrictEqual(run.faults, []);
    stranger.end();
    await emptied(lab, 10_000);
    const { medianMs, longestMs } = run.pace;
    return `${2 * ports.length} greetings, ${numTapes} recordings and ${numCalled} calls under other keys are hung up on; ${standing} of ${CROWD} connections stood at a process with ${DESCRIPTORS} descriptors; the curve of one process, no loss; ${milliseconds(quiet.medianMs)} a step before them (longest ${milliseconds(quiet.longestMs)}), ${milliseconds(medianMs)} over all (longest ${milliseconds(longestMs)})`;
  },
};

/** Which names two nodes know, and the pair of each; the third has a pair that both let in. */
function trio(): Readonly<Record<'a' | 'b' | 'c', CurveKeys & { readonly nodes: never }>> {
  const pairs = { a: newCurvePair(), b: newCurvePair(), c: newCurvePair() };
  const nodes = Object.entries(pairs).map(([name, pair]) => [name, pair.public]) as never;
  return { a: { ...pairs.a, nodes }, b: { ...pairs.b, nodes }, c: { ...pairs.c, nodes } };
}

const impostorRow: Row = {
  name: 'a machine with a key of its own is not heard under the name of another',
  lab: { machines: 3, ssh: false },
  play: async (lab) => {
    const keys = trio();
    const opened = (node: string, at: number, curve: object): Talk => {
      const talk = new Talk(lab.at(at), 'node');
      talk.tell({ open: { node, host: lab.at(at).address, curve } });
      return talk;
    };
    const [a, b, impostor] = [opened('a', 0, keys.a), opened('b', 1, keys.b), opened('b', 2, keys.c)];
    const [atA, atB] = [await a.answer('endpoints'), await b.answer('endpoints')].map(
      ({ line }) => line['endpoints'] as Endpoints,
    );
    await impostor.answer('endpoints');
    a.tell({ peers: { b: atB } });
    b.tell({ peers: { a: atA } });
    impostor.tell({ peers: { a: atA } });
    for (const talk of [a, b, impostor]) await talk.answer('ready');
    a.tell({ pace: { to: 'b', everyMs: 20 } });
    b.tell({ pace: { to: 'a', everyMs: 20 } });
    await a.answer('paced');
    impostor.tell({ pace: { to: 'a', everyMs: 20 } });
    const after = await heard(a, 300, 60_000);
    deepStrictEqual(after.wrong, 0, 'the right one alone is heard');
    ok(!impostor.said.some(({ line: each }) => 'peer' in each), 'the impostor has a peer');
    deepStrictEqual(a.said.filter(({ line: each }) => 'peer' in each).length, 1);
    for (const talk of [a, b, impostor]) talk.end();
    return '300 packets of the right one in order, none of the other, no link lost';
  },
};

export const strangerRows: readonly Row[] = [impostorRow, strangersRow];
