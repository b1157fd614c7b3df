import type { Address } from '@troupe/core';
import { addresses } from '@troupe/topology/layout';
import { holdersOf, type Crew, type Member } from '../crew.ts';
import type { Job } from '../job.ts';
import { layersOfCrew, peerRows, shares, type Share } from '../share.ts';
import { StepLedger } from '../step-ledger.ts';
import type { Counted } from '../token-tensors.ts';
import type { AgentSelf } from './events.ts';

const addressesOf = (members: readonly Member[]): readonly Address[] => members.map(({ address }) => address);

/** What the effects of an agent keep from turn to turn: nobody else sees it. */
export class AgentState {
  readonly job: Job;
  readonly crew: Crew;
  readonly stages: readonly Address[];
  readonly shards: readonly Address[];
  /** Shards and the copies of shards. */
  readonly holders: readonly Address[];
  /** Of tensor peers with a stage here. */
  readonly peerRows: readonly string[];
  /** Sums of the present attempt at the open step, over the layers of the machine. */
  ledger: StepLedger;
  /** Time in kernels, milliseconds, that nobody has been told of: of stages, and of workers without one. */
  kernelMs = 0;
  /** What feeders have counted, by step. */
  readonly counts = new Map<number, Map<Address, Counted>>();
  /** Which life of the agent it is. */
  readonly life: number;
  /** Nodes that have joined, and have not been told which attempt all are in. */
  readonly joined = new Set<string>();
  /** Where experts sit, as the newest attempt has it. */
  seated: { readonly groups_LE?: Int32Array } = {};
  readonly #shares: ReadonlyMap<Address, Share>;
  readonly #numLayers: number;
  readonly #self: AgentSelf;

  constructor(self: AgentSelf, job: Job, crew: Crew, life: number) {
    const { layout } = job;
    this.#self = self;
    this.life = life;
    this.job = job;
    this.crew = crew;
    this.stages = addressesOf(crew.stages);
    this.shards = addressesOf(crew.shards);
    this.holders = addressesOf(holdersOf(crew));
    const layers = layersOfCrew(layout, crew);
    const shareOf = shares(layout, layers);
    this.#numLayers = layers.length;
    this.#shares = new Map(crew.stages.map(({ address, worker }) => [address, shareOf(worker)]));
    this.peerRows = peerRows(layout, crew);
    this.ledger = this.newLedger();
  }

  get trainer(): Address {
    return addresses.trainer;
  }

  newLedger(): StepLedger {
    return new StepLedger({ layers: this.#numLayers, experts: this.job.model.moe?.experts ?? 0 });
  }

  /** What a stage's measure adds to the sums of the machine. */
  shareOf(stage: Address): Share | undefined {
    return this.#shares.get(stage);
  }

  takeKernelMs(): number {
    const ms = this.kernelMs;
    this.kernelMs = 0;
    return ms;
  }

  /** AGT-4: the wait for actors of the machine. */
  waitFor(
    name: 'load' | 'step' | 'move' | 'evaluation' | 'generation' | 'recovery',
    wait: {
      readonly awaited: readonly Address[];
      readonly reason: string;
      readonly step: number;
      readonly deadlineMs: number;
    },
  ): void {
    this.#self.wait({ name, ...wait });
  }
}
