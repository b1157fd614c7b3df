import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { isSshHost, remoteScript, sameCommand, sshArguments } from './ssh-launcher.ts';

/** What each shell would do something with. */
const nasty = `it's "a" $HOME \`id\` $(id) ; & | > < * ? ~ # ! \\ \n\t end`;

/** What a login shell on a host makes of the last argument of ssh, with this on standard input. */
const ranThere = (shell: string, args: readonly string[], input: string): string =>
  execFileSync(shell, ['-c', args.at(-1) ?? ''], {
    encoding: 'utf8',
    input,
    stdio: ['pipe', 'pipe', 'pipe'],
  });

test('ssh: folder, variables, path and arguments arrive as they are, whatever is in them', (t) => {
  const folder = mkdtempSync(join(tmpdir(), nasty.replaceAll('/', '')));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const program = join(folder, 'program.cjs');
  execFileSync('tee', [program], {
    input: `process.stdin.on('data', (input) => console.log(JSON.stringify({
      input: String(input), cwd: process.cwd(), env: process.env.NASTY, early: process.env.EARLY, argv: process.argv.slice(2) })));`,
  });
  const settings = {
    command: sameCommand(program),
    workdir: folder,
    env: { NASTY: nasty, B_2: '' },
    prelude: 'EARLY=yes; export EARLY; cat # all',
  };
  const script = remoteScript(settings, ['agent', nasty]);
  for (const shell of ['sh', 'bash'])
    t.deepEqual(JSON.parse(ranThere(shell, sshArguments('gpu-1', script), 'for the program')), {
      input: 'for the program',
      cwd: folder,
      env: nasty,
      early: 'yes',
      argv: ['agent', nasty],
    });
});

test('ssh: a folder that is not there ends it, and says so', (t) => {
  const script = remoteScript({ command: 'echo ran', workdir: '/no/such', env: {}, prelude: null }, []);
  const error: Error & { readonly status?: number } = t.throws(() =>
    ranThere('sh', sshArguments('gpu-1', script), ''),
  );
  t.is(error.status, 66);
  t.regex(error.message, /can't cd to \/no\/such/);
});

test('ssh: a host is never an option or a command, and a name of a variable never one', (t) => {
  for (const host of ['-oProxyCommand=x', '', 'a b', 'a\nb', ' a']) {
    t.false(isSshHost(host), host);
    t.throws(() => sshArguments(host, 'true'), { message: /takes? another name for an option|would take/ });
  }
  t.deepEqual(sshArguments('me@gpu-1;id', 'true').slice(-3, -1), ['--', 'me@gpu-1;id']);
  for (const name of ['A B', 'A;id', '1A', '', 'A=B'])
    t.throws(() => remoteScript({ command: 'true', workdir: '/', env: { [name]: 'x' }, prelude: null }, []));
});
