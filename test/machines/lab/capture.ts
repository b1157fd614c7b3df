import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Lab } from './lab.ts';
import { systemEnvironment } from './namespaces.ts';
import { builtTool } from './native-tool.ts';
import { spoken } from './spoken.ts';

/** Everything that passes between the machines of a lab, as somebody at the switch would see it. */
export class Capture {
  readonly frames: Buffer[] = [];
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #closed: Promise<unknown>;
  #rest = Buffer.alloc(0);
  #heard: () => void = () => {};

  private constructor(child: ChildProcessByStdio<null, Readable, Readable>) {
    this.#child = child;
    child.stdout.on('data', (part: Buffer) => this.#take(part));
    this.#closed = new Promise((resolve) => child.once('close', resolve));
  }

  static async open(lab: Lab): Promise<Capture> {
    const argv = lab.room.entered(
      ['setpriv', '--pdeathsig', 'KILL', await builtTool('sniff')],
      ['net', 'pid'],
    );
    const [file = '', ...args] = argv;
    const capture = new Capture(
      spawn(file, args, { env: systemEnvironment, stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    await spoken(capture.#child.stderr, 'listening');
    return capture;
  }

  /** Waits until a text has passed in clear: what passed before it has been seen by then. */
  async saw(text: string, limitMs = 20_000): Promise<boolean> {
    const end = performance.now() + limitMs;
    for (let next = 0; ;) {
      for (; next < this.frames.length; next++) if (this.frames[next]?.includes(text) === true) return true;
      const leftMs = end - performance.now();
      if (leftMs <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#heard = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }

  #take(part: Buffer): void {
    const all = Buffer.concat([this.#rest, part]);
    let at = 0;
    while (at + 4 <= all.length) {
      const end = at + 4 + all.readUInt32LE(at);
      if (end > all.length) break;
      this.frames.push(all.subarray(at + 4, end));
      at = end;
    }
    this.#rest = all.subarray(at);
    this.#heard();
  }
}
