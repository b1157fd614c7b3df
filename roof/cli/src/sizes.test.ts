import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { runCliHere } from './testing/cli-here.ts';
import { CliProcess, jsonLines, runCli } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

/** Larger than the memory of any machine. */
const vast = ['--set', 'model.vocab=200000000', '--set', 'model.dModel=65536'];

for (const [command, hint] of [
  ['launch', /use a smaller model, batch or parallel\.dp$/m],
  ['simulate', /simulate it without arithmetic: --shapes-only$/m],
] as const) {
  test.serial(`${command}: a model that does not fit is refused with 5 before it starts`, async (t) => {
    const { folder, path } = workplace(t);
    const { code, stderr } = await runCliHere([command, 'small.yaml', ...vast], { cwd: folder });
    t.is(code, 5, stderr);
    t.regex(stderr, /^troupe: this topology needs about \d+ TiB of memory in 2 .*; this machine has \d+/);
    t.regex(stderr, hint);
    t.regex(stderr, /\nexit 5 \(not enough devices or memory\): TROUPE_MACHINE_MEMORY\n$/);
    t.false(existsSync(path('run')));
  });
}

/** Two megabytes, or so many times more, whose pieces are all different. */
function manyWords(times = 1): string {
  const lines: string[] = [];
  for (let line = 0; line < 30_000 * times; line++)
    lines.push(`word${line * 7919} stands beside w${(line * 104_729) % 999_983}x in line ${line}`, '');
  return lines.join('\n');
}

test.serial('launch, tokenize: reading text that takes long says how far it is', async (t) => {
  const { folder, path } = workplace(t);
  // Ten times what a fast machine learns from within the second of silence; both processes are killed once they have spoken.
  writeFileSync(path('text.txt'), manyWords(20));
  const bpe = ['--set', 'data.tokenizer={kind: bpe, vocab: 4000}', '--set', 'model.vocab=4000'];
  const told = new CliProcess(['tokenize', 'small.yaml', '--text', 'x', ...bpe], { cwd: folder });
  t.regex(await told.line(/^learning a tokenizer: /), /: [\d.]+k? (?:of|MiB of|KiB of) /);
  told.signal('SIGKILL');
  const run = new CliProcess(['launch', 'small.yaml', '--json', ...bpe], { cwd: folder });
  const [event] = jsonLines(await run.line(/"event":"progress"/));
  t.deepEqual(Object.keys(event ?? {}), ['event', 'task', 'unit', 'done', 'of']);
  run.signal('SIGKILL');
  await Promise.all([told.result, run.result]);
});

test.serial('launch: an evaluation that takes long says how far it is', async (t) => {
  const { folder, path } = workplace(t);
  writeFileSync(path('text.txt'), manyWords());
  const args = ['--set', 'eval.every=1', '--set', 'eval.batches=all', '--set', 'data.holdout=0.9'];
  const cli = new CliProcess(['launch', 'small.yaml', '--json', ...args], { cwd: folder });
  const [first] = jsonLines(await cli.line(/"task":"evaluating"/));
  const [second] = jsonLines(await cli.line(/"task":"evaluating"/));
  t.like(first, { event: 'progress', unit: 'sequences', of: second?.['of'] });
  t.true(Number(second?.['done']) > Number(first?.['done']));
  t.true(Number(second?.['done']) <= Number(second?.['of']));
  cli.signal('SIGKILL');
  await cli.result;
});

test.serial('cache: lists what is kept and removes it, nothing else', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  const none = await runCliHere(['cache', 'list'], at);
  t.is(none.code, 0, none.stderr);
  t.regex(none.stdout, /^0 entries in .*cache\/troupe, 0 B of at most 2\.00 GiB/);
  await runCliHere(['tokenize', 'small.yaml', '--text', 'x'], at);
  writeFileSync(path('cache/troupe/machine-rates.json'), '{}');
  const [listed] = jsonLines((await runCliHere(['cache', 'list', '--json'], at)).stdout);
  t.like(listed, { event: 'cache', action: 'list', folder: path('cache/troupe') });
  const [entry, ...more] = (listed?.['entries'] ?? []) as readonly Record<string, unknown>[];
  t.deepEqual(more, []);
  t.like(entry, { kind: 'corpus', bytes: listed?.['bytes'] });
  const people = await runCliHere(['cache', 'list'], at);
  t.regex(
    people.stdout,
    /^[\d.]+ KiB {2}\d{4}-\d\d-\d\d \d\d:\d\d {2}corpus-[0-9a-f]{24}\.bin\n1 entries in /,
  );
  t.regex((await runCliHere(['cache', 'clear'], at)).stdout, /^removed 1 entries of .*, [\d.]+ KiB\n$/);
  t.deepEqual(readdirSync(path('cache/troupe')), ['machine-rates.json']);
  const wrong = await runCliHere(['cache', 'empty'], at);
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /'empty' is invalid.*list, clear/);
});

test.serial('cache: one that cannot be made costs nothing; a relative path counts as unset', async (t) => {
  const { folder, path } = workplace(t);
  const env = { XDG_CACHE_HOME: '/proc/troupe-test' };
  const run = await runCli(['launch', 'small.yaml', '--stop-after', '1'], { cwd: folder, env });
  t.is(run.code, 0, run.stderr);
  for (const XDG_CACHE_HOME of ['', 'relative']) {
    const { stdout } = await runCli(['cache', 'list', '--json'], {
      cwd: folder,
      env: { XDG_CACHE_HOME, HOME: folder },
    });
    t.like(jsonLines(stdout)[0], { folder: path('.cache/troupe') });
  }
});

test.serial('launch: few documents and an empty held-out set are said at the start', async (t) => {
  const { folder, path } = workplace(t);
  writeFileSync(path('text.txt'), 'one short text');
  const { code, stdout, stderr } = await runCli(['launch', 'small.yaml', '--stop-after', '1'], {
    cwd: folder,
  });
  t.is(code, 0, stderr);
  t.regex(stderr, /^troupe: warning: data\.holdout 0\.1 holds no document out/m);
  t.regex(
    stderr,
    /^troupe: warning: the training text has 1 sequence of 32 tokens, fewer than the 4 of a step/m,
  );
  t.regex(stdout, /^held-out loss {2}none: nothing is held out/m);
});
