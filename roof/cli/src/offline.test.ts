import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { runCliHere } from './testing/cli-here.ts';
import { jsonLines, runCli } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

test.serial('init, validate, plan: what init writes is valid and can be planned', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  const written = await runCliHere(['init', 'mine.yaml'], at);
  t.is(written.code, 0, written.stderr);
  t.regex(readFileSync(path('mine.yaml'), 'utf8'), /^# .*\n(?:.*\n)*troupe: 1/);

  const again = await runCliHere(['init', 'mine.yaml', '--preset', 'tiny'], at);
  t.is(again.code, 2);
  t.regex(again.stderr, /'mine.yaml' exists; pass --force/);
  t.regex(readFileSync(path('mine.yaml'), 'utf8'), /name: quickstart/);
  t.is((await runCliHere(['init', 'mine.yaml', '--preset', 'tiny', '--force'], at)).code, 0);
  t.regex(readFileSync(path('mine.yaml'), 'utf8'), /name: tiny/);

  const valid = await runCliHere(['validate', 'mine.yaml', '--json'], at);
  t.is(valid.code, 0);
  t.deepEqual(jsonLines(valid.stdout), [
    { event: 'validate', valid: true, problems: [], unbuilt: [], warnings: [] },
  ]);
  const plan = await runCliHere(['plan', 'mine.yaml'], at);
  t.is(plan.code, 0);
  t.regex(plan.stdout, /Placement[\s\S]*worker\/1[\s\S]*Memory per device[\s\S]*Bytes a step/);
  const [json] = jsonLines((await runCliHere(['plan', 'mine.yaml', '--json'], at)).stdout);
  t.is(json?.['tokensPerStep'], 512);
});

test.serial(
  'validate: shows every problem at once with its place, exit 3, and 5 when only devices are lacking',
  async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    writeFileSync(
      path('bad.yaml'),
      readFileSync(path('small.yaml'), 'utf8').replace('seqLen:', 'seqlen:').replace('ep: 2', 'ep: 3'),
    );
    const bad = await runCliHere(['validate', 'bad.yaml'], at);
    t.is(bad.code, 3);
    t.regex(
      bad.stderr,
      /bad.yaml:8:3 {2}model.seqlen: 32 .* nearest: seqLen {2}\[TROUPE_TOPOLOGY_UNKNOWN_KEY\]/,
    );
    t.regex(bad.stderr, /parallel.ep: 3 {2}dp 2 is not divisible by ep 3/);
    t.regex(bad.stderr, /exit 3 \(topology invalid\)/);
    const json = await runCliHere(['validate', 'bad.yaml', '--json'], at);
    t.is(json.code, 3);
    const [found] = jsonLines(json.stdout);
    t.is(found?.['valid'], false);
    t.is((found?.['problems'] as readonly unknown[] | undefined)?.length, 3);

    const few = await runCliHere(
      ['validate', 'small.yaml', '--set', 'machines=[{host: localhost, devices: [cpu:0]}]'],
      at,
    );
    t.is(few.code, 5);
    t.regex(few.stderr, /2 devices are needed, the machines have 1/);
  },
);

test.serial(
  'plan: --resolved gives a topology that plans the same, --diff names what changes, --detailed-exitcode says so',
  async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    const resolved = await runCliHere(['plan', 'small.yaml', '--resolved'], at);
    t.is(resolved.code, 0);
    t.regex(resolved.stdout, /kvHeads: 2/);
    writeFileSync(path('resolved.yaml'), resolved.stdout);
    const same = await runCliHere(
      ['plan', 'resolved.yaml', '--diff', 'small.yaml', '--detailed-exitcode'],
      at,
    );
    t.is(same.code, 0, same.stdout);
    t.is(same.stdout, 'no difference\n');
    const flags = ['--set', 'parallel.ep=1', '--diff', 'small.yaml'];
    const other = await runCliHere(['plan', 'small.yaml', ...flags], at);
    t.is(other.code, 0);
    t.regex(other.stdout, /parallel.ep: 2 → 1/);
    t.is((await runCliHere(['plan', 'small.yaml', ...flags, '--detailed-exitcode'], at)).code, 4);
    t.is((await runCliHere(['plan', 'small.yaml', '--detailed-exitcode'], at)).code, 2);
  },
);

test.serial('doctor: says what there is, and which device is chosen and why', async (t) => {
  const { folder } = workplace(t);
  const { code, stdout } = await runCliHere(['doctor', '--json'], { cwd: folder });
  t.is(code, 0);
  const [found] = jsonLines(stdout);
  t.deepEqual(Object.keys(found ?? {}), [
    'event',
    'node',
    'platform',
    'cpu',
    'devices',
    'chosen',
    'peakFlops',
    'compiler',
    'addon',
    'freePort',
    'addresses',
    'memory',
    'disk',
  ]);
  const devices = (found?.['devices'] ?? []) as readonly { readonly body: string; readonly reason: string }[];
  t.deepEqual(
    devices.map(({ body }) => body),
    ['native', 'tfjs', 'reference'],
  );
  t.true(devices.every(({ reason }) => reason !== ''));
  t.like(found?.['node'], { version: process.version });
  const people = await runCliHere(['doctor'], { cwd: folder });
  t.regex(people.stdout, /^devices\n {2}native .*\n {2}tfjs .*\n {2}reference +yes/m);
});

test.serial(
  'plan --calibration: predicts the step time, as simulate does; a file that is none is refused',
  async (t) => {
    const { folder, path: within } = workplace(t);
    const calibration = (turnMs: number): string => {
      const slowness = { 'linear.forward': 2 };
      const setups = [1, 2].map((threads) => ({
        threads,
        workers: 1,
        flopsPerMs: 1e6,
        bytesPerMs: 1e6,
        slowness,
        turnMs,
      }));
      writeFileSync(
        within('c.json'),
        JSON.stringify({ version: 1, machine: 'm', job: 'j', date: 'd', setups }),
      );
      return 'c.json';
    };
    const time = async (turnMs: number) => {
      const args = ['plan', 'tiny', '--json', '--calibration', calibration(turnMs)];
      const { code, stdout, stderr } = await runCliHere(args, { cwd: folder });
      t.is(code, 0, stderr);
      return jsonLines(stdout)[0]?.['time'] as { readonly basis: string; readonly stepSeconds: number };
    };
    const [quick, slow] = [await time(0.01), await time(5)];
    t.is(quick.basis, 'simulated');
    t.true(slow.stepSeconds > quick.stepSeconds + 0.05, `${quick.stepSeconds} s, ${slow.stepSeconds} s`);
    for (const [file, code] of [
      ['nope.json', 2],
      ['topology.yaml', 2],
    ] as const) {
      const refused = await runCliHere(['plan', 'tiny', '--calibration', file], { cwd: folder });
      t.is(refused.code, code);
      t.regex(refused.stderr, /--calibration: '.*' cannot be read/);
    }
  },
);

test.serial(
  'doctor: shows the largest peak that this machine ever had, not what neighbours leave of it now',
  async (t) => {
    const { folder, path: within } = workplace(t);
    const peak = async (): Promise<unknown> => {
      const { stdout } = await runCliHere(['doctor', '--json'], { cwd: folder });
      return jsonLines(stdout)[0]?.['peakFlops'];
    };
    const measured = await peak();
    if (measured === null) {
      t.pass('the native addon is not built: nothing is measured');
      return;
    }
    const path = within('cache/troupe/machine-rates.json');
    const file = JSON.parse(readFileSync(path, 'utf8')) as { readonly rates: Record<string, number> };
    const [key = ''] = Object.keys(file.rates);
    t.is(file.rates[key], measured as number);
    file.rates[key] = 1e15;
    writeFileSync(path, JSON.stringify(file));
    t.is(await peak(), 1e15);
    file.rates[key] = 1;
    writeFileSync(path, JSON.stringify(file));
    t.true(Number(await peak()) > 1);
  },
);

test.serial('tokenize: shows ids and pieces, and trains a tokenizer that can be used', async (t) => {
  const { folder } = workplace(t);
  const at = { cwd: folder };
  const [bytes] = jsonLines(
    (await runCliHere(['tokenize', 'small.yaml', '--text', 'hé', '--json'], at)).stdout,
  );
  t.deepEqual(bytes?.['pieces'], ['h', '\ufffd', '\ufffd']);
  const trained = await runCliHere(
    ['tokenize', '--train', 'text.txt', '--vocab', '300', '--out', 'tokenizer.json'],
    at,
  );
  t.is(trained.code, 0, trained.stderr);
  const shown = await runCliHere(['tokenize', 'tokenizer.json', '--text', 'The expert waits'], at);
  t.regex(shown.stdout, /"The"/);
  t.regex(shown.stdout, /tokens, 16 characters/);
  const twice = await runCliHere(
    ['tokenize', '--train', 'text.txt', '--vocab', '300', '--out', 'tokenizer.json'],
    at,
  );
  t.is(twice.code, 2);
  t.regex(twice.stderr, /'tokenizer.json' exists/);
});

test.serial('launch: warns when the text gives fewer tokens than asked for', async (t) => {
  const { folder } = workplace(t);
  const set = ['--set', 'data.tokenizer={kind: bpe, vocab: 1000}', '--set', 'model.vocab=1000'];
  const launch = ['launch', 'small.yaml', '--stop-after', '1', '--no-checkpoint', ...set];
  const { code, stderr } = await runCli(launch, { cwd: folder });
  t.is(code, 0, stderr);
  t.regex(stderr, /^troupe: warning: the tokenizer has \d{3} tokens, 1000 were asked for: /m);
});

test.serial(
  'tokenize --train: takes data.field and data.document, warns of fewer tokens than asked for',
  async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    const lines = ['ab ab ab', 'ab cd cd'].map((body) => `${JSON.stringify({ body })}\n`);
    writeFileSync(path('lines.jsonl.gz'), gzipSync(lines.join('')));
    const train = (out: string, vocab: string, ...set: readonly string[]): ReturnType<typeof runCli> =>
      runCliHere(['tokenize', '--train', 'lines.jsonl.gz', '--vocab', vocab, '--out', out, ...set], at);
    const without = await train('a.json', '258');
    t.is(without.code, 1);
    t.regex(without.stderr, /lines\.jsonl\.gz:1: .*text/);
    const trained = await train('b.json', '258', '--set', 'data.field=body');
    t.is(trained.code, 0, trained.stderr);
    t.is(trained.stderr, '');
    const fewer = await train('c.json', '1000', '--set', 'data.field=body');
    t.is(fewer.code, 0, fewer.stderr);
    t.regex(fewer.stderr, /^troupe: the tokenizer has 26\d tokens, 1000 were asked for: /);
    const other = await train('d.json', '258', '--set', 'model.vocab=300');
    t.is(other.code, 2);
    t.regex(other.stderr, /not 'model\.vocab=300'/);
  },
);

test.serial(
  'validate: finds data that are missing, and a tokenizer that cannot be used or is too large',
  async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    const validate = (...set: readonly string[]): ReturnType<typeof runCli> =>
      runCliHere(['validate', 'small.yaml', ...set.flatMap((each) => ['--set', each])], at);
    const missing = await validate('data.text=none.txt');
    t.is(missing.code, 1);
    t.regex(missing.stderr, /none\.txt/);
    const train = ['tokenize', '--train', 'text.txt', '--vocab', '300', '--out', 'large.json'];
    t.is((await runCliHere(train, at)).code, 0);
    const large = await validate('data.tokenizer={kind: bpe, file: large.json}');
    t.is(large.code, 3);
    t.regex(large.stderr, /the tokenizer has 300 tokens but model\.vocab is 257/);
    t.is((await validate('data.tokenizer={kind: bpe, file: large.json}', 'model.vocab=300')).code, 0);
    const tokenizer = JSON.parse(readFileSync(path('large.json'), 'utf8')) as Record<string, unknown>;
    const pattern = { type: 'Split', pattern: { Regex: '(a' }, behavior: 'Isolated', invert: false };
    writeFileSync(path('odd.json'), JSON.stringify({ ...tokenizer, normalizer: { type: 'Magic' } }));
    writeFileSync(path('wrong.json'), JSON.stringify({ ...tokenizer, pre_tokenizer: pattern }));
    for (const [file, says] of [
      ['odd.json', /odd\.json uses the normalizer "Magic"/],
      ['wrong.json', /wrong\.json is not a usable tokenizer\.json: Oniguruma error: .*parenthesis/],
    ] as const) {
      const found = await validate(`data.tokenizer={kind: bpe, file: ${file}}`, 'model.vocab=300');
      t.is(found.code, 1, found.stderr);
      t.regex(found.stderr, says);
    }
  },
);
