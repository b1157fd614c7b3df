import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const program = fileURLToPath(new URL('main.js', import.meta.url));
const bench = (...words: string[]) => spawnSync(process.execPath, [program, ...words], { encoding: 'utf8' });

for (const [words, sentence] of [
  [['events', '--rounds', '3'], 'bench: --rounds: events does not take it, expected --small\n'],
  [['moe', '--jobs', 'wide'], 'expected --small, --precision, --yardstick'],
  [['step', '--only', '('], 'bench: --only: Invalid regular expression'],
  [['step', '--rounds', '0'], 'bench: --rounds: found 0, expected a positive integer'],
  [['pairs'], 'bench: --old is missing, expected a built checkout\n'],
  [['pairs', '--old', '/no/such/folder'], 'bench: /no/such/folder: there is no such folder\n'],
  [['pairs', '--old', '.', '--pairs', 'x'], 'bench: --pairs: found x, expected a positive integer\n'],
  [['pairs', '--old', '.', 'course'], 'bench: found course, expected some of coarse 1 worker'],
  [['nothing'], 'bench: found nothing'],
] as const) {
  test(`bench ${words.join(' ')}: refused in one sentence, nothing is measured`, (t) => {
    const { status, stdout, stderr } = bench(...words);
    t.is(status, 2);
    t.is(stdout, '');
    t.true(stderr.includes(sentence), stderr);
  });
}
