import { readFileSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { addresses, mountAgent, type ProgramSystem } from '@troupe/actors';
import { assert, nodeId, serializeError, type Logger } from '@troupe/core';
import { agentNodeOf, connectionProblems, Layout, leadNode, planConnections } from '@troupe/topology';
import { openZmqTransport, type ZmqTransport } from '@troupe/transport';
import { cacheFolder } from '../data.ts';
import { surviveClosedTerminal } from '../launch/closed-terminal.ts';
import { homeOf } from '../launch/homes.ts';
import { sealed } from '../launch/protocol.ts';
import { jobOf } from '../job.ts';
import { createJobSystem } from '../job-system.ts';
import { machineMemory } from '../machine-memory.ts';
import { systemClock } from '../ports/clock.ts';
import { descriptorLimit } from '../ports/descriptor-limit.ts';
import { fileStorage } from '../ports/file-storage.ts';
import { openLogger } from '../ports/open-logger.ts';
import { reportsOf } from '../run/reports.ts';
import { exitCodes } from '../run-result.ts';
import {
  buildDifference,
  ownBuild,
  type AgentBegin,
  type AgentLine,
  type LeadLine,
  type MachineReport,
} from './agent-protocol.ts';
import { exitAfterLastLines, launcherWire, sayOver, type AgentWire } from './agent-wire.ts';
import type { ToDialed } from './dial-lines.ts';
import { MachineData } from './machine-data.ts';
import { machineKernels } from './machine-kernels.ts';
import { MachineLogs } from './machine-logs.ts';
import { MachineOutput } from './machine-output.ts';
import { MachineWorkers } from './machine-workers.ts';
import { LineError, ProtocolLines } from './protocol-lines.ts';
import { seesDisk } from './shared-disk.ts';

/** Milliseconds for what is queued to leave. */
const GOODBYE_MS = 200;

/** What an agent says of its machine before anything is begun there. */
function machineReport(): MachineReport {
  let machineId: string | null = null;
  try {
    machineId = readFileSync('/etc/machine-id', 'utf8').trim() || null;
  } catch {
    // Containers have none.
  }
  const { bytes: memoryBytes } = machineMemory();
  return { hostname: hostname(), machineId, pid: process.pid, cores: availableParallelism(), memoryBytes };
}

/** The agent that this process is, once it has been told of which machine. */
class Agent {
  readonly #begin: AgentBegin;
  readonly #wire: AgentWire;
  readonly #say: (line: AgentLine) => void;
  readonly #node: string;
  readonly #layout: Layout;
  readonly #workers: MachineWorkers;
  readonly #logs: MachineLogs;
  readonly #output: MachineOutput;
  readonly #data: MachineData;
  readonly #logger: Logger;
  #transport: ZmqTransport | null = null;
  #system: ProgramSystem | null = null;

  constructor(begin: AgentBegin, wire: AgentWire, logger: Logger) {
    const say = sayOver(wire);
    this.#begin = begin;
    this.#wire = wire;
    this.#say = say;
    this.#node = agentNodeOf(begin.machine);
    this.#layout = new Layout(begin.topology);
    this.#logger = logger.child({ node: this.#node });
    this.#logs = new MachineLogs(cacheFolder(), begin.run);
    this.#output = new MachineOutput({
      agent: this.#node,
      logs: this.#logs,
      say,
      nowMs: () => performance.now(),
    });
    this.#data = new MachineData({
      topology: begin.topology,
      agent: this.#node,
      ask: (from) => say({ type: 'corpus.wanted', from }),
      failed: (error) => this.fail(error),
    });
    this.#workers = new MachineWorkers(begin, this.#layout, { say, output: this.#output });
  }

  async listen(): Promise<void> {
    const { incarnation, run, keys, topology } = this.#begin;
    this.#workers.start();
    const transport = await openZmqTransport({
      node: nodeId(this.#node),
      incarnation,
      clock: systemClock(),
      logger: this.#logger,
      listen: this.#workers.ownListening,
      ...sealed({ run, keys }),
      giveUpMs: 1000 * topology.recovery.linkSeconds,
      onFatal: (error) => this.fail(error),
    });
    transport.setPeers((node) => this.#workers.placeOf(node));
    this.#transport = transport;
    this.#say({
      type: 'listening',
      node: this.#node,
      incarnation,
      pid: process.pid,
      endpoints: transport.endpoints,
    });
  }

  hear(line: LeadLine): void {
    if (line.type === 'configure') this.#mount(line);
    else if (line.type === 'places') this.#find(line.places);
    else if (line.type === 'worker.begin') void this.#workers.restart(line);
    else if (line.type === 'corpus.piece') this.#data.take(line.piece);
    else if (line.type === 'leave') this.#leave().catch((error: unknown) => this.fail(error));
  }

  fail(error: unknown): void {
    const { code, message, retryable } = serializeError(error, this.#node);
    const { incarnation } = this.#begin;
    this.#say({ type: 'failed', node: this.#node, incarnation, code, message, retryable });
  }

  /** What it says of itself when nobody may hear it any more. */
  note(text: string): void {
    this.#logs.write(this.#node, text);
  }

  killNow(): void {
    this.#workers.killNow();
  }

  #find(places: Extract<LeadLine, { readonly type: 'places' }>['places']): void {
    this.#workers.find(places);
    this.#transport?.setPeers((node) => this.#workers.placeOf(node));
  }

  #mount({ choices, data, places }: Extract<LeadLine, { readonly type: 'configure' }>): void {
    const { machine, incarnation, topology, disk } = this.#begin;
    assert(this.#transport !== null, 'an agent that listens is configured');
    this.#find(places);
    const node = nodeId(this.#node);
    const system = createJobSystem({
      node,
      topology,
      reports: reportsOf(this.#layout, node, { storeIsBesideLead: true }),
      home: homeOf(topology, 'on their machines'),
      transport: this.#transport,
      clock: systemClock(),
      logger: this.#logger,
      schedule: (run) => void setImmediate(run),
      lost: (other, reason) => {
        if (other === leadNode) this.#cutOff(reason);
      },
    });
    this.#system = system;
    const part =
      choices.parts === true && disk !== null
        ? { storage: fileStorage(disk.root), folder: disk.folder }
        : null;
    mountAgent(system, jobOf(topology, choices), {
      machine,
      life: incarnation,
      ...(part === null ? {} : { part }),
    });
    system.listen();
    if (incarnation > 1) system.tell(addresses.supervisor, 'worker.joined', { body: { node, incarnation } });
    this.#data
      .find(data, (found) => this.#workers.configure({ choices, data: found }))
      .catch((error: unknown) => this.fail(error));
  }

  /** AGP-8: the lead has lost this machine too, and begins another life of it, which must not meet what is left of this one. */
  #cutOff(reason: string): void {
    const text = `troupe agent: the connection to the lead broke: ${reason}`;
    this.note(text);
    process.stderr.write(`${text}\n`);
    process.exit(exitCodes.peerLost);
  }

  async #leave(): Promise<void> {
    this.#system?.stop();
    const { bytes, messages } = await this.#workers.end();
    this.#output.close();
    const { bytesSent = 0, messagesSent = 0 } = this.#transport?.stats() ?? {};
    this.#say({ type: 'left', bytesSent: bytes + bytesSent, messagesSent: messages + messagesSent });
    await this.#transport?.close(GOODBYE_MS);
    // Who has dialled is told how the run ended.
    if (!this.#wire.isDialed) process.exit(exitCodes.ok);
  }
}

/**
 * Makes this process the agent of a machine, which is told over its wire what to do, and answers there.
 *
 * AGP-1: the end of the wire is the end of the lead: nothing of the machine's processes is left two seconds later.
 */
export function runAgent(wire: AgentWire = launcherWire()): Promise<never> {
  // The lead decides when a run ends; a batch system signals all processes of a job.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGXCPU']) process.on(signal, () => {});
  surviveClosedTerminal();
  new AgentProcess(wire).listen();
  // What ends it ends the process.
  return new Promise<never>(() => {});
}

/** This process, from its first line on. */
class AgentProcess {
  readonly #wire: AgentWire;
  readonly #say: ReturnType<typeof sayOver>;
  #agent: Agent | null = null;
  #isBegun = false;
  #isLeaving = false;

  constructor(wire: AgentWire) {
    this.#wire = wire;
    this.#say = sayOver(wire);
  }

  listen(): void {
    process.on('exit', () => this.#agent?.killNow());
    process.on('uncaughtException', (error) => {
      this.#agent?.fail(error);
      this.#leave(exitCodes.failed, error.stack ?? error.message);
    });
    process.stderr.on('error', () => {});
    const { input, output } = this.#wire;
    output.on('error', () => process.exit(exitCodes.peerLost));
    const lines = new ProtocolLines<ToDialed>(
      (line) => this.#hear(line),
      (text) =>
        this.#leave(
          exitCodes.usage,
          `it is started by the launcher of a run, and was told '${text.slice(0, 80)}'`,
        ),
    );
    input.on('data', (bytes: Buffer) => {
      try {
        lines.push(bytes);
      } catch (error) {
        if (!(error instanceof LineError)) throw error;
        this.#leave(exitCodes.usage, `${error.message} came from the lead`);
      }
    });
    for (const event of ['end', 'error', 'close']) input.on(event, () => this.#gone());
  }

  #hear(line: ToDialed): void {
    if (this.#isLeaving) return;
    switch (line.type) {
      case 'ping':
        this.#say({ type: 'pong' });
        return;
      case 'refused':
        this.#leave(line.exitCode, `the lead did not let it in: ${line.reason}`);
        return;
      case 'over':
        this.#leave(line.exitCode, `the run has ended with ${line.exitCode}`);
        return;
      case 'begin':
        if (this.#isBegun) this.#leave(exitCodes.usage, 'it was begun twice');
        this.#isBegun = true;
        void this.#begin(line);
        return;
      case 'leave':
        if (this.#agent === null) this.#leaveEarly();
        else this.#agent.hear(line);
        return;
      default:
        this.#agent?.hear(line);
    }
  }

  async #begin(line: AgentBegin): Promise<void> {
    const { build, topology } = line;
    const own = ownBuild(topology, build.protocol);
    const difference = buildDifference(build, own);
    const kernels = difference === null ? await machineKernels(topology, line.machine) : null;
    const finds = difference === null && line.disk !== null && (await seesDisk(line.disk));
    this.#say({ type: 'here', build: own, kernels, seesDisk: finds, ...machineReport() });
    if (difference !== null) {
      this.#leave(exitCodes.notEnough, `this machine differs from the lead: ${difference}`);
      return;
    }
    assert(line.machine < topology.machines.length, 'a machine is one of the topology');
    const processes = planConnections(topology).processes.filter(({ kind }) => kind !== 'lead');
    const [lack] = connectionProblems({ processes }, { descriptors: descriptorLimit() });
    if (lack !== undefined) {
      this.#leave(exitCodes.notEnough, lack);
      return;
    }
    const agent = new Agent(line, this.#wire, await openLogger(line.logLevel));
    this.#agent = agent;
    await agent.listen().catch((error: unknown) => agent.fail(error));
  }

  /** Asked to leave before there is an agent. */
  #leaveEarly(): void {
    if (this.#wire.isDialed) this.#say({ type: 'left', bytesSent: 0, messagesSent: 0 });
    else process.exit(exitCodes.ok);
  }

  #gone(): void {
    if (this.#isLeaving) return;
    if (this.#isBegun || this.#wire.isDialed) this.#leave(exitCodes.peerLost, 'the lead is gone');
    else
      this.#leave(
        exitCodes.usage,
        'it is started by the launcher of a run, which tells it over standard input what to do; npx troupe launch',
      );
  }

  /** Ends this process, and with it the workers. */
  #leave(exitCode: number, why: string): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#agent?.note(`troupe agent: ${why}`);
    process.stderr.write(`troupe agent: ${why}\n`);
    if (this.#wire.isDialed) this.#say({ type: 'ending', reason: why });
    exitAfterLastLines(this.#wire, exitCode);
  }
}
