import { appendFileSync, existsSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { CliProcess, jsonLines, runCli, waitForDeath } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

interface Row {
  readonly name: string;
  readonly hash: string;
  readonly loss: number;
  readonly heldOutLoss: number;
  readonly heldOutParts?: readonly {
    readonly task: string;
    readonly loss: number;
    readonly tokens: number;
  }[];
  readonly failed?: string;
  readonly tokensPerSecond: number;
  readonly seconds: number;
  readonly paceSteps?: number;
}

/** Two cells of 12 steps, a dense one and one with experts; a step takes milliseconds. */
const base = `base:
  model: { vocab: 257, layers: 2, dModel: 32, heads: 2, seqLen: 32, ffn: { kind: relu }, moe: { experts: 4, topK: 1 } }
  data: { text: text.txt, tokenizer: { kind: bytes }, holdout: 0.1 }
  train: { batch: 4, grains: 4, optimizer: { lr: 3e-3 } }
  parallel: { dp: 1 }
`;
const grid = `${base}grid:
  tokens: [1536]
  granularity: [dense, 2]
`;
/** One cell of 400 steps, which read the text several times. */
const long = `${base}  checkpoint: { every: 50 }
epochs: allow
grid: { tokens: [51.2k] }
`;

const rowsOf = (path: string): readonly Row[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);

/** A folder with `sweep.yaml` and its text, and the command in it. */
function sweepPlace(t: ExecutionContext, text: string) {
  const { folder, path } = workplace(t);
  writeFileSync(path('sweep.yaml'), text);
  const start = (...args: readonly string[]) =>
    new CliProcess(['sweep', 'sweep.yaml', ...args], { cwd: folder });
  return {
    path,
    folder,
    start,
    sweep: (...args: readonly string[]) => start(...args).result,
    rows: () => rowsOf(path('runs.jsonl')),
    write: (next: string) => writeFileSync(path('sweep.yaml'), next),
  };
}

test.serial('sweep: trains every cell once, and scaling fit reads its rows', async (t) => {
  const { sweep, rows, path, folder } = sweepPlace(t, grid);
  const dry = await sweep('--dry-run', '--json');
  t.is(dry.code, 0, dry.stderr);
  t.false(existsSync(path('runs.jsonl')));
  const planned = jsonLines(dry.stdout);
  t.deepEqual(
    planned.map(({ event, state, name, seconds }) => [event, state, name, seconds]),
    [
      ['cell', 'new', 'dense-1.536k', null],
      ['cell', 'new', 'g2-1.536k', null],
      ['plan', undefined, undefined, null],
    ],
  );
  // 2 layers of 12·32²; 8 experts of half a width in 2 layers; the router's 32·8 weights at 14 FLOPs.
  t.like(planned[1], { paramsActive: 24_576, paramsTotal: 2 * 32 * 32 * (8 * 4 + 4), tokens: 1536 });
  t.is(planned[1]?.['flops'], 1536 * (6 * 24_576 + 14 * 2 * 32 * 8));
  const first = await sweep('--json');
  t.is(first.code, 0, first.stderr);
  const events = jsonLines(first.stdout);
  t.deepEqual(Object.keys(events[0] ?? {}), ['event', 'file', 'out', 'cells', 'done', 'jobs', 'torn']);
  t.deepEqual(events.at(-1), { event: 'done', done: 2, failed: 0, left: 0, out: 'runs.jsonl', exitCode: 0 });
  t.deepEqual(
    events.filter(({ event }) => event === 'cell').map(({ state, name }) => [state, name]),
    [
      ['started', 'dense-1.536k'],
      ['done', 'dense-1.536k'],
      ['started', 'g2-1.536k'],
      ['done', 'g2-1.536k'],
    ],
  );
  const [dense, fine] = rows();
  t.like(dense, { granularity: 1, expansion: 1, router: null, experts: 0, steps: 12, seed: 1 });
  t.like(fine, { granularity: 2, expansion: 4, router: 'token-choice', experts: 8, lossSteps: 1 });
  // A model that is trained a little: below a uniform guess, above nothing.
  for (const { loss, heldOutLoss } of rows())
    for (const each of [loss, heldOutLoss]) t.true(each > 2 && each < Math.log(257));
  // The loss of the row is that of the run's own last step.
  const metrics = jsonLines(readFileSync(path('runs.jsonl.runs/g2-1.536k/metrics.jsonl'), 'utf8'));
  t.is(metrics.findLast(({ event }) => event === 'step')?.['loss'], fine?.loss);
  t.deepEqual(
    readdirSync(path('runs.jsonl.runs/g2-1.536k')).filter((name) => name.startsWith('step-')),
    [],
  );
  const before = readFileSync(path('runs.jsonl'), 'utf8');
  const again = await sweep();
  t.regex(again.stdout, /^sweep.yaml: 2 cells, 2 of them done; [\d.]+k tokens of text/);
  t.notRegex(again.stdout, /begins/);
  t.is(readFileSync(path('runs.jsonl'), 'utf8'), before);
  const known = await sweep('--dry-run', '--only', 'granularity=2');
  t.regex(known.stdout, /g2-1.536k .* done\n/);
  t.notRegex(known.stdout, /dense/);
  const paced = await sweep('--pace', '--json');
  t.is(paced.code, 0, paced.stderr);
  t.deepEqual(
    jsonLines(paced.stdout).map(({ event, names }) => [event, names]),
    [
      ['pace', ['dense-1.536k']],
      ['pace', ['g2-1.536k']],
    ],
  );
  for (const row of rows()) {
    t.is(row.loss, (row.name === fine?.name ? fine : dense)?.loss ?? Number.NaN);
    t.is(row.paceSteps, 24);
    t.is(row.seconds, 1536 / row.tokensPerSecond);
  }
  // As many more as the law has coefficients, of other sizes.
  const others = (times: number) => ({
    tokens: 1536 * times,
    paramsTotal: 73_728 * ((times % 3) + 1),
    granularity: 2 ** (times % 2),
  });
  for (let times = 2; times <= 8; times++)
    appendFileSync(
      path('runs.jsonl'),
      `${JSON.stringify({ ...fine, ...others(times), loss: (fine?.loss ?? 0) / times ** 0.1 })}\n`,
    );
  const fit = await runCli(['scaling', 'fit', 'runs.jsonl', '--bootstrap', '0'], { cwd: folder });
  t.regex(fit.stdout, /^runs +8 with experts of expansion 4, 1 dense$/m, fit.stderr);
});

test.serial(
  'sweep: a torn last line, a changed cell, a cell that fails, and one that is tried again',
  async (t) => {
    const { sweep, rows, path, write, folder } = sweepPlace(t, grid);
    t.is((await sweep()).code, 0);
    const whole = readFileSync(path('runs.jsonl'), 'utf8');
    // A disk lost the end of the last line; the run is still there, and nothing is trained again.
    truncateSync(path('runs.jsonl'), whole.length - 40);
    const mended = await sweep();
    t.regex(mended.stdout, /the last line of runs\.jsonl is cut off \('\{"name":"g2-1.536k/);
    t.is(readFileSync(path('runs.jsonl'), 'utf8'), whole);
    appendFileSync(path('runs.jsonl'), '{"na');
    t.is((await sweep()).code, 0);
    t.is(rows().length, 2);

    const [, before] = rows();
    write(
      grid
        .replace('[dense, 2]', '[dense, 2]\n  train.optimizer.lr: [3e-3, 1e30]')
        .replace('train: {', 'train: { maxSkipped: 1,'),
    );
    const failing = await sweep();
    t.is(failing.code, 1);
    t.regex(failing.stdout, /g2-1.536k-train\.optimizer\.lr-1e_30 failed: .*not finite/);
    t.regex(failing.stderr, /exit 1 .*2 of 4 cells are done, 2 failed; the same command goes on/);
    t.is(rows().filter(({ failed }) => failed !== undefined).length, 2);
    const fit = await runCli(['scaling', 'fit', 'runs.jsonl', '--bootstrap', '0'], { cwd: folder });
    t.regex(fit.stderr, /^troupe: 2 runs of experts are fitted/, 'failed cells are passed over');
    t.regex((await sweep('--dry-run')).stdout, /1e_30 .*failed: again/);

    write(grid.replace('lr: 3e-3', 'lr: 1e-3'));
    const changed = await sweep();
    t.is(changed.code, 0, changed.stderr);
    t.regex(changed.stdout, /g2-1.536k is not what it was when it was trained: it is trained anew/);
    const after = rows().filter(({ name }) => name === 'g2-1.536k');
    t.is(after.length, 1);
    t.not(after[0]?.hash, before?.hash);
    t.not(after[0]?.loss, before?.loss);
  },
);

test.serial(
  'sweep: stopped, and killed with and without its job, it ends with the numbers of one that never was',
  async (t) => {
    const calm = sweepPlace(t, long);
    const { path, start, sweep, rows } = sweepPlace(t, long);
    const step = /"event":"progress".*"step":(?:[3-9]|\d{2,})/;

    const stopped = start('--json');
    await stopped.line(step);
    const family = [...stopped.children(), ...stopped.children().flatMap((pid) => stopped.children(pid))];
    t.true(family.length >= 2, 'a job and its worker');
    stopped.signal('SIGTERM');
    t.is((await stopped.result).code, 143);
    t.deepEqual(waitForDeath(family, 10_000), []);
    t.false(existsSync(path('runs.jsonl')));

    const killed = start('--json');
    await killed.line(/"state":"resumed"/);
    await killed.line(step);
    const [job = 0] = killed.children();
    process.kill(job, 'SIGKILL');
    await killed.line(/ended by SIGKILL; it is started again/);
    await killed.line(step);
    const left = [...killed.children(), ...killed.children().flatMap((pid) => killed.children(pid))];
    killed.signal('SIGKILL');
    t.is((await killed.result).code, null);
    t.deepEqual(waitForDeath(left, 30_000), [], 'no orphan');

    const last = await sweep('--json');
    t.is(last.code, 0, last.stderr);
    t.regex(last.stdout, /"state":"resumed"/);
    t.is((await calm.sweep()).code, 0);
    const [expected] = calm.rows();
    const [found] = rows();
    t.deepEqual(
      [found?.loss, found?.heldOutLoss, found?.hash],
      [expected?.loss, expected?.heldOutLoss, expected?.hash],
    );
  },
);

test.serial('sweep: what is wrong with a file is said before anything is trained', async (t) => {
  const { sweep, write, path } = sweepPlace(t, grid);
  for (const [text, code, says] of [
    [
      grid.replace('granularity:', 'granulrity:'),
      3,
      /sweep\.yaml:8:\d+ +grid\.granulrity +no such axis; there are dModel, /,
    ],
    [`${grid}ouut: x\n`, 3, /ouut +no such key in a sweep; .*nearest: out/],
    [
      grid.replace('[dense, 2]', '[dense, 3]'),
      3,
      /has 1 of 2 cells that cannot be trained; .*\(cell g3-1\.536k\)/s,
    ],
    [grid.replace('[1536]', '[many]'), 3, /tokens: many +must be a number > 0, such as 1e6 or 1M/],
    [grid.replace('grid:', 'jobs: 0\ngrid:'), 3, /jobs: 0 +must be a whole number from 1 to 256/],
    [
      grid.replace('[1536]', '[1M]'),
      2,
      /2 cells would read the text more than once: .* 1\.00M tokens and the text has [\d.]+k; .*epochs: allow/,
    ],
    [grid.replace(base, 'base: nowhere\n'), 3, /nowhere +neither a file nor a preset/],
  ] as const) {
    write(text);
    const refused = await sweep();
    t.is(refused.code, code, refused.stdout + refused.stderr);
    t.regex(refused.stderr, says);
    t.false(existsSync(path('runs.jsonl.runs')));
  }
  write(grid);
  writeFileSync(path('runs.jsonl'), 'not a row\n{"name":"x"}\n');
  t.regex((await sweep()).stderr, /runs\.jsonl:1: 'not a row' is not JSON; each line is one run/);
  t.regex((await sweep('--only', 'tokens=5')).stderr, /runs\.jsonl:1/);
});

test.serial(
  'sweep: a row of tasks has the held-out loss of each, though its checkpoint is gone',
  async (t) => {
    const tasks = `base:
  model: { vocab: 400, layers: 1, dModel: 16, heads: 2, seqLen: 64, ffn: { kind: relu } }
  data:
    parallel: [{ kind: tsv, file: pairs.tsv, from: en, to: rev }]
    tasks: [{ kind: translation, pairs: [en-rev] }, { kind: denoising, languages: [en] }]
    tokenizer: { kind: bytes }
    holdout: 0.2
  train: { batch: 4, grains: 4 }
epochs: allow
grid: { tokens: [1024] }
`;
    const { sweep, rows, path, folder } = sweepPlace(t, tasks);
    const texts = Array.from({ length: 40 }, (_, index) => `line ${index} of a text`);
    writeFileSync(
      path('pairs.tsv'),
      texts.map((text) => `${text}\t${text.split(' ').reverse().join(' ')}\n`).join(''),
    );
    const { code, stderr } = await sweep();
    t.is(code, 0, stderr);
    const [row] = rows();
    const parts = row?.heldOutParts ?? [];
    t.deepEqual(
      parts.map(({ task }) => task),
      ['translation', 'denoising spans'],
    );
    const tokens = parts.reduce((sum, part) => sum + part.tokens, 0);
    const mean = parts.reduce((sum, part) => sum + part.loss * part.tokens, 0) / tokens;
    t.true(Math.abs(mean - (row?.heldOutLoss ?? 0)) < 1e-5, `${mean} and ${row?.heldOutLoss}`);
    const left = readdirSync(folder, { recursive: true }).map(String);
    t.true(left.some((name) => name.endsWith('metrics.jsonl')));
    t.false(left.some((name) => /step-\d{6}/u.test(name)));
  },
);
