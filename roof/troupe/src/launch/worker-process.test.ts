import { fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { WorkerArguments } from './protocol.ts';
import { WorkerProcess } from './worker-process.ts';

const worker: WorkerArguments = {
  rank: 0,
  node: 'worker/0',
  incarnation: 1,
  listen: { kind: 'tcp', host: '127.0.0.1' },
  seal: null,
  agents: 'on their machines',
  logLevel: 'silent',
};

/** How a process ends that runs `program` in the place of a worker. */
async function endOf(program: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-'));
  const main = join(folder, 'main.mjs');
  writeFileSync(main, program);
  const child = fork(main, [], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const reason = await new Promise<string>((exited) => {
    void new WorkerProcess(worker, { take: () => child }, { message: () => {}, exited, printed: () => {} });
  });
  rmSync(folder, { recursive: true });
  return reason;
}

test('worker: LOG-5, the last lines that it printed go with the sentence of its end, the very last one too', async (t) => {
  t.is(
    await endOf(`for (let i = 1; i <= 30; i++) console.error('line ' + i);
      process.stderr.write('no end', () => process.exit(3));`),
    `exit code 3: ${Array.from({ length: 19 }, (_, at) => `line ${at + 12}`).join(' | ')} | no end`,
  );
  t.is(await endOf(`process.exit(4)`), 'exit code 4');
  // What is read of a process may come after its exit: here another one says it, once the process is buried.
  const late = await endOf(`import { spawn } from 'node:child_process';
    spawn('sh', ['-c', 'while kill -0 $PPID; do :; done 2> /dev/null; echo late >&2'], { stdio: ['ignore', 'ignore', 'inherit'] });
    process.exit(5);`);
  t.is(late, 'exit code 5: late');
  t.regex(
    await endOf(`console.log('free(): invalid pointer'); process.kill(process.pid, 'SIGABRT');`),
    /^signal SIGABRT: free\(\): invalid pointer$/u,
  );
});

test('worker: LOG-5, of one that was killed the lines before say nothing', async (t) => {
  t.is(await endOf(`console.log('well'); process.kill(process.pid, 'SIGKILL')`), 'signal SIGKILL');
});
