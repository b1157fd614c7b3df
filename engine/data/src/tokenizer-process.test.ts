import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import test from 'ava';
import { TokenizerProcess, TokenizerProcessEnd } from './tokenizer-process.ts';
import type { TokenizerOrder } from './tokenizer-order.ts';

const url = new URL('../../../test/fixtures/tokenizer_split/tokenizer.json', import.meta.url);
const fixture = JSON.parse(readFileSync(url, 'utf8')) as Record<string, unknown>;
const allowance = { seconds: 60, megabytes: 2000 };
const load = (pattern: string): TokenizerOrder => {
  const split = { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
  const json = JSON.stringify({ ...fixture, pre_tokenizer: split, post_processor: null });
  return { allowance, task: { kind: 'load', json, added: [] } };
};
/** Takes minutes and never so many retries at once that the library gives up. */
const slowPattern = '\\s*\\s*\\s*$';
const slowText = `${' '.repeat(200)}b`.repeat(20_000);

test('TokenizerProcess: an order beyond its seconds or its memory ends the process, with the reason', async (t) => {
  const late = new TokenizerProcess();
  await late.ask(load(slowPattern));
  const encode = { kind: 'encode', texts: [slowText] } as const;
  const slow = await t.throwsAsync(late.ask({ allowance: { seconds: 1, megabytes: 2000 }, task: encode }), {
    instanceOf: TokenizerProcessEnd,
  });
  t.is(slow.message, 'it took longer than 1 s');
  t.false(late.alive);
  await t.throwsAsync(late.ask({ allowance, task: encode }), { message: 'it took longer than 1 s' });

  const large = new TokenizerProcess();
  await large.ask(load('a'));
  const task = { kind: 'encode', texts: ['the lighthouse keeper '.repeat(100_000)] } as const;
  const hungry = await t.throwsAsync(large.ask({ allowance: { seconds: 60, megabytes: 20 }, task }), {
    instanceOf: TokenizerProcessEnd,
  });
  t.regex(hungry.message, /^it needed more than \d+ MB$/u);
});

test('TokenizerProcess: orders are answered one after the other', async (t) => {
  const process = new TokenizerProcess();
  t.deepEqual((await process.ask(load('a'))).added, []);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      process.ask({ allowance, task: { kind: 'encode', texts: Array<string>(i).fill('b') } }),
    ),
  );
  t.deepEqual(
    answers.map(({ ids }) => ids?.length),
    Array.from({ length: 20 }, (_, i) => i),
  );
  process.close();
});

function isAlive(pid: number): boolean {
  try {
    // Where nobody collects it, a process that ended keeps its number.
    if (process.platform === 'linux') return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Starts a tokenizer's process, tells its number, and is either done or waits for a text that takes minutes. */
const program = `
  const [module, order, text] = process.argv.slice(1);
  const { TokenizerProcess } = await import(module);
  const tokenizer = new TokenizerProcess();
  await tokenizer.ask(JSON.parse(order));
  if (text !== '') void tokenizer.ask({ allowance: { seconds: 600, megabytes: 2000 }, task: { kind: 'encode', texts: [text] } });
  console.log(tokenizer.pid);
`;

for (const [how, text] of [
  ['done', ''],
  ['killed in the middle of a text', slowText.slice(0, 100_000)],
] as const)
  test(`TokenizerProcess: ends with the process that started it, ${how}`, async (t) => {
    const module = new URL('tokenizer-process.js', import.meta.url).href;
    const args = ['--input-type=module', '-e', program, module, JSON.stringify(load(slowPattern)), text];
    const starter = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [told] = (await once(starter.stdout, 'data')) as [Buffer];
    const pid = Number(told.toString());
    t.true(pid > 0);
    if (text !== '') starter.kill('SIGKILL');
    const [code] = (await once(starter, 'exit')) as [number | null];
    t.is(code, text === '' ? 0 : null);
    // Nobody tells when the child of a child is gone.
    for (let tries = 0; isAlive(pid) && tries < 500; tries++) await wait(20);
    t.false(isAlive(pid));
  });
