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
