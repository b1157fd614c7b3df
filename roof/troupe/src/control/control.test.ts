import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { workerActors } from '@troupe/actors';
import { loadTopology, workerRank } from '@troupe/topology';
import { jobOf } from '../job.ts';
import { RunView } from '../run/run-view.ts';
import { ownIdentity } from '../ports/process-identity.ts';
import { BoundedLog, boundLog } from './bounded-log.ts';
import { ControlClient } from './control-client.ts';
import { findControl, writeControlFile, type ControlPlace } from './control-file.ts';
import { clientsMax, ControlServer } from './control-server.ts';
import { RunLogs } from './merged-logs.ts';
import { readRequest, requestBytesMax } from './request.ts';
import { endOf, readRunAtRest } from './run-at-rest.ts';
import { RunBoard } from './run-board.ts';

function folderOf(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-control-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Enough for who reads, on a busy machine too. */
const slowMs = 1000;

async function serverOf(
  t: ExecutionContext,
  {
    status = () => ({ step: 7 }),
    slow = slowMs,
  }: { readonly status?: () => unknown; readonly slow?: number } = {},
) {
  const folder = folderOf(t);
  const stops: boolean[] = [];
  const asked: string[] = [];
  const server = await ControlServer.open({
    folder,
    status,
    stop: ({ now }) => stops.push(now),
    relayout: ({ id }) => {
      asked.push(id);
      return Promise.resolve({ id, state: 'open' });
    },
    failed: (error) => t.fail(error.message),
    limits: { slowMs: slow },
  });
  t.teardown(() => server.close());
  return { folder, server, stops, asked };
}

/** What a connection has said when it is closed. */
const saidUntilClosed = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });

async function closedAfter(place: ControlPlace, text: string): Promise<string> {
  const socket = connect(place.socket);
  const said = saidUntilClosed(socket);
  socket.write(text);
  return said;
}

test('control: a run is looked at and stopped through its folder, and leaves nothing', async (t) => {
  const { folder, server, stops } = await serverOf(t);
  const found = findControl(folder);
  t.is(found.kind, 'running');
  const { place } = found as { place: ControlPlace };
  t.is(statSync(join(folder, 'control.json')).mode & 0o777, 0o600);
  const client = await ControlClient.open(place);
  t.like(await client.status(), { step: 7 });
  await client.stop(false);
  await client.stop(true);
  t.deepEqual(stops, [false, true]);
  server.close();
  await client.ended;
  await t.throwsAsync(client.status(), { code: 'TROUPE_CONTROL_UNREACHABLE' });
  t.deepEqual(readdirSync(folder), []);
  t.is(findControl(folder).kind, 'none');
});

test('control: CTL-2 a token of another run does nothing, one to look stops nothing', async (t) => {
  const { server, stops } = await serverOf(t);
  const { place } = server;
  const ask = (question: object): Promise<string> => closedAfter(place, `${JSON.stringify(question)}\n`);
  for (const token of [undefined, '', 'x', `${place.operate}x`, 7, null])
    t.regex(await ask({ token, do: 'stop' }), /TROUPE_CONTROL_DENIED/);
  t.regex(await ask({ token: place.view, do: 'stop' }), /DENIED.*may look at the run and change nothing/);
  t.deepEqual(stops, []);
  t.deepEqual(readRequest(JSON.stringify({ token: place.operate, do: 'status' }), place), { do: 'status' });
});

test('control: CTL-2 another layout takes the operate token, and is a question of its own', async (t) => {
  const { server, asked } = await serverOf(t);
  const { place } = server;
  const ask = { kind: 'drain', machine: 'm1' } as const;
  const request = { id: 'a', by: 'ada@gpu-1', dryRun: false, ask };
  const viewer = await ControlClient.open({ ...place, operate: place.view });
  await t.throwsAsync(viewer.relayout(request), { code: 'TROUPE_CONTROL_DENIED', message: /operate token/u });
  await t.throwsAsync(viewer.relayout(request), { code: 'TROUPE_CONTROL_UNREACHABLE' });
  t.deepEqual(asked, []);
  const client = await ControlClient.open(place);
  t.deepEqual(await client.relayout(request), { id: 'a', state: 'open' });
  t.deepEqual(asked, ['a']);
  client.close();
  for (const wrong of [{ ask: { kind: 'drain' } }, { id: 'x'.repeat(200) }, { by: '' }, { dryRun: 1 }])
    t.throws(
      () =>
        readRequest(JSON.stringify({ token: place.operate, do: 'relayout', ...request, ...wrong }), place),
      { code: 'TROUPE_CONTROL_REQUEST' },
    );
});

test('control: CTL-1 garbage, endless questions and too many clients disturb nobody', async (t) => {
  const { server } = await serverOf(t);
  const { place } = server;
  t.regex(await closedAfter(place, 'GET / HTTP/1.1\r\n\r\n'), /TROUPE_CONTROL_REQUEST.*no JSON object/);
  t.regex(await closedAfter(place, 'null\n'), /TROUPE_CONTROL_DENIED/);
  t.regex(await closedAfter(place, '\u0000\u{fffd}{]\n'), /TROUPE_CONTROL_REQUEST/);
  t.regex(await closedAfter(place, 'x'.repeat(requestBytesMax + 1)), /at most 262144 bytes/);
  const both = JSON.stringify({ token: place.view, do: 'launch' });
  t.regex(await closedAfter(place, `${both}\n`), /expected \{ do: 'status' \}/);
  const open = await Promise.all(Array.from({ length: clientsMax }, () => ControlClient.open(place)));
  const late = await ControlClient.open(place);
  await late.ended;
  await t.throwsAsync(late.status(), { code: 'TROUPE_CONTROL_BUSY' });
  t.like(await open[0]?.status(), { step: 7 });
  for (const client of open) client.close();
});

test('control: CTL-1 a client that waits with reading is dropped, and others are answered', async (t) => {
  const text = 'x'.repeat(2 ** 20);
  const { server } = await serverOf(t, { status: () => ({ text }) });
  const { place } = server;
  const deaf = connect(place.socket);
  const said = saidUntilClosed(deaf);
  deaf.pause();
  deaf.write(`${JSON.stringify({ token: place.view, do: 'status' })}\n`);
  const client = await ControlClient.open(place);
  t.like(await client.status(), { text });
  client.close();
  await new Promise((resolve) => setTimeout(resolve, 2 * slowMs));
  // A paused socket hears of its end when it reads.
  deaf.resume();
  t.true((await said).length < text.length);
});

test('control: CTL-1 a client that asks on and does not read is dropped at once', async (t) => {
  const { server } = await serverOf(t, { status: () => 'x'.repeat(2 ** 20), slow: 3_600_000 });
  const { place } = server;
  const deaf = connect(place.socket);
  deaf.pause();
  const question = `${JSON.stringify({ token: place.view, do: 'status' })}\n`;
  // Its end is heard by who writes.
  const asking = setInterval(() => deaf.write(question), 20);
  const closed = new Promise<string>((resolve) =>
    deaf.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? '')),
  );
  t.regex(await closed, /EPIPE|ECONNRESET/);
  clearInterval(asking);
});

test('control: CTL-3 a file that a killed run left names a process that is gone, and the next run replaces it', (t) => {
  const folder = folderOf(t);
  const place: ControlPlace = {
    format: 1,
    socket: '/nowhere/control',
    process: { ...ownIdentity(), start: 'another boot 1' },
    since: '2026-12-01T12:00:00.000Z',
    view: 'a',
    operate: 'b',
  };
  writeControlFile(folder, place);
  t.is(findControl(folder).kind, 'stale');
  writeControlFile(folder, { ...place, process: { ...place.process, host: 'another' } });
  t.is(findControl(folder).kind, 'elsewhere');
  writeControlFile(folder, { ...place, process: ownIdentity() });
  t.is(findControl(folder).kind, 'running');
  for (const text of ['', '{', 'null', '[]', '{"format":2}', '{"format":1,"socket":1}']) {
    writeFileSync(join(folder, 'control.json'), text);
    t.is(findControl(folder).kind, 'none', text);
  }
});

const done = { event: 'done', steps: 3, loss: 2, exitCode: 130 };

test('control: what a run at rest says is that of its last launch', async (t) => {
  const lines = (...events: readonly object[]): string =>
    events.map((event) => `${JSON.stringify(event)}\n`).join('');
  const step = (n: number) => ({ event: 'step', step: n, loss: 1 / n });
  t.like(endOf(lines({ event: 'start' }, step(3), done)), { step: 3, exitCode: 130, reason: null });
  // Killed after it went on.
  t.like(endOf(lines(step(3), done, { event: 'start' }, step(4)) + '{"event":"st'), {
    step: 4,
    exitCode: null,
  });
  const failed = { event: 'error', code: 'X', message: 'why' };
  t.like(endOf(lines(step(3), failed, { ...done, exitCode: 76 })), { exitCode: 76, reason: 'why' });
  const folder = folderOf(t);
  await t.throwsAsync(readRunAtRest(folder), {
    code: 'TROUPE_RUN_MISSING',
    message: /holds no run; name the/,
  });
  await t.throwsAsync(readRunAtRest(join(folder, 'none')), { message: /there is no such folder/ });
  writeFileSync(join(folder, 'metrics.jsonl'), lines(step(3), done));
  t.like(await readRunAtRest(folder), { step: 3, checkpoint: null, exitCode: 130 });
});

test('logs: LOG-1 two files a process hold what it printed last, and a reader misses nothing that is there', (t) => {
  const folder = folderOf(t);
  const logs = new RunLogs(folder, () => true);
  t.deepEqual([logs.nodes, logs.read()], [[], []]);
  const [worker, lead] = [new BoundedLog(folder, 'worker/0', 400), new BoundedLog(folder, 'lead', 400)];
  worker.write('one\ntw');
  worker.write('o\nopen');
  lead.write('three\n');
  t.deepEqual(
    logs
      .read()
      .map(({ node, text }) => `${node} ${text}`)
      .sort(),
    ['lead three', 'worker/0 one', 'worker/0 two'],
  );
  t.deepEqual(logs.nodes, ['lead', 'worker/0']);
  worker.flush();
  // Past the end of a file, between two looks.
  for (let line = 0; line < 12; line++) worker.write(`line ${line}\n`);
  const seen = logs.read().map(({ text }) => text);
  t.deepEqual(seen, ['open', ...Array.from({ length: 12 }, (_, line) => `line ${line}`)]);
  for (let line = 0; line < 100; line++) worker.write(`${line} ${'x'.repeat(80)}\n`);
  const sizes = ['worker-0.log', 'worker-0.log.1'].map((name) => statSync(join(folder, 'logs', name)).size);
  t.true(
    sizes.every((size) => size <= 400),
    sizes.join(' '),
  );
  t.is(logs.read().at(-1)?.text.slice(0, 2), '99');
  worker.close();
  lead.close();
  writeFileSync(join(folder, 'logs/console.log'), 'crashed\n', { flag: 'a' });
  t.is(new RunLogs(folder, (node) => node === 'console').read()[0]?.text, 'crashed');
  boundLog(folder, 'console', 4);
  t.is(readFileSync(join(folder, 'logs/console.log.1'), 'utf8'), 'crashed\n');
  t.is(readFileSync(join(folder, 'logs/console.log'), 'utf8'), '');
  const console = new RunLogs(folder, (node) => node === 'console');
  const readAgain = (): readonly string[] => console.read().map(({ text }) => text);
  t.deepEqual([readAgain(), readAgain()], [['crashed'], []]);
  writeFileSync(join(folder, 'logs/console.log'), 'more\n', { flag: 'a' });
  t.deepEqual([readAgain(), readAgain()], [['more'], []]);
});

test('control: a look tells lives, silence, second copies and the load of every expert', (t) => {
  const set = ['machines=[{host: localhost, devices: [cpu:0, cpu:1]}]', 'parallel={dp: 2, ep: 2, zero: 1}'];
  const choices = {
    evaluationSequences: 0,
    checkpoints: false,
    stopAfter: 4,
    first: { step: 0, adamClock: 0 },
  };
  const jobWith = (buddies: boolean) =>
    jobOf(loadTopology('tiny', { set: [...set, `recovery.buddies=${buddies}`] }), choices);
  const job = jobWith(true);
  const view = new RunView(job);
  const address = workerActors(job, workerRank(0)).find((each) => each.startsWith('stage/'));
  view.described([`${address} serving.forwarding 3`, 'agent/0 stepping 0', 'torn'], 1000);
  const look = view.look(1500, []);
  t.like(look.nodes[0], { node: 'worker/0', life: 1, isAway: false, seenMs: 500 });
  t.deepEqual(look.nodes[0]?.actors, [{ address, state: 'serving.forwarding', mailboxSize: 3 }]);
  t.is(look.nodes[1]?.seenMs, null);
  t.true(look.copies.shards > 0 && look.copies.doubled === look.copies.shards);
  t.is(new RunView(jobWith(false)).look(0, []).copies.doubled, 0);
  view.restarted('worker/0' as never, 2);
  const lost = view.look(1500, []);
  t.like(lost.nodes[0], { life: 2, isAway: true, seenMs: null, actors: [] });
  t.is(lost.copies.doubled, 0, 'each of two workers has its copies on the other');
  view.chosen({ step: 1, layers: [1], counts_LE: Int32Array.of(1, 1, 0, 2) });
  view.chosen({ step: 2, layers: [1], counts_LE: Int32Array.of(3, 1, 0, 0) });
  t.deepEqual(view.look(0, []).experts, { steps: 2, layers: [{ layer: 1, loads: [2, 1, 0, 1] }] });
});

test('control: a board tells state, time left, losses and the last checkpoint', (t) => {
  let nowMs = 0;
  let isStopping = false;
  const board = new RunBoard({
    name: 'x',
    first: 10,
    last: 20,
    nowMs: () => nowMs,
    isStopping: () => isStopping,
  });
  t.like(board.status(), { state: 'starting', step: 10, of: 20, loss: null, secondsLeft: null });
  const step = (at: number) =>
    board.hear({
      event: 'step',
      step: at,
      loss: Number.NaN,
      tokens: 100,
      tokensPerSecond: 50,
      kernelShare: 0.5,
    } as never);
  step(11);
  nowMs = 3000;
  step(12);
  board.hear({ event: 'checkpoint', step: 12, path: 'run/step-000012' });
  board.hear({ event: 'fault', message: 'worker/1 was lost', details: { worker: 'worker/1' } });
  board.hear({ event: 'fault', message: 'step 12 is skipped', details: { step: 12 } });
  nowMs = 4000;
  const status = board.status();
  t.like(status, { state: 'running', step: 12, loss: null, secondsLeft: 24, stepSeconds: 2, openSeconds: 1 });
  t.like(status, { losses: 1, recoveries: 0, lastFault: 'step 12 is skipped' });
  t.deepEqual(status.checkpoint, { step: 12, path: 'run/step-000012', secondsAgo: 1 });
  isStopping = true;
  t.is(board.status().state, 'stopping');
});
