import type { RunEvent } from '@troupe/telemetry';
import type { PartLoss } from 'troupe';
import { VERSION } from '../version.ts';
import { Job, type JobEnd } from './job.ts';
import type { OpenedCell } from './opened-sweep.ts';
import { readMetrics, smoothedLoss } from './read-metrics.ts';
import type { AnyRow, SweepRow } from './sweep-row.ts';

/** Seconds that a training has to finish its step and write a checkpoint when the sweep ends: less than the sweep's own. */
const GRACE_SECONDS = 20;
/** Times that a job is started again in one sweep after it was killed, or ended with an error that may pass. */
const RETRIES = 3;
/** Exit codes of errors that may pass: temporary, a lost worker, and signals. */
const mayPass = (exitCode: number | null): boolean =>
  exitCode === null || exitCode === 75 || exitCode === 76 || exitCode > 128;

/** A training of a sweep, which may take several processes. */
export class CellTraining {
  readonly #opened: OpenedCell;
  readonly #report: (event: RunEvent) => void;
  readonly #notice: (text: string) => void;
  #job: Job | null = null;
  #isStopped = false;

  /**
   * @param report - gets the events of the run
   * @param notice - gets sentences for people
   */
  constructor(opened: OpenedCell, report: (event: RunEvent) => void, notice: (text: string) => void) {
    this.#opened = opened;
    this.#report = report;
    this.#notice = notice;
  }

  /** Asks for a checkpoint and an end; {@link run} then gives null. */
  stop(): void {
    this.#isStopped = true;
    this.#job?.stop();
  }

  /** Ends it at once. */
  kill(): void {
    this.#isStopped = true;
    this.#job?.kill();
  }

  /** Trains, going on from what an earlier sweep left; null: it was stopped. */
  async run(): Promise<AnyRow | null> {
    const { folder, cell, hash } = this.#opened;
    await folder.untilFree();
    let isBegun = folder.state === 'begun';
    if (isBegun) {
      const row = this.#finished();
      if (row !== null) return this.#withParts(row);
    }
    for (let tries = 0; ; tries++) {
      if (this.#isStopped) return null;
      const goesOn: boolean = isBegun && folder.hasCheckpoint;
      if (!goesOn) folder.begin(cell.topology);
      isBegun = true;
      const end = await this.#train(goesOn);
      if (this.#isStopped) return null;
      const row = end.exitCode === 0 ? this.#finished() : null;
      if (row !== null) return this.#withParts(row);
      // A training that ended well and whose metrics lack its end: it was killed between its last checkpoint and their last lines.
      const isLost = end.exitCode === 0 && goesOn;
      if (isLost) isBegun = false;
      if (tries >= RETRIES || !(isLost || mayPass(end.exitCode))) {
        const failed = end.exitCode === 0 ? 'its last loss is not a number' : end.message;
        return { name: cell.name, hash, failed, exitCode: end.exitCode ?? 1 };
      }
      this.#notice(`${cell.name}: ${isLost ? 'its last losses are lost' : end.message}; it is started again`);
      await folder.untilFree();
    }
  }

  async #train(goesOn: boolean): Promise<JobEnd> {
    const { folder } = this.#opened;
    const args = goesOn ? ['resume', folder.run] : ['launch', folder.topologyFile, '--run-dir', folder.run];
    return this.#runJob([...args, '--grace', String(GRACE_SECONDS)], this.#report);
  }

  async #runJob(args: readonly string[], report: (event: RunEvent) => void): Promise<JobEnd> {
    this.#job = new Job(args, this.#opened.folder.logFile, report);
    try {
      return await this.#job.end;
    } finally {
      this.#job = null;
    }
  }

  /** The row with its held-out loss by task and language, where there are several; null: it was stopped. */
  async #withParts(row: SweepRow): Promise<SweepRow | null> {
    const { cell, corpus, folder } = this.#opened;
    if (!corpus.hasHeldOut || cell.topology.data.source.kind !== 'parallel') return row;
    let heldOutParts: readonly PartLoss[] = [];
    const end = await this.#runJob(['eval', folder.run], (event) => {
      heldOutParts = (event as { readonly parts?: readonly PartLoss[] }).parts ?? heldOutParts;
    });
    if (this.#isStopped) return null;
    if (end.exitCode === 0) return { ...row, heldOutParts };
    this.#notice(`${cell.name}: its loss by task and language is unknown: ${end.message}`);
    return row;
  }

  /** The row, from the metrics of the run; null while they lack its end. */
  #finished(): SweepRow | null {
    const { cell, hash, sizes, corpus, folder } = this.#opened;
    const { model, train } = cell.topology;
    const metrics = readMetrics(folder.metrics);
    const { loss, lossSteps } = smoothedLoss(metrics, train.steps);
    const isEvaluated = metrics.evaluation?.step === train.steps;
    if (loss === null || (corpus.hasHeldOut && !isEvaluated)) return null;
    const steps = [...metrics.steps.values()];
    const seconds = steps.reduce((sum, { tokens, tokensPerSecond }) => sum + tokens / tokensPerSecond, 0);
    const tokens = steps.reduce((sum, step) => sum + step.tokens, 0);
    return {
      name: cell.name,
      hash,
      paramsActive: sizes.paramsActive,
      paramsTotal: sizes.paramsTotal,
      tokens: sizes.tokens,
      granularity: cell.granularity,
      expansion: cell.expansion,
      experts: model.moe?.experts ?? 0,
      router: model.moe?.router.kind ?? null,
      dModel: model.dModel,
      layers: model.layers,
      seed: train.seed,
      flops: sizes.flops,
      loss,
      lossSteps,
      heldOutLoss: isEvaluated ? (metrics.evaluation?.loss ?? null) : null,
      tokensPerSecond: tokens / seconds,
      seconds,
      steps: train.steps,
      corpusTokens: corpus.tokens,
      epochs: corpus.epochs,
      troupe: VERSION,
    };
  }
}
