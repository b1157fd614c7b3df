import { WholeLines } from '../launch/whole-lines.ts';
import type { AgentLine } from './agent-protocol.ts';
import type { MachineLogs } from './machine-logs.ts';

/** Characters a second that travel to the lead, of all processes of a machine together; what is more stays in its files. */
export const travelsMax = 256 * 1024;

export interface MachineOutputOptions {
  /** Node of the machine's agent. */
  readonly agent: string;
  readonly logs: Pick<MachineLogs, 'write' | 'folder'>;
  readonly say: (line: AgentLine) => void;
  /** Monotonic. */
  readonly nowMs: () => number;
}

/**
 * What the processes of a machine print: all of it in files there, and as much of it with the lead as its pipe carries beside what matters.
 *
 * LOG-4: what is printed keeps a machine from saying nothing else: so many characters a second travel, and of the others the lead hears
 * how many lines they were, and where they are.
 */
export class MachineOutput {
  readonly #options: MachineOutputOptions;
  readonly #open = new Map<string, WholeLines>();
  #second = -1;
  #travelled = 0;
  #leftOut = 0;

  constructor(options: MachineOutputOptions) {
    this.#options = options;
  }

  /** A piece of what a process prints, wherever it was cut. */
  print(node: string, text: string): void {
    let lines = this.#open.get(node);
    if (lines === undefined) this.#open.set(node, (lines = new WholeLines((line) => this.#line(node, line))));
    lines.push(text);
  }

  /** A process has ended: what it left open is a line. */
  ended(node: string): void {
    this.#open.get(node)?.flush();
    this.#open.delete(node);
  }

  /** No more is printed. */
  close(): void {
    for (const node of this.#open.keys()) this.ended(node);
    this.#tellLeftOut();
  }

  #line(node: string, text: string): void {
    const { logs, say, nowMs } = this.#options;
    logs.write(node, text);
    const second = Math.floor(nowMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#travelled = 0;
      this.#tellLeftOut();
    }
    // What an empty line takes is not nothing.
    const length = text.length + 1;
    if (this.#travelled + length > travelsMax) {
      this.#leftOut++;
      return;
    }
    this.#travelled += length;
    say({ type: 'printed', node, text });
  }

  #tellLeftOut(): void {
    if (this.#leftOut === 0) return;
    const { agent: node, logs, say } = this.#options;
    const text = `${this.#leftOut} lines of this machine were too many to send; they are in ${logs.folder}`;
    this.#leftOut = 0;
    say({ type: 'printed', node, text });
  }
}
