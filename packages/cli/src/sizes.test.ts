import { existsSync } from 'node:fs';
import test from 'ava';
import { jsonLines, runCli } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

/** Larger than the memory of any machine. */
const vast = ['--set', 'model.vocab=200000000', '--set', 'model.dModel=65536'];

for (const [command, hint] of [
  ['launch', /use a smaller model, batch or parallel\.dp$/m],
  ['simulate', /simulate it without arithmetic: --shapes-only$/m],
] as const) {
  test.serial(`${command}: a model that does not fit is refused with 5 before it starts`, async (t) => {
    const { folder, path } = workplace(t);
    const { code, stderr } = await runCli([command, 'small.yaml', ...vast], { cwd: folder });
    t.is(code, 5, stderr);
    t.regex(stderr, /^troupe: this topology needs about \d+ TiB of memory in 2 .*; this machine has \d+/);
    t.regex(stderr, hint);
    t.regex(stderr, /\nexit 5 \(not enough devices or memory\): TROUPE_MACHINE_MEMORY\n$/);
    t.false(existsSync(path('run')));
  });
}

test.serial(
  'simulate --shapes-only: an array that not even a length fits is one sentence and exit 5',
  async (t) => {
    const { folder } = workplace(t);
    const args = ['simulate', 'small.yaml', '--shapes-only', '--steps', '1', '--json', ...vast];
    const { code, stdout } = await runCli(args, { cwd: folder });
    t.is(code, 5);
    t.like(jsonLines(stdout).at(-1), { event: 'error', code: 'TROUPE_DEVICE_MEMORY' });
    t.regex(
      String(jsonLines(stdout).at(-1)?.['message']),
      /an array of \d+ bytes is longer than this machine allows/,
    );
  },
);
