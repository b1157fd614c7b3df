import { assert, shellWord } from '@troupe/core';
import type { Launcher } from './launcher.ts';

/** How a program is started on a host over ssh; `launcher.ssh` of a topology. */
export interface SshSettings {
  /** How `troupe` is called there, a command of `sh`. */
  readonly command: string;
  /** Where it works there. */
  readonly workdir: string;
  /** Variables of its environment there. */
  readonly env: Readonly<Record<string, string>>;
  /** A line of `sh` before it: `module load node`. */
  readonly prelude: string | null;
}

/** Seconds until a connection counts as failed. */
const CONNECT_SECONDS = 10;

/**
 * Seconds between questions of a silent connection, and how many stay unanswered before it is given up: longer than the silence after
 * which machines lose each other, so that a link which they outlive does not end their agents.
 */
const ALIVE = { seconds: 10, questions: 6 };

/**
 * What every connection has, whatever `~/.ssh/config` says: it asks nothing and has no terminal, which would make one stream of two and
 * change bytes. It is shared with no other one, since a shared one takes all with it when it ends, and forwards nothing.
 */
const options = [
  '-T',
  '-a',
  '-x',
  '-o',
  'BatchMode=yes',
  '-o',
  `ConnectTimeout=${CONNECT_SECONDS}`,
  '-o',
  `ServerAliveInterval=${ALIVE.seconds}`,
  '-o',
  `ServerAliveCountMax=${ALIVE.questions}`,
  '-o',
  'ControlPath=none',
  '-o',
  'ClearAllForwardings=yes',
  '-o',
  'EscapeChar=none',
];

/** Arguments for `ssh` that run a script of `sh` on a host, whatever the login shell there is. */
export function sshArguments(host: string, script: string): readonly string[] {
  assert(isSshHost(host), 'ssh would take another name for an option', { host });
  return [...options, '--', host, `exec sh -c ${shellWord(script)}`];
}

/** Whether ssh takes a text for a host, not for an option or a command. */
export const isSshHost = (text: string): boolean => /^[^-\s][^\s]*$/u.test(text);

/** How `troupe` is called on a host when nothing else is said: by the Node of its PATH, under the path of the program here. */
export const sameCommand = (programPath: string): string => `node ${shellWord(programPath)}`;

/** A line of `sh` that cannot take what comes on standard input: that is for the program. */
const aside = (line: string): string => `{ ${line}\n} </dev/null`;

/** A script of `sh` that becomes `troupe` with these arguments. */
export function remoteScript(
  { command, workdir, env, prelude }: SshSettings,
  args: readonly string[],
): string {
  const variables = Object.entries(env);
  const odd = variables.find(([name]) => !/^[A-Za-z_]\w*$/u.test(name));
  assert(odd === undefined, 'a variable has a name that sh takes', { name: odd?.[0] ?? '' });
  return [
    `cd -- ${shellWord(workdir)} || exit 66`,
    ...(prelude === null ? [] : [aside(prelude)]),
    ...variables.map(([name, value]) => `export ${name}=${shellWord(value)}`),
    `exec ${command} ${args.map(shellWord).join(' ')}`,
  ].join('\n');
}

/** Starts agents on the hosts of a topology with the `ssh` of this system; nothing secret is on a command line. */
export const sshLauncher = (settings: SshSettings): Launcher => ({
  name: 'ssh',
  // 255 is an error of ssh itself, or a signal there; a client that is killed here says nothing of what is there.
  isAgentsEnd: ({ code }) => code !== null && code !== 255,
  command: (_machine, host) => ({ file: 'ssh', args: sshArguments(host, remoteScript(settings, ['agent'])) }),
});
