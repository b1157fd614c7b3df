import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { CliProcess, jsonLines, runCli, type CliResult } from './testing/cli-process.ts';
import { longTest } from './testing/long-test.ts';
import { workplace, type Workplace } from './testing/workplace.ts';

const losses = ({ stdout }: CliResult): readonly unknown[] =>
  jsonLines(stdout)
    .filter(({ event }) => event === 'step')
    .map(({ step, loss, gradNorm }) => ({ step, loss, gradNorm }));
const evalLosses = ({ stdout }: CliResult): readonly unknown[] =>
  jsonLines(stdout)
    .filter(({ event }) => event === 'eval')
    .map(({ loss }) => loss);
const warnings = ({ stdout }: CliResult): readonly unknown[] =>
  jsonLines(stdout)
    .filter(({ event }) => event === 'warning')
    .map(({ message }) => message);

interface Manifest {
  readonly step: number;
  readonly parents: readonly string[];
  readonly manifestSha256: string;
}
const manifestOf = (place: Workplace, name: string): Manifest =>
  JSON.parse(readFileSync(place.path(`${name}/manifest.json`), 'utf8')) as Manifest;

test.serial('launch --from: begins with the weights, and with nothing else', async (t) => {
  const place = workplace(t);
  const at = { cwd: place.folder };
  const first = await runCli(['launch', 'small.yaml', '--stop-after', '4', '--json'], at);
  t.is(first.code, 0, first.stderr);
  // A rate too small to move a weight: what is measured after the step is what the checkpoint holds.
  const still = ['--set', 'train.optimizer.lr=1e-38', '--set', 'eval.every=1', '--set', 'checkpoint.every=1'];
  const begun = await runCli(
    ['launch', 'small.yaml', '--from', 'run', '--stop-after', '1', '--run-dir', 'next', '--json', ...still],
    at,
  );
  t.is(begun.code, 0, begun.stderr);
  t.deepEqual(evalLosses(begun), evalLosses(first).slice(-1));
  t.deepEqual(warnings(begun), []);
  const written = manifestOf(place, 'next/step-000001');
  t.is(written.step, 1);
  t.deepEqual(written.parents, [manifestOf(place, 'run/step-000004').manifestSha256]);

  const people = await runCli(
    [
      'launch',
      'small.yaml',
      '--from',
      'run/step-000002',
      '--stop-after',
      '1',
      '--set',
      'model.rope.theta=500',
    ],
    at,
  );
  t.is(people.code, 0, people.stderr);
  t.regex(
    people.stdout,
    /run folder run-2 .*\nweights of run\/step-000002, after step 2 there; the optimizer, the schedule and the order of the data restart\n/,
  );
  t.regex(people.stderr, /warning: --from: model\.rope\.theta is 10000 in the checkpoint and 500 here/);
  const other = await runCli(['launch', 'small.yaml', '--from', 'run', '--set', 'model.dModel=64'], at);
  t.is(other.code, 1);
  t.regex(
    other.stderr,
    /does not fit the model: tensor 'model\.embed[\w.]*' \(weights\) has shape \[257, 32\], the model \[257, 64\]/,
  );
  const nothing = await runCli(['launch', 'small.yaml', '--from', 'nowhere'], at);
  t.is(nothing.code, 2);
  t.regex(nothing.stderr, /'nowhere' holds no checkpoint/);
});

longTest('launch --from: the same curve on every layout, across a loss and a resume', async (t) => {
  const place = workplace(t);
  const at = { cwd: place.folder };
  await runCli(['launch', 'small.yaml', '--stop-after', '2', '--quiet'], at);
  const from = ['launch', 'small.yaml', '--from', 'run', '--json'];
  const whole = await runCli([...from, '--run-dir', 'whole'], at);
  t.is(losses(whole).length, 8, whole.stderr);
  const one = ['parallel.dp=1', 'parallel.ep=1', 'machines=[{devices: [cpu:0]}]'].flatMap((each) => [
    '--set',
    each,
  ]);
  t.deepEqual(losses(await runCli([...from, '--run-dir', 'one', ...one], at)), losses(whole));

  // Before the first checkpoint: back to the weights that it began with, not to the seed.
  const struck = new CliProcess([...from, '--run-dir', 'struck', '--set', 'checkpoint.every=0'], at);
  await struck.line(/"event":"step","step":1,/);
  process.kill(struck.children()[1] ?? NaN, 'SIGKILL');
  const recovered = await struck.result;
  t.is(recovered.code, 0, recovered.stderr);
  t.deepEqual(losses(recovered), losses(whole));

  await runCli([...from, '--run-dir', 'cut', '--stop-after', '4'], at);
  const rest = await runCli(['resume', 'cut', '--json'], at);
  t.deepEqual(losses(rest), losses(whole).slice(4), rest.stderr);
  // Where it comes from outlives a resumption.
  const [cut, run] = ['cut/step-000004', 'run/step-000002'].map((name) => manifestOf(place, name));
  t.deepEqual(manifestOf(place, 'cut/step-000008').parents, [cut?.manifestSha256, run?.manifestSha256]);
  t.deepEqual(cut?.parents, [run?.manifestSha256]);
});

test.serial('launch --from: the moments of the checkpoint are left behind', async (t) => {
  const place = workplace(t);
  const at = { cwd: place.folder };
  // A rate too small to move a weight: two checkpoints of the same weights with other moments.
  const still = ['--set', 'train.optimizer.lr=1e-38', '--set', 'checkpoint.every=1', '--stop-after', '2'];
  await runCli(['launch', 'small.yaml', '--quiet', ...still], at);
  const [one, two] = [1, 2].map((step) => `run/step-00000${step}`);
  const weights = (name = ''): Buffer => readFileSync(place.path(`${name}/weights.safetensors`));
  const moments = (name = ''): Buffer => readFileSync(place.path(`${name}/optimizer.safetensors`));
  t.deepEqual(weights(one), weights(two));
  t.notDeepEqual(moments(one), moments(two));
  const [first, second] = await Promise.all(
    [one, two].map((from = '') =>
      runCli(
        ['launch', 'small.yaml', '--json', '--stop-after', '4', '--from', from, '--run-dir', `${from}-next`],
        at,
      ),
    ),
  );
  t.is(losses(first as CliResult).length, 4, first?.stderr);
  t.deepEqual(losses(first as CliResult), losses(second as CliResult));
});

test.serial('launch --from: the tokenizer is that of the checkpoint, another one is refused', async (t) => {
  const place = workplace(t);
  const at = { cwd: place.folder };
  const write = (name: string, text: string, tokenizer: string): void => {
    writeFileSync(place.path(text), readFileSync(place.path('text.txt'), 'utf8').replaceAll('actor', name));
    writeFileSync(
      place.path(`${name}.yaml`),
      readFileSync(place.path('small.yaml'), 'utf8')
        .replace('vocab: 257', 'vocab: 4000')
        .replace(/data: .*/u, `data: { text: ${text}, ${tokenizer} holdout: 0.1 }`),
    );
  };
  // The text has not as many pairs: a tokenizer of the same wish is the one that came of it.
  write('first', 'first.txt', 'tokenizer: { kind: bpe },');
  write('second', 'second.txt', '');
  await runCli(['launch', 'first.yaml', '--stop-after', '1', '--quiet'], at);
  const tokenizer = readFileSync(place.path('run/step-000001/tokenizer.json'), 'utf8');
  const from = ['--from', 'run', '--stop-after', '1', '--quiet'];
  for (const [folder, set] of [
    ['none', []],
    ['same', ['--set', 'data.tokenizer.kind=bpe']],
    ['file', ['--set', 'data.tokenizer.file=run/step-000001/tokenizer.json']],
  ] as const) {
    const taken = await runCli(['launch', 'second.yaml', ...from, '--run-dir', folder, ...set], at);
    t.is(taken.code, 0, taken.stderr);
    t.is(readFileSync(place.path(`${folder}/step-000001/tokenizer.json`), 'utf8'), tokenizer);
  }
  for (const set of ['data.tokenizer.vocab=280', 'data.tokenizer={kind: bytes}']) {
    const refused = await runCli(['launch', 'second.yaml', ...from, '--set', set], at);
    t.is(refused.code, 3, refused.stderr);
    t.regex(
      refused.stderr,
      /another one than the tokenizer of \d{3} tokens in checkpoint step-000001.*leave data\.tokenizer out/,
    );
  }
});
