import type { Job, ProgramSystem, RunFailure } from '@troupe/actors';
import {
  assert,
  calledBack,
  OptionError,
  silentLogger,
  type FolderLock,
  type Storage,
  type TroupeError,
} from '@troupe/core';
import type { RunEvent } from '@troupe/telemetry';
import type { ResolvedTopology } from '@troupe/topology';
import type { ClusterOptions } from '../cluster-options.ts';
import { checkpointMustFit, firstOf } from '../first-state.ts';
import { guardedLogger } from '../guarded-logger.ts';
import { evaluationSequences, jobOf } from '../job.ts';
import { mustFit } from '../machine-memory.ts';
import { OwnTokens } from '../own-tokens.ts';
import { openRunData, type RunData } from '../run-data.ts';
import { failureOf } from '../run-result.ts';
import { openDevices } from './hosted-devices.ts';
import { HostedProcesses } from './hosted-processes.ts';
import type { Lives } from './lives.ts';
import { openRunMetrics } from './run-metrics.ts';
import type { ReportedSteps } from './reported-steps.ts';
import { Run, startEvent, type RunPorts, type RunWork } from './run.ts';

/** A run whose workers share this process, ready to start. */
export interface HostedRun {
  readonly run: Run;
  readonly processes: HostedProcesses;
  /** Reports the start, mounts everything, and lets it go. */
  start(): void;
}

export interface HostedRunOptions extends Omit<ClusterOptions, 'sink' | 'checkpoints' | 'onMounted'> {
  readonly report: (event: RunEvent) => unknown;
  readonly lock?: FolderLock | null;
  readonly checkpoints?: Omit<NonNullable<ClusterOptions['checkpoints']>, 'storage'>;
  /** Of the agent's machine. Asked for once the agent runs. */
  readonly storage?: () => Storage | null;
  /** The same as a life of the lead sees it; absent: all lives of all nodes of a machine share one. */
  readonly leadStorage?: () => Storage;
  /** @see {@link RunPorts.overdue} */
  readonly overdue?: NonNullable<RunPorts['overdue']>;
  /** Of a later layout of a run: what those before it have reported, its start among it. */
  readonly reported?: ReportedSteps;
  /** Sees the system of every life. */
  readonly begun?: (system: ProgramSystem) => void;
}

/** A look every minute, lost after ten: in one process nobody dies alone. */
const rarely = { heartbeatMs: 60_000, silenceMs: 600_000 };

/** What a run in this process reads, and the job that follows. */
interface Prepared {
  readonly job: Job;
  readonly tokens: NonNullable<ClusterOptions['tokens']>;
  /** null with own tokens. */
  readonly data: RunData | null;
  /** What is odd about the data. */
  readonly warnings: readonly string[];
}

async function prepare(
  topology: ResolvedTopology,
  options: HostedRunOptions,
  { use }: Lives,
): Promise<Prepared> {
  const first = firstOf(options, topology);
  if (options.stopAfter !== undefined && options.stopAfter < first.step)
    throw new OptionError('startCluster', [
      `stopAfter is ${options.stopAfter}, and the checkpoint to go on from holds step ${first.step}`,
    ]);
  // Own devices hold what they hold.
  if (options.openDevice === undefined) mustFit(topology, 'embed');
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const data = options.tokens === undefined ? await openRunData(topology, { ...options, warn }) : null;
  const tokens = data?.source.batches ?? options.tokens;
  assert(tokens, "tokens are a program's own or come from the data");
  const choices = {
    stopAfter: Math.min(options.stopAfter ?? topology.train.steps, topology.train.steps),
    first,
    evaluationSequences:
      'validTargets' in tokens ? evaluationSequences(topology, tokens as never) : tokens.numEvalSequences,
    checkpoints: options.checkpoints !== undefined,
  };
  const rules = {
    ...(options.gate === undefined ? {} : { gate: options.gate }),
    ...(options.expert === undefined ? {} : { expert: options.expert }),
  };
  const job = jobOf(topology, choices, rules, use);
  checkpointMustFit(job, options);
  return { job, tokens, data, warnings };
}

/** What a checkpoint carries as `tokenizer.json`. */
function tokenizerFile(
  { checkpoints }: HostedRunOptions,
  data: Prepared['data'],
): RunWork['store']['tokenizer'] {
  if (checkpoints?.tokenizer !== undefined) return checkpoints.tokenizer;
  return data?.tokenizer == null ? null : new TextEncoder().encode(data.tokenizer);
}

function workOf(options: HostedRunOptions, { job, data }: Prepared): RunWork {
  const { checkpoints, resumeFrom, weightsFrom } = options;
  return {
    job,
    peakFlops: null,
    store: {
      storage: options.storage?.() ?? null,
      ...(options.leadStorage === undefined ? {} : { ofLead: options.leadStorage }),
      folder: checkpoints?.folder ?? '',
      keep: checkpoints?.keep ?? 1,
      tokenizer: tokenizerFile(options, data),
      corpusSha256: data?.corpusSha256 ?? null,
      ...(checkpoints?.hasher === undefined ? {} : { hasher: checkpoints.hasher }),
      resumeFrom: resumeFrom ?? weightsFrom ?? null,
    },
  };
}

/**
 * Opens data, devices and processes of a run over lives in this process.
 *
 * @throws {OptionError} TROUPE_OPTION when it would end before it begins
 * @throws {TroupeError} what is wrong with the topology, its data or its devices
 */
export async function openHostedRun(
  topology: ResolvedTopology,
  options: HostedRunOptions,
  lives: Lives,
): Promise<HostedRun> {
  const prepared = await prepare(topology, options, lives);
  const { job, tokens: source, warnings } = prepared;
  const tokens = 'validTargets' in source ? source : new OwnTokens(source, topology.model);
  const metrics = await openRunMetrics(topology, options.metrics);
  const devices = await openDevices(topology, options).catch(async (error: unknown) => {
    await metrics?.close();
    throw error;
  });
  const opened: { run?: Run } = {};
  const fail = (error: TroupeError): void => opened.run?.fail(error);
  const { observe, mailboxCapacity, begun } = options;
  const processes = new HostedProcesses({
    topology,
    job,
    lives,
    devices,
    tokens,
    logger: guardedLogger(options.logger ?? silentLogger, fail),
    unjudged: fail,
    ...(observe === undefined ? {} : { observe: calledBack('the option observe', observe, fail) }),
    ...(mailboxCapacity === undefined ? {} : { mailboxCapacity }),
    ...(begun === undefined ? {} : { begun }),
  });
  const run = new Run(topology, {
    processes,
    lock: options.lock ?? null,
    metrics,
    report: options.report,
    reportName: 'the option sink',
    errorOf: (failure) => errorOf(failure, processes, tokens, options.expert?.name ?? null),
    watch: options.watch ?? rarely,
    position: (step) => `after step ${step}`,
    ...(options.overdue === undefined ? {} : { overdue: options.overdue }),
    ...(options.reported === undefined ? {} : { reported: options.reported }),
  });
  opened.run = run;
  const start = (): void => {
    const { name = 'none', reason = '' } = devices[0]?.info ?? {};
    if (options.reported === undefined) {
      run.report(startEvent({ model: job.model }, { device: name, reason, processes: 0 }));
      for (const message of warnings) run.report({ event: 'warning', message });
    }
    run.start(workOf(options, prepared));
  };
  return { run, processes, start };
}

/** The error of a failure that was reported by message, with its cause where that is known. */
function errorOf(
  { code, message, retryable }: RunFailure,
  { thrown }: HostedProcesses,
  tokens: object,
  expert: string | null,
): TroupeError {
  // What a source's promise was rejected with came to its actor by message.
  if (code === 'TROUPE_USER_CODE' && tokens instanceof OwnTokens && tokens.failure !== null)
    return tokens.failure;
  return failureOf({ code, message, retryable }, thrown?.error.code === code ? thrown : null, expert);
}
