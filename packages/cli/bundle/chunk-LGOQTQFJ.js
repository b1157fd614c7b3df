import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  ExpertDeviceError,
  exitCodes,
  failureResult,
  resultOf
} from "./chunk-QARYORQO.js";
import {
  Generator,
  LocalModel,
  addresses,
  agentNode,
  createJobSystem,
  createMemoryNetwork,
  createReferenceCodec,
  evaluationSequences,
  inlineHasher,
  jobOf,
  loadDevice,
  lossLimit,
  lossValue,
  mailboxCapacityOf,
  mountAgent,
  mountWorker,
  openCheckpoint,
  openReferenceDevice,
  openTopologyData,
  precisionOf,
  systemClock,
  workerNode
} from "./chunk-YHPICGTS.js";
import {
  createPlacement,
  defaultHome,
  exchangeOf,
  matchesAddress,
  moeLayers,
  parameterCounts,
  trainingFlopsPerToken
} from "./chunk-IEL6CF5I.js";
import {
  loadTokenizer
} from "./chunk-K7SOYNM4.js";
import {
  DEFAULT_FAULT_FACTOR,
  DEFAULT_FAULT_MS,
  InvariantError,
  MemoryStorage,
  TroupeError,
  assert,
  callCost,
  describeFault,
  faultKinds,
  nodeId,
  prng,
  silentLogger,
  withoutQueue
} from "./chunk-JUIDX3IZ.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/troupe/dist/calibration.js
var CalibrationError = class extends TroupeError {
  static {
    __name(this, "CalibrationError");
  }
  constructor(message) {
    super("TROUPE_CALIBRATION", message);
  }
};
var isRate = /* @__PURE__ */ __name((value) => typeof value === "number" && Number.isFinite(value) && value > 0, "isRate");
var isRecord = /* @__PURE__ */ __name((value) => typeof value === "object" && value !== null, "isRecord");
function parseCalibration(value, path) {
  const isSetup = /* @__PURE__ */ __name((setup) => isRecord(setup) && ["threads", "workers", "flopsPerMs", "bytesPerMs"].every((key) => isRate(setup[key])) && typeof setup["turnMs"] === "number" && setup["turnMs"] >= 0 && isRecord(setup["slowness"]) && Object.values(setup["slowness"]).every(isRate), "isSetup");
  if (isRecord(value) && value["version"] === 1) {
    const setups = value["setups"];
    if (Array.isArray(setups) && setups.length > 0 && setups.every(isSetup))
      return value;
  }
  throw new CalibrationError(`'${path}' is no calibration of this version; write one with \`npx troupe bench --calibrate FILE --out ${path}\``);
}
__name(parseCalibration, "parseCalibration");
function setupOf({ setups }, { devices, host }) {
  const threads = devices[0]?.threads ?? 1;
  const known = setups.filter((setup) => setup.threads === threads).toSorted((a, b) => Math.abs(a.workers - devices.length) - Math.abs(b.workers - devices.length));
  const [nearest] = known;
  if (nearest !== void 0)
    return nearest;
  const measured = setups.map((setup) => setup.threads).join(", ");
  throw new CalibrationError(`the calibration has devices of ${measured} threads, and those of ${host} have ${threads}`);
}
__name(setupOf, "setupOf");
function calibrated(calibration, machine) {
  const { flopsPerMs, bytesPerMs, slowness, turnMs } = setupOf(calibration, machine);
  return {
    turnMs,
    speed: {
      flopsPerMs,
      bytesPerMs,
      slowness,
      launchMs: 0,
      callMs: 0,
      memoryBytes: machine.speed?.memoryBytes ?? Number.POSITIVE_INFINITY
    }
  };
}
__name(calibrated, "calibrated");

// packages/troupe/dist/event-stream.js
var EventStream = class {
  static {
    __name(this, "EventStream");
  }
  #values = [];
  #wake = null;
  #ended = false;
  push(value) {
    if (this.#ended)
      return;
    this.#values.push(value);
    this.#wake?.();
  }
  end() {
    this.#ended = true;
    this.#wake?.();
  }
  async *[Symbol.asyncIterator]() {
    for (; ; ) {
      const value = this.#values.shift();
      if (value !== void 0)
        yield value;
      else if (this.#ended)
        return;
      else {
        await new Promise((resolve) => this.#wake = resolve);
        this.#wake = null;
      }
    }
  }
};

// packages/troupe/dist/start-cluster.js
var localPorts = /* @__PURE__ */ __name(() => {
  const clock = systemClock();
  const network = createMemoryNetwork({ clock });
  return {
    open: /* @__PURE__ */ __name((node, incarnation) => ({
      clock,
      transport: network.connect(node, incarnation),
      schedule: /* @__PURE__ */ __name((run) => void setImmediate(run), "schedule")
    }), "open"),
    use: "launch",
    boot: /* @__PURE__ */ __name((_node, run) => void setImmediate(run), "boot"),
    // Nothing ends a part of this process.
    onExit: /* @__PURE__ */ __name(() => {
    }, "onExit")
  };
}, "localPorts");
async function startCluster(topology, options = {}) {
  const logger = options.logger ?? silentLogger;
  const { resumeFrom, checkpoints } = options;
  const tokens = options.tokens ?? (await openTopologyData(topology)).batches;
  const trajectory = resumeFrom?.manifest.trajectory;
  const rules = {
    ...options.gate === void 0 ? {} : { gate: options.gate },
    ...options.expert === void 0 ? {} : { expert: options.expert }
  };
  const job = jobOf(topology, {
    stopAfter: Math.min(options.stopAfter ?? topology.train.steps, topology.train.steps),
    first: { step: resumeFrom?.manifest.step ?? 0, adamClock: trajectory?.adamClock ?? 0 },
    evaluationSequences: "validTargets" in tokens ? evaluationSequences(topology, tokens) : tokens.numEvalSequences,
    checkpoints: checkpoints !== void 0
  }, rules, options.ports?.use);
  const { workers } = createPlacement(topology);
  const openDevice = options.openDevice ?? ((dp) => loadDevice({ body: topology.device, threads: workers[dp]?.device.threads ?? 1 }));
  const devices = await Promise.all(Array.from({ length: job.dp }, (_, dp) => openDevice(dp)));
  const wrong = devices.find(({ info }) => info.body !== (options.expert?.body ?? info.body));
  if (options.expert?.body !== void 0 && wrong !== void 0) {
    await Promise.all(devices.map((device) => device.close()));
    throw new ExpertDeviceError(options.expert.name, options.expert.body, wrong.info);
  }
  return new LocalCluster(topology, job, {
    ...options,
    logger,
    tokens,
    devices,
    ports: options.ports ?? localPorts()
  });
}
__name(startCluster, "startCluster");
function remembered(home) {
  const known = /* @__PURE__ */ new Map();
  return (address) => {
    let node = known.get(address);
    if (node === void 0) {
      node = home(address);
      known.set(address, node);
    }
    return node;
  };
}
__name(remembered, "remembered");
var LocalCluster = class {
  static {
    __name(this, "LocalCluster");
  }
  result;
  #events = new EventStream();
  #steps = new EventStream();
  #topology;
  #job;
  #options;
  #agent;
  #lives = /* @__PURE__ */ new Map();
  #wanted = /* @__PURE__ */ new Map();
  #replicas = [];
  #transports = [];
  #sink;
  #home;
  #ended = false;
  #finish = /* @__PURE__ */ __name(() => {
  }, "#finish");
  #last = null;
  constructor(topology, job, options) {
    this.#sink = options.sink;
    this.#home = remembered(defaultHome(topology));
    this.result = new Promise((resolve) => this.#finish = resolve).then(async (result) => {
      this.#ended = true;
      for (const { system } of this.#lives.values())
        system.stop();
      await Promise.all(this.#transports.map((transport) => transport.close(1e3)));
      await Promise.all(options.devices.map((device) => device.close()));
      this.#events.end();
      this.#steps.end();
      return result;
    });
    const { ports } = options;
    this.#topology = topology;
    this.#job = job;
    this.#options = options;
    const agent = this.#begin(agentNode, 1);
    this.#agent = agent.system;
    const workers = options.devices.map((_, dp) => this.#begin(workerNode(dp), 1));
    ports.onExit((node, incarnation, reason) => this.#agent.tell(addresses.supervisor, "worker.lost", { body: { node, incarnation, reason } }));
    const fail = /* @__PURE__ */ __name((message) => this.#finish(failureResult(message, this.#last?.step ?? job.first.step, this.#last?.loss ?? null)), "fail");
    const first = options.devices[0];
    const counts = parameterCounts(job.model);
    this.#report({
      event: "start",
      device: first?.info.name ?? "none",
      reason: first?.info.reason ?? "",
      processes: 0,
      paramsTotal: counts.total,
      paramsActive: counts.active
    });
    mountAgent(this.#agent, job, {
      storage: options.checkpoints?.storage ?? agent.life.storage?.(),
      trainer: {
        report: /* @__PURE__ */ __name((event) => this.#report(event), "report"),
        finished: /* @__PURE__ */ __name((outcome) => this.#finish(resultOf(outcome)), "finished"),
        peakFlops: null,
        flopsPerToken: trainingFlopsPerToken(job.model)
      },
      store: {
        folder: options.checkpoints?.folder ?? "",
        keep: options.checkpoints?.keep ?? 1,
        topology: topology.file,
        tokenizer: options.checkpoints?.tokenizer ?? null,
        ...options.checkpoints?.hasher === void 0 ? {} : { hasher: options.checkpoints.hasher },
        resumeFrom: options.resumeFrom ?? null
      },
      supervisor: {
        failed: fail,
        ...options.watch ?? { heartbeatMs: 6e4, silenceMs: 6e5 },
        position: /* @__PURE__ */ __name(() => `after step ${this.#last?.step ?? job.first.step}`, "position"),
        limit: lossLimit(topology),
        restart: /* @__PURE__ */ __name((node, incarnation) => this.#restart(node, incarnation), "restart")
      }
    });
    ports.mounted?.(this.#agent);
    workers.forEach((worker, dp) => this.#mountWorker(dp, worker, false));
    this.#agent.listen();
    for (const { system } of workers)
      system.listen();
    options.onMounted?.(this.#replicas);
  }
  steps() {
    return this.#steps;
  }
  events() {
    return this.#events;
  }
  stop() {
    this.#agent.tell(addresses.trainer, "run.stop");
  }
  #report(event) {
    this.#sink?.(event);
    this.#events.push(event);
    if (event.event !== "step")
      return;
    this.#last = event;
    this.#steps.push(event);
  }
  /** The first half of a life: its ports and an empty system; actors are mounted into it before it listens. */
  #begin(node, incarnation) {
    const { ports, logger, observe, mailboxCapacity } = this.#options;
    const life = ports.open(nodeId(node), incarnation);
    const system = createJobSystem({
      node,
      topology: this.#topology,
      transport: life.transport,
      clock: life.clock,
      logger,
      schedule: /* @__PURE__ */ __name((run) => life.schedule(run), "schedule"),
      home: this.#home,
      ...ports.codec === void 0 ? {} : { codec: ports.codec },
      ...observe === void 0 ? {} : { observe },
      ...mailboxCapacity === void 0 ? {} : { mailboxCapacity }
    });
    this.#lives.get(node)?.system.stop();
    this.#lives.set(node, { system });
    this.#transports.push(life.transport);
    return { system, life };
  }
  /** The second half of a worker's life. */
  #mountWorker(dp, { system, life }, joins) {
    const { ports, devices, tokens } = this.#options;
    const device = devices[dp];
    assert(device, "every replica has its device", { dp });
    this.#replicas[dp] = mountWorker(system, this.#job, {
      dp,
      device: life.device?.(device) ?? device,
      tokens,
      joins
    });
    ports.mounted?.(system);
  }
  /** Begins the next life of a worker; of two asked for before the first is up, only the later one comes. */
  #restart(node, incarnation) {
    const { ports } = this.#options;
    const dp = this.#options.devices.findIndex((_, index) => workerNode(index) === node);
    this.#lives.get(node)?.system.stop();
    this.#wanted.set(node, incarnation);
    ports.boot(node, () => {
      if (this.#ended || this.#wanted.get(node) !== incarnation)
        return;
      const begun = this.#begin(node, incarnation);
      this.#mountWorker(dp, begun, true);
      begun.system.listen();
      begun.system.tell(addresses.supervisor, "worker.joined", { body: { node, incarnation } });
    });
  }
};

// packages/sim/dist/checkers/bounds-hold.js
var boundsHold = /* @__PURE__ */ __name(({ mailbox }) => ({
  name: "bounds-hold",
  looksAt: ["turn", "packet"],
  see: /* @__PURE__ */ __name((seen) => {
    if (seen.type === "turn" && seen.mailboxSize > mailbox)
      return `${seen.mailboxSize} events wait in the mailbox of ${seen.address}, at most ${mailbox} may`;
    if (seen.type === "packet" && seen.onWayBytes > Math.max(seen.windowBytes, seen.bytes))
      return `${seen.onWayBytes} bytes of ${seen.from} are on their way to ${seen.to}, at most ${seen.windowBytes} may`;
    return null;
  }, "see")
}), "boundsHold");

// packages/sim/dist/checkers/bytes-intact.js
var bytesIntact = /* @__PURE__ */ __name(() => {
  const changed = /* @__PURE__ */ new WeakMap();
  let hasChanged = false;
  let newest = 0;
  return {
    name: "bytes-intact",
    looksAt: ["packet", "turn"],
    see: /* @__PURE__ */ __name((seen) => {
      if (seen.type === "packet") {
        for (const buffer of seen.changed ?? []) {
          changed.set(buffer, seen.from);
          hasChanged = true;
        }
        return null;
      }
      if (seen.type !== "turn" || seen.outcome !== "handled")
        return null;
      if (seen.attempt > newest)
        newest = seen.attempt;
      if (!hasChanged || seen.attempt < newest)
        return null;
      for (const { buffer } of seen.tensors) {
        const from = changed.get(buffer);
        if (from !== void 0)
          return `${seen.address} took up ${seen.kind} of step ${seen.step} whose bytes changed on their way from ${from}`;
      }
      return null;
    }, "see")
  };
}, "bytesIntact");

// packages/sim/dist/checkers/checker.js
var Checkers = class {
  static {
    __name(this, "Checkers");
  }
  #byType;
  #first = null;
  constructor(checkers) {
    const of = /* @__PURE__ */ __name((type) => checkers.filter(({ looksAt }) => looksAt?.includes(type) ?? true), "of");
    this.#byType = {
      turn: of("turn"),
      packet: of("packet"),
      step: of("step"),
      checkpoint: of("checkpoint"),
      fault: of("fault"),
      end: of("end")
    };
  }
  get violation() {
    return this.#first;
  }
  see(seen) {
    if (this.#first !== null)
      return;
    for (const checker of this.#byType[seen.type]) {
      const text = checker.see(seen);
      if (text === null)
        continue;
      this.#first = { checker: checker.name, atMs: seen.atMs, text };
      return;
    }
  }
};

// packages/sim/dist/checkers/gradients-once.js
function uneven(ranges, times) {
  const bounds = [...new Set(ranges.flatMap(({ from, to }) => [from, to]))].sort((a, b) => a - b);
  for (const [index, from] of bounds.slice(0, -1).entries()) {
    const to = bounds[index + 1] ?? from;
    const depth = ranges.filter((range) => range.from <= from && range.to >= to).length;
    if (depth !== times)
      return `elements ${from} to ${to} were added ${depth} times, expected ${times}`;
  }
  return null;
}
__name(uneven, "uneven");
var gradientsOnce = /* @__PURE__ */ __name((groups) => {
  const sums = /* @__PURE__ */ new Map();
  const versions = /* @__PURE__ */ new Map();
  const add = /* @__PURE__ */ __name((seen) => {
    const { address, step, attempt, stateBefore, body, from } = seen;
    const version = versions.get(address);
    if (stateBefore !== "collecting" && stateBefore !== "passing" || version !== void 0 && step > version + 1)
      return null;
    const name = `${step}/${attempt}`;
    let sum = sums.get(address);
    if (sum === void 0 || sum.attempt !== name) {
      sum = { attempt: name, levels: /* @__PURE__ */ new Map(), seen: /* @__PURE__ */ new Set() };
      sums.set(address, sum);
    }
    const range = { from: Number(body["from"]), to: Number(body["to"]) };
    const level = Number(body["level"]);
    const text = `${from} ${level} ${range.from}-${range.to}`;
    sum.levels.set(level, [...sum.levels.get(level) ?? [], range]);
    if (from !== address && sum.seen.has(text))
      return `${address} adds elements ${range.from} to ${range.to} of ${from} twice in step ${step}, attempt ${attempt}`;
    sum.seen.add(text);
    return null;
  }, "add");
  return {
    name: "gradients-once",
    looksAt: ["turn"],
    see: /* @__PURE__ */ __name((seen) => {
      if (seen.type !== "turn" || seen.outcome !== "handled" || !seen.address.startsWith("optimizer/"))
        return null;
      const { address, kind, stateBefore } = seen;
      if (kind === "xstate.init" || kind === "parameters.initialised")
        sums.delete(address);
      if (kind === "step.open" && stateBefore === "collecting")
        versions.set(address, seen.version);
      if (kind === "weights.applied")
        versions.set(address, seen.step);
      if (kind === "gradient.add")
        return add(seen);
      if (kind !== "norm.measured")
        return null;
      const sum = sums.get(address);
      if (sum === void 0 || sum.attempt !== `${seen.step}/${seen.attempt}`)
        return null;
      const sizes = address.startsWith("optimizer/dense") ? groups.dense : groups.expert;
      sums.delete(address);
      for (const [level, size] of sizes.entries()) {
        const found = uneven(sum.levels.get(level) ?? [], level === 0 ? size : size - 1);
        if (found !== null)
          return `${address} votes in step ${seen.step}, attempt ${seen.attempt}: at level ${level} ${found}`;
      }
      return null;
    }, "see")
  };
}, "gradientsOnce");

// packages/sim/dist/checkers/liveness.js
var isGrave = /* @__PURE__ */ __name(({ kind, forMs }, silenceMs) => {
  if (kind === "hang" || kind === "partition")
    return (forMs ?? 0) >= silenceMs;
  return !["slow", "skew", "nan", "delay", "clog", "bit-flip"].includes(kind);
}, "isGrave");
var liveness = /* @__PURE__ */ __name(({ silenceMs }) => {
  const touched = /* @__PURE__ */ new Set();
  let isFull = false;
  return {
    name: "liveness",
    looksAt: ["fault", "end"],
    see: /* @__PURE__ */ __name((seen) => {
      if (seen.type === "fault" && isGrave(seen.fault, silenceMs)) {
        for (const name of seen.touches)
          touched.add(name);
        isFull ||= seen.fault.kind === "disk-full";
      }
      if (seen.type !== "end" || seen.exitCode === 0)
        return null;
      const { exitCode, message } = seen;
      if (seen.isStuck)
        return `the run hangs: ${message}`;
      if (isFull && exitCode === 75)
        return null;
      if (exitCode !== 76)
        return `the run ended with ${exitCode}: ${message}`;
      const names = [...touched].some((name) => new RegExp(`(?<![\\w/])${name}(?![\\w/])`, "u").test(message));
      return names ? null : `the run ended with ${exitCode}, and its sentence names nothing that a fault touched: ${message}`;
    }, "see")
  };
}, "liveness");

// packages/sim/dist/checkers/loss-curve.js
var lossCurve = /* @__PURE__ */ __name((reference) => {
  const byStep = new Map(reference.map((each) => [each.step, each]));
  return {
    name: "loss-curve",
    looksAt: ["step"],
    see: /* @__PURE__ */ __name((seen) => {
      if (seen.type !== "step")
        return null;
      const wanted = byStep.get(seen.step);
      if (wanted === void 0)
        return null;
      for (const key of ["loss", "gradNorm"])
        if (!Object.is(seen[key], wanted[key]))
          return `${key} of step ${seen.step} is ${seen[key]}, without faults ${wanted[key]}`;
      return null;
    }, "see")
  };
}, "lossCurve");

// packages/sim/dist/checkers/manifests-complete.js
var manifestsComplete = /* @__PURE__ */ __name(() => {
  let isTorn = false;
  return {
    name: "manifests-complete",
    looksAt: ["fault", "checkpoint"],
    see: /* @__PURE__ */ __name((seen) => {
      if (seen.type === "fault" && seen.fault.kind === "torn-write")
        isTorn = true;
      return seen.type === "checkpoint" && seen.damage !== null && !isTorn ? `checkpoint ${seen.path} was reported, and a loss of power now would lose it: ${seen.damage}` : null;
    }, "see")
  };
}, "manifestsComplete");

// packages/sim/dist/checkers/nothing-stale.js
var nothingStale = /* @__PURE__ */ __name(() => ({
  name: "nothing-stale",
  looksAt: ["packet"],
  see: /* @__PURE__ */ __name((seen) => seen.type === "packet" && seen.fromLife < seen.currentLife ? `${seen.to} read a message of life ${seen.fromLife} of ${seen.from}, whose life ${seen.currentLife} has begun` : null, "see")
}), "nothingStale");

// packages/sim/dist/checkers/one-owner.js
var oneOwner = /* @__PURE__ */ __name(() => {
  const owners = /* @__PURE__ */ new Map();
  return {
    name: "one-owner",
    looksAt: ["turn"],
    see: /* @__PURE__ */ __name((seen) => {
      if (seen.type !== "turn")
        return null;
      const { address, node, life, incarnation } = seen;
      const known = owners.get(address) ?? [];
      const last = known.at(-1);
      if (last?.life === life && last.incarnation === incarnation && last.node === node)
        return null;
      owners.set(address, known);
      const owner = known.find((each) => each.life === life && each.incarnation === incarnation);
      if (owner === void 0)
        known.push({ node, life, incarnation });
      return owner === void 0 || owner.node === node ? null : `${address} in life ${life}.${incarnation} acts on ${owner.node} and on ${node}`;
    }, "see")
  };
}, "oneOwner");

// packages/sim/dist/checkers/rows-conserved.js
var rowsConserved = /* @__PURE__ */ __name((run) => {
  const flows = /* @__PURE__ */ new Map();
  const flowOf = /* @__PURE__ */ __name((step, attempt) => {
    const key = `${step}/${attempt}`;
    const known = flows.get(key);
    if (known !== void 0)
      return known;
    const flow = { routed: /* @__PURE__ */ new Map(), received: /* @__PURE__ */ new Map(), numMeasured: 0 };
    flows.set(key, flow);
    return flow;
  }, "flowOf");
  return {
    name: "rows-conserved",
    looksAt: ["turn"],
    see: /* @__PURE__ */ __name((seen) => {
      if (seen.type !== "turn" || seen.outcome !== "handled")
        return null;
      const { address, step, attempt, layer, microbatch, body, tensors } = seen;
      if (seen.kind === "rows.dispatch" && body["mode"] === "train") {
        const key = `${address} ${String(body["source"])} ${microbatch}`;
        const rows = tensors[1]?.length ?? 0;
        const flow2 = flowOf(step, attempt);
        const known = flow2.received.get(key);
        if (known !== void 0 && known.rows !== rows)
          return `${address} got ${known.rows} rows, and again ${rows} rows, of source ${String(body["source"])}`;
        flow2.received.set(key, { layer, rows });
      }
      if (seen.kind !== "replica.measured")
        return null;
      const flow = flowOf(step, attempt);
      const counts_LE = tensors[2];
      for (const [index, each] of run.layers.entries()) {
        const own = counts_LE.subarray(index * run.experts, (index + 1) * run.experts);
        flow.routed.set(each, own.reduce((sum, count) => sum + count, flow.routed.get(each) ?? 0));
      }
      if (++flow.numMeasured < run.replicas)
        return null;
      flows.clear();
      const received = [...flow.received.values()];
      for (const each of run.layers) {
        const computed = received.reduce((sum, part) => sum + (part.layer === each ? part.rows : 0), 0);
        const routed = flow.routed.get(each) ?? 0;
        if (computed !== routed)
          return `step ${step}, attempt ${attempt}, layer ${each}: ${routed} rows were routed, ${computed} reached an expert`;
      }
      return null;
    }, "see")
  };
}, "rowsConserved");

// packages/sim/dist/checkers/versions-agree.js
var versionsAgree = /* @__PURE__ */ __name(() => {
  const decisions = /* @__PURE__ */ new Map();
  const applied = /* @__PURE__ */ new Map();
  return {
    name: "versions-agree",
    looksAt: ["turn"],
    see: /* @__PURE__ */ __name((seen) => {
      if (seen.type !== "turn" || seen.outcome !== "handled")
        return null;
      if (seen.kind === "commit.decide") {
        const text = JSON.stringify(seen.body);
        const known = decisions.get(seen.step);
        if (known === void 0)
          decisions.set(seen.step, { text, by: seen.address });
        else if (known.text !== text)
          return `step ${seen.step} was decided twice: ${known.by} got ${known.text}, ${seen.address} got ${text}`;
      }
      if (seen.kind === "commit.applied") {
        const known = applied.get(seen.step);
        if (known === void 0)
          applied.set(seen.step, { version: seen.version, by: seen.from });
        else if (known.version !== seen.version)
          return `after step ${seen.step} ${known.by} is at version ${known.version}, ${seen.from} at ${seen.version}`;
      }
      return null;
    }, "see")
  };
}, "versionsAgree");

// packages/sim/dist/cost.js
var defaultSpeed = {
  flopsPerMs: 5e7,
  bytesPerMs: 1e7,
  launchMs: 0.06,
  callMs: 0,
  memoryBytes: Number.POSITIVE_INFINITY
};
var rooflineMs = /* @__PURE__ */ __name(({ flops, bytes }, { flopsPerMs, bytesPerMs }) => Math.max(flops / flopsPerMs, bytes / bytesPerMs), "rooflineMs");
function listCostMs(calls, speed) {
  let ms = speed.launchMs;
  for (const call of calls) {
    const { flops, bytes } = callCost(call);
    ms += speed.callMs + rooflineMs({ flops, bytes }, speed) * (speed.slowness?.[call.op] ?? 1);
  }
  return ms;
}
__name(listCostMs, "listCostMs");

// packages/sim/dist/errors.js
var SimulationCrashError = class extends TroupeError {
  static {
    __name(this, "SimulationCrashError");
  }
  name = "SimulationCrashError";
  constructor(address) {
    super("TROUPE_SIM_CRASH", `${address} was crashed by the fault plan`, {
      retryable: true,
      details: { address }
    });
  }
};
var DeviceMemoryError = class extends TroupeError {
  static {
    __name(this, "DeviceMemoryError");
  }
  name = "DeviceMemoryError";
  constructor(node, wantedBytes, usedBytes, memoryBytes) {
    super("TROUPE_DEVICE_MEMORY", `the device of ${node} has ${memoryBytes} bytes, ${usedBytes} in use, and ${wantedBytes} more are wanted; use more devices, a larger ep, or smaller microbatches`, { details: { node, wantedBytes, usedBytes, memoryBytes } });
  }
};

// packages/sim/dist/device.js
function simDevice(body, process, now, speed = defaultSpeed) {
  let busyUntilMs = 0;
  let isPoisoned = false;
  let usedBytes = 0;
  const poisonSums = /* @__PURE__ */ __name((calls) => {
    for (const call of calls) {
      if (!call.op.includes("backward"))
        continue;
      for (const value of Object.values(call)) {
        if (!isExactSum(value))
          continue;
        value.overflow[0] = 1;
        isPoisoned = false;
      }
    }
  }, "poisonSums");
  const allocate = /* @__PURE__ */ __name((bytes, make) => {
    if (usedBytes + bytes > speed.memoryBytes)
      throw new DeviceMemoryError(process.node, bytes, usedBytes, speed.memoryBytes);
    usedBytes += bytes;
    return make();
  }, "allocate");
  const floatBytes = body.info.dtype === "f64" ? 8 : 4;
  return {
    info: { ...body.info, name: `simulated ${body.info.name}` },
    floats: /* @__PURE__ */ __name((length) => allocate(floatBytes * length, () => body.floats(length)), "floats"),
    halves: /* @__PURE__ */ __name((length) => allocate(2 * length, () => body.halves(length)), "halves"),
    ints: /* @__PURE__ */ __name((length) => allocate(4 * length, () => body.ints(length)), "ints"),
    int64s: /* @__PURE__ */ __name((length) => allocate(8 * length, () => body.int64s(length)), "int64s"),
    bytes: /* @__PURE__ */ __name((length) => allocate(length, () => body.bytes(length)), "bytes"),
    close: /* @__PURE__ */ __name(() => body.close(), "close"),
    poison: /* @__PURE__ */ __name(() => {
      isPoisoned = true;
    }, "poison"),
    get usedBytes() {
      return usedBytes;
    },
    submit: /* @__PURE__ */ __name((calls, done) => {
      const costMs = listCostMs(calls, speed) * process.slowness;
      busyUntilMs = Math.max(busyUntilMs, now()) + costMs;
      process.after(busyUntilMs - now(), () => {
        const { error } = body.run(calls);
        if (isPoisoned)
          poisonSums(calls);
        done({ error, kernelMs: costMs });
      });
    }, "submit")
  };
}
__name(simDevice, "simDevice");
var isExactSum = /* @__PURE__ */ __name((value) => typeof value === "object" && value !== null && "overflow" in value && "values" in value, "isExactSum");

// packages/sim/dist/disk.js
var defaultDisk = {
  latencyMs: 0.05,
  bytesPerMs: 1e6,
  syncMs: 1,
  capacityBytes: Number.POSITIVE_INFINITY
};
var SimDisk = class {
  static {
    __name(this, "SimDisk");
  }
  #clock;
  #model;
  #draws;
  #plant;
  #numDraws = 0;
  #files;
  #tearsNext = false;
  #flipsNext = false;
  #numFull = 0;
  #wasTouched = false;
  constructor(clock, draws, model = {}, plant = {}) {
    this.#clock = clock;
    this.#draws = draws;
    this.#model = { ...defaultDisk, ...model };
    this.#plant = plant;
    this.#files = new MemoryStorage({ capacityBytes: this.#model.capacityBytes });
  }
  /** What would be there after a loss of power now. */
  afterPowerLoss() {
    return this.#crash(0);
  }
  /** Whether promises of storage may be settling since the last look. */
  takeTouched() {
    const was = this.#wasTouched;
    this.#wasTouched = false;
    return was;
  }
  strike(fault) {
    switch (fault.kind) {
      case "disk-full": {
        this.#numFull++;
        this.#files.setCapacity(this.#files.usedBytes);
        this.#clock.after(fault.forMs ?? DEFAULT_FAULT_MS, () => {
          if (--this.#numFull === 0)
            this.#files.setCapacity(this.#model.capacityBytes);
        });
        return;
      }
      case "torn-write":
        this.#tearsNext = true;
        return;
      case "bit-flip":
        this.#flipsNext = true;
        return;
      case "lost-unsynced":
        this.#files = this.#crash(this.#below(this.#files.numUnsynced + 1));
        return;
      default:
    }
  }
  /** The storage that a process sees. */
  open(process) {
    const { latencyMs, bytesPerMs, syncMs } = this.#model;
    const wait = /* @__PURE__ */ __name((ms) => {
      this.#wasTouched = true;
      return new Promise((resolve) => {
        process.after(ms, () => {
          this.#wasTouched = true;
          resolve();
        });
      });
    }, "wait");
    const timed = /* @__PURE__ */ __name(async (ms, act) => {
      await wait(ms);
      return act();
    }, "timed");
    const create = /* @__PURE__ */ __name(async (path) => {
      const file = await timed(latencyMs, () => this.#files.create(path));
      return {
        write: /* @__PURE__ */ __name((chunk) => timed(chunk.byteLength / bytesPerMs, () => file.write(chunk)), "write"),
        commit: /* @__PURE__ */ __name(async () => {
          await timed(latencyMs + 2 * syncMs, () => file.commit());
          if (!this.#tearsNext)
            return;
          this.#tearsNext = false;
          this.#files.tear(path, this.#below(await this.#files.sizeBytes(path)));
        }, "commit"),
        abort: /* @__PURE__ */ __name(() => timed(latencyMs, () => file.abort()), "abort")
      };
    }, "create");
    return {
      create,
      writeAtomic: /* @__PURE__ */ __name(async (path, bytes) => {
        const file = await create(path);
        try {
          await file.write(bytes);
          await file.commit();
        } catch (error) {
          await file.abort();
          throw error;
        }
      }, "writeAtomic"),
      read: /* @__PURE__ */ __name(async (path, range) => {
        await wait(latencyMs);
        const bytes = await this.#files.read(path, range);
        await wait(bytes.byteLength / bytesPerMs);
        if (this.#flipsNext && bytes.byteLength > 0) {
          this.#flipsNext = false;
          const bit = this.#below(8 * bytes.byteLength);
          bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ 1 << (bit & 7);
        }
        return bytes;
      }, "read"),
      sizeBytes: /* @__PURE__ */ __name((path) => timed(latencyMs, () => this.#files.sizeBytes(path)), "sizeBytes"),
      list: /* @__PURE__ */ __name((folder) => timed(latencyMs, () => this.#files.list(folder)), "list"),
      exists: /* @__PURE__ */ __name((path) => timed(latencyMs, () => this.#files.exists(path)), "exists"),
      makeFolder: /* @__PURE__ */ __name((folder) => timed(latencyMs, () => this.#files.makeFolder(folder)), "makeFolder"),
      rename: /* @__PURE__ */ __name((from, to) => timed(latencyMs, () => this.#files.rename(from, to)), "rename"),
      remove: /* @__PURE__ */ __name((path) => timed(latencyMs, () => this.#files.remove(path)), "remove"),
      syncFolder: /* @__PURE__ */ __name((folder) => timed(syncMs, () => this.#files.syncFolder(folder)), "syncFolder")
    };
  }
  #crash(keptChanges) {
    const files = this.#files.crash(keptChanges, { capacityBytes: this.#model.capacityBytes });
    const { isUnsynced } = this.#plant;
    if (isUnsynced !== void 0)
      for (const path of files.paths.filter(isUnsynced))
        files.tear(path, 0);
    return files;
  }
  #below(bound) {
    return this.#draws.integer(this.#numDraws++, Math.max(1, bound));
  }
};

// packages/sim/dist/visited-rows.js
function visitedRows(call) {
  const { tokens, experts, perRank, topK } = call;
  let missed = 1;
  for (let pick = 0; pick < topK; pick++)
    missed *= Math.max(0, experts - perRank - pick) / (experts - pick);
  return Math.round(tokens * (1 - missed));
}
__name(visitedRows, "visitedRows");

// packages/sim/dist/hollow-device.js
var REAL_INTS = 1 << 12;
var Zeros = class {
  static {
    __name(this, "Zeros");
  }
  #buffer = new ArrayBuffer(0);
  take(bytes) {
    if (this.#buffer.byteLength < bytes)
      this.#buffer = new ArrayBuffer(2 * bytes);
    return this.#buffer;
  }
};
var HollowFloats = class extends Float32Array {
  static {
    __name(this, "HollowFloats");
  }
  set() {
  }
  fill() {
    return this;
  }
  slice(from, to) {
    return this.subarray(from, to);
  }
};
var HollowHalves = class extends Uint16Array {
  static {
    __name(this, "HollowHalves");
  }
  set() {
  }
  fill() {
    return this;
  }
  slice(from, to) {
    return this.subarray(from, to);
  }
};
var HollowInts = class extends Int32Array {
  static {
    __name(this, "HollowInts");
  }
  set() {
  }
  fill() {
    return this;
  }
  slice(from, to) {
    return this.subarray(from, to);
  }
};
var HollowInt64s = class extends BigInt64Array {
  static {
    __name(this, "HollowInt64s");
  }
  set() {
  }
  fill() {
    return this;
  }
  slice(from, to) {
    return this.subarray(from, to);
  }
};
var share = /* @__PURE__ */ __name((total, parts, index) => Math.floor(total / parts) + (index < total % parts ? 1 : 0), "share");
function planEvenly(call) {
  const { tokens, experts, topK, ranks, counts_EG, numTokens_R, numRows_R } = call;
  const grains = counts_EG.length / experts;
  for (let expert = 0; expert < experts; expert++) {
    const rows = share(tokens * topK, experts, expert);
    for (let grain = 0; grain < grains; grain++)
      counts_EG[expert * grains + grain] = share(rows, grains, grain);
  }
  const perRank = experts / ranks;
  for (let rank = 0; rank < ranks; rank++) {
    let rows = 0;
    for (let expert = rank * perRank; expert < (rank + 1) * perRank; expert++)
      rows += share(tokens * topK, experts, expert);
    numRows_R[rank] = rows;
    numTokens_R[rank] = visitedRows({ tokens, experts, perRank, topK });
  }
}
__name(planEvenly, "planEvenly");
function openHollowDevice() {
  const zeros = new Zeros();
  const floats = /* @__PURE__ */ __name((length) => new HollowFloats(zeros.take(4 * length), 0, length), "floats");
  const run = /* @__PURE__ */ __name((calls) => {
    for (const call of calls)
      if (call.op === "route.plan")
        planEvenly(call);
    return { error: null, kernelMs: 0 };
  }, "run");
  return {
    info: {
      body: "reference",
      name: "shapes only",
      reason: "no arithmetic was asked for",
      threads: 1,
      dtype: "f32",
      layoutFree: false
    },
    floats,
    halves: /* @__PURE__ */ __name((length) => new HollowHalves(zeros.take(2 * length), 0, length), "halves"),
    ints: /* @__PURE__ */ __name((length) => length <= REAL_INTS ? new Int32Array(length) : new HollowInts(zeros.take(4 * length), 0, length), "ints"),
    int64s: /* @__PURE__ */ __name((length) => new HollowInt64s(zeros.take(8 * length), 0, length), "int64s"),
    bytes: /* @__PURE__ */ __name((length) => new Uint8Array(zeros.take(length), 0, length), "bytes"),
    close: /* @__PURE__ */ __name(async () => {
    }, "close"),
    run,
    submit: /* @__PURE__ */ __name(() => {
      throw new InvariantError("a hollow device runs inside the call");
    }, "submit")
  };
}
__name(openHollowDevice, "openHollowDevice");

// packages/sim/dist/passive-device.js
var shared = /* @__PURE__ */ new Set([
  "fill",
  "copy",
  "sum.add",
  "sum.reset",
  "sum.squares",
  "adamw"
]);
var passiveDevice = /* @__PURE__ */ __name((body) => ({
  ...withoutQueue(body),
  info: { ...body.info, name: `passive ${body.info.name}` },
  submit: /* @__PURE__ */ __name((calls, done) => body.submit(calls, done), "submit"),
  run: /* @__PURE__ */ __name((calls) => {
    for (const call of calls)
      if (call.op === "route.plan")
        planEvenly(call);
    return body.run(calls.filter(({ op }) => shared.has(op)));
  }, "run")
}), "passiveDevice");

// packages/sim/dist/link-model.js
var defaultLink = {
  latencyMs: 0.1,
  jitterMs: 0.1,
  jitter: "uniform",
  bytesPerMs: 15e5,
  windowBytes: { control: 4 * 2 ** 20, data: 65 * 2 ** 20 },
  loss: 0,
  retransmitMs: 200,
  silenceMs: 5e3
};
function travelMs(model, draw) {
  const { latencyMs, jitterMs, jitter, loss, retransmitMs } = model;
  const spread = draw();
  let ms = latencyMs + jitterMs * (jitter === "uniform" ? spread : -Math.log(1 - spread));
  if (loss === 0)
    return ms;
  for (let wait = retransmitMs; draw() < loss; wait *= 2)
    ms += wait;
  return ms;
}
__name(travelMs, "travelMs");

// packages/sim/dist/lane-queue.js
var QueuedPacket = class {
  static {
    __name(this, "QueuedPacket");
  }
  packet;
  bytes;
  sent;
  /** Life of the sender. */
  life;
  /** Left, and neither released nor lost. */
  isOnWay = false;
  before = null;
  after = null;
  constructor(packet, bytes, sent, life) {
    this.packet = packet;
    this.bytes = bytes;
    this.sent = sent;
    this.life = life;
  }
};
function packetBytes({ header, frames }) {
  let bytes = header.byteLength;
  for (const frame of frames)
    bytes += frame.byteLength;
  return bytes;
}
__name(packetBytes, "packetBytes");
var PacketList = class {
  static {
    __name(this, "PacketList");
  }
  first = null;
  last = null;
  bytes = 0;
  push(queued) {
    queued.before = this.last;
    queued.after = null;
    if (this.last === null)
      this.first = queued;
    else
      this.last.after = queued;
    this.last = queued;
    this.bytes += queued.bytes;
  }
  remove(queued) {
    const { before, after } = queued;
    if (before === null)
      this.first = after;
    else
      before.after = after;
    if (after === null)
      this.last = before;
    else
      after.before = before;
    queued.before = null;
    queued.after = null;
    this.bytes -= queued.bytes;
  }
  /** Takes out what a life left, and those before it, oldest first; the rest keeps its order. */
  take(life) {
    const taken = [];
    for (let next = this.first; next !== null; ) {
      const queued = next;
      next = queued.after;
      if (queued.life > life)
        continue;
      this.remove(queued);
      taken.push(queued);
    }
    return taken;
  }
};
var LaneQueue = class {
  static {
    __name(this, "LaneQueue");
  }
  #waiting = new PacketList();
  #onWay = new PacketList();
  /** No packet of this lane arrives before this one did. */
  lastArrivalMs = 0;
  /** The wire is free again. */
  freeAtMs = 0;
  get queuedBytes() {
    return this.#waiting.bytes + this.#onWay.bytes;
  }
  get onWayBytes() {
    return this.#onWay.bytes;
  }
  get hasWaiting() {
    return this.#waiting.first !== null;
  }
  push(queued) {
    this.#waiting.push(queued);
  }
  /** The next packet that the window admits. */
  take(windowBytes) {
    const next = this.#waiting.first;
    const onWayBytes = this.#onWay.bytes;
    if (next === null || onWayBytes > 0 && onWayBytes + next.bytes > windowBytes)
      return null;
    this.#waiting.remove(next);
    next.isOnWay = true;
    this.#onWay.push(next);
    return next;
  }
  /** The receiver released it; false when it belonged to an earlier connection. */
  release(queued) {
    if (!queued.isOnWay)
      return false;
    queued.isOnWay = false;
    this.#onWay.remove(queued);
    return true;
  }
  /**
   * Takes out what a life of the sender left, and gives it back, oldest first.
   *
   * @param life - that life and those before it; packets of a later one stay where they are: one that wakes as a zombie notices the end of
   * its connection when its successor's packets are on their way
   */
  clear(life = Number.POSITIVE_INFINITY) {
    const taken = [...this.#onWay.take(life), ...this.#waiting.take(life)];
    for (const queued of taken)
      queued.isOnWay = false;
    return taken;
  }
};

// packages/sim/dist/frame-sums.js
var WORD = Uint32Array.BYTES_PER_ELEMENT;
var PRIME = 16777619;
var OFFSET = 2166136261;
function mixed(sum, word) {
  const product = Math.imul(sum ^ word, PRIME);
  return product ^ product >>> 15;
}
__name(mixed, "mixed");
function frameSum(frame) {
  let sum = OFFSET;
  let at = 0;
  if (frame.byteOffset % WORD === 0) {
    const words = new Uint32Array(frame.buffer, frame.byteOffset, Math.floor(frame.byteLength / WORD));
    for (const word of words)
      sum = mixed(sum, word);
    at = words.byteLength;
  }
  for (; at < frame.byteLength; at++)
    sum = mixed(sum, frame[at] ?? 0);
  return sum;
}
__name(frameSum, "frameSum");
var FrameSums = class {
  static {
    __name(this, "FrameSums");
  }
  #left = /* @__PURE__ */ new WeakMap();
  left(packet) {
    if (packet.frames.length > 0)
      this.#left.set(packet, packet.frames.map(frameSum));
  }
  /** Positions of frames that are not what they were. */
  changed(packet) {
    const left = this.#left.get(packet) ?? [];
    return left.flatMap((sum, index) => {
      const frame = packet.frames[index];
      return frame !== void 0 && frameSum(frame) !== sum ? [index] : [];
    });
  }
};

// packages/sim/dist/transport.js
var closedError = /* @__PURE__ */ __name((node) => new TroupeError("TROUPE_TRANSPORT_CLOSED", `the transport of node '${node}' is closed`, {
  details: { node }
}), "closedError");
var lostError = /* @__PURE__ */ __name((node, reason) => new TroupeError("TROUPE_TRANSPORT_PEER_LOST", `node '${node}' went away before it took the packet: ${reason}`, { retryable: true, details: { node, reason } }), "lostError");
var SimTransport = class {
  static {
    __name(this, "SimTransport");
  }
  process;
  #network;
  #early = [];
  #packet = null;
  #peer = null;
  #isOpen = true;
  counts = {
    bytesSent: 0,
    bytesReceived: 0,
    messagesSent: 0,
    messagesReceived: 0,
    packetsRefused: 0
  };
  constructor(process, network) {
    this.process = process;
    this.#network = network;
  }
  get node() {
    return this.process.node;
  }
  get incarnation() {
    return this.process.incarnation;
  }
  get isOpen() {
    return this.#isOpen && this.process.isAlive;
  }
  send(to, lane, packet, sent) {
    if (!this.#isOpen)
      throw closedError(this.node);
    this.#network.send(this, to, lane, packet, sent);
  }
  onPacket(handler) {
    this.#packet = handler;
    for (const deliver of this.#early.splice(0))
      deliver();
  }
  onPeer(handler) {
    this.#peer = handler;
  }
  stats() {
    return { ...this.counts };
  }
  queuedBytes(to) {
    return this.#network.queuedBytes(this.node, to);
  }
  async close(_deadlineMs) {
    if (!this.#isOpen)
      return;
    this.#isOpen = false;
    this.#network.leave(this);
  }
  /** A packet is here; kept until somebody listens. */
  deliver(from, lane, packet, release) {
    if (this.#packet === null)
      this.#early.push(() => this.deliver(from, lane, packet, release));
    else if (this.#isOpen)
      this.#packet(from, lane, packet, release);
  }
  emit(event) {
    if (this.#isOpen)
      this.#peer?.(event);
  }
};

// packages/sim/dist/link.js
var lanes = ["control", "data"];
var Direction = class {
  static {
    __name(this, "Direction");
  }
  from;
  to;
  lanes = { control: new LaneQueue(), data: new LaneQueue() };
  model;
  latencyFactor = 1;
  bandwidthFactor = 1;
  /** Partitions in force. */
  blocks = 0;
  nextFault = null;
  /** Since a packet went missing nothing is delivered any more. */
  isBroken = false;
  constructor(from, to, model) {
    this.from = from;
    this.to = to;
    this.model = model;
  }
};
var SimLink = class {
  static {
    __name(this, "SimLink");
  }
  #network;
  #directions;
  /** The lives at both ends while it is up. */
  #ends = null;
  #isOpening = false;
  /** Counts connections, so that what is on the way can tell its own from a later one. */
  #generation = 0;
  /** Lives that have yet to notice the end of the last connection. */
  #numNoticing = 0;
  constructor(network, a, b) {
    this.#network = network;
    this.#directions = [
      new Direction(a, b, network.modelOf(a, b)),
      new Direction(b, a, network.modelOf(b, a))
    ];
  }
  get isUp() {
    return this.#ends !== null;
  }
  get ends() {
    return this.#ends ?? [];
  }
  direction(from) {
    const [there, back] = this.#directions;
    if (there.from === from)
      return there;
    assert(back.from === from, "a link has two ends", { from });
    return back;
  }
  send(from, lane, queued) {
    const direction = this.direction(from);
    direction.lanes[lane].push(queued);
    if (this.isUp)
      this.#pumpLane(direction, lane);
    else
      this.pump();
  }
  /** A life of a node is over: what it queued is nobody's, also where no connection stood. */
  forget(node, life) {
    if (this.isUp)
      return;
    for (const lane of lanes)
      this.direction(node).lanes[lane].clear(life);
  }
  queuedBytes(from) {
    const { control, data } = this.direction(from).lanes;
    return control.queuedBytes + data.queuedBytes;
  }
  /** Connects when there is something to send, and lets go what the windows admit. */
  pump() {
    const { clock } = this.#network;
    const directions = this.#directions;
    if (this.#ends === null) {
      const hasWork = directions.some(({ lanes: queues }) => lanes.some((lane) => queues[lane].hasWaiting));
      if (!hasWork || this.#isOpening || this.#numNoticing > 0)
        return;
      const [a, b] = directions.map(({ from }) => this.#network.current(from));
      if (a === void 0 || b === void 0 || directions.some(({ blocks }) => blocks > 0))
        return;
      if (a.process.isHanging || b.process.isHanging)
        return;
      this.#isOpening = true;
      const roundTripMs = directions.reduce((sum, { model }) => sum + model.latencyMs, 0);
      clock.after(roundTripMs, () => this.#open(a, b));
      return;
    }
    for (const direction of directions)
      for (const lane of lanes)
        this.#pumpLane(direction, lane);
  }
  #pumpLane(direction, lane) {
    if (direction.blocks > 0 || direction.isBroken)
      return;
    const queue = direction.lanes[lane];
    const windowBytes = direction.model.windowBytes[lane];
    for (let queued = queue.take(windowBytes); queued !== null; queued = queue.take(windowBytes))
      this.#depart(direction, lane, queued);
  }
  /** Nothing passes in one direction until `unblock`; a connection that stays silent too long is lost. */
  block(from) {
    const direction = this.direction(from);
    direction.blocks++;
    const generation = this.#generation;
    const { silenceMs } = direction.model;
    this.#network.clock.after(silenceMs, () => {
      if (direction.blocks > 0 && this.#generation === generation)
        this.lose(`no heartbeat for ${silenceMs} ms`);
    });
  }
  unblock(from) {
    this.direction(from).blocks--;
    this.pump();
  }
  /** Ends the connection. Ends that live see it after `noticeMs`; what was on the way is gone. */
  lose(reason, event = "peer.lost", noticeMs = 0) {
    const ends = this.#ends;
    if (ends === null)
      return;
    this.#ends = null;
    this.#generation++;
    const [a, b] = ends;
    for (const [self, other] of [
      [a, b],
      [b, a]
    ]) {
      const direction = this.direction(self.node);
      direction.isBroken = false;
      const queues = lanes.map((lane) => direction.lanes[lane]);
      if (!self.isOpen) {
        for (const queue of queues)
          queue.clear(self.incarnation);
        continue;
      }
      this.#numNoticing++;
      this.#network.clock.after(noticeMs, () => {
        this.#numNoticing--;
        self.process.run(() => {
          const failed = queues.flatMap((queue) => queue.clear(self.incarnation));
          const peer = { node: other.node, incarnation: other.incarnation };
          this.#tell(self, event === "peer.lost" ? { type: event, ...peer, reason } : { type: event, ...peer });
          for (const { sent } of failed)
            sent?.(lostError(other.node, reason));
        });
        this.pump();
      });
    }
  }
  #open(a, b) {
    this.#isOpening = false;
    const isPossible = this.#network.current(a.node) === a && this.#network.current(b.node) === b && this.#directions.every(({ blocks }) => blocks === 0);
    if (!isPossible) {
      this.pump();
      return;
    }
    this.#ends = [a, b];
    this.#generation++;
    for (const [self, other] of [
      [a, b],
      [b, a]
    ])
      self.process.run(() => this.#tell(self, { type: "peer.up", node: other.node, incarnation: other.incarnation }));
    this.pump();
  }
  #depart(direction, lane, queued) {
    const { clock } = this.#network;
    const { model, latencyFactor, bandwidthFactor } = direction;
    const queue = direction.lanes[lane];
    const fault = direction.nextFault;
    direction.nextFault = null;
    const startMs = Math.max(clock.now(), queue.freeAtMs);
    const endMs = startMs + queued.bytes / model.bytesPerMs * bandwidthFactor;
    queue.freeAtMs = endMs;
    const atMs = Math.max(endMs + travelMs(model, this.#network.draw) * latencyFactor, queue.lastArrivalMs);
    queue.lastArrivalMs = atMs;
    const generation = this.#generation;
    const packet = this.#network.leaving(queued.packet, direction.from, direction.to);
    clock.after(atMs - clock.now(), () => {
      if (generation !== this.#generation || direction.isBroken)
        return;
      if (fault !== null && fault !== "duplicate")
        this.#break(direction, fault, generation);
      else
        this.#arrive(direction, lane, queued, packet, fault);
    });
  }
  /** A packet is missing or damaged: nothing behind it counts, and the receiver ends the connection. */
  #break(direction, fault, generation) {
    direction.isBroken = true;
    const receiver = this.#ends?.find(({ node }) => node === direction.to);
    if (fault === "corrupt" && receiver !== void 0)
      receiver.counts.packetsRefused++;
    const noticeMs = fault === "corrupt" ? 0 : direction.model.retransmitMs;
    this.#network.clock.after(noticeMs, () => {
      if (generation === this.#generation)
        this.lose(fault === "corrupt" ? "a packet was damaged" : "a packet is missing");
    });
  }
  #arrive(direction, lane, queued, packet, fault) {
    const ends = this.#ends;
    if (ends === null)
      return;
    const receiver = ends[0].node === direction.from ? ends[1] : ends[0];
    const generation = this.#generation;
    receiver.process.run(() => {
      if (generation === this.#generation)
        this.#read(ends, direction, lane, queued, packet, fault);
    });
  }
  #read(ends, direction, lane, queued, packet, fault) {
    const { from } = direction;
    const [sender, receiver] = ends[0].node === from ? ends : [ends[1], ends[0]];
    const generation = this.#generation;
    const { bytes, life, sent } = queued;
    const queue = direction.lanes[lane];
    const isImpeded = direction.latencyFactor > 1;
    receiver.counts.messagesReceived++;
    receiver.counts.bytesReceived += bytes;
    const read = this.#network.arrived(packet, {
      from,
      fromLife: life,
      currentLife: this.#network.latestLife(from, life),
      to: receiver,
      lane,
      bytes,
      onWayBytes: queue.onWayBytes,
      windowBytes: direction.model.windowBytes[lane],
      isImpeded
    });
    const release = /* @__PURE__ */ __name(() => {
      if (generation !== this.#generation || !queue.release(queued))
        return;
      if (sent !== void 0)
        sender.process.run(() => sent(null));
      this.#pumpLane(direction, lane);
    }, "release");
    receiver.deliver(from, lane, read, release);
    for (let copy = this.#network.copies(packet, isImpeded); copy > 1; copy--)
      receiver.deliver(from, lane, read, () => {
      });
    if (fault === "duplicate")
      this.lose("a packet came twice");
  }
  #tell(self, event) {
    this.#network.note(self.node, `${event.type} ${event.node}#${event.incarnation}`);
    self.emit(event);
  }
};

// packages/sim/dist/network.js
var unchanged = [];
var SimNetwork = class {
  static {
    __name(this, "SimNetwork");
  }
  clock;
  #trace;
  #sums = new FrameSums();
  #options;
  /** The latest life of every node. */
  #nodes = /* @__PURE__ */ new Map();
  /** Whole models by what the options say: a cluster has few, and links by the hundred thousand. */
  #models = /* @__PURE__ */ new WeakMap();
  #links = /* @__PURE__ */ new Map();
  #draws;
  #numDraws = 0;
  constructor(clock, trace, options) {
    this.clock = clock;
    this.#trace = trace;
    this.#options = options;
    this.#draws = prng({ seed: options.seed, purpose: "sim.network" });
  }
  /** Attaches a life. A higher incarnation replaces a lower one; a lower one is attached and never heard. */
  connect(process) {
    const known = this.#nodes.get(process.node);
    assert(known === void 0 || known.incarnation !== process.incarnation, "a life connects once", {
      node: process.node,
      incarnation: process.incarnation
    });
    const transport = new SimTransport(process, this);
    if (known !== void 0 && known.incarnation > process.incarnation)
      return transport;
    this.#nodes.set(process.node, transport);
    for (const link of this.#linksOf(process.node)) {
      link.lose(`replaced by incarnation ${process.incarnation}`);
      link.forget(process.node, process.incarnation - 1);
      link.pump();
    }
    return transport;
  }
  /** The life of a node that is heard, if it lives. */
  current(node) {
    const transport = this.#nodes.get(node);
    return transport?.isOpen === true ? transport : void 0;
  }
  send(from, to, lane, packet, sent) {
    if (!from.process.isAlive)
      throw closedError(from.node);
    const target = this.#nodes.get(to);
    if (target === void 0)
      throw new TroupeError("TROUPE_TRANSPORT_UNKNOWN_PEER", `no node is named '${to}'`, {
        details: { node: to }
      });
    const bytes = packetBytes(packet);
    if (this.#nodes.get(from.node) !== from && this.#options.plant?.fencing !== false) {
      target.counts.packetsRefused++;
      return;
    }
    from.counts.bytesSent += bytes;
    from.counts.messagesSent++;
    this.#link(from.node, to).send(from.node, lane, new QueuedPacket(packet, bytes, sent, from.incarnation));
  }
  queuedBytes(from, to) {
    return this.#links.get(from)?.get(to)?.queuedBytes(from) ?? 0;
  }
  /** A node closes in order: peers see a goodbye. */
  leave(transport) {
    for (const link of this.#linksOf(transport.node))
      if (link.ends.includes(transport))
        link.lose("goodbye", "peer.goodbye");
  }
  /** A process died: peers notice after `noticeMs`, or when the connection was silent too long. */
  died(process, notice) {
    for (const link of this.#linksOf(process.node)) {
      if (!link.ends.some((end) => end.process === process))
        continue;
      const { latencyMs, silenceMs } = link.direction(process.node).model;
      if (notice === "closed")
        link.lose("the connection was closed", "peer.lost", latencyMs);
      else
        link.lose(`no heartbeat for ${silenceMs} ms`, "peer.lost", silenceMs);
    }
  }
  /** A process stands still: connections that stay silent too long are lost. */
  hangs(process, forMs) {
    for (const link of this.#linksOf(process.node)) {
      const { silenceMs } = link.direction(process.node).model;
      const ends = link.ends;
      if (forMs < silenceMs || !ends.some((end) => end.process === process))
        continue;
      this.clock.after(silenceMs, () => {
        if (process.isHanging && link.ends[0] === ends[0] && link.ends[1] === ends[1])
          link.lose(`no heartbeat for ${silenceMs} ms`);
      });
    }
    this.clock.after(forMs, () => {
      for (const link of this.#linksOf(process.node))
        link.pump();
    });
  }
  /** Nothing passes from one node to another for a while. */
  partition(from, to, forMs) {
    const link = this.#link(from, to);
    link.block(from);
    this.clock.after(forMs, () => link.unblock(from));
  }
  /** Packets from one node to another take longer for a while. */
  impede(from, to, what, factor, forMs) {
    const direction = this.#link(from, to).direction(from);
    const key = what === "latency" ? "latencyFactor" : "bandwidthFactor";
    direction[key] *= factor;
    this.clock.after(forMs, () => {
      direction[key] /= factor;
    });
  }
  /** Something happens to the next packet from one node to another. */
  mar(from, to, fault) {
    this.#link(from, to).direction(from).nextFault = fault;
  }
  /** Nodes that have ever had a link with this one. */
  peersOf(node) {
    return [...this.#links.get(node)?.keys() ?? []];
  }
  modelOf(from, to) {
    const { link = {} } = this.#options;
    const partial = typeof link === "function" ? link(from, to) : link;
    let model = this.#models.get(partial);
    if (model === void 0) {
      model = { ...defaultLink, ...partial };
      this.#models.set(partial, model);
    }
    return model;
  }
  draw = /* @__PURE__ */ __name(() => this.#draws.uniform(this.#numDraws++), "draw");
  latestLife(node, otherwise) {
    return this.#nodes.get(node)?.incarnation ?? otherwise;
  }
  note(node, text) {
    this.#trace.note({ atMs: this.clock.now(), node, text });
  }
  /** A packet as it leaves. */
  leaving(packet, from, to) {
    const leaving = this.#options.alter?.(packet, from, to) ?? packet;
    if (this.#options.copies !== false)
      this.#sums.left(leaving);
    return leaving;
  }
  copies(packet, isImpeded) {
    return this.#options.plant?.copies?.(packet, isImpeded) ?? 1;
  }
  /** A packet as it is read. */
  arrived(packet, arrival) {
    const copies = this.#options.copies !== false;
    if (this.#options.plant?.reuses?.(packet, arrival.isImpeded) === true)
      for (const frame of packet.frames)
        frame[0] = (frame[0] ?? 0) ^ 1;
    this.#trace.packet(this.clock.now(), arrival.from, arrival.to.node, packet, copies);
    if (!copies) {
      this.#options.arrived?.(packet, arrival, unchanged);
      return packet;
    }
    const frames = packet.frames.map((frame) => frame.slice());
    const changed = this.#sums.changed(packet).flatMap((index) => frames[index]?.buffer ?? []);
    this.#options.arrived?.(packet, arrival, changed);
    return { header: packet.header.slice(), frames };
  }
  #linksOf(node) {
    return [...this.#links.get(node)?.values() ?? []];
  }
  #link(a, b) {
    const found = this.#links.get(a)?.get(b);
    if (found !== void 0)
      return found;
    const link = new SimLink(this, a, b);
    for (const [from, to] of [
      [a, b],
      [b, a]
    ]) {
      const links = this.#links.get(from) ?? /* @__PURE__ */ new Map();
      links.set(to, link);
      this.#links.set(from, links);
    }
    return link;
  }
};

// packages/sim/dist/process.js
var SimProcess = class {
  static {
    __name(this, "SimProcess");
  }
  node;
  incarnation;
  /** The monotonic clock that this process sees. */
  clock;
  #time;
  #isAlive = true;
  #wakesAtMs = 0;
  /** Until when its event loop is at work. */
  #busyUntilMs = 0;
  /** What fell due while it hung. */
  #held = [];
  #rate = 1;
  /** Where the present rate began, in virtual and in own time. */
  #virtualZeroMs;
  #ownZeroMs;
  #slowness = 1;
  constructor(node, incarnation, time) {
    this.node = node;
    this.incarnation = incarnation;
    this.#time = time;
    this.#virtualZeroMs = time.now();
    this.#ownZeroMs = time.now();
    this.clock = {
      now: /* @__PURE__ */ __name(() => this.#ownZeroMs + (time.now() - this.#virtualZeroMs) * this.#rate, "now"),
      after: /* @__PURE__ */ __name((delayMs, callback) => this.after(delayMs / this.#rate, callback), "after"),
      cancel: /* @__PURE__ */ __name((handle) => time.cancel(handle), "cancel")
    };
  }
  get isAlive() {
    return this.#isAlive;
  }
  get isHanging() {
    return this.#isAlive && this.#time.now() < this.#wakesAtMs;
  }
  /** Factor on the time of its kernels. */
  get slowness() {
    return this.#slowness;
  }
  /** Runs something after a virtual delay, if this life still lasts then. */
  after(delayMs, run) {
    return this.#time.after(delayMs, () => this.run(run));
  }
  /** Runs something now, later when it hangs, never when it is dead. */
  run(run) {
    if (!this.#isAlive)
      return;
    if (this.#isBusy || this.#held.length > 0)
      this.#held.push(run);
    else
      run();
  }
  kill() {
    this.#isAlive = false;
    this.#held = [];
  }
  hang(forMs) {
    const wakesAtMs = this.#time.now() + forMs;
    if (wakesAtMs <= this.#wakesAtMs)
      return;
    this.#wakesAtMs = wakesAtMs;
    this.#time.after(forMs, () => this.#wake());
  }
  /** Its event loop is at work for a while: a turn of an actor has a price. Unlike a hang nobody notices. */
  occupy(forMs) {
    if (forMs <= 0)
      return;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#time.now()) + forMs;
    this.#time.after(this.#busyUntilMs - this.#time.now(), () => this.#wake());
  }
  get #isBusy() {
    return this.#time.now() < Math.max(this.#wakesAtMs, this.#busyUntilMs);
  }
  /** Kernels take `factor` times as long for a while. */
  slow(factor, forMs) {
    this.#slowness *= factor;
    this.#time.after(forMs, () => {
      this.#slowness /= factor;
    });
  }
  /** The own clock runs `factor` times as fast for a while. Timers that are armed keep their virtual time. */
  skew(factor, forMs) {
    this.#setRate(this.#rate * factor);
    this.#time.after(forMs, () => this.#setRate(this.#rate / factor));
  }
  #setRate(rate) {
    this.#ownZeroMs = this.clock.now();
    this.#virtualZeroMs = this.#time.now();
    this.#rate = rate;
  }
  #wake() {
    while (this.#isAlive && !this.#isBusy) {
      const run = this.#held.shift();
      if (run === void 0)
        return;
      run();
    }
  }
};

// packages/sim/dist/trace.js
import { createHash } from "node:crypto";
var PIECE = 4096;
var [TURN, NOTE, PACKET, NAME] = [1, 2, 3, -1];
var SAME = -2;
var Trace = class {
  static {
    __name(this, "Trace");
  }
  #hash = createHash("sha256");
  #lines;
  #numLines = 0;
  #piece = new Float64Array(PIECE);
  #length = 0;
  #names = /* @__PURE__ */ new Map();
  /** @param keepsLines - also keep the lines, to look for the first divergence; memory grows with the run */
  constructor(keepsLines = false) {
    this.#lines = keepsLines ? [] : null;
  }
  turn(seen) {
    this.#numLines++;
    this.#lines?.push({ atMs: seen.atMs, node: seen.node, text: textOf(seen) });
    this.#number(TURN);
    this.#number(seen.atMs);
    this.#number(seen.incarnation);
    this.#number(seen.step);
    this.#number(seen.attempt);
    this.#number(seen.version);
    this.#number(seen.layer);
    this.#number(seen.microbatch);
    this.#name(seen.node);
    this.#name(seen.address);
    this.#next(seen.address, seen.from);
    this.#name(seen.kind);
    this.#name(seen.outcome);
    this.#name(seen.stateBefore);
    this.#next(seen.stateBefore, seen.stateAfter);
  }
  /** Something that is no turn: a fault, a connection that came or went. */
  note(line) {
    this.#numLines++;
    this.#lines?.push(line);
    this.#number(NOTE);
    this.#number(line.atMs);
    this.#name(line.node);
    this.#letters(line.text);
  }
  /** @param withBytes - false: only sizes count, for runs whose tensors hold nothing */
  packet(atMs, from, to, packet, withBytes = true) {
    const { header, frames } = packet;
    this.#numLines++;
    this.#lines?.push({ atMs, node: to, text: `packet from ${from}, ${frames.length} frames` });
    this.#number(PACKET);
    this.#number(atMs);
    this.#name(from);
    this.#name(to);
    this.#number(header.byteLength);
    this.#number(frames.length);
    for (const frame of frames)
      this.#number(frame.byteLength);
    if (!withBytes)
      return;
    this.#flush();
    this.#hash.update(header);
    for (const frame of frames)
      this.#hash.update(frame);
  }
  get numLines() {
    return this.#numLines;
  }
  get lines() {
    return this.#lines ?? [];
  }
  /** Hexadecimal hash of all so far; the trace can go on. */
  digest() {
    this.#flush();
    return this.#hash.copy().digest("hex");
  }
  #number(value) {
    if (this.#length === PIECE)
      this.#flush();
    this.#piece[this.#length++] = value;
  }
  #next(before, name) {
    if (name === before)
      this.#number(SAME);
    else
      this.#name(name);
  }
  #name(name) {
    const known = this.#names.get(name);
    if (known !== void 0) {
      this.#number(known);
      return;
    }
    this.#names.set(name, this.#names.size);
    this.#number(NAME);
    this.#letters(name);
  }
  #letters(text) {
    this.#number(text.length);
    this.#flush();
    this.#hash.update(text);
  }
  #flush() {
    if (this.#length > 0)
      this.#hash.update(this.#piece.subarray(0, this.#length));
    this.#length = 0;
  }
};
var textOf = /* @__PURE__ */ __name((seen) => `${seen.address}#${seen.incarnation} ${seen.kind} ${seen.step}/${seen.attempt} L${seen.layer} m${seen.microbatch} ${seen.outcome} ${seen.stateBefore} \u2192 ${seen.stateAfter}`, "textOf");

// packages/sim/dist/virtual-clock.js
var MOST_SLOTS = 2 ** 24;
var NOWHERE = -1;
var VirtualClock = class {
  static {
    __name(this, "VirtualClock");
  }
  #nowMs = 0;
  #sequence = 0;
  #numEvents = 0;
  #numDue = 0;
  /** By slot: what to run (null: free or cancelled), when, its place in the order of arming, how often it was used, its place in the heap. */
  #runs = [];
  #times = [];
  #sequences = [];
  #uses = [];
  #places = [];
  #free = [];
  /** Slots, the next event first. */
  #heap = [];
  /** Slots that are due now, in order of arming, from `#head` on. */
  #due = [];
  #head = 0;
  now() {
    return this.#nowMs;
  }
  /** Events that have run. */
  get numEvents() {
    return this.#numEvents;
  }
  /** Virtual time of the next event, ∞ when none is armed. */
  get nextMs() {
    if (this.#numDue > 0)
      return this.#nowMs;
    const top = this.#heap[0];
    return top === void 0 ? Number.POSITIVE_INFINITY : this.#time(top);
  }
  get pending() {
    return this.#heap.length + this.#numDue;
  }
  after(delayMs, callback) {
    assert(delayMs >= 0, "a delay is not negative");
    const slot = this.#free.pop() ?? this.#grow();
    const atMs = this.#nowMs + delayMs;
    this.#runs[slot] = callback;
    this.#times[slot] = atMs;
    this.#sequences[slot] = ++this.#sequence;
    if (atMs === this.#nowMs) {
      this.#due.push(slot);
      this.#numDue++;
    } else {
      this.#heap.push(slot);
      this.#rise(this.#heap.length - 1, slot);
    }
    return (this.#uses[slot] ?? 0) * MOST_SLOTS + slot;
  }
  cancel(handle) {
    const slot = handle % MOST_SLOTS;
    if (this.#uses[slot] !== Math.floor(handle / MOST_SLOTS) || this.#runs[slot] === null)
      return;
    const place = this.#places[slot] ?? NOWHERE;
    if (place === NOWHERE) {
      this.#runs[slot] = null;
      this.#numDue--;
      return;
    }
    this.#remove(place);
    this.#release(slot);
  }
  /** Runs the next event; false when none is armed. */
  runNext() {
    const slot = this.#take();
    if (slot === NOWHERE)
      return false;
    const run = this.#runs[slot];
    this.#nowMs = this.#time(slot);
    this.#release(slot);
    this.#numEvents++;
    run();
    return true;
  }
  /** Takes the next event out of heap or queue. */
  #take() {
    const top = this.#heap[0] ?? NOWHERE;
    if (this.#numDue > 0) {
      const due = this.#firstDue();
      if (top === NOWHERE || !this.#isBefore(top, due)) {
        this.#head++;
        this.#numDue--;
        return due;
      }
    }
    if (top !== NOWHERE)
      this.#remove(0);
    return top;
  }
  /** The first in the queue that was not cancelled; there is one. */
  #firstDue() {
    if (this.#head > 1024 && 2 * this.#head > this.#due.length) {
      this.#due = this.#due.slice(this.#head);
      this.#head = 0;
    }
    for (; ; ) {
      const slot = this.#due[this.#head];
      if (this.#runs[slot] !== null)
        return slot;
      this.#head++;
      this.#release(slot);
    }
  }
  #grow() {
    const slot = this.#runs.length;
    assert(slot < MOST_SLOTS, "so many events are never armed at once");
    this.#runs.push(null);
    this.#times.push(0);
    this.#sequences.push(0);
    this.#uses.push(1);
    this.#places.push(NOWHERE);
    return slot;
  }
  #release(slot) {
    this.#runs[slot] = null;
    this.#uses[slot] = ((this.#uses[slot] ?? 0) + 1) % 2 ** 28;
    this.#free.push(slot);
  }
  #time(slot) {
    return this.#times[slot];
  }
  #order(slot) {
    return this.#sequences[slot];
  }
  #isBefore(a, b) {
    const first = this.#time(a);
    const second = this.#time(b);
    return first < second || first === second && this.#order(a) < this.#order(b);
  }
  /** Takes out of the heap what lies at `place`. */
  #remove(place) {
    const slot = this.#heap[place];
    const last = this.#heap.pop();
    this.#places[slot] = NOWHERE;
    if (slot === last)
      return;
    if (this.#isBefore(last, slot))
      this.#rise(place, last);
    else
      this.#sink(place, last);
  }
  #rise(start, slot) {
    let place = start;
    while (place > 0) {
      const above = this.#heap[place - 1 >> 1];
      if (!this.#isBefore(slot, above))
        break;
      this.#put(place, above);
      place = place - 1 >> 1;
    }
    this.#put(place, slot);
  }
  #sink(start, slot) {
    const { length } = this.#heap;
    let place = start;
    for (let child = 2 * place + 1; child < length; child = 2 * place + 1) {
      let below = this.#heap[child];
      if (child + 1 < length && this.#isBefore(this.#heap[child + 1], below))
        below = this.#heap[++child];
      if (!this.#isBefore(below, slot))
        break;
      this.#put(place, below);
      place = child;
    }
    this.#put(place, slot);
  }
  #put(place, slot) {
    this.#heap[place] = slot;
    this.#places[slot] = place;
  }
};

// packages/sim/dist/fault-plan.js
var matchesState = /* @__PURE__ */ __name((wanted, state) => state === wanted || state.startsWith(`${wanted}.`), "matchesState");
var FaultPlan = class {
  static {
    __name(this, "FaultPlan");
  }
  #clock;
  #host;
  #bySteps = /* @__PURE__ */ new Map();
  #watching = [];
  #struck = [];
  #numWaiting = 0;
  constructor(clock, faults, host) {
    this.#clock = clock;
    this.#host = host;
    for (const fault of faults) {
      this.#numWaiting++;
      if (fault.when !== void 0)
        this.#watching = [...this.#watching, { fault, left: fault.when.times ?? 1 }];
      else if (fault.atStep === void 0)
        clock.after(fault.atMs ?? 0, () => this.#now(fault));
      else
        this.#bySteps.set(fault.atStep, [...this.#bySteps.get(fault.atStep) ?? [], fault]);
    }
  }
  get struck() {
    return this.#struck;
  }
  /** Faults whose trigger has not come. */
  get numWaiting() {
    return this.#numWaiting;
  }
  stepOpened(step) {
    const due = this.#bySteps.get(step);
    this.#bySteps.delete(step);
    for (const fault of due ?? [])
      this.#clock.after(0, () => this.#now(fault));
  }
  turned(address, stateBefore, stateAfter) {
    if (this.#watching.length === 0 || stateBefore === stateAfter)
      return;
    const due = this.#watching.filter(({ fault: { when } }) => when !== void 0 && this.#host.matches(when.actor, address) && matchesState(when.state, stateAfter));
    for (const entry of due) {
      entry.left--;
      if (entry.left === 0)
        this.#clock.after(0, () => this.#now(entry.fault));
    }
    if (due.length > 0)
      this.#watching = this.#watching.filter(({ left }) => left > 0);
  }
  #now(fault) {
    this.#numWaiting--;
    this.#struck.push({ atMs: this.#clock.now(), fault, text: describeFault(fault) });
    this.#host.strike(fault);
  }
};

// packages/sim/dist/swarm.js
var weights = { crash: 4, hang: 2, partition: 2 };
function drawFaults(options) {
  const draws = prng({ seed: options.seed, purpose: "sim.faults" });
  let index = 0;
  const uniform = /* @__PURE__ */ __name(() => draws.uniform(index++), "uniform");
  const below = /* @__PURE__ */ __name((bound) => draws.integer(index++, bound), "below");
  const pick = /* @__PURE__ */ __name((items) => items[below(items.length)], "pick");
  const kinds = faultKinds.filter(({ aims }) => options.disks || !aims.includes("disk"));
  const likely = kinds.flatMap(({ kind }) => {
    const mood = uniform();
    const weight = mood < 0.5 ? 0 : mood < 0.8 ? 1 : 8;
    return Array.from({ length: weight * (weights[kind] ?? 1) }, () => kind);
  });
  if (likely.length === 0)
    return [];
  const most = options.most ?? 6;
  const process = /* @__PURE__ */ __name(() => uniform() < 0.08 ? "agent/0" : `worker/${below(options.numWorkers)}`, "process");
  const link = /* @__PURE__ */ __name(() => {
    const from = below(options.numWorkers + 1);
    const to = (from + 1 + below(options.numWorkers)) % (options.numWorkers + 1);
    const name = /* @__PURE__ */ __name((node) => node === options.numWorkers ? "agent/0" : `worker/${node}`, "name");
    return `${name(from)},${name(to)}`;
  }, "link");
  return Array.from({ length: 1 + below(most) }, () => {
    const kind = pick(likely);
    const info = faultKinds.find((each) => each.kind === kind);
    const aims = info?.aims ?? [];
    const takes = /* @__PURE__ */ __name((name) => info?.takes.includes(name) ?? false, "takes");
    const isActor = aims.includes("actor") && options.actors.length > 0 && uniform() < 0.3;
    const target = aims.includes("disk") ? `disk/${below(options.numMachines)}` : isActor ? pick(options.actors) : aims.includes("link") && (!aims.includes("process") || uniform() < 0.5) ? link() : process();
    const at = { atStep: 1 + below(options.steps) };
    const lasting = { forMs: Math.round(10 ** (1 + 3 * uniform())) };
    const oneWay = uniform() < 0.3 && target.includes(",");
    return {
      kind,
      target,
      ...at,
      ...takes("forMs") ? lasting : {},
      ...takes("factor") ? { factor: 2 + below(kind === "skew" ? 2 : 30) } : {},
      ...takes("oneWay") && oneWay ? { oneWay } : {},
      ...takes("restartAfterMs") && !isActor ? { restartAfterMs: uniform() < 0.05 ? -1 : Math.round(10 ** (3 * uniform())) } : {}
    };
  });
}
__name(drawFaults, "drawFaults");

// packages/sim/dist/world.js
var SimWorld = class {
  static {
    __name(this, "SimWorld");
  }
  clock = new VirtualClock();
  network;
  #options;
  #lives = /* @__PURE__ */ new Map();
  #disks = /* @__PURE__ */ new Map();
  #devices = /* @__PURE__ */ new Map();
  /** Virtual time before which nothing can be started on a node; ∞: never. */
  #downUntilMs = /* @__PURE__ */ new Map();
  #exits = [];
  constructor(trace, options) {
    this.#options = options;
    this.network = new SimNetwork(this.clock, trace, options);
  }
  /** Begins a life of a node. */
  open(node, incarnation) {
    const process = new SimProcess(node, incarnation, this.clock);
    this.#lives.set(node, process);
    return {
      clock: process.clock,
      transport: this.network.connect(process),
      schedule: /* @__PURE__ */ __name((run) => void process.after(0, run), "schedule")
    };
  }
  /** Runs when a new process of a node is up: after its boot time, once its machine is there again. Never when it is gone for good. */
  boot(node, run) {
    const downUntilMs = this.#downUntilMs.get(node) ?? 0;
    if (downUntilMs === Number.POSITIVE_INFINITY)
      return;
    this.clock.after(Math.max(0, downUntilMs - this.clock.now()) + (this.#options.bootMs ?? 200), run);
  }
  /** Told of every process that ended, unless its machine ended with it. */
  onExit(handler) {
    this.#exits.push(handler);
  }
  life(node) {
    const found = this.#lives.get(node);
    assert(found, "a node lives before something happens to it", { node });
    return found;
  }
  /** Whether promises of a disk may be settling since the last look. */
  takeTouched() {
    if (this.#disks.size === 0)
      return false;
    let was = false;
    for (const disk of this.#disks.values())
      was = disk.takeTouched() || was;
    return was;
  }
  /** The disk of a machine. */
  disk(machine) {
    const known = this.#disks.get(machine);
    if (known !== void 0)
      return known;
    const draws = prng({ seed: this.#options.seed, purpose: `sim.disk.${machine}` });
    const disk = new SimDisk(this.clock, draws, this.#options.disk, this.#options.diskPlant);
    this.#disks.set(machine, disk);
    return disk;
  }
  get nodes() {
    return [...this.#lives.keys()];
  }
  setDevice(process, device) {
    this.#devices.set(process, device);
  }
  /** Strikes now. */
  strike(fault, hooks) {
    const { kind } = fault;
    const forMs = fault.forMs ?? DEFAULT_FAULT_MS;
    const factor = fault.factor ?? DEFAULT_FAULT_FACTOR;
    this.network.note(this.nodes[0] ?? nodeId("world"), `fault ${kind} ${fault.target}`);
    if (fault.target.includes(",") || kind === "partition" || kind === "clog") {
      this.#strikeLinks(fault, forMs, factor);
      return;
    }
    const [role = "", index = ""] = fault.target.split("/");
    if (role === "disk") {
      this.disk(Number(index)).strike(fault);
      if (kind === "lost-unsynced")
        this.#crashMachine(Number(index), fault.restartAfterMs ?? 0);
    } else if (role === "machine") {
      for (const process of this.#processesOf(Number(index)))
        this.#strikeProcess(process, fault, forMs, factor);
      if (kind === "crash")
        this.#crashMachine(Number(index), fault.restartAfterMs ?? 0);
    } else if (role === "worker" || role === "agent") {
      this.#strikeProcess(this.life(nodeId(fault.target)), fault, forMs, factor);
    } else
      hooks.crashActor(fault.target);
  }
  /** Ends a process now: `closed`, its peers see the connection close; `silent`, they see nothing. */
  kill(process, notice, restartAfterMs) {
    if (!process.isAlive)
      return;
    process.kill();
    const upMs = restartAfterMs < 0 ? Number.POSITIVE_INFINITY : this.clock.now() + restartAfterMs;
    this.#downUntilMs.set(process.node, upMs);
    this.network.died(process, notice);
    if (notice === "silent")
      return;
    const parent = this.#lives.get(nodeId(`agent/${this.#options.machineOf(process.node)}`));
    this.clock.after(0, () => {
      for (const exited of this.#exits)
        parent?.run(() => exited(process.node, process.incarnation, "killed"));
    });
  }
  #strikeProcess(process, fault, forMs, factor) {
    if (!process.isAlive)
      return;
    if (fault.kind === "crash" && !fault.target.startsWith("machine"))
      this.kill(process, "closed", fault.restartAfterMs ?? 0);
    if (fault.kind === "hang") {
      process.hang(forMs);
      this.network.hangs(process, forMs);
    }
    if (fault.kind === "slow")
      process.slow(factor, forMs);
    if (fault.kind === "skew")
      process.skew(factor, forMs);
    if (fault.kind === "nan")
      this.#devices.get(process)?.poison();
  }
  #strikeLinks(fault, forMs, factor) {
    const [from = "", to] = fault.target.split(",");
    const node = nodeId(from);
    const isMachine = from.startsWith("machine/");
    const inside = isMachine ? this.#processesOf(Number(from.split("/")[1])).map((each) => each.node) : [node];
    const peers = to === void 0 ? this.nodes.filter((each) => !inside.includes(each)) : [nodeId(to)];
    for (const one of inside) {
      for (const peer of peers) {
        this.#strikeLink(fault, one, peer, forMs, factor);
        if (fault.oneWay !== true && fault.kind !== "drop" && fault.kind !== "duplicate" && fault.kind !== "corrupt")
          this.#strikeLink(fault, peer, one, forMs, factor);
      }
    }
  }
  #strikeLink(fault, from, to, forMs, factor) {
    const { kind } = fault;
    if (kind === "partition")
      this.network.partition(from, to, forMs);
    else if (kind === "delay")
      this.network.impede(from, to, "latency", factor, forMs);
    else if (kind === "clog")
      this.network.impede(from, to, "bandwidth", factor, forMs);
    else if (kind === "drop" || kind === "duplicate" || kind === "corrupt")
      this.network.mar(from, to, kind);
  }
  #processesOf(machine) {
    return [...this.#lives.values()].filter(({ node }) => this.#options.machineOf(node) === machine);
  }
  #crashMachine(machine, restartAfterMs) {
    for (const process of this.#processesOf(machine))
      this.kill(process, "silent", restartAfterMs);
  }
};

// packages/sim/dist/shrink.js
function simpler(fault) {
  const forms = [];
  const { oneWay: _oneWay, ...bothWays } = fault;
  if (fault.oneWay !== void 0)
    forms.push(bothWays);
  if (fault.forMs !== void 0 && fault.forMs > 1)
    forms.push({ ...fault, forMs: Math.ceil(fault.forMs / 2) });
  if (fault.restartAfterMs !== void 0 && fault.restartAfterMs > 0)
    forms.push({ ...fault, restartAfterMs: 0 });
  if (fault.factor !== void 0 && fault.factor > 2)
    forms.push({ ...fault, factor: Math.ceil(fault.factor / 2) });
  if (fault.atStep !== void 0 && fault.atStep > 1)
    forms.push({ ...fault, atStep: 1 });
  if (fault.when?.times !== void 0 && fault.when.times > 1)
    forms.push({ ...fault, when: { ...fault.when, times: 1 } });
  return forms;
}
__name(simpler, "simpler");
function* smaller(from, overrides) {
  const { faults, steps, set } = from;
  for (let size = Math.ceil(faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let first = 0; first < faults.length; first += size)
      yield { ...from, faults: [...faults.slice(0, first), ...faults.slice(first + size)] };
  }
  for (const fewer of [1, Math.ceil(steps / 2), steps - 1])
    if (fewer >= 1 && fewer < steps)
      yield { ...from, steps: fewer };
  for (const override of overrides)
    if (!set.some((each) => each.split("=")[0] === override.split("=")[0]))
      yield { ...from, set: [...set, override] };
  for (const [index, fault] of faults.entries())
    for (const form of simpler(fault))
      yield { ...from, faults: faults.map((each, at) => at === index ? form : each) };
}
__name(smaller, "smaller");
async function shrink(start, options) {
  const { fails, overrides, most = 200, progress } = options;
  let smallest = start;
  let numRuns = 0;
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const candidate of smaller(smallest, overrides)) {
      if (numRuns >= most)
        return smallest;
      numRuns++;
      const isFailing = await fails(candidate);
      if (isFailing)
        smallest = candidate;
      progress?.(smallest, numRuns);
      if (!isFailing)
        continue;
      isSmaller = true;
      break;
    }
  }
  return smallest;
}
__name(shrink, "shrink");

// packages/troupe/dist/simulated-machines.js
var BYTES_PER_MS = 1e6;
function simulatedMachines(topology, options = {}) {
  const machines = new Map(createPlacement(topology).nodes.map((node) => [node.id, node.machineIndex]));
  const machineOf = /* @__PURE__ */ __name((node) => machines.get(node) ?? machines.get(agentNode) ?? 0, "machineOf");
  const linkModel = /* @__PURE__ */ __name(({ latencyMs, jitterMs, jitter, bandwidthGBps, loss }) => ({
    latencyMs,
    jitterMs,
    jitter,
    bytesPerMs: bandwidthGBps * BYTES_PER_MS,
    loss,
    ...options.link
  }), "linkModel");
  const [inside, between] = [linkModel(topology.links.inside), linkModel(topology.links.between)];
  const { calibration } = options;
  const figures = topology.machines.map((machine) => calibration === void 0 ? null : calibrated(calibration, machine));
  const speeds = topology.machines.map(({ speed, devices }, index) => {
    const figure = figures[index];
    if (figure)
      return { ...figure.speed, ...options.speed };
    const threads = devices[0]?.threads ?? 1;
    const known = speed === null ? {
      ...defaultSpeed,
      flopsPerMs: defaultSpeed.flopsPerMs * threads
    } : {
      flopsPerMs: speed.flopsPerSecond / 1e3,
      bytesPerMs: speed.memoryBytesPerSecond === null ? Number.POSITIVE_INFINITY : speed.memoryBytesPerSecond / 1e3,
      launchMs: speed.launchMs,
      callMs: 0,
      memoryBytes: speed.memoryBytes ?? Number.POSITIVE_INFINITY
    };
    return { ...known, ...options.speed };
  });
  return {
    machineOf,
    speedOf: /* @__PURE__ */ __name((node) => speeds[machineOf(node)] ?? { ...defaultSpeed, ...options.speed }, "speedOf"),
    turnMsOf: /* @__PURE__ */ __name((node) => node.startsWith("worker/") ? figures[machineOf(node)]?.turnMs ?? 0 : 0, "turnMsOf"),
    linkOf: /* @__PURE__ */ __name((from, to) => machineOf(from) === machineOf(to) ? inside : between, "linkOf")
  };
}
__name(simulatedMachines, "simulatedMachines");

// packages/troupe/dist/simulation/drive.js
var TICKS_TO_END = 16;
var MOST_IDLE = 1e3;
async function drive(run, lastStep) {
  const { world, cluster } = run;
  const { clock } = world;
  const agent = world.life(agentNode);
  const outcome = { result: null };
  void cluster.result.then((result) => outcome.result = result);
  const ended = /* @__PURE__ */ __name((why) => {
    const last = lastStep();
    const [step, loss] = last?.event === "step" ? [last.step, last.loss] : [0, null];
    const error = new TroupeError("TROUPE_RUN_STUCK", `${why}, after step ${step}`, { retryable: true });
    return { exitCode: exitCodes.peerLost, step, loss, error };
  }, "ended");
  for (let idle = 0; ; ) {
    const before = clock.numEvents;
    for (let burst = 0; burst < 256; burst++) {
      if (clock.nextMs - clock.now() > 0.5)
        for (let tick = 0; tick < TICKS_TO_END; tick++)
          await Promise.resolve();
      if (outcome.result !== null || !agent.isAlive || clock.now() > run.budgetMs || run.isOver())
        break;
      if (!clock.runNext())
        break;
      if (world.takeTouched())
        await new Promise((resolve) => setImmediate(resolve));
      else
        await Promise.resolve();
      const checks = run.takeChecks();
      if (checks.length > 0)
        await Promise.all(checks);
    }
    await new Promise((resolve) => setImmediate(resolve));
    run.progress?.();
    if (outcome.result !== null)
      return { result: outcome.result, isStuck: false };
    if (!agent.isAlive)
      return { result: ended(`${agentNode} was lost`), isStuck: false };
    if (run.isOver())
      return { result: ended("it was stopped"), isStuck: false };
    if (clock.now() > run.budgetMs)
      return { result: ended(`nothing ended it within ${run.budgetMs} ms of virtual time`), isStuck: true };
    idle = clock.numEvents === before ? idle + 1 : 0;
    if (idle > MOST_IDLE)
      return { result: ended("nothing is left that could happen"), isStuck: true };
  }
}
__name(drive, "drive");

// packages/troupe/dist/simulation/watch.js
function checkersOf(topology, options) {
  const { dp } = topology.parallel;
  const exchange = exchangeOf(topology);
  const sizes = /* @__PURE__ */ __name((levels) => levels.map(({ size }) => size), "sizes");
  const layers = moeLayers(topology.model);
  const all = [
    oneOwner(),
    nothingStale(),
    gradientsOnce({ dense: sizes(exchange.dense), expert: sizes(exchange.expert) }),
    versionsAgree(),
    boundsHold({ mailbox: mailboxCapacityOf(topology) }),
    manifestsComplete(),
    liveness({ silenceMs: defaultLink.silenceMs })
  ];
  const experts = topology.model.moe?.experts ?? 0;
  if (options.hasBytes)
    all.push(bytesIntact());
  if (options.countsRows)
    all.push(rowsConserved({ replicas: dp, layers, experts }));
  if (options.reference !== void 0)
    all.push(lossCurve(options.reference));
  return new Checkers(all);
}
__name(checkersOf, "checkersOf");
var turnSeen = /* @__PURE__ */ __name((turn, atMs, life) => {
  const { event } = turn;
  return {
    type: "turn",
    atMs,
    life,
    node: turn.node,
    incarnation: turn.incarnation,
    address: turn.address,
    kind: event.type,
    from: event.from,
    step: event.step,
    attempt: event.attempt,
    version: event.version,
    layer: event.layer,
    microbatch: event.microbatch,
    body: event.body,
    tensors: event.tensors,
    outcome: turn.outcome,
    stateBefore: turn.stateBefore,
    stateAfter: turn.stateAfter,
    mailboxSize: turn.mailboxSize
  };
}, "turnSeen");
var packetSeen = /* @__PURE__ */ __name((arrival, changed, atMs) => ({
  type: "packet",
  atMs,
  from: arrival.from,
  fromLife: arrival.fromLife,
  to: arrival.to.node,
  currentLife: arrival.currentLife,
  lane: arrival.lane,
  bytes: arrival.bytes,
  onWayBytes: arrival.onWayBytes,
  windowBytes: arrival.windowBytes,
  changed
}), "packetSeen");
async function damageOf(storage, path) {
  try {
    const reader = await openCheckpoint(storage, path, { verify: "full", hasher: inlineHasher() });
    await reader.close();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
__name(damageOf, "damageOf");
function touchedBy(fault, topology) {
  const { nodes, actors } = createPlacement(topology);
  const names = fault.target.split(",").flatMap((target) => {
    const [role, index] = target.split("/");
    if (role !== "machine" && role !== "disk")
      return [target];
    return nodes.filter(({ machineIndex }) => machineIndex === Number(index)).map(({ id }) => id);
  });
  return [
    ...names,
    ...actors.filter(({ node }) => names.includes(node)).map(({ address }) => address)
  ];
}
__name(touchedBy, "touchedBy");

// packages/troupe/dist/simulate.js
var watch = { heartbeatMs: 1e3, silenceMs: 6e3 };
var BUDGET_MS = 36e5;
var CHECKPOINT_FOLDER = "run";
var referenceOf = /* @__PURE__ */ __name((events) => events.flatMap((event) => event.event === "step" ? [{ step: event.step, loss: event.loss, gradNorm: event.gradNorm }] : []), "referenceOf");
async function simulate(topology, options) {
  const { seed, openDevice, budgetMs = BUDGET_MS, plant } = options;
  const trace = new Trace(options.keepsTrace ?? false);
  const machines = simulatedMachines(topology, options);
  const checkers = checkersOf(topology, {
    hasBytes: options.shapesOnly !== true,
    countsRows: options.shapesOnly !== true && options.routesEvenly !== true,
    ...options.reference === void 0 ? {} : { reference: options.reference }
  });
  const traffic = { control: { messages: 0, bytes: 0 }, data: { messages: 0, bytes: 0 } };
  const world = new SimWorld(trace, {
    seed,
    machineOf: machines.machineOf,
    copies: options.shapesOnly !== true,
    link: machines.linkOf,
    arrived: /* @__PURE__ */ __name((_packet, arrival, changed) => {
      const lane = traffic[arrival.lane];
      lane.messages++;
      lane.bytes += arrival.bytes;
      checkers.see(packetSeen(arrival, changed, world.clock.now()));
    }, "arrived"),
    ...options.alter === void 0 ? {} : { alter: options.alter },
    ...options.disk === void 0 ? {} : { disk: options.disk },
    ...plant?.disk === void 0 ? {} : { diskPlant: plant.disk },
    ...plant?.network === void 0 ? {} : { plant: plant.network }
  });
  const { clock } = world;
  const systems = /* @__PURE__ */ new Map();
  const { nodeOf } = createPlacement(topology);
  const plan = new FaultPlan(clock, options.faults ?? topology.faults, {
    matches: matchesAddress,
    strike: /* @__PURE__ */ __name((fault) => {
      checkers.see({ type: "fault", atMs: clock.now(), fault, touches: touchedBy(fault, topology) });
      world.strike(fault, {
        crashActor: /* @__PURE__ */ __name((address) => {
          const system = systems.get(nodeOf(address));
          world.life(nodeOf(address)).run(() => system?.fail(address, new SimulationCrashError(address)));
        }, "crashActor")
      });
    }, "strike")
  });
  const events = [];
  let checks = [];
  const seeEvent = /* @__PURE__ */ __name((event) => {
    events.push(event);
    const atMs = clock.now();
    if (event.event === "step")
      checkers.see({ type: "step", atMs, ...event });
    if (event.event !== "checkpoint")
      return;
    const { path } = event;
    const durable = world.disk(0).afterPowerLoss();
    checks.push(damageOf(durable, path).then((damage) => checkers.see({ type: "checkpoint", atMs, path, damage })));
  }, "seeEvent");
  let isReached = false;
  const { stopAfter, gate, expert, tokens } = options;
  const cluster = await startCluster(topology, {
    ...stopAfter === void 0 ? {} : { stopAfter },
    ...gate === void 0 ? {} : { gate },
    ...expert === void 0 ? {} : { expert },
    ...tokens === void 0 ? {} : { tokens },
    openDevice,
    watch,
    sink: seeEvent,
    ...options.checkpoints === true ? {
      checkpoints: {
        folder: CHECKPOINT_FOLDER,
        keep: topology.checkpoint.keep,
        tokenizer: null,
        hasher: inlineHasher()
      }
    } : {},
    ...plant?.mailboxCapacity === void 0 ? {} : { mailboxCapacity: plant.mailboxCapacity },
    ports: {
      open: /* @__PURE__ */ __name((node, incarnation) => {
        const ports = world.open(node, incarnation);
        const life = world.life(node);
        return {
          ...ports,
          storage: /* @__PURE__ */ __name(() => world.disk(machines.machineOf(node)).open(life), "storage"),
          device: /* @__PURE__ */ __name((body) => {
            const real = plant?.device?.(body, () => life.slowness > 1) ?? body;
            const device = simDevice(real, life, () => clock.now(), machines.speedOf(node));
            world.setDevice(life, device);
            return device;
          }, "device")
        };
      }, "open"),
      use: options.shapesOnly === true ? "shapes" : "simulate",
      ...options.shapesOnly === true ? { codec: createReferenceCodec() } : {},
      boot: /* @__PURE__ */ __name((node, run) => world.boot(node, run), "boot"),
      onExit: /* @__PURE__ */ __name((handler) => world.onExit(handler), "onExit"),
      mounted: /* @__PURE__ */ __name((system) => void systems.set(system.node, system), "mounted")
    },
    observe: /* @__PURE__ */ __name((turn) => {
      const { node, address, event, stateBefore, stateAfter } = turn;
      const atMs = clock.now();
      const seen = turnSeen(turn, atMs, world.life(node).incarnation);
      trace.turn(seen);
      checkers.see(seen);
      options.observe?.(turn, atMs);
      if (options.until?.(turn) === true)
        isReached = true;
      if (options.calibration !== void 0)
        world.life(node).occupy(machines.turnMsOf(node));
      plan.turned(address, stateBefore, stateAfter);
      if (event.type === "step.open" && address === addresses.stage(0))
        plan.stepOpened(event.step);
    }, "observe")
  });
  const lastStep = /* @__PURE__ */ __name(() => events.findLast((event) => event.event === "step"), "lastStep");
  const { result, isStuck } = await drive({
    world,
    cluster,
    budgetMs,
    takeChecks: /* @__PURE__ */ __name(() => {
      const taken = checks;
      if (taken.length === 0)
        return taken;
      checks = [];
      return taken;
    }, "takeChecks"),
    isOver: /* @__PURE__ */ __name(() => isReached || checkers.violation !== null, "isOver"),
    progress: /* @__PURE__ */ __name(() => {
      const last = lastStep();
      options.progress?.({
        virtualMs: clock.now(),
        step: last?.event === "step" ? last.step : 0,
        numEvents: clock.numEvents,
        struck: plan.struck
      });
    }, "progress")
  }, lastStep);
  if (!isReached)
    checkers.see({
      type: "end",
      atMs: clock.now(),
      exitCode: result.exitCode,
      message: result.error?.message ?? "",
      isStuck
    });
  return {
    result,
    events,
    traceHash: trace.digest(),
    trace: trace.lines,
    virtualMs: clock.now(),
    numEvents: clock.numEvents,
    struck: plan.struck,
    traffic,
    violation: checkers.violation,
    actors: [...systems.values()].flatMap((system) => system.statuses())
  };
}
__name(simulate, "simulate");

// packages/troupe/dist/trained-model.js
var SEQUENCES_AT_ONCE = 8;
var TrainedModel = class _TrainedModel {
  static {
    __name(this, "TrainedModel");
  }
  step;
  topology;
  /** null for synthetic tokens, which have no text. */
  tokenizer;
  #model;
  #generator;
  constructor(checkpoint, topology, model, tokenizer) {
    this.step = checkpoint.manifest.step;
    this.topology = topology;
    this.tokenizer = tokenizer;
    this.#model = model;
    this.#generator = new Generator(model.device, topology.model, model.weights, precisionOf(topology));
  }
  /**
   * Reads the weights; the moments are left alone.
   *
   * @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH naming every tensor that the model lacks or the checkpoint does
   */
  static async load(device, run) {
    const { checkpoint, topology } = run;
    const { batch, grains } = topology.train;
    const perGrain = batch / grains;
    const numGrains = Math.max(1, Math.ceil(SEQUENCES_AT_ONCE / perGrain));
    const model = new LocalModel(device, {
      config: topology.model,
      sequences: numGrains * perGrain,
      grains: numGrains,
      precision: precisionOf(topology)
    });
    const parameters = model.weights.layout.units.flatMap((unit) => unit.parameters);
    checkpoint.expectParameters(parameters, ["weights"]);
    for (const { name } of parameters)
      model.weights.parameter(name).set(await checkpoint.read(name, "weights"));
    const json = await checkpoint.tokenizer();
    const tokenizer = json === null ? null : loadTokenizer(JSON.parse(new TextDecoder().decode(json)));
    return new _TrainedModel(checkpoint, topology, model, tokenizer);
  }
  /**
   * Cross entropy of held-out sequences, nats a token.
   *
   * @param sequences - how many of them, from the first; at most `source.numEvalSequences`
   */
  async evaluate(source, sequences) {
    const atOnce = this.#model.shape.sequences;
    let [sum, tokens] = [0n, 0];
    for (let first = 0; first < sequences; first += atOnce) {
      const batch = source.evalBatch(first, atOnce);
      const end = (sequences - first) * source.seqLen;
      batch.targets_T.fill(-1, end);
      batch.valid_T.fill(0, end);
      await this.#model.forward(batch);
      sum += this.#model.statistics.lossSum[0] ?? 0n;
      for (const target of batch.targets_T)
        if (target >= 0)
          tokens += 1;
    }
    return { loss: lossValue(sum) / tokens, tokens };
  }
  /** New token ids after `prompt`, one by one. @throws {GenerationError} TROUPE_MODEL_GENERATION */
  generate(prompt, options) {
    return this.#generator.generate(prompt, options);
  }
};

// packages/troupe/dist/simulation/divergence.js
var shown = /* @__PURE__ */ __name(({ trace }, index) => {
  const line = trace[index];
  return line === void 0 ? "the end" : `${line.atMs} ms ${line.node}: ${line.text}`;
}, "shown");
function firstDivergence(a, b) {
  if (a.traceHash === b.traceHash)
    return null;
  const most = Math.max(a.trace.length, b.trace.length);
  for (let index = 0; index < most; index++) {
    const [first, second] = [shown(a, index), shown(b, index)];
    if (first !== second)
      return { index, first, second };
  }
  return { index: most, first: a.traceHash, second: b.traceHash };
}
__name(firstDivergence, "firstDivergence");

// packages/troupe/dist/simulation/simulator.js
var Simulator = class {
  static {
    __name(this, "Simulator");
  }
  topology;
  #shapesOnly;
  #isMixed;
  #fixed;
  /** The longest run without faults so far. */
  #reference = [];
  /** Use {@link openSimulator}. */
  constructor(topology, { shapesOnly = false, real, ...fixed }) {
    this.#shapesOnly = shapesOnly;
    this.#isMixed = real !== void 0;
    this.topology = topology;
    this.#fixed = fixed;
  }
  /** The faults of a case, drawn where its seed draws them. */
  faultsOf({ seed, steps, faults }) {
    if (faults !== "swarm")
      return faults;
    const { workers, agents, actors } = createPlacement(this.topology);
    return drawFaults({
      seed,
      steps,
      numWorkers: workers.length,
      numMachines: agents.length,
      actors: actors.filter(({ node }) => node.startsWith("worker")).map(({ address }) => address),
      disks: this.topology.checkpoint.every > 0
    });
  }
  /** Runs a case; one with faults is held against the run without. */
  async run(one, more = {}) {
    const faults = this.faultsOf(one);
    const reference = faults.length === 0 || this.#shapesOnly ? void 0 : await this.#referenceOf(one.steps);
    return this.#simulate({ ...one, faults }, { ...reference === void 0 ? {} : { reference }, ...more });
  }
  async #referenceOf(steps) {
    if (this.#reference.length < steps) {
      const clean = await this.#simulate({ seed: 0, steps, faults: [] }, {});
      this.#reference = referenceOf(clean.events);
    }
    return this.#reference;
  }
  #simulate(one, more) {
    return simulate(this.topology, {
      checkpoints: !this.#shapesOnly,
      shapesOnly: this.#shapesOnly,
      routesEvenly: this.#isMixed,
      ...more,
      seed: one.seed,
      stopAfter: one.steps,
      faults: one.faults,
      ...this.#fixed
    });
  }
};
function hollowTokens(seqLen) {
  const bySize = /* @__PURE__ */ new Map();
  const batch = /* @__PURE__ */ __name((count) => {
    const known = bySize.get(count);
    if (known !== void 0)
      return known;
    const length = count * seqLen;
    const made = {
      ids_T: new Int32Array(length),
      targets_T: new Int32Array(length),
      firstSeen_T: new Int32Array(length),
      valid_T: new Uint8Array(length).fill(1)
    };
    bySize.set(count, made);
    return made;
  }, "batch");
  return {
    numEvalSequences: 0,
    trainBatch: /* @__PURE__ */ __name((_step, _first, count) => batch(count), "trainBatch"),
    evalBatch: /* @__PURE__ */ __name((_first, count) => batch(count), "evalBatch")
  };
}
__name(hollowTokens, "hollowTokens");
function realReplicas({ parallel }, real) {
  const { dp, ep } = parallel;
  const computes = new Set(real);
  const missing = real.find((each) => each >= dp);
  if (real.length === 0 || missing !== void 0)
    throw new RangeError(`found replica ${missing ?? "none"}, expected some of 0 to ${dp - 1}`);
  for (let first = 0; first < dp; first += ep) {
    const members = Array.from({ length: ep }, (_, rank) => first + rank);
    const count = members.filter((each) => computes.has(each)).length;
    if (count > 0 && count < ep)
      throw new RangeError(`replicas ${members.join(", ")} share their experts (ep ${ep}), so all of them compute or none`);
  }
  return computes;
}
__name(realReplicas, "realReplicas");
async function openSyncDevice(topology) {
  const device = await loadDevice({ body: topology.device, threads: 1 });
  if ("run" in device)
    return device;
  await device.close();
  return openReferenceDevice({ dtype: "f32" });
}
__name(openSyncDevice, "openSyncDevice");
async function openSimulator(topology, options = {}) {
  if (options.shapesOnly === true) {
    const device = openHollowDevice();
    const hollow = hollowTokens(topology.model.seqLen);
    return new Simulator(topology, {
      ...options,
      tokens: options.tokens ?? hollow,
      openDevice: /* @__PURE__ */ __name(async () => device, "openDevice")
    });
  }
  const tokens = options.tokens ?? (await openTopologyData(topology)).batches;
  const open = options.openDevice ?? (() => openSyncDevice(topology));
  const { real } = options;
  if (real === void 0)
    return new Simulator(topology, { ...options, tokens, openDevice: open });
  const computes = realReplicas(topology, real);
  const openDevice = /* @__PURE__ */ __name(async (dp) => {
    const device = await open(dp);
    return computes.has(dp) ? device : passiveDevice(device);
  }, "openDevice");
  return new Simulator(topology, { ...options, tokens, openDevice });
}
__name(openSimulator, "openSimulator");

// packages/troupe/dist/simulation/state-trace.js
var StateTrace = class {
  static {
    __name(this, "StateTrace");
  }
  #nodes = /* @__PURE__ */ new Map();
  #actors = /* @__PURE__ */ new Map();
  #open = /* @__PURE__ */ new Map();
  #events = [];
  see({ node, address, event, stateBefore, stateAfter }, atMs) {
    const open = this.#open.get(address);
    if (stateBefore === stateAfter && open !== void 0)
      return;
    const place = this.#place(node, address);
    if (open !== void 0)
      this.#slice(place, open, atMs);
    const by = `${event.type} of ${event.from} (step ${event.step}, layer ${event.layer})`;
    this.#open.set(address, { state: stateAfter, sinceMs: atMs, by });
  }
  /** All events; states that are open end at `endMs`. */
  finish(endMs, faults) {
    for (const [address, open] of this.#open) {
      const place = this.#actors.get(address);
      if (place !== void 0)
        this.#slice(place, open, endMs);
    }
    this.#open.clear();
    for (const { atMs, text } of faults)
      this.#events.push({ name: text, ph: "i", pid: 0, tid: 0, ts: 1e3 * atMs, s: "g" });
    return this.#events;
  }
  #place(node, address) {
    const known = this.#actors.get(address);
    if (known !== void 0)
      return known;
    let pid = this.#nodes.get(node);
    if (pid === void 0) {
      pid = this.#nodes.size + 1;
      this.#nodes.set(node, pid);
      this.#events.push({ name: "process_name", ph: "M", pid, tid: 0, args: { name: node } });
    }
    const place = { pid, tid: this.#actors.size + 1 };
    this.#actors.set(address, place);
    this.#events.push({ name: "thread_name", ph: "M", ...place, args: { name: address } });
    return place;
  }
  #slice(place, open, endMs) {
    const { state, sinceMs, by } = open;
    const times = { ts: 1e3 * sinceMs, dur: 1e3 * (endMs - sinceMs) };
    this.#events.push({ name: state, ph: "X", ...place, ...times, args: { by } });
  }
};

export {
  CalibrationError,
  parseCalibration,
  calibrated,
  startCluster,
  rooflineMs,
  shrink,
  referenceOf,
  simulate,
  TrainedModel,
  firstDivergence,
  Simulator,
  openSimulator,
  StateTrace
};
//# sourceMappingURL=chunk-LGOQTQFJ.js.map
