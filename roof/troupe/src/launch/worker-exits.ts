import { TroupeError, type NodeId } from '@troupe/core';
import type { ExitHandler } from '../run/processes.ts';

/** Ends of worker processes that nobody asked for; those that nobody hears of yet are kept. */
export class WorkerExits {
  readonly #kept: Parameters<ExitHandler>[] = [];
  #handler: ExitHandler | null = null;

  /** Sets who hears of them; those before it are told now. */
  onExit(handler: ExitHandler): void {
    this.#handler = handler;
    for (const exit of this.#kept.splice(0)) handler(...exit);
  }

  tell(...exit: Parameters<ExitHandler>): void {
    if (this.#handler === null) this.#kept.push(exit);
    else this.#handler(...exit);
  }
}

/** Why a run does not begin. */
export const endedEarly = (node: NodeId, reason: string): TroupeError =>
  new TroupeError('TROUPE_WORKER_LOST', `${node} ended (${reason}) before the run began`, {
    retryable: true,
  });
