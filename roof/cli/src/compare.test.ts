import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { runCliHere } from './testing/cli-here.ts';
import { jsonLines } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

interface Size {
  readonly router: string | null;
  readonly granularity: number;
  readonly tokens: number;
  readonly seed?: number;
}

/** A line as a sweep writes it, of losses that fall by 0.1 with each doubling of tokens and by 0.04 with each of the granularity. */
function line({ router, granularity, tokens, seed = 1 }: Size): string {
  const expansion = router === null ? 1 : 8;
  const loss =
    5 -
    0.1 * Math.log2(tokens / 1e6) -
    (router === null ? -0.3 : 0.04 * Math.log2(granularity)) +
    0.01 * (seed - 1);
  return JSON.stringify({
    name: `${router}-${granularity}-${tokens}-${seed}`,
    hash: '0',
    paramsActive: 196_608,
    paramsTotal: router === null ? 196_608 : 1_114_112,
    tokens,
    granularity,
    expansion,
    router,
    seed,
    loss,
    heldOutLoss: loss - 0.02,
    flops: tokens * (6 * 196_608 + (router === null ? 0 : 14 * 4 * 64 * 8 * granularity)),
    seconds: (tokens / 3e4) * (1 + granularity / 8),
  });
}

const both = [1e6, 2e6];
const lines = [
  ...both.map((tokens) => line({ router: null, granularity: 1, tokens })),
  ...[1, 4].flatMap((granularity) =>
    both.map((tokens) => line({ router: 'token-choice', granularity, tokens })),
  ),
  ...[1, 2, 8].flatMap((granularity) =>
    both.map((tokens) => line({ router: 'expert-choice', granularity, tokens })),
  ),
  JSON.stringify({ name: 'x', hash: '1', failed: 'no memory', exitCode: 5 }),
];
const seeds = [2, 3].map((seed) => line({ router: 'token-choice', granularity: 1, tokens: 1e6, seed }));

test.serial('scaling compare: who wins, by how much, and what is no difference', async (t) => {
  const { folder, path } = workplace(t);
  const compare = (...args: readonly string[]) =>
    runCliHere(['scaling', 'compare', 'runs.jsonl', ...args], { cwd: folder });
  writeFileSync(path('runs.jsonl'), `${[...lines, ...seeds].join('\n')}\n`);
  const people = await compare('--out', '.');
  t.is(people.code, 0, people.stderr);
  t.regex(
    people.stdout,
    /^noise +3 runs .* deviation of 0\.0100; of two single runs a difference up to 0\.0283 is none$/m,
  );
  t.regex(people.stdout, /197k +2\.00M +expert-choice +1 +4\.9000\n/);
  // 0.04 more than the noise of two runs at equal tokens; its router's FLOPs are worth 0.1·log2(1 + …), which hides it.
  t.regex(
    people.stdout,
    /197k +2\.00M +expert-choice +2 +4\.8600 +\+0\.0400 better +\+0\.\d{4} +\+0\.036\d better/,
  );
  t.regex(people.stdout, /197k +2\.00M +expert-choice +dense +5\.2000 +-0\.3000 worse +-0\.29/);
  t.regex(
    people.stdout,
    /197k +1\.00M +token-choice +4 +4\.9200 +\+0\.0900 better/,
    'against the mean of three seeds',
  );
  t.regex(people.stderr, /^troupe: warning: extrapolation: expansion 8/);
  t.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.svg')),
    ['gain.svg', 'loss-by-flops.svg', 'loss-by-seconds.svg'],
  );
  for (const name of ['gain', 'loss-by-flops', 'loss-by-seconds']) {
    const svg = readFileSync(path(`${name}.svg`), 'utf8');
    t.regex(svg, /^<svg [\s\S]*<\/svg>\n$/);
    t.notRegex(svg, /NaN|undefined|Infinity/);
  }
  const gain = readFileSync(path('gain.svg'), 'utf8');
  t.regex(gain, /<rect class="band"[\s\S]*>noise</);
  // Two points for each of two budgets where tokens choose, three where experts do.
  t.is(gain.match(/<circle/g)?.length, 2 * 2 + 2 * 3);
  t.is(readFileSync(path('loss-by-flops.svg'), 'utf8').match(/<circle/g)?.length, 2 + 4 + 6);

  const json = jsonLines((await compare('--json', '--loss', 'held-out')).stdout)[0] ?? {};
  t.is(json['loss'], 'held-out');
  const found = json['comparisons'] as readonly { readonly atTokens: { readonly verdict: string } }[];
  t.is(found.length, 2 * (1 + 1) + 2 * (1 + 2));

  writeFileSync(path('runs.jsonl'), `${lines.join('\n')}\n`);
  const silent = await compare();
  t.regex(silent.stdout, /^noise +unknown: no model was trained with several seeds$/m);
  t.regex(silent.stdout, /\+0\.0400 unknown/);
  t.notRegex(silent.stdout, /\d (?:better|worse)/);
});

test.serial('scaling compare, fit: runs without whole experts, a router that none has', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  writeFileSync(path('runs.jsonl'), `${line({ router: 'expert-choice', granularity: 2, tokens: 1e6 })}\n`);
  const lacking = await runCliHere(['scaling', 'compare', 'runs.jsonl'], at);
  t.is(lacking.code, 2);
  t.regex(lacking.stderr, /runs\.jsonl: no run has whole experts \(granularity 1, expansion above 1\)/);
  const nowhere = await runCliHere(['scaling', 'compare', 'runs.jsonl', '--out', 'none'], at);
  t.is(nowhere.code, 2);
  const router = await runCliHere(['scaling', 'fit', 'runs.jsonl', '--router', 'token-choice'], at);
  t.regex(router.stderr, /no run has the router token-choice; there are expert-choice/);
});
