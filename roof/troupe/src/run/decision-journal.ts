import { createHash } from 'node:crypto';
import type { NodeId, Storage } from '@troupe/core';
import {
  claimEpoch,
  jsonOf,
  LeadReplacedError,
  newestEpoch,
  openJournal,
  type DecidedStep,
  type Journal,
  type JournalRecord,
} from '@troupe/journal';
import type { RunEvent } from '@troupe/telemetry';
import { leadNode, type ResolvedTopology } from '@troupe/topology';

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

/** Where a journal is kept, and by whom. */
interface JournalPlace {
  readonly storage: Storage;
  readonly folder: string;
  /** The life of the lead, which is the epoch that it claims in that folder; absent: the folder is held by a lock, and nobody takes over. */
  readonly epoch?: number;
}

/**
 * The journal of a run as its lead keeps it: to what the trainer has decided it adds what the trainer does not know.
 *
 * It is opened in the background, so that workers start meanwhile; the first decision waits for it. Each opening is a new epoch.
 *
 * TKO-1: where leads take over from each other, an epoch is claimed first, and before each record it is looked whether it is still the newest.
 */
export class DecisionJournal {
  readonly #topology: ResolvedTopology;
  readonly #place: JournalPlace;
  readonly #opening: Promise<Journal>;
  readonly #lives: Record<string, number> = {};
  #opened: Journal | null = null;
  #isOver = false;
  #checkpoint: { readonly step: number; readonly path: string } | null = null;

  /** @param failed - told when it cannot be opened; no decision is recorded then */
  constructor(topology: ResolvedTopology, place: JournalPlace, failed: (error: unknown) => void) {
    this.#topology = topology;
    this.#place = place;
    this.#opening = this.#open();
    this.#opening.catch(failed);
  }

  /**
   * JRN-1: resolved, the decision lasts.
   *
   * @returns its record as text, which travels with it
   * @throws {LeadReplacedError} TROUPE_LEAD_REPLACED
   */
  async record(decided: DecidedStep): Promise<string> {
    const journal = await this.#opening;
    await this.#mustLead();
    const record: JournalRecord = {
      ...decided,
      epoch: this.#place.epoch ?? (journal.newest?.epoch ?? 0) + 1,
      layout: layoutOf(this.#topology),
      membership: this.#topology.machines.map(({ host }) => host),
      lives: this.#lives,
      checkpoint: this.#checkpoint,
      applied: [],
    };
    await journal.append(record);
    return jsonOf(record);
  }

  /** What earlier leads have recorded, as texts, the newest last; the epoch is claimed. */
  async takeOver(): Promise<readonly string[]> {
    const journal = await this.#opening;
    return journal.earlier.map(jsonOf);
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

  async #open(): Promise<Journal> {
    const { storage, folder, epoch } = this.#place;
    if (epoch !== undefined) await this.#claim(epoch);
    const journal = await openJournal({ storage, path: journalPath(folder), cutsOff: (epoch ?? 1) > 1 });
    this.#opened = journal;
    // A run goes on from what an earlier one has saved.
    this.#checkpoint = journal.newest?.checkpoint ?? null;
    Object.assign(this.#lives, journal.newest?.lives);
    if (this.#isOver) await journal.close();
    return journal;
  }

  async #claim(epoch: number): Promise<void> {
    const incarnation = `${leadNode}#${epoch}`;
    if (!(await claimEpoch(this.#place, { epoch, incarnation })))
      throw new LeadReplacedError(epoch, await newestEpoch(this.#place));
  }

  async #mustLead(): Promise<void> {
    const { epoch } = this.#place;
    if (epoch === undefined) return;
    const newest = await newestEpoch(this.#place);
    if (newest > epoch) throw new LeadReplacedError(epoch, newest);
  }
}
