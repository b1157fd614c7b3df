import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { AgentLine } from './agent-protocol.ts';
import { MachineLogs, runsKept } from './machine-logs.ts';
import { MachineOutput, travelsMax } from './machine-output.ts';

const emptyFolder = (): string => mkdtempSync(join(tmpdir(), 'troupe-'));

test('output: LOG-4, lines arrive whole by their process, wherever they were cut', (t) => {
  const said: AgentLine[] = [];
  const written: string[] = [];
  const output = new MachineOutput({
    agent: 'agent/0',
    logs: { folder: '/logs', write: (node, line) => written.push(`${node} ${line}`) },
    say: (line) => said.push(line),
    nowMs: () => 0,
  });
  output.print('worker/0', 'one\ntw');
  output.print('worker/1', 'other\n');
  output.print('worker/0', 'o\nlast');
  output.ended('worker/0');
  const lines = ['worker/0 one', 'worker/1 other', 'worker/0 two', 'worker/0 last'];
  t.deepEqual(written, lines);
  t.deepEqual(
    said.map((line) => (line.type === 'printed' ? `${line.node} ${line.text}` : '')),
    lines,
  );
});

test('output: LOG-4, a flood stays on its machine, which says how much of it there is and where', (t) => {
  const said: string[] = [];
  let written = 0;
  let nowMs = 0;
  const output = new MachineOutput({
    agent: 'agent/1',
    logs: { folder: '/logs', write: () => written++ },
    say: (line) => void (line.type === 'printed' && said.push(`${line.node} ${line.text}`)),
    nowMs: () => nowMs,
  });
  const line = 'x'.repeat(1023);
  for (let i = 0; i < 2000; i++) output.print('worker/2', `${line}\n`);
  t.is(written, 2000, 'its file has all of them');
  t.is(said.length, travelsMax / 1024);
  nowMs = 1000;
  output.print('worker/2', 'later\n');
  t.deepEqual(said.slice(travelsMax / 1024), [
    'agent/1 1744 lines of this machine were too many to send; they are in /logs',
    'worker/2 later',
  ]);
});

test('logs: LOG-3, of old runs a machine keeps a bounded number, and of those that go on all', (t) => {
  const cache = emptyFolder();
  const made = Array.from({ length: runsKept + 4 }, (_, run) => {
    const logs = new MachineLogs(cache, `run-${run}`);
    logs.write('worker/0', `of run ${run}`);
    logs.close();
    return logs.folder;
  });
  t.true(
    made.every((folder) => existsSync(folder)),
    'all of them were written to just now',
  );
  const [first = '', second = '', third = ''] = made;
  const old = new Date(Date.now() - 2 * 3_600_000);
  for (const folder of [first, second])
    for (const path of [join(folder, 'logs', 'worker-0.log'), join(folder, 'logs'), folder])
      utimesSync(path, old, old);
  void new MachineLogs(cache, 'next');
  t.deepEqual(made.map((folder) => existsSync(folder)).slice(0, 3), [false, false, true]);
  t.regex(readFileSync(join(third, 'logs', 'worker-0.log'), 'utf8'), /Z of run 2\n$/u);
  rmSync(cache, { recursive: true });
});
