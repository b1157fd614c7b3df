import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { repositoryRoot } from '../../tidy/source-file.ts';
import { macOf } from './link-rules.ts';
import { Links } from './links.ts';
import { Machine } from './machine.ts';
import { Namespaces, outputOf } from './namespaces.ts';
import { machineScript, roomScript } from './scripts.ts';
import { KEYS, knownHosts, sshConfig, sshdConfig } from './ssh-files.ts';
import { openSwitch } from './switch.ts';

export interface LabOptions {
  readonly machines: number;
  /** Whether each has an ssh server, and its user a key that the others take. Default: true. */
  readonly ssh?: boolean;
  /** Whether the folder for it is one disk or another one on each machine. Default: another one. */
  readonly sharedDisk?: boolean;
  /** How long a frame is on its way, milliseconds. Default 0: a bridge of the kernel. */
  readonly delayMs?: number;
}

const nameOf = (index: number): string => `h${index}`;
const addressOf = (index: number): string => `10.77.0.${10 + index}`;
const MOST_MACHINES = 64;

/**
 * Machines made of namespaces, on a network of their own, in which programs run as on a cluster.
 *
 * Whatever ends the process that opened it ends the lab: see {@link Namespaces}.
 */
export class Lab {
  readonly machines: readonly Machine[];
  readonly links: Links;
  readonly room: Namespaces;
  readonly #options: LabOptions;
  /** Interfaces of the room so far: those of a dead machine leave when the kernel finds time. */
  #numCards: number;

  private constructor(options: LabOptions, room: Namespaces, machines: readonly Machine[]) {
    this.#options = options;
    this.room = room;
    this.machines = machines;
    this.links = new Links(machines);
    this.#numCards = machines.length;
  }

  /** Opens a lab; about half a second where nothing else computes. */
  static async open(options: LabOptions): Promise<Lab> {
    const { machines: count, ssh = true, delayMs = 0 } = options;
    if (!(count >= 1 && count <= MOST_MACHINES))
      throw new Error(`a lab has 1 to ${MOST_MACHINES} machines, not ${count}`);
    const indices = Array.from({ length: count }, (_, index) => index);
    const room = await Namespaces.open(roomScript, [repositoryRoot(), delayMs > 0 ? 'switch' : 'bridge']);
    try {
      await room.says('ready');
      writeKeys(`/proc/${room.pid}/root${KEYS}`, indices, ssh);
      if (delayMs > 0) await openSwitch(room, delayMs, indices.map(cardOf));
      const machines = await Promise.all(
        indices.map(async (index) => {
          const place = { name: nameOf(index), address: addressOf(index) };
          return new Machine(index, place, await boot(room, options, index, cardOf(index)));
        }),
      );
      return new Lab(options, room, machines);
    } catch (error) {
      await room.end();
      throw error;
    }
  }

  /** The machine at an index. */
  at(index: number): Machine {
    const machine = this.machines[index];
    if (machine === undefined) throw new Error(`the lab has no machine ${index}`);
    return machine;
  }

  /** Cuts a machine's links and then ends it, so that nobody hears a farewell. */
  async powerOff(machine: Machine): Promise<void> {
    await this.links.isolate(machine);
    await machine.kill();
  }

  /** Starts a machine again that has been ended: an empty disk, the same name and address. */
  async powerOn(machine: Machine): Promise<void> {
    if ((this.#options.delayMs ?? 0) > 0) throw new Error('a switch takes no new machines');
    const card = cardOf(this.#numCards++);
    machine.restarted(await boot(this.room, this.#options, machine.index, card));
    await this.links.heal(machine);
  }

  /** Ends everything; a second time it does nothing. */
  async close(): Promise<void> {
    await Promise.all(this.machines.map((machine) => machine.kill()));
    await this.room.end();
  }
}

/** A machine's interface as it is called in the room. */
const cardOf = (number: number): string => `card${number}`;

function writeKeys(folder: string, indices: readonly number[], ssh: boolean): void {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, text: string): void => writeFileSync(`${folder}/${name}`, text);
  const hosts = indices.map((index) => `${addressOf(index)} ${nameOf(index)}`);
  write('hosts', `127.0.0.1 localhost\n::1 localhost\n${hosts.join('\n')}\n`);
  if (!ssh) return;
  const newKey = (name: string): void =>
    void execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', `${folder}/${name}`]);
  newKey('id');
  const known = indices.map((index) => {
    const [name, address] = [nameOf(index), addressOf(index)];
    newKey(`host-${name}`);
    write(`sshd-${name}`, sshdConfig(name));
    return { name, address, publicKey: readFileSync(`${folder}/host-${name}.pub`, 'utf8') };
  });
  write('config', sshConfig(indices.map(nameOf)));
  write('known_hosts', knownHosts(known));
}

async function boot(
  room: Namespaces,
  { ssh = true, sharedDisk = false, delayMs = 0 }: LabOptions,
  index: number,
  card: string,
): Promise<Namespaces> {
  const address6 = `fd77::${(10 + index).toString(16)}`;
  const spaces = await Namespaces.open(
    machineScript,
    [
      nameOf(index),
      addressOf(index),
      address6,
      randomBytes(16).toString('hex'),
      sharedDisk ? 'shared' : 'own',
      ssh ? 'ssh' : 'none',
      macOf(index),
    ],
    room,
  );
  try {
    await spaces.says('mounted');
    const lines =
      delayMs > 0
        ? [`link set ${card} netns ${spaces.pid} name eth0`]
        : [
            `link add ${card} type veth peer name eth0 netns ${spaces.pid}`,
            `link set ${card} master wire`,
            `link set ${card} up`,
          ];
    // Of the room the network alone: a process's number is that of the host.
    await outputOf(room.entered(['ip', '-batch', '-'], ['net']), { input: `${lines.join('\n')}\n` });
    spaces.tell('go');
    await spaces.says('ready');
    return spaces;
  } catch (error) {
    await spaces.end();
    throw error;
  }
}
