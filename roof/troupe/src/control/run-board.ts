import { hostname } from 'node:os';
import type { RunEvent, StepEvent } from '@troupe/telemetry';
import type { RunLook } from '../run/run-view.ts';
import type { RelayoutRecord } from '../relayout/relayout.ts';
import type { RunStatus } from './run-status.ts';

/** Steps by which the time left is told. */
const PACE_STEPS = 20;

export interface BoardOptions {
  readonly name: string;
  /** Step that the run starts after, and the one it ends with. */
  readonly first: number;
  readonly last: number;
  /** It was asked to end. */
  readonly isStopping: () => boolean;
  /** Monotonic. */
  readonly nowMs: () => number;
}

/** Relayouts that a look tells. */
const RELAYOUTS_TOLD = 16;

/** What a run says when it is asked. */
export interface BoardLooks {
  readonly look: () => RunLook | null;
  readonly layout: () => string;
  readonly relayouts: () => readonly RelayoutRecord[];
}

const finite = (value: number | null | undefined): number | null =>
  value === null || value === undefined || !Number.isFinite(value) ? null : value;

/** What a run has told of itself, for whoever asks how it is. */
export class RunBoard {
  readonly #options: BoardOptions;
  readonly #since = new Date().toISOString();
  readonly #startedMs: number;
  readonly #paces: number[] = [];
  #isStarting = true;
  #last: StepEvent | null = null;
  #lastMs: number;
  #evalLoss: number | null = null;
  #task: string | null = null;
  #checkpoint: { readonly step: number; readonly path: string; readonly atMs: number } | null = null;
  #losses = 0;
  #recoveries = 0;
  #lastFault: string | null = null;
  #looks: BoardLooks | null = null;

  constructor(options: BoardOptions) {
    this.#options = options;
    this.#startedMs = this.#lastMs = options.nowMs();
  }

  /** The run that it shows, once there is one. */
  attach(looks: BoardLooks): void {
    this.#looks = looks;
  }

  hear(event: RunEvent): void {
    const nowMs = this.#options.nowMs();
    if (event.event === 'progress') this.#task = event.task;
    else if (event.event === 'start' || event.event === 'step') {
      this.#task = null;
      this.#isStarting = false;
    }
    if (event.event === 'step') this.#step(event, nowMs);
    else if (event.event === 'eval') this.#evalLoss = event.loss;
    else if (event.event === 'checkpoint')
      this.#checkpoint = { step: event.step, path: event.path, atMs: nowMs };
    else if (event.event === 'recovered') this.#recoveries++;
    else if (event.event === 'fault') {
      if ('worker' in event.details) this.#losses++;
      this.#lastFault = event.message;
    }
  }

  status(): RunStatus {
    const { name, first, last: of, nowMs, isStopping } = this.#options;
    const now = nowMs();
    const last = this.#last;
    const step = last?.step ?? first;
    const pace = this.#paces.reduce((sum, each) => sum + each, 0) / this.#paces.length;
    const look = this.#looks?.look() ?? null;
    return {
      state: isStopping() ? 'stopping' : this.#isStarting ? 'starting' : 'running',
      name,
      pid: process.pid,
      host: hostname(),
      since: this.#since,
      seconds: (now - this.#startedMs) / 1000,
      step,
      of,
      loss: finite(last?.loss),
      evalLoss: finite(this.#evalLoss),
      tokensPerSecond: last?.tokensPerSecond ?? null,
      stepSeconds: last === null ? null : last.tokens / last.tokensPerSecond,
      kernelShare: last?.kernelShare ?? null,
      dropRate: last?.dropRate ?? null,
      secondsLeft: this.#paces.length === 0 ? null : pace * (of - step),
      task: this.#task,
      openSeconds: (now - this.#lastMs) / 1000,
      checkpoint:
        this.#checkpoint === null
          ? null
          : {
              step: this.#checkpoint.step,
              path: this.#checkpoint.path,
              secondsAgo: (now - this.#checkpoint.atMs) / 1000,
            },
      losses: this.#losses,
      recoveries: this.#recoveries,
      lastFault: this.#lastFault,
      nodes: look?.nodes ?? [],
      waits: look?.waits ?? [],
      copies: look?.copies ?? { shards: 0, doubled: 0 },
      experts: look?.experts ?? { steps: 0, layers: [] },
      layout: this.#looks?.layout() ?? null,
      relayouts: this.#looks?.relayouts().slice(-RELAYOUTS_TOLD) ?? [],
    };
  }

  #step(event: StepEvent, nowMs: number): void {
    // From one commit to the next: evaluations and checkpoints count, as they will.
    if (this.#last !== null) this.#paces.push((nowMs - this.#lastMs) / 1000);
    if (this.#paces.length > PACE_STEPS) this.#paces.shift();
    this.#last = event;
    this.#lastMs = nowMs;
  }
}
