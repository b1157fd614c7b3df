import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../../troupe/bin/troupe.js', import.meta.url));

export interface CliResult {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd: string;
  /** Arguments of node itself. */
  readonly node?: readonly string[];
  /** Largest file that it can write, as a full disk would have it. */
  readonly fileKibMax?: number;
  /** Over this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** A command that starts it: `nohup`, `unshare …`. */
  readonly under?: readonly string[];
  /** As from a terminal of its own: nothing that runs the tests is asked whether it ignores SIGHUP. */
  readonly hasOwnSession?: boolean;
}

/** The real command in a process of its own. */
export class CliProcess {
  readonly result: Promise<CliResult>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #stdout = '';
  #stderr = '';
  #heard: (() => void) | null = null;
  #ended = false;

  constructor(
    args: readonly string[],
    { cwd, node = [], fileKibMax, env = {}, under = [], hasOwnSession = false }: CliOptions,
  ) {
    const command = [...under, process.execPath, ...node, bin, ...args];
    const [file = '', ...rest] =
      fileKibMax === undefined
        ? command
        : ['bash', '-c', `ulimit -f ${fileKibMax}; exec "$0" "$@"`, ...command];
    const child = spawn(file, rest, {
      cwd,
      detached: hasOwnSession,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...(hasOwnSession ? { _: '' } : {}), XDG_CACHE_HOME: `${cwd}/cache`, ...env },
    });
    this.#child = child;
    const hear = (line: string): void => {
      this.#lines.push(line);
      this.#heard?.();
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    createInterface(child.stdout).on('line', hear);
    createInterface(child.stderr).on('line', hear);
    this.result = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        this.#ended = true;
        this.#heard?.();
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** The first line, of either stream, that has not been waited for and that matches. Rejects when the process ends without one. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift())
        if (pattern.test(line)) return line;
      if (this.#ended) throw new Error(`no line ${pattern}; stdout: ${this.#stdout} stderr: ${this.#stderr}`);
      await new Promise<void>((resolve) => (this.#heard = resolve));
      this.#heard = null;
    }
  }

  /** Processes that it, or another, started and that live. */
  children(of = this.pid): readonly number[] {
    return processes()
      .filter(({ parent }) => parent === of)
      .map(({ pid }) => pid);
  }
}

export const runCli = (args: readonly string[], options: CliOptions): Promise<CliResult> =>
  new CliProcess(args, options).result;

interface Listed {
  readonly pid: number;
  readonly parent: number;
}

/** Every process of this machine that is not a zombie. */
function processes(): readonly Listed[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/u))
    .filter(([, , state]) => state?.startsWith('Z') !== true)
    .map(([pid, parent]) => ({ pid: Number(pid), parent: Number(parent) }));
}

/** Those of `pids` that still run. */
export function alive(pids: readonly number[]): readonly number[] {
  const running = new Set(processes().map(({ pid }) => pid));
  return pids.filter((pid) => running.has(pid));
}

/** Looks again and again until none of `pids` runs; gives those that are left when `limitMs` are over. */
export function waitForDeath(pids: readonly number[], limitMs: number): readonly number[] {
  const end = Date.now() + limitMs;
  let left = alive(pids);
  while (left.length > 0 && Date.now() < end) left = alive(left);
  return left;
}

/** The objects that `--json` printed. */
export const jsonLines = (text: string): readonly Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
