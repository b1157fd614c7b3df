import { openCheckpoint, type CheckpointReader } from '@troupe/checkpoint';
import type { RunEvent } from '@troupe/telemetry';
import type { FirstState } from '../first-state.ts';
import type { LaunchOptions } from './launch-options.ts';

/** What a run goes on from when its layout changes: its newest checkpoint, and before there is one what it began with. */
export class HeldState {
  readonly #options: LaunchOptions;
  /** Path of the newest checkpoint of this run; null: none was written. */
  #path: string | null = null;
  #reader: CheckpointReader | null = null;

  constructor(options: LaunchOptions) {
    this.#options = options;
  }

  /** There is a checkpoint to go on from. */
  get isSaved(): boolean {
    return this.#path !== null || this.#options.resumeFrom !== undefined;
  }

  note(event: RunEvent): void {
    if (event.event === 'checkpoint') this.#path = event.path;
  }

  /**
   * Reads all of it: what took part in the layout before is gone, and this is what there is.
   *
   * @throws {TroupeError} TROUPE_CHECKPOINT_DAMAGED, or what the storage says
   */
  async open(): Promise<FirstState> {
    const { checkpoints, resumeFrom, weightsFrom } = this.#options;
    await this.close();
    if (this.#path !== null && checkpoints !== null) {
      this.#reader = await openCheckpoint(checkpoints.storage, this.#path, { verify: 'full' });
      return { resumeFrom: this.#reader };
    }
    if (resumeFrom !== undefined) return { resumeFrom };
    return weightsFrom === undefined ? {} : { weightsFrom };
  }

  async close(): Promise<void> {
    await this.#reader?.close();
    this.#reader = null;
  }
}
