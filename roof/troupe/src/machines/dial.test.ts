import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../ports/clock.ts';
import type { AgentLine } from './agent-protocol.ts';
import { dialTls, identityOf, machineOfIdentity } from './dial-handshake.ts';
import { dialLead } from './dial-lead.ts';
import type { ToDialed } from './dial-lines.ts';
import { parseLeadAddress } from './lead-address.ts';
import { lineOf, ProtocolLines } from './protocol-lines.ts';
import { Rendezvous } from './rendezvous.ts';
import { makeRunKey, readRunKey, RunKey, takeRunKey } from './run-key.ts';

const clock = systemClock();
const key = new RunKey(Buffer.alloc(32, 7));
const otherKey = new RunKey(Buffer.alloc(32, 8));

function folderOf(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-dial-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A meeting of three machines on this one. */
async function meetingOf(t: ExecutionContext): Promise<{
  readonly rendezvous: Rendezvous;
  readonly lead: { readonly host: string; readonly port: number };
  readonly notices: string[];
}> {
  const notices: string[] = [];
  const rendezvous = await Rendezvous.open({
    key,
    machines: 3,
    lead: { host: '127.0.0.1', port: 0 },
    clock,
    notice: (text) => notices.push(text),
  });
  t.teardown(() => rendezvous.end(130));
  return { rendezvous, lead: { host: '127.0.0.1', port: rendezvous.port }, notices };
}

/** An agent that says who it is, and keeps what it hears. */
class Caller {
  readonly heard: ToDialed[] = [];
  readonly socket: TLSSocket;
  readonly closed: Promise<unknown>;
  #arrived: () => void = () => {};

  constructor(socket: TLSSocket, machine: number, { answers = true, says = machine, of = 3 } = {}) {
    this.socket = socket;
    const lines = new ProtocolLines<ToDialed>(
      (line) => {
        if (line.type === 'ping') {
          if (answers) socket.write(lineOf({ type: 'pong' }));
          return;
        }
        this.heard.push(line);
        this.#arrived();
      },
      () => {},
    );
    socket.on('data', (bytes: Buffer) => lines.push(bytes));
    socket.on('error', () => {});
    this.closed = once(socket, 'close');
    socket.write(lineOf({ type: 'dial', machine: says, of, hostname: `host-${machine}`, pid: 7 }));
  }

  async next(): Promise<ToDialed | undefined> {
    if (this.heard.length === 0) await new Promise<void>((resolve) => (this.#arrived = resolve));
    return this.heard.shift();
  }

  static async dial(
    lead: { readonly host: string; readonly port: number },
    machine: number,
    options: ConstructorParameters<typeof Caller>[2] = {},
  ): Promise<Caller> {
    const dialling = { lead, machine, key, waitMs: 5000, clock, notice: () => {} };
    return new Caller(await dialLead(dialling), machine, options);
  }
}

/** A link of the lead to a machine, with what it hears. */
function linkOf(rendezvous: Rendezvous, machine: number) {
  const lines: AgentLine[] = [];
  let end: (reason: string) => void = () => {};
  const ended = new Promise<string>((resolve) => (end = resolve));
  const link = rendezvous.awaitAgent(machine, 60_000, {
    line: (line) => lines.push(line),
    ended: (reason) => end(reason),
    printed: () => {},
  });
  if (link === null) throw new RangeError('machine 0 is started here');
  return { link, lines, ended };
}

test('key: made once, for its owner alone; one that others can read is refused', (t) => {
  const path = join(folderOf(t), 'run.key');
  makeRunKey(path);
  t.is(statSync(path).mode & 0o777, 0o600);
  t.regex(readFileSync(path, 'utf8'), /^troupe-key-1 [\w-]{43}\n$/u);
  t.throws(() => makeRunKey(path), {
    code: 'TROUPE_KEY',
    message: /exists, and a key is never written over/u,
  });
  const env = { TROUPE_KEY_FILE: path };
  t.true(takeRunKey(env) instanceof RunKey);
  t.deepEqual(env, {}, 'who is started from here is not told');
  t.throws(() => takeRunKey(env), { code: 'TROUPE_KEY', message: /names no key file/u });
  chmodSync(path, 0o640);
  t.throws(() => readRunKey(path), {
    code: 'TROUPE_KEY',
    message: /others can read .*mode 0640.*chmod 600/u,
  });
  chmodSync(path, 0o600);
  writeFileSync(path, 'secret');
  t.throws(() => readRunKey(path), { code: 'TROUPE_KEY', message: /holds no key of a run/u });
  t.throws(() => readRunKey(`${path}.none`), { code: 'TROUPE_KEY', message: /ENOENT/u });
});

test('key: another one for every machine and every meeting, and none is printed', (t) => {
  const hex = (...args: Parameters<RunKey['ofMachine']>) =>
    Buffer.from(key.ofMachine(...args)).toString('hex');
  t.is(hex(1, 'a'), hex(1, 'a'));
  t.is(new Set([hex(1, 'a'), hex(2, 'a'), hex(1, 'b')]).size, 3);
  t.is(JSON.stringify(key), '{}');
  t.notRegex(inspect(key, { showHidden: true }), /7, 7|07 07/u);
});

test('address: with a port or without, IPv6 too', (t) => {
  t.deepEqual(parseLeadAddress('gpu-1'), { host: 'gpu-1', port: 7070 });
  t.deepEqual(parseLeadAddress('gpu-1.lab:80'), { host: 'gpu-1.lab', port: 80 });
  t.deepEqual(parseLeadAddress('[fd00::1]:80'), { host: 'fd00::1', port: 80 });
  t.deepEqual(parseLeadAddress('fd00::1'), { host: 'fd00::1', port: 7070 });
  for (const wrong of ['', 'a b', 'a:0', 'a:70000', 'a:b', ':80'])
    t.throws(() => parseLeadAddress(wrong), { code: 'TROUPE_LAUNCHER' }, wrong);
});

test('rendezvous: an agent that dials gets what waited for it, and is heard', async (t) => {
  const { rendezvous, lead } = await meetingOf(t);
  const { link, lines, ended } = linkOf(rendezvous, 1);
  link.send({ type: 'worker.begin', node: 'w0', incarnation: 2 });
  const caller = await Caller.dial(lead, 1);
  t.deepEqual(await caller.next(), { type: 'worker.begin', node: 'w0', incarnation: 2 });
  caller.socket.write(lineOf({ type: 'evaluating', sequence: 5 }));
  caller.socket.write(lineOf({ type: 'ending', reason: 'no room' }));
  caller.socket.end();
  t.regex(await ended, /^host-1 \(process 7, from 127\.0\.0\.1:\d+\): no room$/u);
  t.deepEqual(lines, [{ type: 'evaluating', sequence: 5 }]);
  t.is(rendezvous.awaitAgent(0, 1, { line: () => {}, ended: () => {}, printed: () => {} }), null);
});

test('rendezvous: who comes before it is wanted has its place, and the end is told to all', async (t) => {
  const { rendezvous, lead } = await meetingOf(t);
  const [first, second] = [await Caller.dial(lead, 1), await Caller.dial(lead, 2)];
  const { link } = linkOf(rendezvous, 2);
  link.send({ type: 'leave' });
  t.deepEqual(await second.next(), { type: 'leave' });
  await rendezvous.end(76);
  t.deepEqual(await first.next(), { type: 'over', exitCode: 76 });
  t.deepEqual(await second.next(), { type: 'over', exitCode: 76 });
  await Promise.all([first.closed, second.closed]);
});

test('rendezvous: DIL-6, who comes after the end is told of it', async (t) => {
  const { rendezvous, lead } = await meetingOf(t);
  const ending = rendezvous.end(3);
  const [late, later] = [await Caller.dial(lead, 1), await Caller.dial(lead, 2)];
  t.deepEqual(await late.next(), { type: 'over', exitCode: 3 });
  t.deepEqual(await later.next(), { type: 'over', exitCode: 3 });
  await ending;
});

test('rendezvous: DIL-1, a node does not speak for another one', async (t) => {
  const { rendezvous, lead } = await meetingOf(t);
  const { lines } = linkOf(rendezvous, 2);
  const liar = await Caller.dial(lead, 1, { says: 2 });
  t.like(await liar.next(), {
    type: 'refused',
    exitCode: 2,
    reason: 'it has the key of machine 1, and says that it is machine 2',
  });
  // Its own key under another's name.
  const socket = connect({
    ...dialTls,
    ...lead,
    checkServerIdentity: () => undefined,
    pskCallback: (hint) => ({ identity: identityOf(2), psk: key.ofMachine(1, hint ?? '') }),
  });
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  t.regex(error.code ?? '', /BAD_RECORD_MAC|DECRYPT/u);
  t.deepEqual(lines, []);
  t.deepEqual(['troupe-1 machine 3', 'troupe-1 machine 03', 'root'].map(machineOfIdentity), [3, null, null]);
});

test('rendezvous: a number of machines that differs is named', async (t) => {
  const { lead } = await meetingOf(t);
  const caller = await Caller.dial(lead, 1, { of: 4 });
  t.like(await caller.next(), { type: 'refused', reason: 'it was told of 4 machines, and the run has 3' });
});

test('rendezvous: DIL-2, of two agents of a machine the second is refused, and both are named', async (t) => {
  const { rendezvous, lead } = await meetingOf(t);
  const { link } = linkOf(rendezvous, 1);
  const first = await Caller.dial(lead, 1);
  link.send({ type: 'leave' });
  t.deepEqual(await first.next(), { type: 'leave' });
  const second = await Caller.dial(lead, 1);
  const refused = await second.next();
  t.regex(
    refused?.type === 'refused' ? refused.reason : '',
    /^machine 1 has an agent, host-1 \(process 7, from .*\), and host-1 \(.*\) says that it is machine 1 too/u,
  );
  await second.closed;
  link.send({ type: 'leave' });
  t.deepEqual(await first.next(), { type: 'leave' }, 'the first one is not disturbed');
});

test('rendezvous: DIL-2, an agent that does not answer loses its place to the next life', async (t) => {
  const { rendezvous, lead } = await meetingOf(t);
  const before = linkOf(rendezvous, 1);
  await Caller.dial(lead, 1, { answers: false });
  const next = await Caller.dial(lead, 1);
  t.regex(await before.ended, /does not answer, and another agent has come in its place/u);
  const { link } = linkOf(rendezvous, 1);
  link.send({ type: 'leave' });
  t.deepEqual(await next.next(), { type: 'leave' });
});

test('rendezvous: DIL-4, connections that never finish the handshake are closed, and disturb nobody', async (t) => {
  const { rendezvous, lead } = await meetingOf(t);
  linkOf(rendezvous, 1).link.send({ type: 'leave' });
  const hanging = Array.from({ length: 200 }, () => connectTcp(lead));
  const ends = hanging.map((socket) => {
    socket.on('error', () => {});
    return once(socket, 'close');
  });
  await Promise.all(
    hanging.map(async (socket) => {
      if (socket.readyState !== 'open') await once(socket, 'connect');
    }),
  );
  const caller = await Caller.dial(lead, 1);
  t.deepEqual(await caller.next(), { type: 'leave' });
  const startedMs = performance.now();
  await Promise.all(ends);
  t.true(performance.now() - startedMs < 10_000);
});

test('rendezvous: an oversized line ends its connection alone', async (t) => {
  const { rendezvous, lead } = await meetingOf(t);
  const { ended } = linkOf(rendezvous, 1);
  const other = linkOf(rendezvous, 2);
  const [caller, beside] = [await Caller.dial(lead, 1), await Caller.dial(lead, 2)];
  caller.socket.write('@troupe '.padEnd(2 ** 20 + 10, 'x'));
  t.regex(await ended, /it sent a line of more than 1048576 characters/u);
  other.link.send({ type: 'leave' });
  t.deepEqual(await beside.next(), { type: 'leave' });
});

const dialling = { machine: 1, key, waitMs: 1500, clock, notice: () => {} };

test('dialling: DIL-5, another key, another number and what is no Troupe end it with a sentence', async (t) => {
  const { lead, notices } = await meetingOf(t);
  const refused = (options: Partial<Parameters<typeof dialLead>[0]>) =>
    t.throwsAsync(dialLead({ ...dialling, lead, ...options }), { code: 'TROUPE_DIAL_REFUSED' });
  t.regex(
    (await refused({ key: otherKey }))?.message ?? '',
    /^machine 1 \(.+\) was not let in at 127\.0\.0\.1:\d+: it has another key; TROUPE_KEY_FILE/u,
  );
  t.is(notices.length, 1);
  t.regex(notices[0] ?? '', /^somebody at 127\.0\.0\.1 was not let in/u);
  t.regex((await refused({ machine: 9 }))?.message ?? '', /no machine with this number/u);
  const http = await serve(t, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  t.regex((await refused({ lead: http }))?.message ?? '', /no lead of Troupe/u);
  const closing = await serve(t, (socket) => socket.destroy());
  t.regex(
    (await refused({ lead: closing, waitMs: 60_000 }))?.message ?? '',
    /finds no Troupe at .*connection was closed/u,
  );
});

test('dialling: a lead that is not there is waited for, and named with every address tried', async (t) => {
  const gone = await serve(t, () => {});
  await closeServer(gone.server);
  const error = await t.throwsAsync(dialLead({ ...dialling, lead: gone }), {
    code: 'TROUPE_LEAD_UNREACHABLE',
  });
  t.regex(
    error?.message ?? '',
    /^machine 1 \(.+\) did not reach the lead at 127\.0\.0\.1:\d+ within 1\.5 s \(127\.0\.0\.1:\d+: ECONNREFUSED\)/u,
  );
  const nameless = { host: 'nobody.invalid', port: 7070 };
  const unknown = await t.throwsAsync(dialLead({ ...dialling, lead: nameless }), {
    code: 'TROUPE_LEAD_UNREACHABLE',
  });
  t.regex(unknown?.message ?? '', /nobody\.invalid has no address here/u);
});

async function serve(t: ExecutionContext, answer: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    answer(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, server };
}

async function closeServer(server: ReturnType<typeof createServer>): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
