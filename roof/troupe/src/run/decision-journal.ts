import { createHash } from 'node:crypto';
import type { NodeId, Storage } from '@troupe/core';
import { openJournal, type DecidedStep, type Journal } from '@troupe/journal';
import type { RunEvent } from '@troupe/telemetry';
import type { ResolvedTopology } from '@troupe/topology';

/** Beside the checkpoints of a run. */
const FILE = 'journal';

/** Of its folder; '' is the root of the storage. */
export const journalPath = (folder: string): string => (folder === '' ? FILE : `${folder}/${FILE}`);

/** What decides who holds what. */
const layoutOf = ({ parallel, machines, placement }: ResolvedTopology): string =>
  createHash('sha256')
    .update(JSON.stringify([parallel, machines, placement]))
    .digest('hex')
    .slice(0, 16);

/**
 * The journal of a run as its lead keeps it: to what the trainer has decided it adds what the trainer does not know.
 *
 * It is opened in the background, so that workers start meanwhile; the first decision waits for it. Each opening is a new epoch.
 */
export class DecisionJournal {
  readonly #topology: ResolvedTopology;
  readonly #opening: Promise<Journal>;
  readonly #lives: Record<string, number> = {};
  #opened: Journal | null = null;
  #isOver = false;
  #checkpoint: { readonly step: number; readonly path: string } | null = null;

  /** @param failed - told when it cannot be opened; no decision is recorded then */
  constructor(
    topology: ResolvedTopology,
    place: { readonly storage: Storage; readonly folder: string },
    failed: (error: unknown) => void,
  ) {
    this.#topology = topology;
    this.#opening = this.#open(place);
    this.#opening.catch(failed);
  }

  /** JRN-1: resolved, the decision lasts. */
  async record(decided: DecidedStep): Promise<void> {
    const journal = await this.#opening;
    await journal.append({
      ...decided,
      epoch: (journal.newest?.epoch ?? 0) + 1,
      layout: layoutOf(this.#topology),
      membership: this.#topology.machines.map(({ host }) => host),
      lives: this.#lives,
      checkpoint: this.#checkpoint,
      applied: [],
    });
  }

  /** A later life of a node begins. */
  noteLife(node: NodeId, incarnation: number): void {
    this.#lives[node] = incarnation;
  }

  note(event: RunEvent): void {
    if (event.event === 'checkpoint') this.#checkpoint = { step: event.step, path: event.path };
  }

  /** One that is not open yet is closed as soon as it is; nobody waits for that. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.#opened?.close();
  }

  async #open({ storage, folder }: { readonly storage: Storage; readonly folder: string }): Promise<Journal> {
    const journal = await openJournal({ storage, path: journalPath(folder) });
    this.#opened = journal;
    // A run goes on from what an earlier one has saved.
    this.#checkpoint = journal.newest?.checkpoint ?? null;
    if (this.#isOver) await journal.close();
    return journal;
  }
}
