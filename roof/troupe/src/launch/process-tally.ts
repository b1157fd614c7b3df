import type { DeviceReport, Sent } from './launched-processes.ts';

/** Bytes and messages of one process, as its transport counts them. */
interface Counted {
  readonly bytesSent: number;
  readonly messagesSent: number;
}

/** What the processes of a run have told of themselves: what each computes on, and what those that have left had sent. */
export class ProcessTally {
  readonly #devices = new Map<string, DeviceReport>();
  #bytes = 0;
  #messages = 0;

  /** A worker has opened its device; its next life may open another one. */
  ready(node: string, report: DeviceReport): void {
    this.#devices.set(node, report);
  }

  left({ bytesSent, messagesSent }: Counted): void {
    this.#bytes += bytesSent;
    this.#messages += messagesSent;
  }

  get devices(): readonly DeviceReport[] {
    return [...this.#devices.values()];
  }

  /** @param own - of this process, which goes on counting */
  sent({ bytesSent = 0, messagesSent = 0 }: Partial<Counted> = {}): Sent {
    return { bytes: this.#bytes + bytesSent, messages: this.#messages + messagesSent };
  }
}
