/** What is wrong with the way from one machine to another. */
export interface Fault {
  /** Frames of a million that do not arrive; 1,000,000: the way is cut. */
  readonly lossPpm: number;
}

/** The hardware address of a machine, by its index. */
export const macOf = (index: number): string =>
  `02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`;

/**
 * Rules of nftables that a machine's network card has for what comes in; they replace those before in one step.
 *
 * By hardware address, so that names, addresses of both families and the question who has one are cut alike.
 *
 * @param incoming - faults by the index of the machine that sends
 */
export function rulesOf(incoming: ReadonlyMap<number, Fault>): string {
  const rules = [...incoming].map(([from, { lossPpm }]) => {
    const chance = lossPpm >= 1_000_000 ? '' : ` numgen random mod 1000000 < ${lossPpm}`;
    return `ether saddr ${macOf(from)}${chance} drop`;
  });
  return [
    'table netdev lab',
    'delete table netdev lab',
    'table netdev lab {',
    '  chain incoming {',
    '    type filter hook ingress device "eth0" priority 0; policy accept;',
    ...rules.map((rule) => `    ${rule}`),
    '  }',
    '}',
    '',
  ].join('\n');
}

/** Faults of all ways, as (from, to); the state that {@link rulesOf} is made of. */
export class Faults {
  readonly #byReceiver = new Map<number, Map<number, Fault>>();

  set(from: number, to: number, fault: Fault | null): void {
    const incoming = this.#byReceiver.get(to) ?? new Map<number, Fault>();
    this.#byReceiver.set(to, incoming);
    if (fault === null || fault.lossPpm === 0) incoming.delete(from);
    else incoming.set(from, fault);
  }

  into(to: number): ReadonlyMap<number, Fault> {
    return this.#byReceiver.get(to) ?? new Map();
  }
}
