import {
  addresses,
  mountAgent,
  mountLead,
  mountStoreBesideLead,
  type AwayMachine,
  type Job,
  type LeadRestarts,
  type RunFailure,
  type RunOutcome,
} from '@troupe/actors';
import type { CheckpointReader, Hasher } from '@troupe/checkpoint';
import { assert, callBack, TroupeError, type FolderLock, type NodeId, type Storage } from '@troupe/core';
import { parameterCounts, trainingFlopsPerToken } from '@troupe/spec';
import type { RunEvent, StartEvent, StepEvent } from '@troupe/telemetry';
import { agentNodeOf, leadNode, type ResolvedTopology, type WorkerRank } from '@troupe/topology';
import { lossLimit, machineWaitMs } from '../job.ts';
import { RunEndedError } from '../errors.ts';
import { lostForGood } from '../relayout/loss-error.ts';
import { exitCodes, failureResult, resultOf, type RunResult } from '../run-result.ts';
import { DecisionJournal } from './decision-journal.ts';
import type { Processes, Whereabouts } from './processes.ts';
import { ReportedSteps } from './reported-steps.ts';
import type { RunMetrics } from './run-metrics.ts';
import { RunView, type RunLook } from './run-view.ts';

/** Why a run is stopped from outside; each has an exit code. */
export type StopReason = 'interrupted' | 'terminated' | 'hungUp' | 'quit' | 'outOfTime';

/** What a run stands on, and who hears of it. */
export interface RunPorts {
  readonly processes: Processes;
  /** Of the folder of its checkpoints; null: somebody else holds it for this run, or nobody has to. */
  readonly lock: FolderLock | null;
  readonly metrics: RunMetrics | null;
  /** Gets every event, at once. It is the embedding program's: what it throws ends the run. */
  readonly report: (event: RunEvent) => unknown;
  /** How messages call `report`: `the option sink`. */
  readonly reportName: string;
  /** The error that ends a run whose actors report this failure. */
  readonly errorOf: (failure: RunFailure) => TroupeError;
  /** How closely workers are watched. */
  readonly watch: { readonly heartbeatMs: number; readonly silenceMs: number };
  /** Where a run is that has committed `step`, in words. */
  readonly position: (step: number) => string;
  /** The first step opens. */
  readonly opened?: () => void;
  /** What was reported of earlier layouts of this run: nothing of it is reported again. Absent: this is the first one. */
  readonly reported?: ReportedSteps;
  /** Machines are away, of which one was waited for long enough: this decides what follows. Absent: the run ends. */
  readonly overdue?: (away: readonly (AwayMachine & Whereabouts)[]) => void;
  /** Of a run that generates: questions may be put. */
  readonly ready?: () => void;
}

/** What a run does: known when its data are. */
export interface RunWork {
  readonly job: Job;
  /** f32 peak of the used cores together, FLOP/s; null when not measured. */
  readonly peakFlops: number | null;
  readonly store: {
    /** null: nothing is written. */
    readonly storage: Storage | null;
    /** The same as the present life of the lead sees it. Default: `storage`. */
    readonly ofLead?: () => Storage;
    readonly folder: string;
    readonly keep: number;
    /** What a checkpoint carries as `tokenizer.json`. */
    readonly tokenizer: Uint8Array | null;
    readonly corpusSha256: string | null;
    readonly hasher?: Hasher;
    readonly resumeFrom: CheckpointReader | null;
  };
}

/** The first event of a run. */
export function startEvent(
  { model }: Pick<ResolvedTopology, 'model'>,
  device: Pick<StartEvent, 'device' | 'reason' | 'processes'>,
): StartEvent {
  const { total, active } = parameterCounts(model);
  return { event: 'start', ...device, paramsTotal: total, paramsActive: active };
}

/** The worker or host whose node it is; undefined: it is an agent's or the lead's. */
const workerAt = (layout: Job['layout'], node: string): WorkerRank | undefined =>
  [...layout.nodes()].find((each) => layout.nodeOf(each) === node);

/**
 * One run of a topology, on whatever its processes are.
 *
 * It begins agents and workers and restarts the lost ones, mounts trainer, supervisor and store, hands on what they report, and ends
 * everything in order when there is a result.
 *
 * ONE-1: there is one result, the first; what comes after it changes nothing.
 * TKO-6: where a lead can be replaced, nothing that a replaced one does reaches the run, and every line is reported once.
 * ONE-2: when `result` settles no process of the run is left, its files are written and its lock is given back.
 */
export class Run {
  /** Never rejects. */
  readonly result: Promise<RunResult>;
  readonly #topology: ResolvedTopology;
  readonly #ports: RunPorts;
  #work: RunWork | null = null;
  /** Where decisions last; null: nothing of this run is written. */
  #journal: DecisionJournal | null = null;
  /** What people are shown; null before it starts. */
  #view: RunView | null = null;
  /** Life of the lead that is heard. */
  #leadLife = 1;
  readonly #reported: ReportedSteps;
  #last: StepEvent | null = null;
  #isStopping = false;
  #restartsLead = false;
  #reason: StopReason = 'interrupted';
  #isOver = false;
  #answer: (logits_NV: Float32Array) => void = () => {};
  #finish: (result: RunResult) => void = () => {};

  constructor(topology: ResolvedTopology, ports: RunPorts) {
    this.#topology = topology;
    this.#ports = ports;
    this.#reported = ports.reported ?? new ReportedSteps();
    this.result = new Promise<RunResult>((resolve) => (this.#finish = resolve)).then(async (result) => {
      const { processes, metrics, lock } = ports;
      await processes.end();
      if (metrics !== null) await metrics.close();
      if (this.#journal !== null) await this.#journal.close();
      if (lock !== null) await lock.release();
      return result;
    });
  }

  /** Begins the agents and the workers, and mounts the lead. Its processes are open. */
  start(work: RunWork): void {
    assert(this.#work === null, 'a run starts once');
    // A callback of the program threw while the data were read.
    if (this.#isOver) return;
    this.#work = work;
    const { processes, metrics } = this.#ports;
    metrics?.onProblem((message) => this.report({ event: 'warning', message }));
    const { layout } = work.job;
    processes.onExit((node, incarnation, reason) => {
      const worker = workerAt(layout, node);
      if (node === leadNode && !this.#isOver)
        processes.agentOf(0).tell(addresses.agent(0), 'lead.lost', { body: { incarnation, reason } });
      if (this.#isOver || worker === undefined) return;
      const parent = processes.agentOf(layout.machineOf(worker));
      parent.tell(addresses.supervisor, 'worker.lost', { body: { node, incarnation, reason } });
    });
    this.#view = new RunView(work.job);
    const { beginLead } = processes;
    if (this.#keepsJournal(work) && beginLead !== undefined) this.#restartsLead = true;
    for (const node of layout.nodes()) processes.begin(node, 1);
    for (let machine = 0; machine < layout.machines.count; machine++) this.#beginAgent(work, machine, 1);
    this.#mountLead(work, 1);
    processes.lead.listen();
  }

  /** Finishes the open step, writes a checkpoint where these are on, and ends with the exit code of the reason. */
  stop(reason: StopReason = 'interrupted'): void {
    this.#reason = reason;
    this.#isStopping = true;
    if (this.#work === null) this.#end(this.#stopped());
    else this.#ports.processes.lead.tell(addresses.trainer, 'run.stop');
  }

  /**
   * Asks a run that generates for the logits behind the last token of each context, [N, V]; one question at a time, once it is ready.
   *
   * @throws {RunEndedError} TROUPE_RUN_ENDED when the run ends before it has answered
   */
  async logits(
    contexts: readonly (readonly number[])[],
    sources: readonly (readonly number[])[] = [],
  ): Promise<Float32Array> {
    const answer = new Promise<Float32Array>((resolve) => (this.#answer = resolve));
    this.#ports.processes.lead.tell(addresses.trainer, 'prompt.put', {
      tensors: {
        ids_T: Int32Array.from(contexts.flat()),
        lengths_N: Int32Array.from(contexts, ({ length }) => length),
        ...(sources.length === 0
          ? {}
          : {
              sourceIds_S: Int32Array.from(sources.flat()),
              sourceLengths_N: Int32Array.from(sources, ({ length }) => length),
            }),
      },
    });
    const ended = this.result.then(({ error }) => {
      throw error ?? new RunEndedError('it was stopped');
    });
    return Promise.race([answer, ended]);
  }

  /** Ends now, without a checkpoint. */
  async abort(): Promise<void> {
    this.#end(this.#stopped());
    await this.result;
  }

  /** Ends now, with an error. */
  fail(error: TroupeError): void {
    this.#end(failureResult(error, this.#step, this.#last?.loss ?? null));
  }

  /** What it does now; null before it starts. @param nowMs - by the clock of the lead's node */
  look(nowMs: number): RunLook | null {
    return this.#view?.look(nowMs, this.#ports.processes.lead.waits()) ?? null;
  }

  report(event: RunEvent): void {
    if (event.event === 'step') this.#last = event;
    this.#reported.note(event);
    const { metrics, report, reportName } = this.#ports;
    this.#journal?.note(event);
    metrics?.write(event);
    callBack(
      reportName,
      () => report(event),
      (error) => this.fail(error),
    );
  }

  /** A lost lead begins another life; else its end is the run's. */
  get restartsLead(): boolean {
    return this.#restartsLead;
  }

  /** The last committed step, of this run or of the checkpoint that it goes on from. */
  get #step(): number {
    return this.#last?.step ?? this.#work?.job.first.step ?? 0;
  }

  /** How a run ends that was asked to. */
  #stopped(): RunResult {
    const { step = 0, loss = null } = this.#last ?? {};
    return { exitCode: exitCodes[this.#reason], step, loss, error: null };
  }

  #end(result: RunResult): void {
    this.#isOver = true;
    // A promise keeps what it is told first.
    this.#finish(result);
  }

  #beginAgent(work: RunWork, machine: number, incarnation: number): void {
    const { job } = work;
    const { processes } = this.#ports;
    const hasStore = machine === 0 && !processes.storeIsBesideLead;
    processes.beginAgent(machine, incarnation, (system) => {
      mountAgent(system, job, {
        machine,
        life: incarnation,
        ...(hasStore ? { store: this.#sinkOf(work) } : {}),
        ...(machine === 0 && this.#restartsLead ? { lead: this.#leadPort(work) } : {}),
      });
      const body = { node: agentNodeOf(machine), incarnation };
      if (incarnation > 1) system.tell(addresses.supervisor, 'worker.joined', { body });
    });
  }

  /** Without a storage nothing is asked of it. */
  #sinkOf({
    store: { storage, ofLead: _ofLead, ...store },
  }: RunWork): Parameters<typeof mountStoreBesideLead>[2] {
    return { ...store, storage: storage as Storage, topology: this.#topology.portable };
  }

  /** How the first machine's agent begins the next life of the lead. */
  #leadPort(work: RunWork): LeadRestarts {
    const { processes, watch } = this.#ports;
    return {
      limit: lossLimit(this.#topology),
      silenceMs: 2 * watch.silenceMs,
      joinMs: work.job.deadlines.joinMs,
      restart: (life) => processes.beginLead?.(life, () => this.#mountLead(work, life)),
      failed: (message) => this.fail(new TroupeError('TROUPE_LEAD_LOST', message, { retryable: true })),
    };
  }

  #mountLead(work: RunWork, life: number): void {
    const { job, peakFlops } = work;
    const { processes, errorOf, watch, position, opened, ready } = this.#ports;
    const waitMs = machineWaitMs(this.#topology);
    void this.#journal?.close();
    const journal = this.#openJournal(work, life);
    this.#journal = journal;
    this.#leadLife = life;
    const isFirst = life === 1 && this.#ports.reported === undefined;
    const isOld = isFirst ? (): boolean => false : this.#reported.asOfNow();
    const present = <A extends readonly unknown[]>(act: (...given: A) => void) => {
      return (...given: A): void => {
        if (this.#leadLife === life) act(...given);
      };
    };
    if (processes.storeIsBesideLead && life === 1)
      mountStoreBesideLead(processes.lead, job, this.#sinkOf(work));
    mountLead(processes.lead, job, {
      trainer: {
        report: present((event: RunEvent) => {
          if (isOld(event)) this.#repeated(event);
          else this.report(event);
        }),
        ...(journal === null ? {} : { record: (decided) => journal.record(decided) }),
        ...(journal === null || life === 1
          ? {}
          : { takesOver: { epoch: life, claim: () => journal.takeOver() } }),
        ...(opened === undefined ? {} : { opened }),
        ...(ready === undefined ? {} : { ready }),
        chosen: (choices) => this.#view?.chosen(choices),
        answered: (logits_NV) => this.#answer(logits_NV),
        finished: present((outcome: RunOutcome) => {
          const result = resultOf(outcome);
          const isStopped = result.exitCode === exitCodes.interrupted;
          this.#end(isStopped ? { ...result, exitCode: exitCodes[this.#reason] } : result);
        }),
        peakFlops,
        flopsPerToken: trainingFlopsPerToken(job.model),
      },
      supervisor: {
        described: (lines) => this.#view?.described(lines, performance.now()),
        failed: present((failure: RunFailure) => this.fail(errorOf(failure))),
        ...watch,
        position: () => position(this.#step),
        limit: lossLimit(this.#topology),
        restartsAgents: processes.restartsAgents,
        restartsFirstAgent: processes.storeIsBesideLead,
        ...(waitMs === null ? {} : { waitMs }),
        overdue: present((away: readonly AwayMachine[]) => this.#overdue(away)),
        restart: present((node: NodeId, incarnation: number) => this.#restart(work, node, incarnation)),
      },
    });
    if (life > 1 && this.#isStopping) processes.lead.tell(addresses.trainer, 'run.stop');
  }

  /** A step that was committed before is computed again: its numbers are the same, or somebody has to know. */
  #repeated(event: RunEvent): void {
    const message = this.#reported.difference(event);
    if (message !== null && event.event === 'step')
      this.report({ event: 'fault', message, details: { step: event.step } });
  }

  /** A machine was waited for long enough. */
  #overdue(away: readonly AwayMachine[]): void {
    const { processes, overdue } = this.#ports;
    const unknown: Whereabouts = { hasEnded: false, reason: null };
    const known = away.map((each) => ({ ...each, ...(processes.whereabouts?.(each.machine) ?? unknown) }));
    if (overdue !== undefined) {
      overdue(known);
      return;
    }
    const lost = known.filter(({ isOverdue }) => isOverdue);
    const end = { reason: 'waited', text: 'recovery.machines is wait' } as const;
    this.fail(lostForGood(this.#topology, lost, end));
  }

  /** A run that makes steps and writes checkpoints. */
  #keepsJournal({ job, store: { storage } }: RunWork): boolean {
    return storage !== null && job.stopAfter > job.first.step;
  }

  #openJournal(work: RunWork, life: number): DecisionJournal | null {
    const { storage, ofLead, folder } = work.store;
    if (storage === null || !this.#keepsJournal(work)) return null;
    const place = {
      storage: ofLead?.() ?? storage,
      folder,
      ...(this.#restartsLead ? { epoch: life } : {}),
    };
    return new DecisionJournal(this.#topology, place, (error) => {
      if (this.#leadLife !== life) return;
      this.fail(
        error instanceof TroupeError
          ? error
          : new TroupeError('TROUPE_UNKNOWN', String(error), { cause: error }),
      );
    });
  }

  #restart(work: RunWork, node: NodeId, incarnation: number): void {
    const { layout } = work.job;
    this.#journal?.noteLife(node, incarnation);
    this.#view?.restarted(node, incarnation);
    const worker = workerAt(layout, node);
    if (worker !== undefined) {
      this.#ports.processes.begin(worker, incarnation);
      return;
    }
    const machines = Array.from({ length: layout.machines.count }, (_, machine) => machine);
    const machine = machines.find((each) => agentNodeOf(each) === node);
    assert(machine !== undefined, 'a worker or an agent of this run was lost', { node });
    this.#beginAgent(work, machine, incarnation);
  }
}
