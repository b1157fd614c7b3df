import test from 'ava';
import { runCliHere } from './testing/cli-here.ts';
import { jsonLines } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

test('plan --search: the best row is flags that the same file takes', async (t) => {
  const { folder: cwd } = workplace(t);
  const { code, stdout, stderr } = await runCliHere(
    ['plan', 'small.yaml', '--search', '--most', '3', '--json'],
    {
      cwd,
    },
  );
  t.is(code, 0, stderr);
  const [search] = jsonLines(stdout) as [
    {
      readonly event: string;
      readonly found: readonly { readonly set: readonly string[]; readonly mixture: object }[];
    },
  ];
  t.is(search.event, 'search');
  t.is(search.found.length, 3);
  const [best] = search.found;
  const set = (best?.set ?? []).flatMap((each) => ['--set', each]);
  const plan = await runCliHere(['plan', 'small.yaml', '--json', ...set], { cwd });
  t.is(plan.code, 0, plan.stderr);
  const { topology } = (
    jsonLines(plan.stdout) as [{ readonly topology: { parallel: object; train: object } }]
  )[0];
  t.like({ ...topology.parallel, ...topology.train }, best?.mixture ?? {});
  const text = await runCliHere(['plan', 'small.yaml', '--search', '--most', '3'], { cwd });
  t.true(text.stdout.includes(`Best: ${(best?.set ?? []).map((each) => `--set ${each}`).join(' ')}`));
});

test('plan --search: devices without room for any mixture end with 5', async (t) => {
  const { folder: cwd } = workplace(t);
  const speed =
    'machines=[{devices: ["cpu:0", "cpu:1"], speed: {tflops: 1, memoryGBps: 10, memoryGB: 0.0001}}]';
  const { code, stdout } = await runCliHere(['plan', 'small.yaml', '--search', '--set', speed], { cwd });
  t.is(code, 5);
  t.regex(stdout, /^\d+ mixtures divide this model over these devices; 0 fit /u);
});
