import type { ExpertRule, GateRule, TokenSource } from '@troupe/actors';
import type { Hasher } from '@troupe/checkpoint';
import type { Logger, SharedStorage, Storage } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import type { Turn } from '@troupe/runtime';
import type { RunSink } from '@troupe/telemetry';
import type { FirstState } from './first-state.ts';
import { metricsRule, type MetricsChoice } from './run/run-metrics.ts';
import {
  all,
  bytes,
  callback,
  checkOptions,
  checkpointReader,
  member,
  objectWith,
  options,
  orNull,
  positive,
  required,
  rule,
  storage,
  text,
  wholeNumber,
  type OptionRules,
} from './option-rules.ts';
import type { MountedWorker } from '@troupe/actors';

/** What an embedding program may choose; every member has a default. */
export interface ClusterOptions extends FirstState {
  /** Step at which to end; default: the schedule's last. */
  readonly stopAfter?: number;
  /** An own router, instead of the top-k of the gate's logits. */
  readonly gate?: GateRule;
  /** An own expert over the same parameters. */
  readonly expert?: ExpertRule;
  /**
   * Own texts instead of those that the topology's `data` names: read once before the start, tokenised as `data.tokenizer` says, with
   * `data.holdout` of them held out. Not together with `tokens`.
   */
  readonly documents?: Iterable<string> | AsyncIterable<string>;
  /** Own sequences instead of the topology's `data`; a batch, or a promise of one. */
  readonly tokens?: TokenSource & { readonly numEvalSequences: number };
  /** Where checkpoints go; absent: none are written. */
  readonly checkpoints?: {
    readonly storage: Storage | SharedStorage;
    readonly folder: string;
    readonly keep: number;
    /** Default: the tokenizer of the topology's data, none with own `tokens`. */
    readonly tokenizer?: Uint8Array | null;
    /** Default: a thread. */
    readonly hasher?: Hasher;
  };
  /** Files of metrics; absent: none are written. One that cannot be written is a warning, and the run goes on. */
  readonly metrics?: MetricsChoice;
  /** Another corpus than that of `resumeFrom` is meant. Default false: it is refused. */
  readonly dataChanged?: boolean;
  /** One device a replica; default: `loadDevice` for every device of the topology. */
  readonly openDevice?: (dp: number) => Promise<Device>;
  readonly logger?: Logger;
  /** Sees every turn of every actor: who got what in which state. */
  readonly observe?: (turn: Turn) => void;
  /** Gets everything that the run reports, at once. */
  readonly sink?: RunSink;
  /** Events that a mailbox may hold. */
  readonly mailboxCapacity?: number;
  /** Sees the devices and buffers of every replica once they are mounted, in a list that later lives change; for tests and inspection. */
  readonly onMounted?: (workers: readonly MountedWorker[]) => void;
  /** How closely workers are watched. Default: a look every minute, lost after ten, since in one process nobody dies alone. */
  readonly watch?: { readonly heartbeatMs: number; readonly silenceMs: number };
}

const source = all(
  objectWith('a source of tokens', 'trainBatch', 'evalBatch'),
  member('numEvalSequences', required(wholeNumber(0, 'held-out sequences'))),
);

const named = (what: string, ...methods: readonly string[]) =>
  all(objectWith(what, ...methods), member('name', text('a name')));

/** Options that every way to run a topology in this process has. */
export const trainingRules = {
  stopAfter: wholeNumber(1, 'the step at which to end'),
  gate: named('a gate', 'choose'),
  expert: named('an expert', 'forward', 'backward'),
  tokens: source,
} satisfies Partial<OptionRules<ClusterOptions>>;

const rules: OptionRules<ClusterOptions> = {
  ...trainingRules,
  documents: rule(
    'an iterable or async iterable of texts',
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      (Symbol.iterator in value || Symbol.asyncIterator in value),
  ),
  checkpoints: all(
    options({
      storage,
      folder: required(rule('a path inside the storage', (value) => typeof value === 'string')),
      keep: required(wholeNumber(1, 'checkpoints')),
      tokenizer: orNull(bytes),
      hasher: objectWith('a hasher'),
    }),
    member('storage', required(storage)),
  ),
  metrics: metricsRule,
  resumeFrom: checkpointReader,
  weightsFrom: checkpointReader,
  dataChanged: rule('true or false', (value) => typeof value === 'boolean'),
  openDevice: callback,
  logger: objectWith('a logger', 'debug', 'info', 'warn', 'error', 'child'),
  observe: callback,
  sink: callback,
  mailboxCapacity: wholeNumber(1, 'events'),
  onMounted: callback,
  watch: options({
    heartbeatMs: required(positive('milliseconds')),
    silenceMs: required(positive('milliseconds')),
  }),
};

/** @throws {OptionError} TROUPE_OPTION with everything that is wrong */
export function checkClusterOptions(caller: string, given: ClusterOptions): void {
  checkOptions(caller, given, {
    ...rules,
    ...(given?.tokens !== undefined && given.documents !== undefined
      ? { documents: rule('nothing beside tokens: one or the other', () => false) }
      : {}),
  });
}
