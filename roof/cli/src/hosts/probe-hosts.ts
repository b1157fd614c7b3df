import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { sshArguments } from 'troupe/launch';
import { hostScript, type HostPlan } from './host-program.ts';
import { factsOf, type HostReport } from './host-report.ts';

/** What ssh says of a host that may answer later; a name or a key that is wrong stays wrong. */
const notNow = /timed out|refused|no route to host|unreachable|reset by|closed by/iu;

/** One host, from the first connection to its report. */
class HostProbe {
  readonly host: string;
  address: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: string[] = [];
  readonly #startMs = performance.now();
  #seconds = 0;
  #stderr = '';
  #late = false;
  #isOver = false;
  #code: number | null = null;
  #heard: () => void = () => {};

  constructor(host: string, address: string, plan: HostPlan) {
    this.host = host;
    this.address = address;
    this.#child = spawn('ssh', sshArguments(host, hostScript(plan)), { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.on('data', (part: Buffer) => (this.#stderr += part.toString()));
    createInterface(this.#child.stdout).on('line', (line) => {
      this.#lines.push(line);
      this.#heard();
    });
    this.#child.once('error', (error) => {
      this.#stderr += error.message;
      this.#end(255);
    });
    this.#child.once('close', (code) => this.#end(code));
  }

  /** Whether it can be told whom to dial. */
  get isListening(): boolean {
    return !this.#isOver && factsOf(this.#lines).facts['token'] !== undefined;
  }

  /** Waits for a line of that key, for its end, or until the deadline, after which it is ended. */
  async says(key: string, endMs: number): Promise<void> {
    for (;;) {
      if (this.#isOver || this.#lines.some((line) => line.startsWith(`${key}\t`))) break;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) {
        this.#late = true;
        this.#child.kill('SIGKILL');
        break;
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#heard = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#seconds === 0) this.#seconds = (performance.now() - this.#startMs) / 1000;
  }

  dial(others: readonly HostProbe[]): void {
    const targets = others.map(({ host, address, facts }) => ({ host, address, ...facts }));
    this.#child.stdin.write(`${JSON.stringify(targets)}\n`);
  }

  get facts(): { readonly port: number; readonly token: string | undefined } {
    const { port, token } = factsOf(this.#lines).facts;
    return { port: Number(port), token };
  }

  end(): void {
    this.#child.stdin.end();
  }

  report(deadlineSeconds: number): HostReport {
    const found = factsOf(this.#lines);
    return {
      host: this.host,
      address: this.address,
      failed: this.#failed(found.facts, deadlineSeconds),
      isUnreachable: found.facts['user'] === undefined && (this.#late || notNow.test(this.#stderr)),
      ...found,
      seconds: this.#seconds,
    };
  }

  #failed(facts: Readonly<Record<string, string>>, deadlineSeconds: number): string | null {
    const last = this.#stderr.trim().split('\n').at(-1)?.trim() ?? '';
    if (this.#late) return `it did not answer within ${deadlineSeconds} s${last === '' ? '' : ` (${last})`}`;
    if (facts['user'] === undefined)
      return `ssh ended with ${this.#code ?? 'a signal'}: ${last || 'it said nothing'}; 'ssh ${this.host} true' has to work without a question`;
    return facts['node'] === undefined ? `it ended before it was looked at: ${last}` : null;
  }

  #end(code: number | null): void {
    this.#isOver = true;
    this.#code ??= code;
    this.#heard();
  }
}

/** Where ssh goes for a name: the others use that too. */
async function addressOf(host: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('ssh', ['-G', host], { timeout: 5000 });
    return /^hostname (.+)$/mu.exec(stdout)?.[1] ?? host;
  } catch {
    return host;
  }
}

/**
 * Looks at hosts over ssh, all at once: who logs in, Node, folders, a port, and whether each reaches every other one there.
 *
 * It asks nothing (`BatchMode`), leaves nothing, and ends by the deadline whatever hosts do.
 */
export async function probeHosts(
  hosts: readonly string[],
  plan: HostPlan,
  deadlineSeconds: number,
): Promise<readonly HostReport[]> {
  const endMs = performance.now() + deadlineSeconds * 1000;
  const addresses = await Promise.all(hosts.map(addressOf));
  const probes = hosts.map((host, index) => new HostProbe(host, addresses[index] ?? host, plan));
  await Promise.all(probes.map((probe) => probe.says('listening', endMs)));
  const listening = probes.filter((probe) => probe.isListening);
  for (const probe of listening) probe.dial(listening.filter((other) => other !== probe));
  await Promise.all(listening.map((probe) => probe.says('dialled', endMs)));
  for (const probe of probes) probe.end();
  return probes.map((probe) => probe.report(deadlineSeconds));
}
