import { callCost, callShape, onHost, type Device } from '@troupe/kernel-set';
import type { Address, Logger, NodeId, Packet } from '@troupe/core';
import { leadNode, workerNode } from '@troupe/topology/worker';
import type { ActorEvent, Probe, ProbedList, Turn, Wait } from '@troupe/runtime';
import type { CallTuple, NodeRecord } from '@troupe/telemetry';
import { packetName, type Message } from '@troupe/wire';
import { monotonicMs } from './monotonic.ts';
import { PartFile } from './part-file.ts';

/** What a process must know to take part in a profile; plain, so that it travels to workers. */
export interface ProfilePlan {
  /** Start of every part's name; a process appends its own. */
  readonly partPrefix: string;
  /** The moment, on the machine's monotonic clock, that the trace counts from, milliseconds. */
  readonly originMs: number;
  /** Steps that are recorded, from 1. */
  readonly first: number;
  readonly last: number;
}

/** Opens a step on every actor that computes one. */
const OPENING = 'step.open';

/** Name of a process's part of a profile. */
const partPath = ({ partPrefix }: ProfilePlan, node: string): string =>
  `${partPrefix}.${node.replaceAll('/', '-')}.part`;

/** Parts of the lead and of its workers. */
export const partPaths = (plan: ProfilePlan, numWorkers: number): readonly string[] =>
  [leadNode, ...Array.from({ length: numWorkers }, (_, rank) => workerNode(rank))].map((node) =>
    partPath(plan, node),
  );

const packetBytes = ({ header, frames }: Packet): number =>
  frames.reduce((sum, frame) => sum + frame.byteLength, header.byteLength);

/**
 * Notes what a process does during the steps of a plan: its part of a profile.
 *
 * A worker's begins when the first of them is opened to it and ends when one behind the last is; the agent's when it opens these. Outside of
 * that a hook returns at once and the device times nothing.
 */
export class Recorder implements Probe {
  readonly #plan: ProfilePlan;
  readonly #part: PartFile;
  #device: Device | null = null;
  #isRecording = false;
  #turnStart = 0;
  #turnSlept = 0;
  #sendStart = 0;
  #receiveStart = 0;
  #receiveSlept = 0;
  #listEnd = 0;
  /** Names of the packets whose events lie in a mailbox. */
  readonly #packets = new WeakMap<ActorEvent, string>();
  readonly #waits = new Map<string, Omit<Wait, 'sinceMs'> & { readonly start: number }>();

  constructor(plan: ProfilePlan, node: string, logger: Logger) {
    this.#plan = plan;
    this.#part = new PartFile(partPath(plan, node), logger);
  }

  /** Says who this is; before anything else. */
  begin(node: string, device: Device | null): void {
    this.#device = device;
    const record: NodeRecord = {
      kind: 'node',
      node,
      pid: process.pid,
      device: device === null ? null : { name: device.info.name, threads: device.info.threads },
    };
    this.#part.write(record);
    // So that one that is killed early is known to be missing.
    this.#part.flush();
  }

  /** A step was committed, `seconds` after it was opened. */
  step(step: number, seconds: number): void {
    const end = this.#now();
    if (step >= this.#plan.first && step <= this.#plan.last)
      this.#part.write({ kind: 'step', step, start: end - 1000 * seconds, end });
  }

  close(): void {
    this.#record(false);
    this.#part.close();
  }

  turnBegins(): void {
    if (!this.#isRecording) return;
    this.#turnStart = this.#now();
    this.#turnSlept = slept();
  }

  turnEnded({ address, event, outcome, stateBefore, stateAfter, mailboxSize }: Turn): void {
    // A turn that was under way when recording began has no start.
    if (!this.#isRecording || this.#turnStart === 0) return;
    const packet = this.#packets.get(event);
    this.#part.write({
      kind: 'turn',
      actor: address,
      event: event.type,
      from: event.from,
      start: this.#turnStart,
      end: this.#now(),
      slept: this.#turnSlept,
      before: stateBefore,
      after: stateAfter,
      outcome,
      step: event.step,
      attempt: event.attempt,
      layer: event.layer,
      microbatch: event.microbatch,
      mailbox: mailboxSize,
      ...(packet === undefined ? {} : { packet }),
    });
    this.#turnStart = 0;
  }

  sending(): void {
    if (this.#isRecording) this.#sendStart = this.#now();
  }

  sent(message: Message, _to: NodeId, packet: Packet): void {
    this.#follow(message.kind, message.step);
    if (!this.#isRecording) return;
    const end = this.#now();
    this.#part.write({
      kind: 'send',
      actor: message.from,
      to: message.to,
      message: message.kind,
      packet: packetName(packet),
      bytes: packetBytes(packet),
      start: this.#sendStart === 0 ? end : this.#sendStart,
      end,
    });
    this.#sendStart = 0;
  }

  receiving(): void {
    this.#receiveStart = this.#now();
    this.#receiveSlept = slept();
  }

  received(_from: NodeId, to: Address, packet: Packet, event: ActorEvent): void {
    this.#follow(event.type, event.step);
    if (!this.#isRecording) return;
    const name = packetName(packet);
    this.#packets.set(event, name);
    this.#part.write({
      kind: 'receive',
      to,
      message: event.type,
      packet: name,
      bytes: packetBytes(packet),
      start: this.#receiveStart,
      end: this.#now(),
      slept: this.#receiveSlept,
    });
  }

  submitted(): number {
    return this.#now();
  }

  completed({ owner, device, calls, fields, submittedMs, completion }: ProbedList): void {
    if (!this.#isRecording || calls.length === 0) return;
    const start = this.#now();
    const since = Math.max(submittedMs, this.#listEnd, start - completion.kernelMs);
    const { callTimes } = completion;
    const tuples =
      callTimes === undefined
        ? [wholeList(calls, since, start)]
        : timedCalls(calls, callTimes, 2 + 3 * device.info.threads, this.#plan.originMs);
    this.#listEnd = start;
    this.#part.write({
      kind: 'list',
      owner,
      submitted: submittedMs,
      step: fields.step ?? 0,
      layer: fields.layer ?? -1,
      microbatch: fields.microbatch ?? -1,
      calls: tuples,
      slept: slept(),
      start,
      end: this.#now(),
    });
  }

  waitBegan(wait: Omit<Wait, 'sinceMs'>): void {
    this.waitEnded(wait.owner, wait.name);
    this.#waits.set(`${wait.owner} ${wait.name}`, { ...wait, start: this.#now() });
  }

  waitEnded(owner: Address, name: string): void {
    const key = `${owner} ${name}`;
    const wait = this.#waits.get(key);
    if (wait === undefined) return;
    this.#waits.delete(key);
    if (!this.#isRecording) return;
    const { reason, awaited, start } = wait;
    this.#part.write({ kind: 'wait', owner, reason, awaited, start, end: this.#now() });
  }

  #now(): number {
    return short(monotonicMs() - this.#plan.originMs);
  }

  #follow(message: string, step: number): void {
    if (message === OPENING) this.#record(step >= this.#plan.first && step <= this.#plan.last);
  }

  #record(on: boolean): void {
    if (on === this.#isRecording) return;
    this.#isRecording = on;
    this.#device?.timeCalls?.(on);
    this.#turnStart = 0;
  }
}

/** Tenths of a microsecond are enough and keep lines short. */
const short = (ms: number): number => Math.round(ms * 1e4) / 1e4;

/** Milliseconds that the event loop has slept since its process began. */
const slept = (): number => short(performance.nodeTiming.idleTime);

function timedCalls(
  calls: ProbedList['calls'],
  times: Float64Array,
  perCall: number,
  originMs: number,
): readonly CallTuple[] {
  // Fewer times than calls: one of them failed.
  return calls.slice(0, times.length / perCall).map((call, index) => {
    const { flops, bytes } = callCost(onHost(call));
    const numbers: number[] = [];
    for (let at = 0; at < perCall; at++) {
      const time = times[index * perCall + at] ?? 0;
      // The third of a thread is a duration, and zero says that it took no part.
      const isDuration = at >= 2 && (at - 2) % 3 === 2;
      numbers.push(short(isDuration || time === 0 ? time : time - originMs));
    }
    const [start = 0, end = 0, ...threads] = numbers;
    return [call.op, callShape(call), flops, bytes, start, end, ...threads];
  });
}

function wholeList(calls: ProbedList['calls'], start: number, end: number): CallTuple {
  const [first] = calls;
  const costs = calls.map((call) => callCost(onHost(call)));
  const sum = (of: 'flops' | 'bytes'): number => costs.reduce((total, cost) => total + cost[of], 0);
  const ops = [...new Set(calls.map((call) => call.op))];
  const shape = calls.length === 1 && first !== undefined ? callShape(first) : `list of ${calls.length}`;
  return [ops.join(' + '), shape, sum('flops'), sum('bytes'), start, end];
}
