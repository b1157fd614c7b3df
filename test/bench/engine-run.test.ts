import test from 'ava';
import { runEngine, type Engine, type EngineRun } from './engine-run.ts';

const program = (source: string): Engine => ({
  name: 'a program',
  ours: false,
  command: [process.execPath, '-e', source],
});

test('runEngine: takes steps, load and loss from the lines of JSON, and ignores other lines', async (t) => {
  const run = (await runEngine(
    program(`
      console.log('building an extension');
      console.log(JSON.stringify({ event: 'start', device: 'a cpu' }));
      for (const loss of [3, 2]) console.log(JSON.stringify({ event: 'step', loss, maxExpertLoad: loss / 2 }));
      console.log(JSON.stringify({ event: 'load', maxExpertLoad: 1.5 }));
    `),
  )) as EngineRun;
  t.is(run.stepSeconds.length, 2);
  t.is(run.device, 'a cpu');
  t.is(run.lastLoss, 2);
  t.is(run.maxExpertLoad, 1.5);
  t.true(run.startupSeconds > 0);
});

test('runEngine: a program that fails is a refusal in its own words', async (t) => {
  const spoken = program(
    `console.log(JSON.stringify({ event: 'error', message: 'bf16 is not built' })); process.exit(3);`,
  );
  t.deepEqual(await runEngine(spoken), { refused: 'bf16 is not built' });
  const broken = program(`console.error('ValueError: no such job'); console.error('bye'); process.exit(1);`);
  t.deepEqual(await runEngine(broken), { refused: 'ValueError: no such job' });
  const absent: Engine = { name: 'none', ours: false, command: ['/no/such/program'] };
  t.deepEqual(await runEngine(absent), { refused: 'spawn /no/such/program ENOENT' });
});
