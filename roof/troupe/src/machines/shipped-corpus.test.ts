import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import test from 'ava';
import type { TroupeError } from '@troupe/core';
import { resolveTopology } from '@troupe/topology';
import { launch } from '../launch/launch.ts';
import { startCluster } from '../start-cluster.ts';
import { FetchedCorpus } from './fetched-corpus.ts';
import { localLauncher } from './local-launcher.ts';
import { OfferedCorpus, pieceBytes, type CorpusPiece } from './offered-corpus.ts';

const emptyFolder = (): string => mkdtempSync(join(tmpdir(), 'troupe-'));

/** Four pieces, the last one shorter. */
const corpus = Buffer.from(Uint8Array.from({ length: 3 * pieceBytes + 1000 }, (_, at) => (at * 7919) >> 3));

/** A lead with a corpus, and a machine that fetches it; `on` may do something to a piece, or lose it. */
function shipping(folder: string, on: (piece: CorpusPiece) => CorpusPiece | null = (piece) => piece) {
  const from = join(folder, 'packed.bin');
  writeFileSync(from, corpus);
  const offered = new OfferedCorpus(() => from);
  const asked: number[] = [];
  let failure: TroupeError | null = null;
  let isDone = false;
  const path = join(folder, 'cache', 'corpus-1.bin');
  const fetched: FetchedCorpus = new FetchedCorpus({
    path,
    agent: 'agent/1',
    ask: (at) => {
      asked.push(at);
      const piece = on(offered.piece(at));
      if (piece !== null) fetched.take(piece);
    },
    done: () => (isDone = true),
    failed: (error) => (failure = error),
  });
  fetched.start();
  offered.close();
  return { path, asked, failure: failure as TroupeError | null, isDone };
}

const spoilt = (piece: CorpusPiece): CorpusPiece => ({
  ...piece,
  bytes: Buffer.from(piece.bytes, 'base64').fill(1, 0, 1).toString('base64'),
});
const cacheOf = (folder: string): readonly string[] => readdirSync(join(folder, 'cache'));

test('shipping: SHP-1, what has come is that of the lead, under its name, and nothing else is left', (t) => {
  const folder = emptyFolder();
  const { path, asked, isDone } = shipping(folder);
  t.true(isDone);
  t.true(readFileSync(path).equals(corpus));
  t.deepEqual(asked, [-1, 0, pieceBytes, 2 * pieceBytes, 3 * pieceBytes]);
  t.deepEqual(cacheOf(folder), ['corpus-1.bin']);
  t.deepEqual(shipping(folder).asked, [-1], 'who has it fetches nothing');
  writeFileSync(path, corpus.subarray(1));
  t.is(shipping(folder).asked.length, 5, 'nor keeps another one');
  rmSync(folder, { recursive: true });
});

test('shipping: SHP-2, an interrupted fetch goes on where it was, and leaves nothing under the name', (t) => {
  const folder = emptyFolder();
  const { isDone } = shipping(folder, (piece) => (piece.from === 2 * pieceBytes ? null : piece));
  t.false(isDone);
  const [partial = '', ...others] = cacheOf(folder);
  t.deepEqual(others, []);
  t.regex(partial, /^corpus-1\.bin\.[0-9a-f]{16}-agent-1\.tmp$/u);
  // As a machine leaves it that loses power within a piece.
  truncateSync(join(folder, 'cache', partial), 2 * pieceBytes - 10);
  const { path, asked } = shipping(folder);
  t.deepEqual(asked, [-1, pieceBytes, 2 * pieceBytes, 3 * pieceBytes]);
  t.true(readFileSync(path).equals(corpus));
  rmSync(folder, { recursive: true });
});

test('shipping: SHP-2, what is damaged on the way or on the disk is fetched again', (t) => {
  const folder = emptyFolder();
  let isSpoilt = false;
  const once = shipping(folder, (piece) => {
    if (piece.from !== pieceBytes || isSpoilt) return piece;
    isSpoilt = true;
    return spoilt(piece);
  });
  t.true(once.isDone);
  t.deepEqual(once.asked, [-1, 0, pieceBytes, pieceBytes, 2 * pieceBytes, 3 * pieceBytes]);
  t.true(readFileSync(once.path).equals(corpus));
  rmSync(join(folder, 'cache'), { recursive: true });
  shipping(folder, (piece) => (piece.from === 2 * pieceBytes ? null : piece));
  const partial = join(folder, 'cache', cacheOf(folder)[0] ?? '');
  const held = readFileSync(partial);
  held[5] = 1 + (held[5] ?? 0);
  writeFileSync(partial, held);
  const onDisk = shipping(folder);
  t.deepEqual(
    onDisk.asked.slice(0, 4),
    [-1, 2 * pieceBytes, 3 * pieceBytes, 0],
    'from the start, once all is there',
  );
  t.true(readFileSync(onDisk.path).equals(corpus));
  rmSync(folder, { recursive: true });
});

test('shipping: SHP-2, what comes damaged every time ends the run with a sentence', (t) => {
  const folder = emptyFolder();
  const { failure, isDone, asked } = shipping(folder, (piece) => (piece.from === 0 ? spoilt(piece) : piece));
  t.false(isDone);
  t.is(asked.length, 5);
  t.is(
    failure?.message,
    'the token ids of this run could not be fetched from the lead: a piece of it came damaged, 3 times',
  );
  rmSync(folder, { recursive: true });
});

const STEPS = 4;

/** A text that lies where the lead looks, and not where agents do. */
function setting(ship: 'auto' | boolean) {
  const folder = emptyFolder();
  const file = join(folder, 'corpus.txt');
  const words = ['the', 'actor', 'sends', 'a', 'token', 'to', 'an', 'expert'];
  const line = (at: number): string =>
    Array.from({ length: 12 }, (_, word) => words[(at * 5 + word * at) % 8]).join(' ');
  writeFileSync(file, Array.from({ length: 200 }, (_, at) => line(at)).join('\n\n'));
  const topologyOf = (parts: object) =>
    resolveTopology({
      model: { vocab: 300, layers: 2, dModel: 16, heads: 2, seqLen: 8, moe: { experts: 4 } },
      // Relative: to the working directory of each process.
      data: { text: relative(process.cwd(), file), tokenizer: { kind: 'bytes' }, ship },
      train: { steps: STEPS, batch: 8, grains: 4 },
      parallel: { dp: 2, ep: 2 },
      ...parts,
    });
  const local = localLauncher();
  const launcher = {
    ...local,
    command: (machine: number, host: string) => {
      const { file: node, args } = local.command(machine, host);
      const script = 'mkdir -p "$1" && cd "$1" && shift && exec "$@"';
      return {
        file: 'sh',
        args: ['-c', script, 'sh', join(folder, 'far', 'from', 'here'), node, ...args],
        env: { XDG_CACHE_HOME: join(folder, `cache-${machine}`) },
      };
    },
  };
  return { folder, topologyOf, launcher };
}

const two = { machines: { count: 2, devices: ['cpu:0'] }, launcher: { kind: 'local' } };

async function launchedLosses({ topologyOf, launcher }: ReturnType<typeof setting>) {
  const losses: number[] = [];
  const run = await launch(topologyOf(two), {
    checkpoints: null,
    launcher,
    report: (event) => {
      if (event.event === 'step') losses.push(event.loss);
    },
    logLevel: 'silent',
    peakFlops: null,
  });
  const { error } = await run.result;
  return { losses, error };
}

test.serial(
  'shipping: agents whose folders lack the corpus train with the losses of one process',
  async (t) => {
    const set = setting('auto');
    const expected: number[] = [];
    const one = await startCluster(set.topologyOf({}), {
      sink: (event) => {
        if (event.event === 'step') expected.push(event.loss);
      },
    });
    await one.result;
    const { losses, error } = await launchedLosses(set);
    t.is(error, null);
    t.is(expected.length, STEPS);
    t.deepEqual(losses, expected);
    for (const machine of [0, 1])
      t.is(
        readdirSync(join(set.folder, `cache-${machine}`, 'troupe')).filter((name) =>
          name.startsWith('corpus-'),
        ).length,
        1,
        'each has the token ids of its own',
      );
    rmSync(set.folder, { recursive: true });
  },
);

test.serial('shipping: with data.ship false a file that a machine lacks ends the run', async (t) => {
  const set = setting(false);
  const { error } = await launchedLosses(set);
  t.is(error?.code, 'TROUPE_DATA_UNREADABLE');
  t.regex(error?.message ?? '', /corpus\.txt/u);
  rmSync(set.folder, { recursive: true });
});
