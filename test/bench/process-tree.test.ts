import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'ava';
import { PeakMemory, processorSecondsOf, residentOf } from './process-tree.ts';

// Where there is no /proc, benches show no memory.
const onLinux = process.platform === 'linux' ? test : test.skip;

const MEBIBYTE = 2 ** 20;

/** Holds memory for a moment and then half a gigabyte less, in itself and in a child; ends with its input. */
const program = `
  const hold = (megabytes) => Buffer.alloc(megabytes * 2 ** 20, 1);
  const isChild = process.argv[1] === 'child';
  let memory = hold(isChild ? 200 : 300);
  memory = null;
  gc();
  process.stdin.on('end', () => process.exit(0)).resume();
  if (isChild) console.log('held');
  else require('node:child_process')
    .spawn(process.execPath, ['--expose-gc', '-e', process.env.PROGRAM, 'child'], { stdio: 'inherit' });
`;

onLinux(
  'PeakMemory: adds up the highest that each process of a tree held, also when it holds less now',
  async (t) => {
    const child = spawn(process.execPath, ['--expose-gc', '-e', program], {
      env: { ...process.env, PROGRAM: program },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const peak = new PeakMemory(child.pid ?? 0);
    await once(child.stdout, 'data');
    peak.look();
    const now = residentOf(child.pid ?? 0);
    const { bytes, numProcesses } = peak.stop();
    t.is(now.numProcesses, 2);
    t.is(numProcesses, 2);
    t.true(bytes > 500 * MEBIBYTE, `peak ${bytes / MEBIBYTE} MiB`);
    t.true(now.bytes < 400 * MEBIBYTE, `now ${now.bytes / MEBIBYTE} MiB`);
    child.stdin.end();
    await once(child, 'exit');
  },
);

onLinux('residentOf: a process that is gone holds nothing', (t) => {
  t.deepEqual(residentOf(2 ** 30), { bytes: 0, numProcesses: 0 });
});

onLinux(
  'processorSecondsOf: counts a child that worked, and nothing of a process that is gone',
  async (t) => {
    const busy = `const end = performance.now() + 300; while (performance.now() < end); console.log('done');`;
    const parent = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(busy)}], { stdio: 'inherit' });
    process.stdin.on('end', () => process.exit(0)).resume();`;
    const child = spawn(process.execPath, ['-e', parent], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    t.true(processorSecondsOf(child.pid ?? 0) > 0.05);
    child.stdin.end();
    await once(child, 'exit');
    t.is(processorSecondsOf(2 ** 30), 0);
  },
);
