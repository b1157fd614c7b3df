import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import {
  outcomeOf,
  systemEnvironment,
  type CommandOptions,
  type Listed,
  type Namespaces,
  type Outcome,
} from './namespaces.ts';
import { USER_ID } from './scripts.ts';
import { USER } from './ssh-files.ts';

/** Who runs a command on a machine, and with what in its environment besides HOME, USER and PATH. */
export interface RunOptions extends CommandOptions {
  /** Default: the user that logs in. */
  readonly user?: 'root' | typeof USER;
  readonly env?: Readonly<Record<string, string>>;
}

/** Processes that a machine of a lab has before anybody does anything: its first one, what it waits with, and its ssh server. */
const own = [/^sh -c echo begun; /u, /^cat$/u, /^sshd: \/usr\/sbin\/sshd -f .*\[listener\]/u];

/** A machine of a lab. */
export class Machine {
  readonly index: number;
  readonly name: string;
  /** Of IPv4. */
  readonly address: string;
  #spaces: Namespaces;
  #isDead = false;

  constructor(index: number, place: { readonly name: string; readonly address: string }, spaces: Namespaces) {
    this.index = index;
    this.name = place.name;
    this.address = place.address;
    this.#spaces = spaces;
  }

  get spaces(): Namespaces {
    return this.#spaces;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** A file of the machine, for who looks in from the host. */
  path(file: string): string {
    return `/proc/${this.#spaces.pid}/root${file}`;
  }

  /** A command that runs until it ends, its caller ends or the machine does, with its three streams. */
  start(
    argv: readonly string[],
    options: RunOptions = {},
  ): ChildProcessByStdio<Writable, Readable, Readable> {
    const [file = '', ...args] = this.#argv(argv, options);
    return spawn(file, args, { env: systemEnvironment, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return outcomeOf(this.#argv(argv, options), options);
  }

  /** A command that this machine's user runs on another one, as a person would: `ssh NAME COMMAND`. */
  ssh(to: Machine, command: string, options: RunOptions = {}): Promise<Outcome> {
    return this.run(['ssh', '-o', 'BatchMode=yes', to.name, command], options);
  }

  /** What runs here, but for the machine's own parts: who was left behind. */
  processes(): readonly Listed[] {
    return this.#spaces.processes().filter(({ command }) => !own.some((each) => each.test(command)));
  }

  /** Ends every process at once; their connections are closed by the kernel, so that others hear of it. */
  async kill(): Promise<void> {
    this.#isDead = true;
    await this.#spaces.end();
  }

  /** Another life of the machine, after {@link kill}. */
  restarted(spaces: Namespaces): void {
    this.#spaces = spaces;
    this.#isDead = false;
  }

  #argv(argv: readonly string[], { user = USER, env = {} }: RunOptions): readonly string[] {
    const [id, home] = user === 'root' ? [0, '/root'] : [USER_ID, `/home/${USER}`];
    const variables = { HOME: home, USER: user, LOGNAME: user, PATH: '/usr/local/bin:/usr/bin:/bin', ...env };
    const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
    // A command ends with `nsenter`, which is its parent, and that with who started it.
    const drop = ['setpriv', `--reuid=${id}`, `--regid=${id}`, '--clear-groups', '--pdeathsig', 'KILL'];
    return this.#spaces.entered([...drop, 'env', '-i', '-C', home, ...settings, ...argv]);
  }
}
