import type { TroupeError } from '@troupe/core';
import { checkDataSource, packedCorpusPath } from '@troupe/data';
import type { ResolvedTopology } from '@troupe/topology';
import { cacheFolder, dataConfig } from '../data.ts';
import { packedId, type RunDataChoice } from '../run-data.ts';
import { FetchedCorpus } from './fetched-corpus.ts';
import type { CorpusPiece } from './offered-corpus.ts';

export interface MachineDataOptions {
  readonly topology: ResolvedTopology;
  readonly agent: string;
  readonly ask: (from: number) => void;
  readonly failed: (error: TroupeError) => void;
}

/** The data of a run on this machine: its files, or the token ids that the lead packs for it. */
export class MachineData {
  readonly #options: MachineDataOptions;
  #fetched: FetchedCorpus | null = null;

  constructor(options: MachineDataOptions) {
    this.#options = options;
  }

  /** @param given - gets what the workers of this machine read, once they can */
  async find(choice: RunDataChoice, given: (choice: RunDataChoice) => void): Promise<void> {
    const { topology } = this.#options;
    const { ship } = topology.data;
    const reads = choice.corpusSha256 === null || ship === false;
    if (reads || (ship === 'auto' && (await hasFiles(topology)))) {
      given(choice);
      return;
    }
    this.#fetched = new FetchedCorpus({
      ...this.#options,
      path: packedCorpusPath(cacheFolder(), packedId(topology, choice)),
      done: () => given({ ...choice, isPacked: true }),
    });
    this.#fetched.start();
  }

  take(piece: CorpusPiece): void {
    this.#fetched?.take(piece);
  }
}

/** Whether what the topology names lies here; what is in it is compared by whoever reads it. */
async function hasFiles(topology: ResolvedTopology): Promise<boolean> {
  const { tokenizer: _, ...config } = dataConfig(topology);
  return checkDataSource(config).then(
    () => true,
    () => false,
  );
}
