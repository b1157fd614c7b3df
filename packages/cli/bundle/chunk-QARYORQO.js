import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  forkWorker
} from "./chunk-VRYBNUKX.js";
import {
  Recorder,
  addresses,
  agentNode,
  checkpointFolders,
  createJobSystem,
  evaluationSequences,
  jobOf,
  latestCheckpoint,
  listenAs,
  lossLimit,
  mountAgent,
  openCheckpoint,
  openLogger,
  openTopologyData,
  openZmqTransport,
  partPaths,
  systemClock,
  workerNode
} from "./chunk-YHPICGTS.js";
import {
  diffTrajectory,
  resolveTopology
} from "./chunk-VTPYBM4G.js";
import {
  TopologyError,
  parameterCounts,
  trainingFlopsPerToken
} from "./chunk-IEL6CF5I.js";
import {
  measureBandwidth,
  measurePeak
} from "./chunk-RTBJM3FJ.js";
import {
  StorageDeniedError,
  StorageFailedError,
  StorageFullError,
  StorageMissingError,
  TroupeError,
  assert,
  nodeId,
  parentFolder,
  storagePath
} from "./chunk-JUIDX3IZ.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/troupe/dist/run-result.js
var exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  topology: 3,
  planDiffers: 4,
  notEnough: 5,
  temporary: 75,
  peerLost: 76,
  interrupted: 130,
  terminated: 143
};
var codesByName = {
  TROUPE_TOPOLOGY_INVALID: exitCodes.topology,
  TROUPE_NOT_BUILT: exitCodes.topology,
  TROUPE_RESUME_DIFFERS: exitCodes.topology,
  TROUPE_DATA_VOCAB: exitCodes.topology,
  TROUPE_DATA_CONFIG: exitCodes.topology,
  TROUPE_TOPOLOGY_DEVICES: exitCodes.notEnough,
  TROUPE_DEVICE_UNAVAILABLE: exitCodes.notEnough,
  TROUPE_DEVICE_MEMORY: exitCodes.notEnough,
  TROUPE_USAGE: exitCodes.usage,
  TROUPE_CALIBRATION: exitCodes.usage,
  TROUPE_RUN_MISSING: exitCodes.usage,
  TROUPE_WORKER_LOST: exitCodes.peerLost,
  TROUPE_RUN_STUCK: exitCodes.peerLost,
  TROUPE_SIM_CRASH: exitCodes.peerLost
};
function exitCodeOf(error) {
  if (!(error instanceof TroupeError))
    return exitCodes.failed;
  if (error instanceof TopologyError)
    return error.exitCode;
  return codesByName[error.code] ?? (error.retryable ? exitCodes.temporary : exitCodes.failed);
}
__name(exitCodeOf, "exitCodeOf");
function resultOf(outcome) {
  const { step, loss, stopped, error } = outcome;
  if (error !== void 0) {
    const failure = new TroupeError(error.code, error.message, { retryable: error.retryable });
    return { exitCode: exitCodeOf(failure), step, loss, error: failure };
  }
  return { exitCode: stopped ? exitCodes.interrupted : exitCodes.ok, step, loss, error: null };
}
__name(resultOf, "resultOf");
function failureResult(failure, step, loss) {
  const error = new TroupeError(failure.code, failure.message, { retryable: failure.retryable });
  return { exitCode: exitCodeOf(error), step, loss, error };
}
__name(failureResult, "failureResult");

// packages/troupe/dist/errors.js
var RunMissingError = class extends TroupeError {
  static {
    __name(this, "RunMissingError");
  }
  name = "RunMissingError";
  constructor(folder, hint) {
    super("TROUPE_RUN_MISSING", `'${folder}' holds no checkpoint; ${hint}`, { details: { folder } });
  }
};
var RunDamagedError = class extends TroupeError {
  static {
    __name(this, "RunDamagedError");
  }
  name = "RunDamagedError";
  constructor(damage, hint) {
    super("TROUPE_CHECKPOINT_DAMAGED", `${damage.message.replace(/; resume from another one$/u, "")}; ${hint}`, {
      details: damage.details,
      cause: damage
    });
  }
};
var show = /* @__PURE__ */ __name((value) => value === void 0 ? "(none)" : JSON.stringify(value), "show");
var ResumeDiffersError = class extends TroupeError {
  static {
    __name(this, "ResumeDiffersError");
  }
  name = "ResumeDiffersError";
  constructor(differences) {
    const list = differences.map(({ key, before, after }) => `${key} is ${show(before)} in the checkpoint and ${show(after)} now`);
    super("TROUPE_RESUME_DIFFERS", `a resumed run must keep model, data and train: ${list.join("; ")}; only machines, parallel, placement, wire, checkpoint, eval and device may change`, { details: { keys: differences.map(({ key }) => key) } });
  }
};
var ExpertDeviceError = class extends TroupeError {
  static {
    __name(this, "ExpertDeviceError");
  }
  name = "ExpertDeviceError";
  constructor(expert, body, found) {
    super("TROUPE_EXPERT_DEVICE", `the expert '${expert}' runs on device ${body}, this is ${found.name}; set \`device: ${body}\``, { details: { expert, body, found: found.body } });
  }
};

// packages/troupe/dist/ports/file-storage.js
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
var READ_BYTES_MAX = 1 << 30;
var pendingName = /^\..+\.\d+-\d+\.pending$/u;
var full = /* @__PURE__ */ new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
var denied = /* @__PURE__ */ new Set(["EACCES", "EPERM", "EROFS"]);
function storageError(path, cause) {
  if (cause instanceof TroupeError)
    return cause;
  const errno = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  const options = { cause, details: { errno } };
  if (full.has(errno))
    return new StorageFullError(path, options);
  if (errno === "ENOENT")
    return new StorageMissingError(path, options);
  if (denied.has(errno))
    return new StorageDeniedError(path, errno, options);
  return new StorageFailedError(path, cause instanceof Error ? cause.message : String(cause), options);
}
__name(storageError, "storageError");
async function attempt(path, act) {
  try {
    return await act();
  } catch (error) {
    throw storageError(path, error);
  }
}
__name(attempt, "attempt");
async function syncPath(path) {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
__name(syncPath, "syncPath");
var FileBeingWritten = class {
  static {
    __name(this, "FileBeingWritten");
  }
  #name;
  #paths;
  #handle;
  #state = "open";
  constructor(name, paths, handle) {
    this.#name = name;
    this.#paths = paths;
    this.#handle = handle;
  }
  async write(chunk) {
    this.#mustBeOpen();
    await attempt(this.#name, async () => {
      try {
        for (let at = 0; at < chunk.byteLength; ) {
          const { bytesWritten } = await this.#handle.write(chunk, at, chunk.byteLength - at);
          at += bytesWritten;
        }
      } catch (error) {
        this.#state = "torn";
        throw error;
      }
    });
  }
  async commit() {
    this.#mustBeOpen();
    await attempt(this.#name, async () => {
      await this.#handle.sync();
      this.#state = "closed";
      await this.#handle.close();
      await rename(this.#paths.aside, this.#paths.final);
      await syncPath(this.#paths.folder);
    });
  }
  async abort() {
    await attempt(this.#name, async () => {
      if (this.#state !== "closed") {
        this.#state = "closed";
        await this.#handle.close();
      }
      await rm(this.#paths.aside, { force: true });
    });
  }
  #mustBeOpen() {
    if (this.#state === "open")
      return;
    const reason = this.#state === "torn" ? "an earlier write failed, so it cannot go on" : "is already committed or aborted";
    throw new StorageFailedError(this.#name, reason);
  }
};
async function readRange(handle, name, offset, lengthBytes) {
  const bytes = new Uint8Array(lengthBytes);
  for (let at = 0; at < lengthBytes; ) {
    const part = Math.min(lengthBytes - at, READ_BYTES_MAX);
    const { bytesRead } = await handle.read(bytes, at, part, offset + at);
    if (bytesRead === 0) {
      throw new StorageFailedError(name, `ends at byte ${offset + at}, before ${offset + lengthBytes}`);
    }
    at += bytesRead;
  }
  return bytes;
}
__name(readRange, "readRange");
function fileStorage(root) {
  let numCreated = 0;
  const at = /* @__PURE__ */ __name((name) => join(root, name), "at");
  const create = /* @__PURE__ */ __name(async (path) => {
    const name = storagePath(path);
    const folder = parentFolder(name);
    numCreated += 1;
    const asideName = `.${name.slice(folder === "" ? 0 : folder.length + 1)}.${process.pid}-${numCreated}.pending`;
    const aside = join(at(folder), asideName);
    return attempt(name, async () => {
      const isFolder = await stat(at(name)).then((found) => found.isDirectory(), () => false);
      if (isFolder)
        throw new StorageFailedError(name, "is a folder");
      const handle = await open(aside, "w");
      return new FileBeingWritten(name, { aside, final: at(name), folder: at(folder) }, handle);
    });
  }, "create");
  return {
    create,
    async writeAtomic(path, bytes) {
      const file = await create(path);
      try {
        await file.write(bytes);
        await file.commit();
      } catch (error) {
        await file.abort();
        throw error;
      }
    },
    async read(path, range) {
      const name = storagePath(path);
      return attempt(name, async () => {
        const handle = await open(at(name), "r");
        try {
          const lengthBytes = range?.lengthBytes ?? (await handle.stat()).size;
          return await readRange(handle, name, range?.offset ?? 0, lengthBytes);
        } finally {
          await handle.close();
        }
      });
    },
    async sizeBytes(path) {
      const name = storagePath(path);
      const found = await attempt(name, () => stat(at(name)));
      if (found.isDirectory())
        throw new StorageFailedError(name, "is a folder, not a file");
      return found.size;
    },
    async list(folder) {
      const name = storagePath(folder);
      const names = await attempt(name, () => readdir(at(name)));
      return names.filter((each) => !pendingName.test(each)).sort();
    },
    async exists(path) {
      const name = storagePath(path);
      try {
        await stat(at(name));
        return true;
      } catch (error) {
        const mapped = storageError(name, error);
        if (mapped instanceof StorageMissingError || mapped.details["errno"] === "ENOTDIR")
          return false;
        throw mapped;
      }
    },
    async makeFolder(folder) {
      const name = storagePath(folder);
      await attempt(name, () => mkdir(at(name), { recursive: true }));
    },
    async rename(from, to) {
      const [source, target] = [storagePath(from), storagePath(to)];
      await attempt(source, () => rename(at(source), at(target)));
    },
    async remove(path) {
      const name = storagePath(path);
      await attempt(name, () => rm(at(name), { recursive: true, force: true }));
    },
    async syncFolder(folder) {
      const name = storagePath(folder);
      await attempt(name, () => syncPath(at(name)));
    }
  };
}
__name(fileStorage, "fileStorage");

// packages/troupe/dist/launch/launch.js
import { rmSync } from "node:fs";
import { mkdtemp, rm as rm2 } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as join2 } from "node:path";

// packages/troupe/dist/launch/worker-process.js
var WorkerProcess = class {
  static {
    __name(this, "WorkerProcess");
  }
  rank;
  #child;
  #expected = false;
  /** Takes the spare process if there is one, else forks. */
  constructor(worker, spare, handlers) {
    this.rank = worker.rank;
    this.#child = spare?.take() ?? forkWorker();
    this.#child.on("message", (message) => handlers.message(message));
    this.#child.on("error", (error) => handlers.exited(error.message));
    this.#child.on("exit", (code, signal) => {
      if (!this.#expected)
        handlers.exited(signal === null ? `exit code ${code}` : `signal ${signal}`);
    });
    this.send({ type: "begin", worker });
  }
  get pid() {
    return this.#child.pid ?? -1;
  }
  send(message) {
    if (this.#child.connected)
      this.#child.send(message, () => {
      });
  }
  /** Ends the process at once, also when it is stopped, and waits until the system has buried it. */
  async kill() {
    this.#expected = true;
    if (this.#isGone)
      return;
    const gone = new Promise((resolve2) => this.#child.once("exit", () => resolve2()));
    this.#child.kill("SIGKILL");
    await gone;
  }
  get #isGone() {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === void 0;
  }
  /** Asks the process to leave, ends it after `graceMs`, and waits until the system has buried it. */
  async end(clock, graceMs) {
    this.#expected = true;
    if (this.#isGone)
      return;
    const gone = new Promise((resolve2) => this.#child.once("exit", () => resolve2()));
    this.send({ type: "leave" });
    const timer = clock.after(graceMs, () => this.#child.kill("SIGKILL"));
    await gone;
    clock.cancel(timer);
  }
};

// packages/troupe/dist/launch/launch.js
var HEARTBEAT_MS = 1e3;
var GRACE_MS = 1e3;
var SILENCE_MS = 6e3;
async function launch(topology, options) {
  const { resumeFrom } = options;
  const trajectory = resumeFrom?.manifest.trajectory;
  const choices = {
    stopAfter: Math.min(options.stopAfter ?? topology.train.steps, topology.train.steps),
    first: { step: resumeFrom?.manifest.step ?? 0, adamClock: trajectory?.adamClock ?? 0 },
    evaluationSequences: 0,
    checkpoints: options.checkpoints !== null
  };
  jobOf(topology, choices);
  const run = new LocalLaunch(topology, options, await openLogger(options.logLevel));
  try {
    await run.start(choices);
  } catch (error) {
    await run.abort();
    throw error;
  }
  return run;
}
__name(launch, "launch");
var LocalLaunch = class {
  static {
    __name(this, "LocalLaunch");
  }
  result;
  #topology;
  #options;
  #logger;
  #clock = systemClock();
  /** The present life of every worker, by rank. */
  #workers = [];
  /** Lives that have ended or are about to. */
  #earlier = [];
  #choices = null;
  #plan = null;
  #listening = /* @__PURE__ */ new Map();
  #devices = /* @__PURE__ */ new Map();
  #socketFolder = null;
  #transport = null;
  #opening = null;
  #recorder;
  #system = null;
  #job = null;
  #data = null;
  #last = null;
  #interruption = "interrupted";
  #ended = false;
  #opened = false;
  #finish = /* @__PURE__ */ __name(() => {
  }, "#finish");
  #allListening = /* @__PURE__ */ __name(() => {
  }, "#allListening");
  #startFailed = /* @__PURE__ */ __name(() => {
  }, "#startFailed");
  constructor(topology, options, logger) {
    this.#topology = topology;
    this.#options = options;
    this.#logger = logger.child({ node: agentNode });
    if (options.profile !== void 0)
      for (const path of partPaths(options.profile, topology.parallel.world))
        rmSync(path, { force: true });
    this.#recorder = options.profile === void 0 ? null : new Recorder(options.profile, agentNode, this.#logger);
    this.#recorder?.begin(agentNode, null);
    this.result = new Promise((resolve2) => this.#finish = resolve2).then(async (result) => {
      await this.#cleanUp();
      return result;
    });
  }
  get workerPids() {
    return this.#workers.map((worker) => worker.pid);
  }
  async start(choices) {
    const folder = await mkdtemp(join2(tmpdir(), "troupe-"));
    this.#socketFolder = folder;
    const { port } = this.#topology.wire;
    const plan = { socketFolder: folder, port: port === "auto" ? null : port };
    this.#plan = plan;
    const { world } = this.#topology.parallel;
    const listening = new Promise((resolve2, reject) => {
      this.#allListening = resolve2;
      this.#startFailed = reject;
    });
    for (let rank = 0; rank < world; rank++)
      this.#workers.push(this.#fork(rank, 1, plan));
    const opening = openZmqTransport({
      node: nodeId(agentNode),
      incarnation: 1,
      clock: this.#clock,
      logger: this.#logger,
      listen: listenAs(plan, 0)
    });
    this.#opening = opening.then((opened) => this.#transport = opened);
    const [data, transport] = await Promise.all([openTopologyData(this.#topology), this.#opening, listening]);
    this.#data = data;
    this.#places = () => [...this.#listening.values(), { node: agentNode, ...transport.endpoints }];
    transport.setPeers((node) => this.#places().find((place2) => place2.node === node));
    const full2 = { ...choices, evaluationSequences: evaluationSequences(this.#topology, data.batches) };
    this.#mountAgent(jobOf(this.#topology, full2), transport, data.tokenizer === null ? null : new TextEncoder().encode(JSON.stringify(data.tokenizer.toJson())));
    this.#choices = full2;
    for (const worker of this.#workers)
      this.#configure(worker);
  }
  #fork(rank, incarnation, plan) {
    const handlers = {
      message: /* @__PURE__ */ __name((message) => this.#fromWorker(rank, incarnation, message), "message"),
      exited: /* @__PURE__ */ __name((reason) => this.#workerExited(rank, incarnation, reason), "exited")
    };
    const { logLevel, profile } = this.#options;
    const worker = { rank, incarnation, ...plan, logLevel, ...profile === void 0 ? {} : { profile } };
    return new WorkerProcess(worker, this.#options.spare ?? null, handlers);
  }
  #configure(worker) {
    assert(this.#choices !== null, "a worker is configured when the run is known");
    worker.send({
      type: "configure",
      topology: this.#topology,
      choices: this.#choices,
      endpoints: this.#places()
    });
  }
  /**
   * Ends what is left of a worker's process, which may only be stopped, and forks its next life. It listens where the one before did, so
   * whoever dialled that one finds it.
   */
  #restart(node, incarnation) {
    const worker = this.#workers.find(({ rank }) => workerNode(rank) === node);
    const plan = this.#plan;
    assert(worker && plan !== null, "a worker of this run was lost", { node });
    this.#earlier.push(this.#replace(worker, incarnation, plan));
  }
  async #replace(worker, incarnation, plan) {
    await worker.kill();
    const { rank } = worker;
    if (!this.#ended && this.#workers[rank] === worker)
      this.#workers[rank] = this.#fork(rank, incarnation, plan);
  }
  stop(reason) {
    this.#interruption = reason;
    if (this.#system === null)
      this.#end({ exitCode: exitCodes[reason], step: 0, loss: null, error: null });
    else
      this.#system.tell(addresses.trainer, "run.stop");
  }
  async abort() {
    this.#end({
      exitCode: exitCodes[this.#interruption],
      step: this.#last?.step ?? 0,
      loss: this.#last?.loss ?? null,
      error: null
    });
    await this.result;
  }
  wireBytes() {
    return this.#wireBytes + (this.#transport?.stats().bytesSent ?? 0);
  }
  statistics() {
    assert(this.#data !== null, "a launch that began has its data");
    return this.#data.statistics();
  }
  #wireBytes = 0;
  #startReported = false;
  #places = /* @__PURE__ */ __name(() => [], "#places");
  #end(result) {
    if (this.#ended)
      return;
    this.#ended = true;
    this.#finish(result);
  }
  async #cleanUp() {
    this.#system?.stop();
    this.#recorder?.close();
    await Promise.all(this.#earlier);
    await Promise.all(this.#workers.map((worker) => worker.end(this.#clock, GRACE_MS)));
    await this.#opening?.catch(() => {
    });
    await this.#transport?.close(200);
    if (this.#socketFolder !== null)
      await rm2(this.#socketFolder, { recursive: true, force: true });
  }
  #mountAgent(job, transport, tokenizer) {
    const { checkpoints, report, resumeFrom, peakFlops } = this.#options;
    const topology = this.#topology;
    this.#job = job;
    const system = createJobSystem({
      node: nodeId(agentNode),
      topology,
      transport,
      clock: this.#clock,
      logger: this.#logger,
      schedule: /* @__PURE__ */ __name((run) => void setImmediate(run), "schedule"),
      ...this.#recorder === null ? {} : { probe: this.#recorder }
    });
    this.#system = system;
    mountAgent(system, job, {
      storage: checkpoints?.storage,
      trainer: {
        report: /* @__PURE__ */ __name((event) => {
          if (event.event === "step") {
            this.#last = event;
            this.#recorder?.step(event.step, event.tokens / event.tokensPerSecond);
          }
          report(event);
        }, "report"),
        opened: /* @__PURE__ */ __name(() => {
          this.#opened = true;
          this.#reportStart();
        }, "opened"),
        finished: /* @__PURE__ */ __name((outcome) => {
          const result = resultOf(outcome);
          this.#end(result.exitCode === exitCodes.interrupted ? { ...result, exitCode: exitCodes[this.#interruption] } : result);
        }, "finished"),
        peakFlops,
        flopsPerToken: trainingFlopsPerToken(job.model)
      },
      store: {
        folder: checkpoints?.folder ?? "",
        keep: topology.checkpoint.keep,
        topology: topology.file,
        tokenizer,
        resumeFrom: resumeFrom ?? null
      },
      supervisor: {
        failed: /* @__PURE__ */ __name((failure) => this.#failed(failure), "failed"),
        heartbeatMs: HEARTBEAT_MS,
        silenceMs: SILENCE_MS,
        position: /* @__PURE__ */ __name(() => this.#position(), "position"),
        limit: lossLimit(topology),
        restart: /* @__PURE__ */ __name((node, incarnation) => this.#restart(node, incarnation), "restart")
      }
    });
    system.listen();
  }
  /** The step that was open, in words. */
  #position() {
    const first = this.#job?.first.step ?? 0;
    return `in step ${(this.#last?.step ?? first) + 1}`;
  }
  #failed(failure) {
    const first = this.#job?.first.step ?? 0;
    this.#end(failureResult(failure, this.#last?.step ?? first, this.#last?.loss ?? null));
  }
  #workerExited(rank, incarnation, reason) {
    const node = workerNode(rank);
    if (this.#system === null) {
      this.#startFailed(new TroupeError("TROUPE_WORKER_LOST", `${node} ended (${reason}) before the run began`, {
        retryable: true
      }));
    } else if (!this.#ended) {
      this.#system.tell(addresses.supervisor, "worker.lost", { body: { node, incarnation, reason } });
    }
  }
  #fromWorker(rank, incarnation, message) {
    const node = workerNode(rank);
    if (message.type === "listening") {
      this.#listening.set(rank, message.endpoints);
      const worker = this.#workers[rank];
      if (incarnation > 1 && worker !== void 0)
        this.#configure(worker);
      else if (this.#listening.size === this.#topology.parallel.world)
        this.#allListening();
    } else if (message.type === "ready") {
      this.#devices.set(rank, message);
      this.#reportStart();
    } else if (message.type === "left") {
      this.#wireBytes += message.bytesSent;
    } else {
      const { code, message: text, retryable } = message;
      const error = new TroupeError(code, text, { retryable });
      this.#startFailed(error);
      this.#system?.tell(addresses.supervisor, "actor.failed", {
        body: { actor: node, code, message: text, retryable, node, incarnation }
      });
    }
  }
  /** Once: when every worker has said what it runs on and the first step opens. */
  #reportStart() {
    if (this.#startReported || !this.#opened || this.#devices.size < this.#topology.parallel.world)
      return;
    this.#startReported = true;
    const { model } = this.#topology;
    const counts = parameterCounts(model);
    const names = [...new Set([...this.#devices.values()].map(({ device }) => device))];
    const reasons = [...new Set([...this.#devices.values()].map(({ reason }) => reason))];
    this.#options.report({
      event: "start",
      device: `${this.#devices.size} \xD7 ${names.join(", ")}`,
      reason: reasons.join("; "),
      processes: this.#devices.size,
      paramsTotal: counts.total,
      paramsActive: counts.active
    });
  }
};

// packages/troupe/dist/open-run.js
import { dirname, isAbsolute, resolve } from "node:path";
async function openRun(folder, options = {}) {
  const storage = fileStorage(folder);
  const checkpoint = await openOne(storage, folder, options);
  try {
    const file = checkpoint.manifest.topology;
    const before = resolveTopology(file);
    const topology = options.set === void 0 || options.set.length === 0 ? before : resolveTopology(file, { set: options.set });
    const differences = diffTrajectory(before, topology);
    if (differences.length > 0)
      throw new ResumeDiffersError(differences);
    return { folder, checkpoint, topology };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}
__name(openRun, "openRun");
async function openOne(storage, folder, options) {
  const open2 = { verify: options.verify ?? "full" };
  if (!await storage.exists(""))
    throw new RunMissingError(folder, "there is no such folder");
  const names = checkpointFolders(await storage.list("")).map(({ name }) => name);
  if (names.length === 0)
    throw new RunMissingError(folder, "name the folder of a run: it holds folders like step-000100");
  const asked = options.checkpoint;
  if (asked === void 0) {
    const { checkpoint, damaged } = await latestCheckpoint(storage, "", open2);
    const [newest] = damaged;
    if (newest === void 0 && checkpoint !== null)
      return checkpoint;
    await checkpoint?.close();
    const hint = checkpoint === null ? "no other checkpoint of this run is intact" : `to go on from an older one, pass --checkpoint ${checkpoint.folder}`;
    throw newest === void 0 ? new RunMissingError(folder, hint) : new RunDamagedError(newest.error, hint);
  }
  if (!names.includes(asked))
    throw new RunMissingError(`${folder}/${asked}`, `there are ${names.join(", ")}`);
  try {
    return await openCheckpoint(storage, asked, open2);
  } catch (error) {
    if (!(error instanceof TroupeError) || error.code !== "TROUPE_CHECKPOINT_DAMAGED")
      throw error;
    const others = names.filter((name) => name !== asked);
    throw new RunDamagedError(error, others.length === 0 ? "the run has no other one" : `the run also has ${others.join(", ")}`);
  }
}
__name(openOne, "openOne");
function withAbsolutePaths(topology) {
  const { source, tokenizer } = topology.data;
  const absolute = /* @__PURE__ */ __name((path) => isAbsolute(path) ? path : resolve(path), "absolute");
  const data = { ...topology.file.data };
  if ("paths" in source) {
    const paths = source.paths.map(absolute);
    Object.assign(data, { [source.kind]: paths.length === 1 ? paths[0] : paths });
  }
  const file = tokenizer.file === null ? null : absolute(tokenizer.file);
  if (file !== null)
    data.tokenizer = { ...data.tokenizer, file };
  return {
    ...topology,
    data: {
      ...topology.data,
      source: "paths" in source ? { ...source, paths: source.paths.map(absolute) } : source,
      tokenizer: { ...tokenizer, file }
    },
    file: { ...topology.file, data }
  };
}
__name(withAbsolutePaths, "withAbsolutePaths");
function runOfPath(path) {
  const trimmed = path.replace(/\/+$/u, "");
  const match = /(?:^|\/)(step-\d{6,})$/u.exec(trimmed);
  return match === null ? { folder: trimmed === "" ? path : trimmed, checkpoint: null } : { folder: dirname(trimmed), checkpoint: match[1] ?? null };
}
__name(runOfPath, "runOfPath");

// packages/troupe/dist/peak.js
var measuredPeakFlops = /* @__PURE__ */ __name((threads, precision = "f32") => measured(() => measurePeak(threads, precision)), "measuredPeakFlops");
var measuredBandwidth = /* @__PURE__ */ __name((threads) => measured(() => measureBandwidth(threads)), "measuredBandwidth");
function measured(measure) {
  try {
    const rate = measure();
    return Number.isFinite(rate) && rate > 0 ? rate : null;
  } catch {
    return null;
  }
}
__name(measured, "measured");

// packages/troupe/dist/profile/write-profile.js
import { createReadStream, existsSync } from "node:fs";
import { rm as rm3 } from "node:fs/promises";
import { basename, dirname as dirname2 } from "node:path";
import { createInterface } from "node:readline";
import { pipeline, Readable } from "node:stream";
import { createGzip } from "node:zlib";

// packages/telemetry/dist/profile/lines.js
var ENOUGH = 0.5;
var SHORT_MS = 0.05;
var BUSY_ENOUGH = 2 / 3;
var LineTally = class {
  static {
    __name(this, "LineTally");
  }
  #lines = /* @__PURE__ */ new Map();
  #windows;
  /** @param windows - steps that count, in order of time; a call belongs to one by its start, and is cut at its end */
  constructor(windows) {
    this.#windows = windows;
  }
  add([op, shape, flops, bytes, start, end, ...threads]) {
    const window = this.#windowAt(start);
    if (window === void 0 || start >= window.end)
      return;
    const key = `${op} ${shape}`;
    let sums = this.#lines.get(key);
    if (sums === void 0) {
      sums = { op, shape, calls: 0, ms: 0, flops: 0, bytes: 0, threadMs: 0, busyMs: 0 };
      this.#lines.set(key, sums);
    }
    const ms = Math.min(end, window.end) - start;
    sums.calls++;
    sums.ms += ms;
    sums.flops += flops;
    sums.bytes += bytes;
    sums.threadMs += threads.length / 3 * ms;
    for (let at = 2; at < threads.length; at += 3)
      sums.busyMs += threads[at] ?? 0;
  }
  /** The last window that has begun. */
  #windowAt(time) {
    let [low, high] = [0, this.#windows.length];
    while (low < high) {
      const middle = low + high >> 1;
      if ((this.#windows[middle]?.start ?? Infinity) <= time)
        low = middle + 1;
      else
        high = middle;
    }
    return this.#windows[low - 1];
  }
  /**
   * @param numDeviceSteps - devices times steps: what the sums are divided by
   * @param stepMs - mean time of a step
   * @returns lines, the most expensive first
   */
  lines(numDeviceSteps, stepMs, rates) {
    return [...this.#lines.values()].sort((a, b) => b.ms - a.ms || (a.op + a.shape < b.op + b.shape ? -1 : 1)).map((sums) => ({
      op: sums.op,
      shape: sums.shape,
      calls: sums.calls / numDeviceSteps,
      ms: sums.ms / numDeviceSteps,
      share: sums.ms / numDeviceSteps / stepMs,
      flops: sums.flops / numDeviceSteps,
      bytes: sums.bytes / numDeviceSteps,
      ...judged(sums, rates)
    }));
  }
};
function judged(sums, rates) {
  const flopsMs = rates.flops === null ? null : 1e3 * sums.flops / rates.flops;
  const bytesMs = rates.bytes === null ? null : 1e3 * sums.bytes / rates.bytes;
  if (flopsMs === null || bytesMs === null || sums.ms === 0)
    return { ofRate: null, rate: sums.flops > 0 ? "flops" : "bytes", bound: null };
  const rate = flopsMs >= bytesMs ? "flops" : "bytes";
  const ofRate = Math.max(flopsMs, bytesMs) / sums.ms;
  return { ofRate, rate, bound: boundOf(sums, rate, ofRate) };
}
__name(judged, "judged");
function boundOf(sums, rate, ofRate) {
  if (ofRate >= ENOUGH)
    return rate === "flops" ? "arithmetic" : ofRate > 1 ? "cache" : "memory";
  if (sums.ms / sums.calls < SHORT_MS)
    return "calls";
  return sums.threadMs > 0 && sums.busyMs / sums.threadMs < BUSY_ENOUGH ? "threads" : "instructions";
}
__name(boundOf, "boundOf");

// packages/telemetry/dist/profile/shares.js
function merged(spans) {
  const result = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last !== void 0 && start <= last.end)
      last.end = Math.max(last.end, end);
    else
      result.push({ start, end });
  }
  return result;
}
__name(merged, "merged");
function* loopSegments(activities, { start: from, end: to }) {
  let [at, slept] = [from, Number.NaN];
  for (const activity of activities) {
    const gap = Math.max(0, activity.start - at);
    const isUnknown = Number.isNaN(slept) || activity.slept < slept;
    const asleep = isUnknown ? gap : Math.min(gap, activity.slept - slept);
    yield { start: at, end: at + asleep, label: activity.isMessage ? "messages" : "idle" };
    at += asleep;
    const end = Math.max(at, activity.end);
    yield { start: at, end, label: "eventLoop" };
    [at, slept] = [end, activity.slept];
  }
  if (at < to)
    yield { start: at, end: to, label: "messages" };
}
__name(loopSegments, "loopSegments");
function timeShares(activities, kernels, windows) {
  const shares = { kernels: 0, messages: 0, eventLoop: 0, idle: 0 };
  const [first, last] = [windows[0], windows.at(-1)];
  if (first === void 0 || last === void 0)
    return shares;
  const busy = merged(kernels);
  let [window, kernel] = [0, 0];
  const whole = { start: Math.min(first.start, activities[0]?.start ?? first.start), end: last.end };
  for (const segment of loopSegments(activities, whole)) {
    while ((windows[window]?.end ?? Infinity) <= segment.start)
      window++;
    for (let index = window; (windows[index]?.start ?? Infinity) < segment.end; index++) {
      const { start, end } = windows[index];
      const part = { start: Math.max(start, segment.start), end: Math.min(end, segment.end) };
      while ((busy[kernel]?.end ?? Infinity) <= part.start)
        kernel++;
      let inKernels = 0;
      for (let k = kernel; (busy[k]?.start ?? Infinity) < part.end; k++)
        inKernels += Math.min(part.end, busy[k]?.end ?? 0) - Math.max(part.start, busy[k]?.start ?? 0);
      shares.kernels += inKernels;
      shares[segment.label] += part.end - part.start - inKernels;
    }
  }
  return shares;
}
__name(timeShares, "timeShares");

// packages/telemetry/dist/profile/profile-tally.js
var NodeTally = class {
  static {
    __name(this, "NodeTally");
  }
  #activities = [];
  #kernels = [];
  #lines;
  #hasDevice = false;
  constructor(lines) {
    this.#lines = lines;
  }
  add(record) {
    if (record.kind === "node")
      this.#hasDevice ||= record.device !== null;
    if (record.kind === "list") {
      for (const call of record.calls) {
        this.#kernels.push({ start: call[4], end: call[5] });
        this.#lines.add(call);
      }
    }
    if (record.kind === "turn" || record.kind === "receive" || record.kind === "list") {
      const { start, end, slept } = record;
      this.#activities.push({ start, end, slept, isMessage: record.kind === "receive" });
    }
  }
  get hasDevice() {
    return this.#hasDevice;
  }
  shares(windows) {
    return timeShares(this.#activities, this.#kernels, windows);
  }
};
var ProfileTally = class {
  static {
    __name(this, "ProfileTally");
  }
  #windows;
  #lines;
  #nodes = [];
  /** @param steps - those that count, in order */
  constructor(steps) {
    this.#windows = steps;
    this.#lines = new LineTally(steps);
  }
  beginNode() {
    this.#nodes.push(new NodeTally(this.#lines));
  }
  add(record) {
    this.#nodes.at(-1)?.add(record);
  }
  figures(rates) {
    const devices = this.#nodes.filter((node) => node.hasDevice);
    const numSteps = this.#windows.length;
    const totalMs = this.#windows.reduce((sum, { start, end }) => sum + end - start, 0);
    const stepMs = numSteps === 0 ? 0 : totalMs / numSteps;
    const numDeviceSteps = Math.max(1, devices.length * numSteps);
    const shares = { kernels: 0, messages: 0, eventLoop: 0, idle: 0 };
    for (const node of devices) {
      const own = node.shares(this.#windows);
      for (const key of ["kernels", "messages", "eventLoop", "idle"])
        shares[key] += own[key] / numDeviceSteps;
    }
    return {
      numSteps,
      numDevices: devices.length,
      stepMs,
      shares,
      lines: this.#lines.lines(numDeviceSteps, stepMs, rates)
    };
  }
};

// packages/telemetry/dist/profile/trace-writer.js
var FIRST_THREAD = 1e6;
var LOOP_ROW = 2e6;
var STEP_ROW = 2000001;
var FIRST_ACTOR = 3e6;
var micros = /* @__PURE__ */ __name((ms) => Math.round(ms * 1e6) / 1e3, "micros");
function place(record) {
  const { step, layer, microbatch } = record;
  return {
    ...step > 0 ? { step } : {},
    ...layer >= 0 ? { layer } : {},
    ...microbatch >= 0 ? { microbatch } : {}
  };
}
__name(place, "place");
var Counts = class {
  static {
    __name(this, "Counts");
  }
  #counts = /* @__PURE__ */ new Map();
  /** Adds one and gives how many there were before. */
  next(name) {
    const before = this.of(name);
    this.#counts.set(name, before + 1);
    return before;
  }
  of(name) {
    return this.#counts.get(name) ?? 0;
  }
};
var Arrows = class {
  static {
    __name(this, "Arrows");
  }
  #seen = { sent: new Counts(), handled: new Counts() };
  #asked = { sent: new Counts(), handled: new Counts() };
  /** Numbers of arrows of which one end has asked. */
  #open = /* @__PURE__ */ new Map();
  #last = 0;
  #numSent = 0;
  see(record) {
    if (record.kind === "send")
      this.#seen.sent.next(record.packet);
    else if (record.kind === "turn" && record.packet !== void 0)
      this.#seen.handled.next(record.packet);
  }
  /** Number of the arrow that begins or ends here, from 1; null when its other end is not known. */
  number(packet, end) {
    const index = this.#asked[end].next(packet);
    if (index >= Math.min(this.#seen.sent.of(packet), this.#seen.handled.of(packet)))
      return null;
    if (end === "sent")
      this.#numSent++;
    const key = `${packet}.${index}`;
    const number = this.#open.get(key) ?? ++this.#last;
    if (!this.#open.delete(key))
      this.#open.set(key, number);
    return number;
  }
  /** Arrows that have been given a beginning. */
  get size() {
    return this.#numSent;
  }
};
var TraceWriter = class {
  static {
    __name(this, "TraceWriter");
  }
  #pid;
  #arrows;
  #rows = /* @__PURE__ */ new Map();
  /** When an actor's last turn ended, and in which state. */
  #states = /* @__PURE__ */ new Map();
  #mailboxes = /* @__PURE__ */ new Map();
  #bytesSent = 0;
  #bytesReceived = 0;
  #numWaits = 0;
  /**
   * @param pid - of the trace: any number that no other process has
   * @param arrows - have seen every record of the trace; shared by its writers
   */
  constructor(pid, arrows) {
    this.#pid = pid;
    this.#arrows = arrows;
  }
  *events(record) {
    switch (record.kind) {
      case "node":
        yield* this.#node(record);
        break;
      case "step":
        yield* this.#step(record);
        break;
      case "turn":
        yield* this.#turn(record);
        break;
      case "send":
        yield* this.#send(record);
        break;
      case "receive":
        yield* this.#receive(record);
        break;
      case "list":
        yield* this.#list(record);
        break;
      case "wait":
        yield* this.#wait(record);
        break;
      case "end":
        break;
    }
  }
  *#node({ node, pid, device }) {
    const name = device === null ? node : `${node}: ${device.name}`;
    yield this.#meta("process_name", LOOP_ROW, { name: `${name} (process ${pid})` });
    yield this.#meta("process_sort_index", LOOP_ROW, { sort_index: this.#pid });
    for (let thread = 0; thread < (device?.threads ?? 0); thread++)
      yield* this.#row(FIRST_THREAD + thread, `device thread ${thread}`);
    yield* this.#row(LOOP_ROW, "event loop");
  }
  *#step({ step, start, end }) {
    if (!this.#rows.has("steps")) {
      this.#rows.set("steps", STEP_ROW);
      yield* this.#row(STEP_ROW, "steps");
    }
    yield this.#slice(STEP_ROW, "step", `step ${step}`, start, end);
  }
  *#turn(record) {
    const { actor, event, from, before, after, outcome, attempt: attempt2, mailbox, packet, start, end } = record;
    const row = yield* this.#actorRow(actor);
    const earlier = this.#states.get(actor);
    if (earlier !== void 0)
      yield this.#slice(row, "state", earlier.state, earlier.since, start, {
        until: `${event} from ${from}`
      });
    this.#states.set(actor, { since: end, state: after });
    yield this.#slice(row, "turn", event, start, end, {
      from,
      state: before === after ? after : `${before} \u2192 ${after}`,
      ...place(record),
      ...attempt2 > 1 ? { attempt: attempt2 } : {},
      ...outcome === "handled" ? {} : { outcome }
    });
    if (packet !== void 0) {
      const id = this.#arrows.number(packet, "handled");
      if (id !== null)
        yield { ...this.#at(row, "message", event, start), ph: "f", bp: "e", id };
    }
    if (mailbox !== (this.#mailboxes.get(actor) ?? 0)) {
      this.#mailboxes.set(actor, mailbox);
      yield this.#counter(`mailbox ${actor}`, end, { events: mailbox });
    }
  }
  *#send({ actor, to, message, packet, bytes, start, end }) {
    const row = yield* this.#actorRow(actor);
    yield this.#slice(row, "message", `send ${message}`, start, end, { to, bytes });
    const id = this.#arrows.number(packet, "sent");
    if (id !== null)
      yield { ...this.#at(row, "message", message, start, { to, bytes }), ph: "s", id };
    this.#bytesSent += bytes;
    yield this.#counter("wire bytes", end, { sent: this.#bytesSent });
  }
  *#receive({ to, message, bytes, start, end }) {
    yield this.#slice(LOOP_ROW, "loop", `receive ${message}`, start, end, { to, bytes });
    this.#bytesReceived += bytes;
    yield this.#counter("wire bytes", end, { received: this.#bytesReceived });
  }
  *#list(record) {
    const { owner, submitted, calls, start, end } = record;
    yield this.#slice(LOOP_ROW, "loop", "completion", start, end, { of: owner });
    const [first, last] = [calls[0], calls.at(-1)];
    if (first === void 0 || last === void 0)
      return;
    yield this.#slice(FIRST_THREAD, "list", owner, first[4], last[5], {
      ...place(record),
      queuedMs: Math.round((first[4] - submitted) * 1e3) / 1e3
    });
    for (const [op, shape, flops, bytes, from, to, ...threads] of calls) {
      const seconds = (to - from) / 1e3;
      yield this.#slice(FIRST_THREAD, "kernel", op, from, to, {
        shape,
        ...place(record),
        flops,
        bytes,
        ...seconds > 0 ? { gflopsPerSecond: flops / seconds / 1e9, gigabytesPerSecond: bytes / seconds / 1e9 } : {},
        ...threads.length === 0 ? {} : { busyMs: threads[2] ?? 0 }
      });
      for (let thread = 1; 3 * thread < threads.length; thread++) {
        const [begin = 0, stop = 0, busyMs = 0] = threads.slice(3 * thread, 3 * thread + 3);
        if (begin > 0)
          yield this.#slice(FIRST_THREAD + thread, "kernel", op, begin, stop, { shape, busyMs });
      }
    }
  }
  *#wait({ owner, reason, awaited, start, end }) {
    const row = yield* this.#actorRow(owner);
    const id = `${this.#pid}.${++this.#numWaits}`;
    const name = `${owner} waits: ${reason}`;
    yield { ...this.#at(row, "wait", name, start, { awaited }), ph: "b", id };
    yield { ...this.#at(row, "wait", name, end), ph: "e", id };
  }
  *#actorRow(actor) {
    const known = this.#rows.get(actor);
    if (known !== void 0)
      return known;
    const row = FIRST_ACTOR + this.#rows.size;
    this.#rows.set(actor, row);
    yield* this.#row(row, actor);
    return row;
  }
  *#row(tid, name) {
    yield this.#meta("thread_name", tid, { name });
    yield this.#meta("thread_sort_index", tid, { sort_index: tid });
  }
  #meta(name, tid, args) {
    return { ph: "M", name, pid: this.#pid, tid, args };
  }
  #slice(tid, cat, name, start, end, args = {}) {
    const ts = micros(start);
    const dur = Math.max(0, Math.round((micros(end) - ts) * 1e3) / 1e3);
    return { ...this.#at(tid, cat, name, start, args), ph: "X", dur };
  }
  #at(tid, cat, name, time, args) {
    return { name, cat, pid: this.#pid, tid, ts: micros(time), ...args === void 0 ? {} : { args } };
  }
  #counter(name, time, args) {
    return { ph: "C", name, pid: this.#pid, tid: LOOP_ROW, ts: micros(time), args };
  }
};

// packages/troupe/dist/profile/write-profile.js
async function* recordsOf(path) {
  if (!existsSync(path))
    return;
  let [isWhole, isBegun] = [false, false];
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    let record;
    try {
      record = JSON.parse(line);
    } catch {
      continue;
    }
    if (record.kind === "node" && isBegun && !isWhole)
      yield null;
    isBegun = true;
    isWhole = record.kind === "end" && !record.isTruncated;
    yield record;
  }
  if (!isWhole)
    yield null;
}
__name(recordsOf, "recordsOf");
async function survey(paths) {
  const arrows = new Arrows();
  const steps = [];
  for (const path of paths) {
    for await (const record of recordsOf(path)) {
      if (record === null)
        continue;
      arrows.see(record);
      if (record.kind === "step")
        steps.push(record);
    }
  }
  return { arrows, steps };
}
__name(survey, "survey");
var TraceText = class {
  static {
    __name(this, "TraceText");
  }
  #paths;
  #arrows;
  #tally;
  truncated = [];
  numEvents = 0;
  constructor(paths, arrows, tally) {
    this.#paths = paths;
    this.#arrows = arrows;
    this.#tally = tally;
  }
  async *chunks() {
    yield "[";
    for (const [index, path] of this.#paths.entries()) {
      const writer = new TraceWriter(index + 1, this.#arrows);
      let node = basename(path);
      this.#tally.beginNode();
      for await (const record of recordsOf(path)) {
        if (record === null) {
          if (!this.truncated.includes(node))
            this.truncated.push(node);
          continue;
        }
        if (record.kind === "node")
          node = record.node;
        this.#tally.add(record);
        let text = "";
        for (const event of writer.events(record))
          text += `${this.numEvents++ === 0 ? "\n" : ",\n"}${JSON.stringify(event)}`;
        if (text !== "")
          yield text;
      }
    }
    yield "\n]\n";
  }
};
function bytesOf(chunks, isCompressed) {
  const encoded = Readable.from(chunks, { objectMode: false });
  return isCompressed ? pipeline(encoded, createGzip(), () => {
  }) : encoded;
}
__name(bytesOf, "bytesOf");
async function writeProfile({ paths, path, rates }) {
  const { arrows, steps } = await survey(paths);
  const tally = new ProfileTally(steps);
  const text = new TraceText(paths, arrows, tally);
  const file = await fileStorage(dirname2(path)).create(basename(path));
  try {
    for await (const chunk of bytesOf(text.chunks(), path.endsWith(".gz")))
      await file.write(chunk);
    await file.commit();
  } catch (error) {
    await file.abort();
    throw error;
  }
  await Promise.all(paths.map((part) => rm3(part, { force: true })));
  const { numSteps, numDevices, stepMs, shares, lines } = tally.figures(rates);
  const [first, last] = [steps[0], steps.at(-1)];
  return {
    event: "profile",
    path,
    steps: numSteps === 0 || first === void 0 || last === void 0 ? null : { first: first.step, last: last.step },
    devices: numDevices,
    stepMs,
    shares,
    peakFlops: rates.flops,
    bytesPerSecond: rates.bytes,
    lines,
    traceEvents: text.numEvents,
    arrows: arrows.size,
    truncated: text.truncated
  };
}
__name(writeProfile, "writeProfile");

export {
  exitCodes,
  exitCodeOf,
  resultOf,
  failureResult,
  RunMissingError,
  RunDamagedError,
  ResumeDiffersError,
  ExpertDeviceError,
  fileStorage,
  launch,
  openRun,
  withAbsolutePaths,
  runOfPath,
  measuredPeakFlops,
  measuredBandwidth,
  writeProfile
};
//# sourceMappingURL=chunk-QARYORQO.js.map
