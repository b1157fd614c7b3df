import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** Longest wait for a step of a machine's start, and for the death of what was killed; milliseconds. */
const STEP_MS = 20_000;

/** Where the tools of the system are; node_modules has programs of the same names (`nft`), which npm puts before them. */
export const systemFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The environment of tools of the system. */
export const systemEnvironment = { ...process.env, PATH: systemFolders.join(':') };

/** One process of a machine, by its number on the host. */
export interface Listed {
  readonly pid: number;
  readonly command: string;
}

/** What became of a command. */
export interface Outcome {
  /** null when a signal ended it, that of its deadline too. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly input?: string;
  /** After this it is killed, milliseconds. Default 20 000. */
  readonly deadlineMs?: number;
}

/** A command with its output; never throws for what the command did. */
export function outcomeOf(argv: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const [file = '', ...args] = argv;
  return new Promise((resolve) => {
    const child = execFile(
      file,
      args,
      {
        env: systemEnvironment,
        timeout: options.deadlineMs ?? STEP_MS,
        killSignal: 'SIGKILL',
        maxBuffer: 2 ** 26,
      },
      (error, stdout, stderr) => {
        const failed = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
        resolve({ code: failed, stdout, stderr: stderr === '' && error !== null ? error.message : stderr });
      },
    );
    // Who does not read its input may leave before it is written.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}

/** As {@link outcomeOf}, for what has to succeed. */
export async function outputOf(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await outcomeOf(argv, options);
  if (code === 0) return stdout;
  throw new Error(`${argv.join(' ').slice(0, 200)} ended with ${code ?? 'a signal'}: ${stderr.trim()}`);
}

function within<T>(wait: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${STEP_MS} ms`)), STEP_MS);
  });
  return Promise.race([wait, late]).finally(() => clearTimeout(timer));
}

/**
 * Namespaces of network, mounts, process ids, names and shared memory, held by one process, the first of its process ids.
 *
 * That process ends when its standard input does, which this process holds open: so whatever ends this process, SIGKILL too, ends it, the
 * kernel ends every process that has a number in there, and with the last one go interfaces, rules and mounts. Nothing has a name on the
 * host, so nothing can be left behind or be in the way of another one.
 */
export class Namespaces {
  /** The first process, as the host numbers it. */
  readonly pid: number;
  readonly #holder: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #pidSpace: string;
  readonly #ended: Promise<unknown>;
  readonly #said: string[] = [];
  #heard: () => void = () => {};
  #isOver = false;
  #stderr = '';

  private constructor(holder: ChildProcessByStdio<Writable, Readable, Readable>, pid: number) {
    this.pid = pid;
    this.#holder = holder;
    this.#pidSpace = readlinkSync(`/proc/${pid}/ns/pid`);
    holder.stdin.on('error', () => {});
    holder.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    createInterface(holder.stdout).on('line', (line) => {
      this.#said.push(line);
      this.#heard();
    });
    this.#ended = new Promise<void>((resolve) =>
      holder.once('close', () => {
        this.#isOver = true;
        this.#heard();
        resolve();
      }),
    );
  }

  /**
   * @param script - for `sh`, as the first process; it says what it has done, a line each, and ends with its standard input
   * @param around - whose mounts the new ones begin with; default: the host's
   */
  static async open(script: string, args: readonly string[], around?: Namespaces): Promise<Namespaces> {
    const enter = around === undefined ? [] : ['nsenter', `--target=${around.pid}`, '--mount', '--'];
    const [file = '', ...rest] = [
      ...enter,
      'unshare',
      '--net',
      '--mount',
      '--pid',
      '--uts',
      '--ipc',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'sh',
      '-c',
      `echo begun; ${script}`,
      'sh',
      ...args,
    ];
    const holder = spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'], env: systemEnvironment });
    let stderr = '';
    const take = (text: Buffer): void => void (stderr += text.toString());
    holder.stderr.on('data', take);
    // `unshare` makes the first process its only child, which then speaks.
    const begun = new Promise<void>((resolve, reject) => {
      holder.stdout.once('readable', resolve);
      holder.once('error', reject);
      holder.once('exit', (code) => reject(new Error(`namespaces: unshare ended with ${code}: ${stderr}`)));
    });
    await within(begun, 'the first process of namespaces');
    holder.stderr.off('data', take);
    const pid = Number(readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').trim());
    const opened = new Namespaces(holder, pid);
    await opened.says('begun');
    return opened;
  }

  /** Waits until the script has said `word`. */
  async says(word: string): Promise<void> {
    const met = async (): Promise<void> => {
      while (!this.#said.includes(word)) {
        if (this.#isOver) throw new Error(`the script ended before '${word}': ${this.#stderr.trim()}`);
        await new Promise<void>((resolve) => (this.#heard = resolve));
      }
    };
    await within(met(), `'${word}'`);
  }

  /** A line for the script's `read`. */
  tell(line: string): void {
    this.#holder.stdin.write(`${line}\n`);
  }

  /** The command line that runs another one in here, as root; with `kinds`, in those of its namespaces alone. */
  entered(argv: readonly string[], kinds = ['mount', 'net', 'pid', 'uts', 'ipc']): readonly string[] {
    return ['nsenter', `--target=${this.pid}`, ...kinds.map((kind) => `--${kind}`), '--', ...argv];
  }

  /** Processes that have a number in here, the first one too. */
  processes(): readonly Listed[] {
    return readdirSync('/proc').flatMap((name): Listed[] => {
      if (!/^\d+$/u.test(name)) return [];
      try {
        if (readlinkSync(`/proc/${name}/ns/pid`) !== this.#pidSpace) return [];
        // What has ended and is not yet waited for has no program. What is just being started has one, and no command line yet.
        readlinkSync(`/proc/${name}/exe`);
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        return [{ pid: Number(name), command }];
      } catch {
        // It ended while it was looked at.
        return [];
      }
    });
  }

  /** Ends every process in here at once, as a power cut does. */
  async end(): Promise<void> {
    if (!this.#isOver) process.kill(this.pid, 'SIGKILL');
    await within(this.#ended, 'the end of namespaces');
  }
}
