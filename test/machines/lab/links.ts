import { Faults, rulesOf, type Fault } from './link-rules.ts';
import type { Machine } from './machine.ts';
import { outputOf } from './namespaces.ts';

const CUT: Fault = { lossPpm: 1_000_000 };

/** The ways between the machines of a lab: cut, made lossy, slowed and healed while programs run. Needs nftables. */
export class Links {
  readonly #machines: readonly Machine[];
  readonly #faults = new Faults();

  constructor(machines: readonly Machine[]) {
    this.#machines = machines;
  }

  /** Nothing of `from` arrives at `to`; the other direction stays. */
  cutOneWay(from: Machine, to: Machine): Promise<void> {
    return this.#set([[from, to]], CUT);
  }

  /** Nothing passes between two machines, which both still see all others. */
  cut(a: Machine, b: Machine): Promise<void> {
    return this.#set(
      [
        [a, b],
        [b, a],
      ],
      CUT,
    );
  }

  /** Cuts a machine off from all others. */
  isolate(machine: Machine): Promise<void> {
    return this.#set(this.#pairsOf(machine), CUT);
  }

  /** Of a million frames on the way between two machines this many are lost, in each direction. */
  lose(a: Machine, b: Machine, lossPpm: number): Promise<void> {
    return this.#set(
      [
        [a, b],
        [b, a],
      ],
      { lossPpm },
    );
  }

  /** Every way to and from a machine works again, or every way of the lab. */
  heal(machine?: Machine): Promise<void> {
    const pairs = (machine === undefined ? this.#machines : [machine]).flatMap((each) => this.#pairsOf(each));
    return this.#set(pairs, null);
  }

  /** What a machine sends leaves at most at this rate; null: as fast as it goes. */
  async limit(machine: Machine, bitsPerSecond: number | null): Promise<void> {
    const bucket = ['tbf', 'rate', `${bitsPerSecond}bit`, 'burst', '64kb', 'latency', '50ms'];
    const change =
      bitsPerSecond === null ? ['del', 'dev', 'eth0', 'root'] : ['replace', 'dev', 'eth0', 'root', ...bucket];
    await outputOf(machine.spaces.entered(['tc', 'qdisc', ...change], ['net']));
  }

  #pairsOf(machine: Machine): [Machine, Machine][] {
    return this.#machines
      .filter((other) => other !== machine)
      .flatMap((other): [Machine, Machine][] => [
        [machine, other],
        [other, machine],
      ]);
  }

  async #set(pairs: readonly (readonly [Machine, Machine])[], fault: Fault | null): Promise<void> {
    for (const [from, to] of pairs) this.#faults.set(from.index, to.index, fault);
    const receivers = new Set(pairs.map(([, to]) => to));
    await Promise.all([...receivers].map((each) => this.apply(each)));
  }

  /** Gives a machine that has started again the rules that it had. */
  async apply(machine: Machine): Promise<void> {
    if (machine.isDead) return;
    const input = rulesOf(this.#faults.into(machine.index));
    await outputOf(machine.spaces.entered(['nft', '-f', '-'], ['net']), { input });
  }
}
