import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import test from 'ava';
import { runCliHere } from './testing/cli-here.ts';
import { CliProcess, runCli, waitForDeath } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

/** Every flag or argument that names a file to write. `FILE` stands for it. */
const writers: Readonly<Record<string, readonly string[]>> = {
  'init .json': ['init', 'FILE'],
  'simulate --trace': ['simulate', 'small.yaml', '--trace', 'FILE'],
  'simulate --log': ['simulate', 'small.yaml', '--log', 'FILE'],
  'simulate --write-test': ['simulate', 'small.yaml', '--shrink', '--write-test', 'FILE'],
  'launch --profile': ['launch', 'small.yaml', '--profile', 'FILE'],
  'tokenize --out': ['tokenize', '--train', 'text.txt', '--vocab', '300', '--out', 'FILE'],
  'bench --out': ['bench', '--calibrate', 'small.yaml', '--out', 'FILE'],
};

for (const [name, args] of Object.entries(writers)) {
  test.serial(`${name}: a folder that is not there is a usage error before anything starts`, async (t) => {
    const { folder, path } = workplace(t);
    mkdirSync(path('a.json'));
    const before = readdirSync(folder);
    const wrong = [
      ['no/such/f.json', /'no\/such\/f\.json': there is no folder 'no\/such'; make it first/],
      ['text.txt/f.json', /'text\.txt\/f\.json': 'text\.txt' is not a folder; name a file in one/],
      ['a.json', /'a\.json' is a folder; name a file in it/],
    ] as const;
    for (const [file, sentence] of wrong) {
      const run = await runCliHere(
        args.map((each) => (each === 'FILE' ? file : each)),
        { cwd: folder },
      );
      t.is(run.code, 2, run.stderr);
      t.regex(run.stderr, sentence);
      t.is(run.stdout, '', 'nothing has started');
      t.deepEqual(readdirSync(folder), before);
    }
  });
}

test.serial('output files: a device is written to and stays one, a link stays a link', async (t) => {
  const { folder, path } = workplace(t);
  const before = statSync('/dev/null');
  t.is((await runCliHere(['init', '/dev/null', '--force'], { cwd: folder })).code, 0);
  t.true(statSync('/dev/null').isCharacterDevice());
  t.is(statSync('/dev/null').ino, before.ino);
  writeFileSync(path('real.yaml'), 'old');
  symlinkSync('real.yaml', path('link.yaml'));
  t.is((await runCliHere(['init', 'link.yaml', '--force'], { cwd: folder })).code, 0);
  t.regex(readFileSync(path('real.yaml'), 'utf8'), /troupe: 1/);
  t.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.pending')),
    [],
  );
});

const unshare = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c'];
const canMount = ((): boolean => {
  try {
    execFileSync(unshare[0] ?? '', [...unshare.slice(1), 'mount -t tmpfs none /tmp'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

(canMount ? test.serial : test.serial.skip)(
  'paths: a read-only working folder is called one: EROFS, and its sentence',
  async (t) => {
    const { folder, path } = workplace(t);
    mkdirSync(path('cache/troupe'), { recursive: true });
    writeFileSync(path(`cache/troupe/corpus-${'a'.repeat(24)}.bin`), '');
    const readOnly = [...unshare, `mount --bind -o ro "$PWD" "$PWD" && cd "$PWD" && exec "$0" "$@"`];
    const expected: readonly (readonly [readonly string[], number, RegExp])[] = [
      [
        ['launch', 'small.yaml', '--run-dir', 'runs/deep/x'],
        1,
        /cannot make the run folder 'runs\/deep\/x' \(EROFS, its file system is read-only\)/,
      ],
      [['init', 'mine.yaml'], 2, /cannot write to '\.': its file system is read-only \(EROFS\)/],
      [
        ['simulate', 'small.yaml', '--trace', 't.json'],
        2,
        /--trace 't\.json': cannot write to '\.': its file system is read-only \(EROFS\)/,
      ],
      [
        ['cache', 'clear'],
        1,
        /^troupe: access to '.*\/cache\/troupe\/corpus-a{24}\.bin' is denied: its file system is read-only \(EROFS\)\nexit 1/,
      ],
    ];
    for (const [args, code, sentence] of expected) {
      const run = await runCli(args, { cwd: folder, under: readOnly });
      t.is(run.code, code, run.stderr);
      t.regex(run.stderr, sentence);
    }
  },
);

test.serial(
  'launch: a run that fails before its first step leaves none of the folders it made',
  async (t) => {
    const { folder, path } = workplace(t);
    const missing = ['--set', 'data.text=none.txt'];
    const failed = await runCli(['launch', 'small.yaml', '--run-dir', 'runs/deep/x', ...missing], {
      cwd: folder,
    });
    t.is(failed.code, 1, failed.stderr);
    t.false(existsSync(path('runs')));
    mkdirSync(path('mine'));
    await runCli(['launch', 'small.yaml', '--run-dir', 'mine/deep/x', ...missing], { cwd: folder });
    t.deepEqual(readdirSync(path('mine')), [], 'what was there stays');
  },
);

test.serial('launch: the hint for missing data says what its path is relative to', async (t) => {
  const { folder, path } = workplace(t);
  mkdirSync(path('sub'));
  writeFileSync(path('sub/small.yaml'), readFileSync(path('small.yaml')));
  for (const command of ['launch', 'simulate']) {
    const { code, stderr } = await runCliHere([command, 'sub/small.yaml'], { cwd: folder });
    t.is(code, 1, stderr);
    t.true(stderr.includes(`cannot read data from ${path('sub/text.txt')}: no such file`), stderr);
    t.regex(
      stderr,
      /in a topology file it is relative to the folder of that file, in a flag to the folder you/,
    );
  }
});

const socketFolders = (parent: string): readonly string[] =>
  readdirSync(parent).filter((name) => name.startsWith('troupe-run-'));

test.serial(
  'launch: a long TMPDIR is passed over for a short folder of sockets, which goes with the run',
  async (t) => {
    const { folder, path } = workplace(t);
    const long = path('t'.repeat(161 - folder.length - 1));
    mkdirSync(long);
    t.is(Buffer.byteLength(long), 161);
    const { code, stderr } = await runCli(['launch', 'small.yaml', '--stop-after', '1', '--no-checkpoint'], {
      cwd: folder,
      env: { TMPDIR: long },
    });
    t.is(code, 0, stderr);
    t.deepEqual(readdirSync(long), []);
  },
);

test.serial(
  'launch: the next start removes the sockets of an agent that was killed, never those in use',
  async (t) => {
    const { folder, path } = workplace(t);
    mkdirSync(path('tmp'));
    const options = { cwd: folder, env: { TMPDIR: path('tmp') } };
    const killed = new CliProcess(['launch', 'endless.yaml', '--run-dir', 'one'], options);
    await killed.line(/^step 1\//);
    // Of its workers, and of who watches it.
    const abandoned = socketFolders(path('tmp'));
    t.is(abandoned.length, 2);
    const living = new CliProcess(['launch', 'endless.yaml', '--run-dir', 'two'], options);
    await living.line(/^step 1\//);
    const kept = socketFolders(path('tmp')).filter((name) => !abandoned.includes(name));
    t.is(socketFolders(path('tmp')).length, 4, 'a start leaves the sockets of a run that goes on');
    const workers = killed.children();
    killed.signal('SIGKILL');
    await killed.result;
    t.deepEqual(waitForDeath(workers, 10_000), []);
    t.true(abandoned.every((name) => socketFolders(path('tmp')).includes(name)));
    const next = await runCli(['launch', 'small.yaml', '--stop-after', '1', '--run-dir', 'three'], options);
    t.is(next.code, 0, next.stderr);
    t.deepEqual(socketFolders(path('tmp')), kept);
    living.signal('SIGINT');
    t.is((await living.result).code, 130);
    t.deepEqual(socketFolders(path('tmp')), []);
  },
);
