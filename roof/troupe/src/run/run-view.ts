import { workerActors, type ExpertChoices, type Job } from '@troupe/actors';
import type { NodeId } from '@troupe/core';
import { describeWait, type Wait } from '@troupe/runtime';
import type { ShardPlace } from '@troupe/topology';
import { RecentChoices, type ExpertLoads } from './recent-choices.ts';

/** An actor as its node last told. */
export interface SeenActor {
  readonly address: string;
  readonly state: string;
  /** Events that waited. */
  readonly mailboxSize: number;
}

/** A worker or host as its heartbeats show it. */
export interface SeenNode {
  readonly node: string;
  readonly machine: number;
  /** 1 at first; one more after each loss. */
  readonly life: number;
  /** A next life was asked for and has said nothing yet. */
  readonly isAway: boolean;
  /** Since it last answered; null: this life has not. */
  readonly seenMs: number | null;
  readonly actors: readonly SeenActor[];
}

/** What a run does now, as far as the lead knows. */
export interface RunLook {
  readonly nodes: readonly SeenNode[];
  /** Who waits for whom and for how long, a sentence each: of the actors on the lead's node. */
  readonly waits: readonly string[];
  /** Shards, and those of them whose state lies on a second worker that lives. */
  readonly copies: { readonly shards: number; readonly doubled: number };
  readonly experts: ExpertLoads;
}

interface Node {
  readonly machine: number;
  readonly names: readonly string[];
  life: number;
  isAway: boolean;
  seenAtMs: number | null;
}

/**
 * What the lead has heard of the actors of a run. Nothing in a run depends on it: it is what people are shown.
 *
 * It keeps one line an actor, whatever a run does.
 */
export class RunView {
  readonly #job: Job;
  readonly #nodes = new Map<string, Node>();
  readonly #nodeOf = new Map<string, Node>();
  readonly #actors = new Map<string, SeenActor>();
  readonly #choices = new RecentChoices();

  constructor(job: Job) {
    this.#job = job;
    const { layout } = job;
    for (const rank of layout.nodes()) {
      const names = workerActors(job, rank);
      const node = { machine: layout.machineOf(rank), names, life: 1, isAway: false, seenAtMs: null };
      this.#nodes.set(layout.nodeOf(rank), node);
      for (const name of names) this.#nodeOf.set(name, node);
    }
  }

  /** Heartbeats have answered: `ADDRESS STATE WAITING`. */
  described(lines: readonly string[], nowMs: number): void {
    for (const line of lines) {
      const [address = '', state = '', waiting = '0'] = line.split(' ');
      const node = this.#nodeOf.get(address);
      // An agent's own.
      if (node === undefined) continue;
      this.#actors.set(address, { address, state, mailboxSize: Number(waiting) });
      node.isAway = false;
      node.seenAtMs = nowMs;
    }
  }

  /** A node was lost, and its next life asked for. */
  restarted(id: NodeId, life: number): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    Object.assign(node, { life, isAway: true, seenAtMs: null });
    for (const name of node.names) this.#actors.delete(name);
  }

  chosen(choices: ExpertChoices): void {
    this.#choices.add(choices);
  }

  /** @param waits - of the lead's node */
  look(nowMs: number, waits: readonly Wait[]): RunLook {
    const nodes = [...this.#nodes].map(([node, { machine, life, isAway, seenAtMs, names }]) => ({
      node,
      machine,
      life,
      isAway,
      seenMs: seenAtMs === null ? null : nowMs - seenAtMs,
      actors: names.flatMap((name) => this.#actors.get(name) ?? []),
    }));
    const shards = [...this.#job.layout.nodes()].flatMap((rank) => this.#job.layout.shardsAt(rank));
    return {
      nodes,
      waits: waits.map((wait) => describeWait(wait, nowMs)),
      copies: { shards: shards.length, doubled: shards.filter((shard) => this.#isDoubled(shard)).length },
      experts: this.#choices.loads,
    };
  }

  /** Its own node lives, and so does another one that holds the same. */
  #isDoubled({ group, worker }: ShardPlace): boolean {
    const { layout } = this.#job;
    const buddy = layout.buddyOf(group, worker);
    const { holders } = group;
    const twins = layout.hasTwins(group)
      ? Array.from({ length: holders.count }, (_, at) => holders.at(at)).filter((each) => each !== worker)
      : [];
    const lives = (rank: typeof worker): boolean =>
      this.#nodes.get(layout.nodeOf(layout.homeOf(rank)))?.isAway === false;
    return lives(worker) && [...twins, ...(buddy === null ? [] : [buddy])].some(lives);
  }
}
