import { writeFileSync } from 'node:fs';
import test from 'ava';
import { jsonLines, runCli } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

test.serial(
  'generate: of a model whose experts drop tokens in training says once that here they drop none',
  async (t) => {
    const { folder } = workplace(t);
    const at = { cwd: folder };
    const dropping = ['--set', 'model.moe.capacity=1.25'];
    const launched = await runCli(['launch', 'small.yaml', '--quiet', '--stop-after', '4', ...dropping], at);
    t.is(launched.code, 0, launched.stderr);
    const text = ['generate', 'run', '--samples', '2', '--max-tokens', '2'];
    const shown = await runCli(text, at);
    t.is(shown.code, 0, shown.stderr);
    t.is(
      shown.stderr,
      'note: experts take every token here; in training they had room for 1.25 times their even share (model.moe.capacity)\n',
    );
    const told = await runCli([...text, '--json'], at);
    t.deepEqual(
      jsonLines(told.stdout).map(({ event }) => event),
      ['note', 'sample', 'sample'],
    );
  },
);

test.serial(
  'generate: experts that choose do so by thresholds of training, on one device as on workers, or refuse',
  async (t) => {
    const { folder } = workplace(t);
    const at = { cwd: folder };
    const choice = ['--set', 'model.moe.router={kind: expert-choice, groupSequences: 4}'];
    const quick = ['launch', 'small.yaml', '--quiet', '--stop-after', '4'];
    const launched = await runCli([...quick, ...choice], at);
    t.is(launched.code, 0, launched.stderr);
    const text = ['generate', 'run', '--prompt', 'T', '--max-tokens', '4', '--json'];
    const told = await runCli(text, at);
    t.is(told.code, 0, told.stderr);
    const lines = jsonLines(told.stdout);
    t.regex(JSON.stringify(lines[0]), /experts choose by the thresholds that training averaged/u);
    const samples = (stdout: string) => jsonLines(stdout).filter(({ event }) => event === 'sample');
    t.is(samples(told.stdout).length, 1);
    const pipeline = ['--set', 'parallel.pp=2', '--set', 'parallel.dp=1', '--set', 'parallel.ep=1'];
    const divided = await runCli([...text, ...pipeline], at);
    t.is(divided.code, 0, divided.stderr);
    t.deepEqual(samples(divided.stdout), samples(told.stdout));

    const none = [...choice, '--set', 'model.moe.router.generate=refuse', '--set', 'checkpoint.dir=none'];
    t.is((await runCli([...quick, ...none], at)).code, 0);
    const refused = await runCli(['generate', 'none', '--prompt', 'T'], at);
    t.not(refused.code, 0);
    t.regex(refused.stderr, /experts of this model choose tokens among the sequences of a batch/u);
  },
);

test.serial(
  'generate: prompts of a file are continued together as each alone, by draws or beams, on one device as on workers',
  async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    const segments = ['--set', 'train.tensorSegments=2'];
    const launched = await runCli(['launch', 'small.yaml', '--quiet', '--stop-after', '4', ...segments], at);
    t.is(launched.code, 0, launched.stderr);
    writeFileSync(path('prompts.txt'), 'The actor\n\nThe gate keeps\r\nT\n');
    const generate = async (...more: readonly string[]) => {
      const { code, stdout, stderr } = await runCli(['generate', 'run', '--max-tokens', '5', ...more], at);
      t.is(code, 0, stderr);
      return stdout;
    };
    const samples = async (...more: readonly string[]) => jsonLines(await generate('--json', ...more));
    const together = await samples('--prompts', 'prompts.txt', '--samples', '2');
    t.deepEqual(
      together.map(({ line, index, prompt }) => [line, index, prompt]),
      [
        [1, 0, 'The actor'],
        [1, 1, 'The actor'],
        [3, 0, 'The gate keeps'],
        [3, 1, 'The gate keeps'],
        [4, 0, 'T'],
        [4, 1, 'T'],
      ],
    );
    const alone = await samples('--prompt', 'The gate keeps', '--samples', '2');
    t.deepEqual(
      alone.map(({ ids }) => ids),
      together.slice(2, 4).map(({ ids }) => ids),
    );
    const shown = await generate('--prompts', 'prompts.txt');
    t.regex(
      shown,
      /^--- prompt 1 of 3\nThe actor.*--- prompt 2 of 3\nThe gate keeps.*--- prompt 3 of 3\nT/su,
    );

    const oneByOne = ['--set', 'parallel.dp=1', '--set', 'parallel.ep=1'];
    const tensor = await samples(
      '--prompts',
      'prompts.txt',
      '--samples',
      '2',
      '--set',
      'parallel.tp=2',
      ...oneByOne,
    );
    t.deepEqual(
      tensor.map(({ ids }) => ids),
      together.map(({ ids }) => ids),
    );

    const beams = ['--prompts', 'prompts.txt', '--beams', '3', '--samples', '2', '--length-penalty', '0.5'];
    const searched = await samples(...beams);
    t.is(searched.length, 6);
    for (const [first, second] of [searched.slice(0, 2), searched.slice(4)])
      t.true(Number(first?.['score']) >= Number(second?.['score']));
    const divided = await samples(...beams, '--set', 'parallel.pp=2', ...oneByOne);
    t.deepEqual(
      divided.map(({ ids }) => ids),
      searched.map(({ ids }) => ids),
    );
  },
);
