import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  Exchange,
  addresses,
  buddyShift,
  defaultHome,
  denseUnits,
  exchangeOf,
  expertUnit,
  expertUnits,
  flatLayout,
  formatProblem,
  isMoeLayer,
  learningRate,
  moeLayers,
  qkvWidths,
  refuseUnbuilt
} from "./chunk-IEL6CF5I.js";
import {
  openDataSource
} from "./chunk-K7SOYNM4.js";
import {
  DeviceUnavailableError,
  KernelFailedError,
  KernelRangeError,
  KernelShapeError
} from "./chunk-J3KKUFZH.js";
import {
  DeadlineError,
  GRADIENT_LEAF_LIMIT,
  GRADIENT_QUANTUM_LOG2,
  InvariantError,
  LOSS_QUANTUM_LOG2,
  NORM_BLOCK,
  NORM_QUANTUM_LOG2,
  NotBuiltError,
  TroupeError,
  address,
  assert,
  callCost,
  callShape,
  deserializeError,
  dtypeBytes,
  dtypeOf,
  hiddenInputs,
  nodeId,
  parentFolder,
  philox4x32,
  philoxKey,
  prng,
  serializeError,
  silentLogger,
  storagePath,
  withoutQueue
} from "./chunk-JUIDX3IZ.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/troupe/dist/data.js
import { homedir } from "node:os";
import { join } from "node:path";
function dataConfig(topology) {
  const { data, model, train } = topology;
  const { source, tokenizer } = data;
  const origin = source.kind === "wordnet" ? { source: "wordnet" } : source.kind === "text" ? { text: source.paths } : source.kind === "jsonl" ? { jsonl: source.paths, field: source.field } : source.kind === "synthetic" ? { synthetic: source.distribution } : { [source.kind]: source.paths };
  const spec = tokenizer.kind === "bytes" ? { kind: "bytes" } : {
    kind: "bpe",
    ...tokenizer.file === null ? { vocab: tokenizer.vocab } : { file: tokenizer.file }
  };
  return {
    ...origin,
    ...source.kind === "synthetic" ? {} : { tokenizer: spec },
    holdout: data.holdout,
    seqLen: model.seqLen,
    batch: train.batch,
    seed: train.seed,
    modelVocab: model.vocab
  };
}
__name(dataConfig, "dataConfig");
function cacheFolder() {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "troupe");
}
__name(cacheFolder, "cacheFolder");
function openTopologyData(topology) {
  return openDataSource(dataConfig(topology), { cacheFolder: cacheFolder() });
}
__name(openTopologyData, "openTopologyData");

// packages/troupe/dist/job.js
var defaultDeadlines = {
  stepMs: 6e5,
  loadMs: 6e5,
  checkpointMs: 6e5,
  recoveryMs: 3e5
};
var lossLimit = /* @__PURE__ */ __name(({ recovery }) => ({
  intensity: recovery.losses,
  periodMs: recovery.withinSeconds * 1e3
}), "lossLimit");
function evaluationSequences(topology, source) {
  const { batches } = topology.eval;
  return batches === "all" ? source.numEvalSequences : Math.min(source.numEvalSequences, batches * topology.train.batch);
}
__name(evaluationSequences, "evaluationSequences");
function jobOf(topology, choices, rules = {}, use = "launch") {
  refuse(topology, use);
  const { train, parallel } = topology;
  const { optimizer } = train;
  return {
    model: withExpert(topology.model, rules.expert),
    dp: parallel.dp,
    ep: parallel.ep,
    zero: parallel.zero === 0 ? 0 : 1,
    exchange: exchangeOf(topology),
    batch: train.batch,
    grains: train.grains,
    microbatches: train.microbatches,
    precision: precisionOf(topology),
    steps: train.steps,
    stopAfter: choices.stopAfter,
    seed: train.seed,
    optimizer: {
      beta1: optimizer.betas[0],
      beta2: optimizer.betas[1],
      eps: optimizer.eps,
      weightDecay: optimizer.weightDecay,
      clip: optimizer.clip
    },
    learningRate: /* @__PURE__ */ __name((step) => learningRate(train, step), "learningRate"),
    evaluateEvery: topology.eval.every,
    evaluationSequences: choices.evaluationSequences,
    checkpointEvery: choices.checkpoints ? topology.checkpoint.every : -1,
    first: choices.first,
    deadlines: defaultDeadlines,
    restartsFromBeginning: topology.recovery.fromStart,
    buddyShift: buddyShift(topology),
    ...rules
  };
}
__name(jobOf, "jobOf");
function precisionOf({ train }) {
  if (train.precision === "f16")
    throw new NotBuiltError("train.precision f16", "choose f32 or bf16");
  return train.precision;
}
__name(precisionOf, "precisionOf");
function withExpert(model, expert) {
  if (expert?.parameters === void 0 || model.moe === null)
    return model;
  const expertParameters = expert.parameters({ dim: model.dModel, hidden: model.moe.dExpert });
  return { ...model, moe: { ...model.moe, expertParameters } };
}
__name(withExpert, "withExpert");
function refuse(topology, use) {
  const problems = refuseUnbuilt(topology, use);
  if (problems.length > 0)
    throw notBuilt(problems.map(formatProblem));
  if (Object.keys(topology.placement).length > 0)
    throw new NotBuiltError("placement by rule", "leave `placement` out: actors then live on the device of their mesh coordinate");
}
__name(refuse, "refuse");
var notBuilt = /* @__PURE__ */ __name((messages) => new NotBuiltError(`this topology: ${messages.join("; ")}`, "see the README for what runs today"), "notBuilt");

// actors/dist/addresses.js
var addresses2 = {
  trainer: addresses.trainer,
  supervisor: addresses.supervisor,
  store: /* @__PURE__ */ __name((machine) => addresses.store(machine), "store"),
  feeder: /* @__PURE__ */ __name((dp) => addresses.feeder(dp), "feeder"),
  stage: /* @__PURE__ */ __name((dp) => addresses.stage({ pp: 0, dp, tp: 0 }), "stage"),
  gate: /* @__PURE__ */ __name((layer, dp) => addresses.gate(layer, { pp: 0, dp }), "gate"),
  expert: /* @__PURE__ */ __name((layer, ep, edp) => addresses.expert(layer, { ep, edp }), "expert"),
  optimizer: /* @__PURE__ */ __name((parameterClass, dp) => addresses.optimizer(parameterClass, { pp: 0, dp, tp: 0 }), "optimizer")
};

// packages/runtime/dist/actor.js
var escalate = { strategy: "escalate", intensity: 0, periodMs: 1 };

// packages/runtime/dist/asks.js
var IDS_PER_LIFE = 2 ** 32;
var Asks = class {
  static {
    __name(this, "Asks");
  }
  #clock;
  #pending = /* @__PURE__ */ new Map();
  #last;
  /** @param incarnation - of the node, from 1 */
  constructor(clock, incarnation) {
    this.#clock = clock;
    this.#last = (incarnation - 1) * IDS_PER_LIFE;
  }
  begin(owner, to, type, options, expired) {
    const correlation = ++this.#last;
    const timer = this.#clock.after(options.deadlineMs, () => {
      if (!this.#pending.delete(correlation))
        return;
      const message = `${owner} asked ${to} for ${type} (${options.reason}) and got no answer within ${options.deadlineMs} ms`;
      expired(new DeadlineError(message, { waiter: owner, awaited: to, kind: type, reason: options.reason }));
    });
    this.#pending.set(correlation, { owner, timer });
    return correlation;
  }
  /** The owner of an open ask, which is closed by this; undefined for a late or unknown answer. */
  answered(correlation) {
    const ask = this.#pending.get(correlation);
    if (ask === void 0)
      return void 0;
    this.#clock.cancel(ask.timer);
    this.#pending.delete(correlation);
    return ask.owner;
  }
  forget(owner) {
    for (const [correlation, ask] of this.#pending)
      if (ask.owner === owner)
        this.answered(correlation);
  }
  clear() {
    for (const correlation of this.#pending.keys())
      this.answered(correlation);
  }
  get size() {
    return this.#pending.size;
  }
};

// packages/runtime/dist/body.js
function numberIn(event, key) {
  const value = event.body[key];
  assert(typeof value === "number", `${event.type} carries the number ${key}`, { from: event.from });
  return value;
}
__name(numberIn, "numberIn");
function textIn(event, key) {
  const value = event.body[key];
  assert(typeof value === "string", `${event.type} carries the text ${key}`, { from: event.from });
  return value;
}
__name(textIn, "textIn");
var flagIn = /* @__PURE__ */ __name((event, key) => event.body[key] === true, "flagIn");

// packages/runtime/dist/directory.js
var Directory = class {
  static {
    __name(this, "Directory");
  }
  #base;
  #overlay = /* @__PURE__ */ new Map();
  /** Nodes that have lived before. */
  #lives = /* @__PURE__ */ new Map();
  constructor(base) {
    this.#base = base;
  }
  nodeOf(address2) {
    const moved = this.#overlay.size === 0 ? void 0 : this.#overlay.get(address2);
    return moved?.node ?? this.#base(address2);
  }
  lookup(address2) {
    const moved = this.#overlay.get(address2);
    if (moved !== void 0)
      return moved;
    const node = this.#base(address2);
    return { node, incarnation: this.incarnationOf(node) };
  }
  /** Records a move; an older incarnation than the known one is ignored. */
  update(address2, residence) {
    if (residence.incarnation >= this.lookup(address2).incarnation)
      this.#overlay.set(address2, residence);
  }
  /** Life number of a node's actors, from 1. */
  incarnationOf(node) {
    return this.#lives.get(node) ?? 1;
  }
  /**
   * Judges a message by the life that sent it, and learns of a new one.
   *
   * @returns false when a later life of the node is known: its actors have been replaced, and what this one says counts no more
   */
  hears(node, incarnation) {
    const known2 = this.incarnationOf(node);
    if (incarnation > known2)
      this.#lives.set(node, incarnation);
    return incarnation >= known2;
  }
  /** Moves and nodes that began anew. */
  get overlaySize() {
    return this.#overlay.size + this.#lives.size;
  }
};

// packages/runtime/dist/errors.js
var MessageRefusedError = class extends TroupeError {
  static {
    __name(this, "MessageRefusedError");
  }
  name = "MessageRefusedError";
  constructor(address2, kind, state) {
    super("TROUPE_ACTOR_REFUSED", `${address2} in state ${state} does not accept ${kind}`, {
      details: { address: address2, kind, state }
    });
  }
};
var UnknownAddressError = class extends TroupeError {
  static {
    __name(this, "UnknownAddressError");
  }
  name = "UnknownAddressError";
  constructor(address2, node) {
    super("TROUPE_ACTOR_UNKNOWN", `no actor ${address2} on ${node}; the directory and the mounted actors disagree`, {
      details: { address: address2, node }
    });
  }
};
var MailboxFullError = class extends TroupeError {
  static {
    __name(this, "MailboxFullError");
  }
  name = "MailboxFullError";
  constructor(address2, capacity) {
    super("TROUPE_MAILBOX_FULL", `mailbox of ${address2} is full at ${capacity} messages; a sender exceeds its credit`, {
      details: { address: address2, capacity }
    });
  }
};
var RestartIntensityError = class extends TroupeError {
  static {
    __name(this, "RestartIntensityError");
  }
  name = "RestartIntensityError";
  constructor(address2, restarts, periodMs, cause) {
    super("TROUPE_ACTOR_RESTARTS", `${address2} failed ${restarts} times within ${periodMs} ms; giving up`, {
      details: { address: address2, restarts, periodMs },
      cause
    });
  }
};

// packages/runtime/dist/mailbox.js
var Mailbox = class {
  static {
    __name(this, "Mailbox");
  }
  #owner;
  #capacity;
  #items = [];
  #head = 0;
  /** @param capacity - most events that may wait; more is a {@link MailboxFullError} */
  constructor(owner, capacity) {
    this.#owner = owner;
    this.#capacity = capacity;
  }
  get size() {
    return this.#items.length - this.#head;
  }
  push(item) {
    if (this.size >= this.#capacity)
      throw new MailboxFullError(this.#owner, this.#capacity);
    this.#items.push(item);
  }
  shift() {
    const item = this.#items[this.#head];
    if (item === void 0)
      return void 0;
    this.#head++;
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
  clear() {
    this.#items = [];
    this.#head = 0;
  }
};

// packages/runtime/dist/statechart.js
var Leaf = class {
  static {
    __name(this, "Leaf");
  }
  /** `serving`, or `serving.forwarding` for a state within a state. */
  name;
  node;
  /** Edges by type of event, the innermost state's first: the first whose guard passes is taken. */
  edges = /* @__PURE__ */ new Map();
  /** Edges that are taken without an event. */
  always = [];
  constructor(name, node) {
    this.name = name;
    this.node = node;
  }
};
var known = /* @__PURE__ */ new WeakMap();
function statechartOf(machine) {
  const found = known.get(machine);
  if (found !== void 0)
    return found;
  const chart = new Compiler(machine).chart();
  known.set(machine, chart);
  return chart;
}
__name(statechartOf, "statechartOf");
var unsupported = /* @__PURE__ */ __name((machine, what) => new InvariantError(`the machine '${machine.id}' has ${what}; actors run plain statecharts`), "unsupported");
function ancestors(node, end) {
  const found = [];
  if (node === end)
    return found;
  for (let at = node.parent; at !== void 0 && at !== end; at = at.parent)
    found.push(at);
  return found;
}
__name(ancestors, "ancestors");
var isBelow = /* @__PURE__ */ __name((node, ancestor) => ancestors(node, null).includes(ancestor), "isBelow");
function descent(node) {
  const [first] = node.type === "compound" ? node.initial.target : [];
  return first === void 0 ? [node] : [node, ...descent(first)];
}
__name(descent, "descent");
var Compiler = class {
  static {
    __name(this, "Compiler");
  }
  #machine;
  #leaves = /* @__PURE__ */ new Map();
  constructor(machine) {
    this.#machine = machine;
  }
  chart() {
    const { root } = this.#machine;
    this.#visit(root, "");
    for (const leaf of this.#leaves.values())
      this.#connect(leaf);
    const entered = descent(root);
    const first = {
      guard: null,
      guardParams: void 0,
      isForbidden: false,
      operations: entered.flatMap((node) => this.#entering(node)),
      target: this.#leaf(entered.at(-1) ?? root)
    };
    return { machine: this.#machine, first };
  }
  #leaf(node) {
    const leaf = this.#leaves.get(node);
    if (leaf === void 0)
      throw unsupported(this.#machine, `no state ${node.id}`);
    return leaf;
  }
  #visit(node, name) {
    if (node.type !== "atomic" && node.type !== "compound")
      throw unsupported(this.#machine, `the ${node.type} state ${node.id}`);
    if (node.invoke.length > 0)
      throw unsupported(this.#machine, `actors invoked in ${node.id}`);
    if (node.type === "atomic")
      this.#leaves.set(node, new Leaf(name, node));
    for (const [key, child] of Object.entries(node.states))
      this.#visit(child, name === "" ? key : `${name}.${key}`);
  }
  #connect(leaf) {
    const chain = [leaf.node, ...ancestors(leaf.node, null)];
    for (const node of chain)
      for (const [type, transitions] of node.transitions) {
        if (type.includes("*"))
          throw unsupported(this.#machine, `the wildcard ${type}`);
        const edges = transitions.map((each) => this.#edge(leaf, each));
        leaf.edges.set(type, [...leaf.edges.get(type) ?? [], ...edges]);
      }
    leaf.always = chain.flatMap((node) => (node.always ?? []).map((each) => this.#edge(leaf, each)));
  }
  #edge(leaf, transition) {
    const actions = transition.actions.map((action) => this.#operation(action));
    const [target] = transition.target ?? [];
    const guard = this.#guard(transition.guard);
    const isForbidden = transition.target === void 0 && actions.length === 0;
    if (target === void 0)
      return { ...guard, isForbidden, operations: actions, target: leaf };
    if ((transition.target?.length ?? 0) > 1)
      throw unsupported(this.#machine, "a transition with two targets");
    const { source, reenter } = transition;
    const isInside = !reenter && (target === source || isBelow(target, source));
    const shared = ancestors(target, null).find((each) => isBelow(source, each));
    const domain = isInside ? source : shared ?? (reenter ? null : this.#machine.root);
    const left = [leaf.node, ...ancestors(leaf.node, null)].filter((node) => domain === null || isBelow(node, domain));
    const above = ancestors(target, domain).toReversed();
    const [own, ...below] = descent(target);
    const entered = [...above, ...own === void 0 || own === domain ? [] : [own], ...below];
    return {
      ...guard,
      isForbidden,
      operations: [
        ...left.flatMap((node) => node.exit.map((action) => this.#operation(action))),
        ...actions,
        ...entered.flatMap((node) => this.#entering(node))
      ],
      target: this.#leaf(below.at(-1) ?? target)
    };
  }
  #entering(node) {
    const first = node.type === "compound" ? node.initial.actions : [];
    if (first.length > 0)
      throw unsupported(this.#machine, `actions of the initial transition of ${node.id}`);
    return node.entry.map((action) => this.#operation(action));
  }
  #guard(guard) {
    if (guard === void 0)
      return { guard: null, guardParams: void 0 };
    const { name, params } = named(guard);
    const found = typeof guard === "function" ? guard : this.#machine.implementations.guards[name];
    if (typeof found !== "function" || "check" in found)
      throw unsupported(this.#machine, `no plain guard '${name}'`);
    return { guard: found, guardParams: params };
  }
  #operation(action) {
    const { name, params } = named(action);
    const found = typeof action === "function" ? action : this.#machine.implementations.actions[name];
    const blank = { params, assignment: [], id: "", raised: void 0, delay: void 0 };
    if (typeof found !== "function" || !("resolve" in found))
      return { ...blank, kind: "effect", type: name };
    const built = found;
    const type = String(built["type"]);
    if (type === "xstate.assign") {
      const { assignment } = built;
      const fields2 = typeof assignment === "function" ? assignment : Object.entries(assignment).map(([key, value]) => ({ key, value }));
      return { ...blank, kind: "assign", type, assignment: fields2 };
    }
    if (type === "xstate.raise") {
      const { delay } = built;
      const { delays } = this.#machine.implementations;
      const after = typeof delay === "string" ? delays[delay] : delay;
      return { ...blank, kind: "raise", type, id: String(built["id"]), raised: built["event"], delay: after };
    }
    if (type === "xstate.cancel")
      return { ...blank, kind: "cancel", type, id: String(built["sendId"]) };
    throw unsupported(this.#machine, `the action ${type}`);
  }
};
function named(written) {
  if (typeof written === "string")
    return { name: written, params: void 0 };
  if (typeof written === "function")
    return { name: written.name, params: void 0 };
  const { type, params } = written;
  return { name: type, params };
}
__name(named, "named");
var valueOf = /* @__PURE__ */ __name((written, scope, params) => typeof written === "function" ? written(scope, params) : written, "valueOf");

// packages/runtime/dist/pure-machine.js
var MachineSnapshot = class {
  static {
    __name(this, "MachineSnapshot");
  }
  leaf;
  context;
  constructor(leaf, context) {
    this.leaf = leaf;
    this.context = context;
  }
  /** `serving`, or `serving.forwarding` for a state within a state. */
  get state() {
    return this.leaf.name;
  }
  /** Whether the state accepts an event, guards included. */
  can(event) {
    return select(this, event) !== null;
  }
};
var nothing = [];
var noEvents = [];
var PureMachine = class {
  static {
    __name(this, "PureMachine");
  }
  #chart;
  constructor(machine) {
    this.#chart = statechartOf(machine);
  }
  initial(input) {
    const event = { type: "xstate.init", input };
    const { context } = this.#chart.machine.config;
    const made = typeof context === "function" ? context({ input }) : context;
    return new Transition({ ...made }, event, this.#chart.first);
  }
  /** @returns null when the state does not accept the event */
  transition(snapshot, event) {
    const edge = select(snapshot, event);
    return edge === null ? null : new Transition(snapshot.context, event, edge);
  }
};
function select({ leaf, context }, event) {
  const edges = leaf.edges.get(event.type);
  if (edges === void 0)
    return null;
  for (const edge of edges)
    if (passes(edge, context, event))
      return edge.isForbidden ? null : edge;
  return null;
}
__name(select, "select");
function passes({ guard, guardParams }, context, event) {
  if (guard === null)
    return true;
  const scope = { context, event };
  return Boolean(guard(scope, valueOf(guardParams, scope)));
}
__name(passes, "passes");
var Transition = class {
  static {
    __name(this, "Transition");
  }
  snapshot;
  actions = nothing;
  armed = nothing;
  cancelled = nothing;
  #context;
  #event;
  /** Events raised without a delay; they are handled before the transition ends. */
  #raised = noEvents;
  constructor(context, event, edge) {
    this.#context = context;
    this.#event = event;
    let leaf = this.#follow(edge);
    for (; ; ) {
      const next = leaf.always.length === 0 ? void 0 : this.#passing(leaf.always);
      const before = this.#context;
      if (next !== void 0 && (this.#follow(next) !== leaf || this.#context !== before)) {
        leaf = next.target;
        continue;
      }
      const raised = this.#raised.shift();
      if (raised === void 0)
        break;
      this.#event = raised;
      const taken = this.#passing(leaf.edges.get(raised.type) ?? nothing);
      if (taken !== void 0)
        leaf = this.#follow(taken);
    }
    this.snapshot = new MachineSnapshot(leaf, this.#context);
  }
  #passing(edges) {
    for (const edge of edges)
      if (passes(edge, this.#context, this.#event))
        return edge;
    return void 0;
  }
  #follow({ operations, target }) {
    for (const operation of operations)
      this.#do(operation);
    return target;
  }
  #do(operation) {
    const context = this.#context;
    const event = this.#event;
    switch (operation.kind) {
      case "effect": {
        const { type, params } = operation;
        if (this.actions === nothing)
          this.actions = [];
        const resolved = params === void 0 ? void 0 : valueOf(params, { context, event });
        this.actions.push({ type, params: resolved, context, event });
        return;
      }
      case "assign":
        this.#context = assigned(operation, context, event);
        return;
      case "raise":
        this.#raise(operation, valueOf(operation.raised, { context, event }));
        return;
      case "cancel": {
        const { id } = operation;
        this.armed = this.armed.filter((each) => each.id !== id);
        this.cancelled = [...this.cancelled, id];
      }
    }
  }
  #raise({ id, delay }, event) {
    const delayMs = valueOf(delay, { context: this.#context, event: this.#event });
    if (typeof delayMs === "number")
      this.armed = [...this.armed, { id, event, delayMs }];
    else
      this.#raised = [...this.#raised, event];
  }
};
function assigned({ assignment }, context, event) {
  const scope = { context, event };
  if (typeof assignment === "function")
    return { ...context, ...assignment(scope) };
  const next = { ...context };
  for (const { key, value } of assignment)
    next[key] = valueOf(value, scope);
  return next;
}
__name(assigned, "assigned");

// packages/runtime/dist/actor-event.js
var noLink = {};
var noBody = Object.freeze({});
var noTensors = Object.freeze([]);
function actorEvent(type, from, fields2) {
  const event = {
    type,
    from,
    step: fields2.step ?? 0,
    attempt: fields2.attempt ?? 0,
    version: fields2.version ?? 0,
    layer: fields2.layer ?? -1,
    microbatch: fields2.microbatch ?? -1,
    body: fields2.body ?? noBody,
    tensors: fields2.tensors ?? noTensors
  };
  const { error, kernelMs, correlation } = fields2;
  if (error !== void 0)
    event.error = error;
  if (kernelMs !== void 0)
    event.kernelMs = kernelMs;
  if (correlation !== void 0)
    event.correlation = correlation;
  return event;
}
__name(actorEvent, "actorEvent");
function eventOf(message) {
  const event = {
    type: message.kind,
    from: message.from,
    step: message.step,
    attempt: message.attempt,
    version: message.version,
    layer: message.layer ?? -1,
    microbatch: message.microbatch ?? -1,
    body: message.body,
    tensors: message.tensors
  };
  if (message.correlation !== void 0)
    event.correlation = message.correlation;
  return event;
}
__name(eventOf, "eventOf");
function messageOf(from, to, kind, fields2, { correlation, replyTo } = noLink) {
  const { layer = -1, microbatch = -1 } = fields2;
  return {
    kind,
    from,
    to,
    step: fields2.step ?? 0,
    attempt: fields2.attempt ?? 0,
    version: fields2.version ?? 0,
    layer: layer < 0 ? void 0 : layer,
    microbatch: microbatch < 0 ? void 0 : microbatch,
    correlation,
    replyTo,
    body: fields2.body ?? noBody,
    tensors: fields2.tensors ?? noTensors
  };
}
__name(messageOf, "messageOf");

// packages/runtime/dist/waits.js
var waitOf = /* @__PURE__ */ __name(({ request, missing }) => ({ ...request, awaited: [...missing] }), "waitOf");
var Waits = class {
  static {
    __name(this, "Waits");
  }
  #clock;
  /** By owner, then by name. */
  #waits = /* @__PURE__ */ new Map();
  constructor(clock) {
    this.#clock = clock;
  }
  begin(owner, request, expired) {
    const { awaited, ...rest } = request;
    this.end(owner, request.name);
    const timer = this.#clock.after(request.deadlineMs, () => {
      const current = this.#take(owner, request.name);
      if (current === void 0)
        return;
      const wait = waitOf(current);
      expired(new DeadlineError(describeWait(wait, this.#clock.now()), { waiter: owner, awaited: wait.awaited }), wait);
    });
    const own = this.#waits.get(owner) ?? /* @__PURE__ */ new Map();
    this.#waits.set(owner, own);
    const since = { ...rest, owner, sinceMs: this.#clock.now() };
    own.set(request.name, { request: since, missing: new Set(awaited), timer });
  }
  /** One of the awaited answered: the report names only those still missing. */
  answered(owner, name, by) {
    this.#waits.get(owner)?.get(name)?.missing.delete(by);
  }
  end(owner, name) {
    const entry = this.#take(owner, name);
    if (entry !== void 0)
      this.#clock.cancel(entry.timer);
  }
  endAll(owner) {
    for (const name of this.#waits.get(owner)?.keys() ?? [])
      this.end(owner, name);
  }
  list() {
    return [...this.#waits.values()].flatMap((own) => [...own.values()].map(waitOf));
  }
  #take(owner, name) {
    const own = this.#waits.get(owner);
    const entry = own?.get(name);
    own?.delete(name);
    return entry;
  }
};
function describeWait(wait, nowMs) {
  const shown = wait.awaited.slice(0, 4).join(", ");
  const more = wait.awaited.length > 4 ? ` and ${wait.awaited.length - 4} more` : "";
  const place = [
    wait.step === void 0 ? "" : `step ${wait.step}`,
    wait.layer === void 0 ? "" : `layer ${wait.layer}`,
    wait.microbatch === void 0 ? "" : `microbatch ${wait.microbatch}`
  ].filter((part) => part !== "");
  const where = place.length === 0 ? "" : ` (${place.join(", ")})`;
  return `${wait.owner} waits for ${shown}${more}: ${wait.reason}${where} since ${((nowMs - wait.sinceMs) / 1e3).toFixed(1)} s`;
}
__name(describeWait, "describeWait");

// packages/runtime/dist/system.js
var MAILBOX_CAPACITY = 4096;
var SYSTEM_PREFIX = "system/";
var systemAddress = /* @__PURE__ */ __name((node) => address(`${SYSTEM_PREFIX}${node}`), "systemAddress");
var laneOf = /* @__PURE__ */ __name((message) => message.tensors.length > 0 ? "data" : "control", "laneOf");
var ActorSystem = class {
  static {
    __name(this, "ActorSystem");
  }
  node;
  /** Of the system itself. */
  #address;
  #options;
  #cells = /* @__PURE__ */ new Map();
  #ready = [];
  #asks;
  #waits;
  #pumpSoon = /* @__PURE__ */ __name(() => this.#pump(), "#pumpSoon");
  #pumping = false;
  #stopped = false;
  #fencedEvents = 0;
  #staleMessages = 0;
  constructor(options) {
    this.#options = options;
    this.node = options.node;
    this.#address = systemAddress(options.node);
    this.#asks = new Asks(options.clock, options.transport.incarnation);
    this.#waits = new Waits(options.clock);
  }
  /** Begins to receive. Call it when all actors are mounted: what arrived before waits in the transport. */
  listen() {
    const { transport, codec, logger, directory, probe } = this.#options;
    transport.onPacket((from, _lane, packet, release) => {
      probe?.receiving();
      let decoded;
      try {
        decoded = codec.decodeMessage(packet);
      } catch (error) {
        release();
        logger.warn("packet refused", { from, error: serializeError(error) });
        return;
      }
      if (directory.hears(from, decoded.incarnation)) {
        this.#receive(decoded.message, { from, packet, release });
        return;
      }
      release();
      this.#staleMessages++;
    });
  }
  /** Starts an actor; its first events may be handled before this returns its turn to the event loop, never inside the call. */
  mount(address2, supervision, mount) {
    assert(!this.#cells.has(address2), "an address is mounted once", { address: address2 });
    const cell = {
      address: address2,
      mount,
      supervision,
      mailbox: new Mailbox(address2, this.#options.mailboxCapacity ?? MAILBOX_CAPACITY),
      incarnation: 0,
      queued: false,
      restartsMs: [],
      timers: /* @__PURE__ */ new Map()
    };
    this.#cells.set(address2, cell);
    try {
      this.#begin(cell);
    } catch (error) {
      this.#cells.delete(address2);
      throw error;
    }
  }
  statuses() {
    return [...this.#cells.values()].map((cell) => ({
      address: cell.address,
      incarnation: cell.incarnation,
      state: cell.snapshot.state,
      mailboxSize: cell.mailbox.size
    }));
  }
  waits() {
    return this.#waits.list();
  }
  get fencedEvents() {
    return this.#fencedEvents;
  }
  /** Messages from a life of a node that a later one has replaced. */
  get staleMessages() {
    return this.#staleMessages;
  }
  /** Sends from outside any actor: how the composition root speaks to actors. */
  tell(to, type, fields2 = {}) {
    this.#send(messageOf(systemAddress(this.node), to, type, fields2));
  }
  /** Ends an actor's life as if its last turn had thrown: supervision decides what follows. */
  fail(address2, error) {
    const cell = this.#cells.get(address2);
    if (cell !== void 0 && !this.#stopped)
      this.#failed(cell, error);
  }
  stop() {
    this.#stopped = true;
    for (const cell of this.#cells.values())
      this.#end(cell);
    this.#asks.clear();
  }
  #begin(cell) {
    cell.incarnation++;
    const self2 = this.#self(cell, cell.incarnation);
    cell.behaviour = cell.mount(self2);
    cell.isAlive = true;
    cell.machine = new PureMachine(cell.behaviour.machine);
    const start = actorEvent("xstate.init", cell.address, {});
    const result = cell.machine.initial(cell.behaviour.input);
    cell.snapshot = result.snapshot;
    this.#perform(cell, result, start);
  }
  #end(cell) {
    for (const timer of cell.timers.values())
      this.#options.clock.cancel(timer);
    cell.timers.clear();
    this.#waits.endAll(cell.address);
    this.#asks.forget(cell.address);
    if (cell.isAlive)
      cell.behaviour.dispose?.();
    cell.isAlive = false;
    for (let entry = cell.mailbox.shift(); entry !== void 0; entry = cell.mailbox.shift())
      entry.release?.();
  }
  #send(message) {
    if (this.#stopped)
      return;
    const target = this.#nodeOf(message.to);
    if (target === this.node) {
      this.#receive(message);
      return;
    }
    const { codec, transport, probe } = this.#options;
    try {
      probe?.sending();
      const packet = codec.encodeMessage(message, transport.incarnation);
      transport.send(target, laneOf(message), packet);
      probe?.sent(message, target, packet);
    } catch (error) {
      const failure = error instanceof TroupeError ? error : new TroupeError("TROUPE_UNKNOWN", String(error), { cause: error });
      this.#options.logger.warn("message not sent", {
        to: message.to,
        kind: message.kind,
        code: failure.code
      });
      if (message.correlation !== void 0)
        this.#failAsk(message.correlation, message, failure);
    }
  }
  #nodeOf(address2) {
    if (address2.startsWith(SYSTEM_PREFIX))
      return address2.slice(SYSTEM_PREFIX.length);
    return this.#options.directory.nodeOf(address2);
  }
  /** A message arrived, from the transport or from beside. */
  #receive(message, arrival) {
    const release = arrival?.release;
    if (message.replyTo !== void 0) {
      const owner = this.#asks.answered(message.replyTo);
      if (owner !== void 0)
        this.#accept(owner, this.#replyEvent(message), arrival);
      else
        release?.();
      return;
    }
    if (message.to === this.#address) {
      this.#answerAsSystem(message);
      release?.();
      return;
    }
    const event = eventOf(message);
    if (!this.#cells.has(message.to)) {
      release?.();
      this.#refuse(event, message.to, new UnknownAddressError(message.to, this.node));
      return;
    }
    this.#accept(message.to, event, arrival);
  }
  #accept(address2, event, arrival) {
    if (arrival !== void 0)
      this.#options.probe?.received(arrival.from, address2, arrival.packet, event);
    this.#deliver(address2, event, arrival?.release);
  }
  #replyEvent(message) {
    if (message.kind !== "message.refused")
      return eventOf(message);
    const event = eventOf(message);
    return { ...event, type: "ask.failed", error: JSON.parse(textIn(event, "error")) };
  }
  #answerAsSystem(message) {
    if (message.kind === "system.describe" && message.correlation !== void 0) {
      const lines = this.statuses().map((status) => `${status.address} ${status.state} ${status.mailboxSize}`);
      this.#send(messageOf(systemAddress(this.node), message.from, "system.described", { body: { lines } }, { replyTo: message.correlation }));
    } else if (message.kind === "message.refused") {
      this.#options.logger.warn("message refused", { from: message.from, error: message.body["error"] });
    }
  }
  #deliver(address2, event, release) {
    const cell = this.#cells.get(address2);
    if (cell === void 0 || this.#stopped) {
      release?.();
      return;
    }
    try {
      cell.mailbox.push(release === void 0 ? { event } : { event, release });
    } catch (error) {
      release?.();
      this.#failed(cell, error);
      return;
    }
    if (!cell.queued) {
      cell.queued = true;
      this.#ready.push(cell);
    }
    if (!this.#pumping) {
      this.#pumping = true;
      this.#options.schedule(this.#pumpSoon);
    }
  }
  #pump() {
    let turns = 0;
    while (turns < 64) {
      const cell = this.#ready.shift();
      if (cell === void 0)
        break;
      cell.queued = false;
      const entry = cell.mailbox.shift();
      if (entry === void 0)
        continue;
      if (cell.mailbox.size > 0) {
        cell.queued = true;
        this.#ready.push(cell);
      }
      turns++;
      this.#options.probe?.turnBegins();
      this.#turn(cell, entry.event);
      entry.release?.();
      if (this.#stopped)
        return;
    }
    if (this.#ready.length > 0)
      this.#options.schedule(this.#pumpSoon);
    else
      this.#pumping = false;
  }
  #turn(cell, event) {
    const { incarnation } = cell;
    const { observe, probe } = this.#options;
    const isSeen = observe !== void 0 || probe !== void 0;
    const stateBefore = isSeen ? cell.snapshot.state : "";
    let outcome = "handled";
    try {
      const { behaviour } = cell;
      const epoch = behaviour.fenced?.has(event.type) === true ? behaviour.epoch?.(cell.snapshot.context) : void 0;
      if (epoch !== void 0 && (event.attempt < epoch.attempt || event.attempt === epoch.attempt && event.step < epoch.step)) {
        this.#fencedEvents++;
        outcome = "fenced";
      } else {
        const result = cell.machine.transition(cell.snapshot, event);
        if (result === null) {
          outcome = "refused";
          this.#refuse(event, cell.address, new MessageRefusedError(cell.address, event.type, cell.snapshot.state));
        } else {
          cell.snapshot = result.snapshot;
          this.#perform(cell, result, event);
        }
      }
    } catch (error) {
      this.#failed(cell, error);
    }
    if (!isSeen)
      return;
    const turn = {
      node: this.node,
      address: cell.address,
      incarnation,
      event,
      outcome,
      stateBefore,
      stateAfter: cell.snapshot.state,
      mailboxSize: cell.mailbox.size
    };
    observe?.(turn);
    probe?.turnEnded(turn);
  }
  #refuse(event, refuser, error) {
    if (event.correlation !== void 0) {
      const body = { error: JSON.stringify(serializeError(error, refuser)) };
      this.#send(messageOf(refuser, event.from, "message.refused", { ...event, tensors: [], body }, { replyTo: event.correlation }));
      return;
    }
    const cell = this.#cells.get(refuser);
    if (cell !== void 0 && event.error !== void 0) {
      this.#failed(cell, deserializeError(event.error));
      return;
    }
    if (event.type === "message.refused") {
      if (cell !== void 0)
        this.#failed(cell, new TroupeError("TROUPE_ACTOR_REFUSED", textIn(event, "reason"), { details: { from: event.from } }));
      return;
    }
    this.#send(messageOf(refuser, event.from, "message.refused", {
      step: event.step,
      attempt: event.attempt,
      body: { reason: error.message, error: JSON.stringify(serializeError(error, refuser)) }
    }));
  }
  #perform(cell, result, event) {
    for (const id of result.cancelled) {
      const timer = cell.timers.get(id);
      if (timer !== void 0)
        this.#options.clock.cancel(timer);
      cell.timers.delete(id);
    }
    for (const delayed of result.armed) {
      const timer = this.#options.clock.after(delayed.delayMs, () => {
        cell.timers.delete(delayed.id);
        this.#deliver(cell.address, {
          ...actorEvent(delayed.event.type, cell.address, {}),
          ...delayed.event
        });
      });
      cell.timers.set(delayed.id, timer);
    }
    const life = cell.incarnation;
    for (const action of result.actions) {
      if (cell.incarnation !== life)
        return;
      if (action.type === "ignore")
        continue;
      const effect = cell.behaviour.effects[action.type];
      assert(effect !== void 0, `no effect is named ${action.type}`, { address: cell.address });
      effect(action.event.type === "xstate.init" ? event : action.event, action.context, action.params);
    }
  }
  #failed(cell, error) {
    const failure = error instanceof TroupeError ? error : new TroupeError("TROUPE_UNKNOWN", error instanceof Error ? error.stack ?? error.message : String(error), { cause: error });
    const now = this.#options.clock.now();
    const { strategy, intensity, periodMs } = cell.supervision;
    cell.restartsMs = [...cell.restartsMs.filter((at) => now - at < periodMs), now];
    if (strategy === "escalate") {
      this.#options.onFailure(failure, cell.address);
      return;
    }
    if (cell.restartsMs.length > intensity) {
      this.#options.onFailure(new RestartIntensityError(cell.address, cell.restartsMs.length, periodMs, failure), cell.address);
      return;
    }
    this.#options.logger.warn("actor restarts", { address: cell.address, error: serializeError(failure) });
    const cells = [...this.#cells.values()];
    const affected = strategy === "one-for-one" ? [cell] : cells.slice(cells.indexOf(cell));
    const lives = affected.map((each) => each.incarnation);
    for (const each of affected)
      this.#end(each);
    affected.forEach((each, index) => {
      if (each.incarnation === lives[index])
        this.#restart(each);
    });
  }
  #restart(cell) {
    try {
      this.#begin(cell);
    } catch (error) {
      this.#failed(cell, error);
    }
  }
  #failAsk(correlation, asked, error) {
    const owner = this.#asks.answered(correlation);
    if (owner === void 0)
      return;
    const event = { ...eventOf(asked), type: "ask.failed", from: owner, tensors: [] };
    this.#deliver(owner, { ...event, error: serializeError(error) });
  }
  #self(cell, incarnation) {
    const { address: address2 } = cell;
    const alive = /* @__PURE__ */ __name(() => cell.incarnation === incarnation && !this.#stopped, "alive");
    const post = /* @__PURE__ */ __name((type, fields2 = {}) => {
      if (alive())
        this.#deliver(address2, actorEvent(type, address2, fields2));
    }, "post");
    const run = /* @__PURE__ */ __name((device, calls, fields2, ran) => {
      const { probe } = this.#options;
      const submittedMs = probe?.submitted() ?? 0;
      device.submit(calls, (completion) => {
        probe?.completed({ owner: address2, device, calls, fields: fields2, submittedMs, completion });
        if (completion.error === null)
          ran(completion);
        else
          post("kernel.failed", { ...fields2, error: serializeError(completion.error, address2) });
      });
    }, "run");
    return {
      address: address2,
      clock: this.#options.clock,
      logger: this.#options.logger.child({ actor: address2 }),
      tell: /* @__PURE__ */ __name((to, type, fields2 = {}) => {
        if (alive())
          this.#send(messageOf(address2, to, type, fields2));
      }, "tell"),
      ask: /* @__PURE__ */ __name((to, type, fields2, options) => {
        if (!alive())
          return;
        const correlation = this.#asks.begin(address2, to, type, options, (error) => post("ask.failed", { ...fields2, tensors: [], error: serializeError(error, to) }));
        this.#send(messageOf(address2, to, type, fields2, { correlation }));
      }, "ask"),
      reply: /* @__PURE__ */ __name((request, type, fields2 = {}) => {
        assert(request.correlation !== void 0, "only a request can be replied to", { type: request.type });
        if (alive())
          this.#send(messageOf(address2, request.from, type, fields2, { replyTo: request.correlation }));
      }, "reply"),
      refuse: /* @__PURE__ */ __name((request, error) => this.#refuse(request, address2, error), "refuse"),
      post,
      submit: /* @__PURE__ */ __name((device, calls, done, fields2 = {}) => run(device, calls, fields2, ({ kernelMs }) => post(done, { ...fields2, kernelMs })), "submit"),
      queue: /* @__PURE__ */ __name((device, calls, done, fields2 = {}) => {
        run(device, calls, fields2, () => {
        });
        post(done, fields2);
      }, "queue"),
      settle: /* @__PURE__ */ __name((promise, done, failed, fields2 = {}) => {
        promise.then((outcome) => post(done, { ...fields2, ...outcome }), (error) => post(failed, { ...fields2, error: serializeError(error, address2) }));
      }, "settle"),
      wait: /* @__PURE__ */ __name((request) => {
        if (!alive())
          return;
        this.#options.probe?.waitBegan({ ...request, owner: address2 });
        this.#waits.begin(address2, request, (error, wait) => this.#options.onStuck(error, wait));
      }, "wait"),
      free: /* @__PURE__ */ __name((arrays) => {
        const { free } = this.#options;
        if (free !== void 0)
          queueMicrotask(() => free(arrays));
      }, "free"),
      answered: /* @__PURE__ */ __name((name, by) => this.#waits.answered(address2, name, by), "answered"),
      endWait: /* @__PURE__ */ __name((name) => {
        this.#options.probe?.waitEnded(address2, name);
        this.#waits.end(address2, name);
      }, "endWait"),
      fail: /* @__PURE__ */ __name((error) => {
        if (alive())
          this.#failed(cell, error);
      }, "fail")
    };
  }
};

// packages/model/dist/errors.js
var StageShapeError = class extends TroupeError {
  static {
    __name(this, "StageShapeError");
  }
  name = "StageShapeError";
  constructor(message, details) {
    super("TROUPE_MODEL_SHAPE", message, { details });
  }
};
var BatchLengthError = class extends TroupeError {
  static {
    __name(this, "BatchLengthError");
  }
  name = "BatchLengthError";
  constructor(array, found, expected) {
    super("TROUPE_MODEL_BATCH", `${array} holds ${found} values, expected ${expected}, one per token`, {
      details: { array, found, expected }
    });
  }
};
var UnknownParameterError = class extends TroupeError {
  static {
    __name(this, "UnknownParameterError");
  }
  name = "UnknownParameterError";
  constructor(name, hint) {
    super("TROUPE_MODEL_PARAMETER", `${name} is not in this layout; ${hint}`, { details: { name } });
  }
};
var GenerationError = class extends TroupeError {
  static {
    __name(this, "GenerationError");
  }
  name = "GenerationError";
  constructor(message, details = {}) {
    super("TROUPE_MODEL_GENERATION", message, { details });
  }
};

// packages/model/dist/stage-shape.js
function tokensOf(shape) {
  return shape.sequences * shape.config.seqLen;
}
__name(tokensOf, "tokensOf");
function checkShape(shape) {
  const { sequences, grains } = shape;
  if (sequences < 1 || grains < 1 || sequences % grains !== 0) {
    throw new StageShapeError(`${sequences} sequences a microbatch do not divide into ${grains} grains; choose a divisor of ${sequences}`, { sequences, grains });
  }
}
__name(checkShape, "checkShape");
function rowBounds(tokens, parts) {
  return Int32Array.from({ length: parts + 1 }, (_, part) => tokens / parts * part);
}
__name(rowBounds, "rowBounds");

// packages/model/dist/activations.js
var Arena = class {
  static {
    __name(this, "Arena");
  }
  bytes = 0;
  #device;
  constructor(device) {
    this.#device = device;
  }
  floats(length) {
    return this.#count(this.#device.floats(length));
  }
  /** Storage in the precision of the products. */
  operands(length, precision) {
    return precision === "bf16" ? this.#count(this.#device.halves(length)) : this.floats(length);
  }
  ints(length) {
    return this.#count(this.#device.ints(length));
  }
  #count(array) {
    this.bytes += array.byteLength;
    return array;
  }
};
function moeActivations(arena, shape, moe, ranks) {
  const T = tokensOf(shape);
  const D = shape.config.dModel;
  const { experts: E, topK: K } = moe;
  return {
    logits_TE: arena.floats(T * E),
    probs_TE: arena.floats(T * E),
    choices_TK: arena.ints(T * K),
    weights_TK: arena.floats(T * K),
    fractions_BE: arena.floats(shape.sequences * E),
    fractions_E: arena.floats(moe.balance.scope === "global" ? E : 0),
    counts_EG: arena.ints(E * shape.grains),
    position_TK: arena.ints(T * K),
    slots_N: arena.ints(T * K),
    choiceOfRow_N: arena.ints(T * K),
    rankTokens: arena.ints(ranks * T),
    numTokens_R: arena.ints(ranks),
    numRows_R: arena.ints(ranks),
    rowWeights_N: arena.floats(T * K),
    tokens_N: arena.ints(ranks === 1 ? T * K : 0),
    packed_UD: arena.floats(ranks === 1 ? 0 : Math.min(ranks, K) * T * D),
    returned_ND: arena.floats(T * K * D)
  };
}
__name(moeActivations, "moeActivations");
function layerActivations(arena, shape, options) {
  const { config } = shape;
  const T = tokensOf(shape);
  const D = config.dModel;
  const widths = qkvWidths(config);
  const moments = config.norm.kind === "layer" ? 2 : 1;
  const qkNorm = config.qkNorm !== "none";
  const groups2 = config.qkNorm === "head" ? { q: config.heads, k: config.kvHeads } : { q: 1, k: 1 };
  const { saves, moe, ranks } = options;
  const ffnHidden = moe === null ? config.ffn.dFf : moe.sharedExperts * moe.dExpert;
  return {
    normed1_TD: arena.operands(T * D, shape.precision),
    stats1: arena.floats(T * moments),
    qkv_TW: arena.floats(T * widths.all),
    qk: qkNorm ? arena.floats(T * (widths.q + widths.k)) : null,
    qStats: arena.floats(qkNorm ? T * groups2.q : 0),
    kStats: arena.floats(qkNorm ? T * groups2.k : 0),
    attention_TQ: arena.floats(T * widths.q),
    lse_TH: arena.floats(T * config.heads),
    mid_TD: arena.floats(T * D),
    normed_TD: arena.floats(T * D),
    stats2: arena.floats(T * moments),
    ffnSaved: saves && ffnHidden > 0 ? arena.operands(T * hiddenInputs(config.ffn.activation) * ffnHidden, shape.precision) : null,
    moe: moe === null ? null : moeActivations(arena, shape, moe, ranks)
  };
}
__name(layerActivations, "layerActivations");
function gradientActivations(arena, shape, ranks) {
  const { config } = shape;
  const T = tokensOf(shape);
  const D = config.dModel;
  const widths = qkvWidths(config);
  const E = config.moe?.experts ?? 0;
  const K = config.moe?.topK ?? 0;
  return {
    dHidden_TD: arena.floats(T * D),
    dNormed_TD: arena.floats(T * D),
    dAttention_TQ: arena.floats(T * widths.q),
    dQkv_TW: arena.floats(T * widths.all),
    dQk: config.qkNorm === "none" ? null : arena.floats(T * (widths.q + widths.k)),
    dLogits_TE: arena.floats(T * E),
    dWeights_TK: arena.floats(T * K),
    dPacked_UD: arena.floats(ranks === 1 ? 0 : Math.min(ranks, K) * T * D),
    dReturned_ND: arena.floats(T * K * D)
  };
}
__name(gradientActivations, "gradientActivations");
var Activations = class {
  static {
    __name(this, "Activations");
  }
  shape;
  training;
  ranks;
  firstLayer;
  numLayers;
  tokens;
  precision;
  /** G+1 row bounds of the grains. */
  grainStarts;
  /** B+1 row bounds of the sequences. */
  groupStarts;
  /** Rows of each grain: the counts of a dense FFN, which is one expert that every row visits. */
  grainCounts;
  /** After the last norm; empty when the stage has no head. */
  finalNormed_TD;
  finalStats;
  loss_T;
  /** Bytes of all buffers. */
  bytes;
  #hidden;
  #layers;
  #gradients;
  constructor(device, shape, options) {
    checkShape(shape);
    const { config } = shape;
    const { training, ranks = 1, layers = { first: 0, count: config.layers } } = options;
    const head = options.head ?? layers.first + layers.count === config.layers;
    const experts = config.moe?.experts ?? ranks;
    if (experts % ranks !== 0) {
      throw new StageShapeError(`${experts} experts are not divisible by ${ranks} ranks`, { experts, ranks });
    }
    const arena = new Arena(device);
    const T = tokensOf(shape);
    this.shape = shape;
    this.training = training;
    this.ranks = ranks;
    this.firstLayer = layers.first;
    this.numLayers = layers.count;
    this.tokens = T;
    this.precision = shape.precision ?? "f32";
    this.grainStarts = rowBounds(T, shape.grains);
    this.groupStarts = rowBounds(T, shape.sequences);
    this.grainCounts = new Int32Array(shape.grains).fill(T / shape.grains);
    this.#hidden = Array.from({ length: training ? layers.count + 1 : 1 }, () => arena.floats(T * config.dModel));
    const layerIndices = Array.from({ length: layers.count }, (_, index) => layers.first + index);
    const moeOf2 = /* @__PURE__ */ __name((layer) => isMoeLayer(config, layer) ? config.moe : null, "moeOf");
    if (training) {
      this.#layers = layerIndices.map((layer) => layerActivations(arena, shape, { saves: true, moe: moeOf2(layer), ranks }));
    } else {
      const moe = layerIndices.some((layer) => isMoeLayer(config, layer)) ? config.moe : null;
      this.#layers = [layerActivations(arena, shape, { saves: false, moe, ranks })];
    }
    this.finalNormed_TD = arena.operands(head ? T * config.dModel : 0, shape.precision);
    this.finalStats = arena.floats(head ? T * (config.norm.kind === "layer" ? 2 : 1) : 0);
    this.loss_T = arena.floats(head ? T : 0);
    this.#gradients = training ? gradientActivations(arena, shape, ranks) : null;
    this.bytes = arena.bytes;
  }
  /** Input of layer `layer`, [T, D]; of layer first + count: the stage's output. */
  hidden(layer) {
    const index = layer - this.firstLayer;
    assert(index >= 0 && index <= this.numLayers, "the layer belongs to the stage", { layer });
    const hidden = this.#hidden[this.training ? index : 0];
    assert(hidden !== void 0, "every layer has its input", { layer });
    return hidden;
  }
  layer(layer) {
    const index = layer - this.firstLayer;
    assert(index >= 0 && index < this.numLayers, "the layer belongs to the stage", { layer });
    const activations = this.#layers[this.training ? index : 0];
    assert(activations !== void 0, "every layer has its activations", { layer });
    return activations;
  }
  moe(layer) {
    const { moe } = this.layer(layer);
    assert(moe !== null && isMoeLayer(this.shape.config, layer), "only MoE layers route", { layer });
    return moe;
  }
  get gradients() {
    assert(this.#gradients !== null, "activations for inference hold no gradients");
    return this.#gradients;
  }
};

// packages/model/dist/stage-context.js
function gradientsOf(ctx) {
  assert(ctx.gradients !== null, "a backward pass needs room for gradients");
  return ctx.gradients;
}
__name(gradientsOf, "gradientsOf");

// packages/model/dist/norms.js
function rowsOf(data) {
  return data instanceof Uint16Array ? { data } : { data };
}
__name(rowsOf, "rowsOf");
function normForward(ctx, unitId, x, out, stats) {
  const { kind, eps } = ctx.shape.config.norm;
  const [weight, bias] = [ctx.weights.part(unitId, 0), ctx.weights.part(unitId, 1)];
  assert(weight !== null, "a norm has a weight", { unitId });
  return {
    op: "norm.forward",
    kind,
    rows: ctx.act.tokens,
    groups: 1,
    dim: ctx.shape.config.dModel,
    eps,
    x: { data: x },
    weight,
    ...bias === null ? {} : { bias },
    out: rowsOf(out),
    stats
  };
}
__name(normForward, "normForward");
function normBackward(ctx, unitId, io) {
  const sums = gradientsOf(ctx);
  const [weight, weightSum, biasSum] = [
    ctx.weights.part(unitId, 0),
    sums.part(unitId, 0),
    sums.part(unitId, 1)
  ];
  assert(weight !== null && weightSum !== null, "a norm has a weight", { unitId });
  return {
    op: "norm.backward",
    kind: ctx.shape.config.norm.kind,
    rows: ctx.act.tokens,
    groups: 1,
    dim: ctx.shape.config.dModel,
    x: { data: io.x },
    weight,
    stats: io.stats,
    dOut: { data: io.dOut },
    dx: { data: io.dx },
    accumulate: io.accumulate,
    grainStarts: ctx.act.grainStarts,
    weightSum,
    ...biasSum === null ? {} : { biasSum }
  };
}
__name(normBackward, "normBackward");
function qkNormForward(ctx, segment) {
  const { unitId, groups: groups2, dim, stats, raw, normed } = segment;
  return {
    op: "norm.forward",
    kind: "rms",
    rows: ctx.act.tokens,
    groups: groups2,
    dim,
    eps: ctx.shape.config.norm.eps,
    x: raw,
    weight: ctx.weights.view(unitId),
    out: normed,
    stats
  };
}
__name(qkNormForward, "qkNormForward");
function qkNormBackward(ctx, segment, dNormed, dRaw) {
  const { unitId, groups: groups2, dim, stats, raw } = segment;
  return {
    op: "norm.backward",
    kind: "rms",
    rows: ctx.act.tokens,
    groups: groups2,
    dim,
    x: raw,
    weight: ctx.weights.view(unitId),
    stats,
    dOut: dNormed,
    dx: dRaw,
    accumulate: false,
    grainStarts: ctx.act.grainStarts,
    weightSum: gradientsOf(ctx).view(unitId)
  };
}
__name(qkNormBackward, "qkNormBackward");

// packages/model/dist/attention.js
function operands(ctx, qkv, qk) {
  const widths = qkvWidths(ctx.shape.config);
  const [data, stride] = qk === null ? [qkv, widths.all] : [qk, widths.q + widths.k];
  return {
    q: { data, offset: 0, stride },
    k: { data, offset: widths.q, stride },
    v: { data: qkv, offset: widths.q + widths.k, stride: widths.all }
  };
}
__name(operands, "operands");
function qkSegments(ctx, layer) {
  const { config } = ctx.shape;
  const { qkv_TW, qk, qStats, kStats } = ctx.act.layer(layer);
  if (qk === null)
    return null;
  const widths = qkvWidths(config);
  const raw = operands(ctx, qkv_TW, null);
  const normed = operands(ctx, qkv_TW, qk);
  const perHead = config.qkNorm === "head";
  return [
    {
      unitId: `L${layer}/q-norm`,
      groups: perHead ? config.heads : 1,
      dim: perHead ? config.headDim : widths.q,
      stats: qStats,
      raw: raw.q,
      normed: normed.q
    },
    {
      unitId: `L${layer}/k-norm`,
      groups: perHead ? config.kvHeads : 1,
      dim: perHead ? config.headDim : widths.k,
      stats: kStats,
      raw: raw.k,
      normed: normed.k
    }
  ];
}
__name(qkSegments, "qkSegments");
function rope(ctx, x, inverse) {
  const { config } = ctx.shape;
  return {
    op: "rope",
    rows: ctx.act.tokens,
    seqLen: config.seqLen,
    heads: config.heads + config.kvHeads,
    headDim: config.headDim,
    x,
    ...ctx.rope,
    inverse
  };
}
__name(rope, "rope");
function attentionCommon(ctx, layer, batch) {
  const { config, sequences } = ctx.shape;
  const { qkv_TW, qk, attention_TQ, lse_TH } = ctx.act.layer(layer);
  return {
    batch: sequences,
    seqLen: config.seqLen,
    heads: config.heads,
    kvHeads: config.kvHeads,
    headDim: config.headDim,
    scale: 1 / Math.sqrt(config.headDim),
    ...operands(ctx, qkv_TW, qk),
    firstSeen_T: batch.firstSeen_T,
    out: { data: attention_TQ },
    lse_TH
  };
}
__name(attentionCommon, "attentionCommon");
function attentionForward(ctx, layer, batch) {
  const { config } = ctx.shape;
  const { act, weights } = ctx;
  const own = act.layer(layer);
  const hidden = act.hidden(layer);
  const widths = qkvWidths(config);
  const segments = qkSegments(ctx, layer);
  return [
    normForward(ctx, `L${layer}/norm1`, hidden, own.normed1_TD, own.stats1),
    {
      op: "linear.forward",
      rows: act.tokens,
      inDim: config.dModel,
      outDim: widths.all,
      x: rowsOf(own.normed1_TD),
      precision: act.precision,
      weight: weights.view(`L${layer}/qkv`),
      out: { data: own.qkv_TW }
    },
    ...(segments ?? []).map((segment) => qkNormForward(ctx, segment)),
    rope(ctx, operands(ctx, own.qkv_TW, own.qk).q, false),
    { op: "attention.forward", ...attentionCommon(ctx, layer, batch) },
    {
      op: "linear.forward",
      rows: act.tokens,
      inDim: widths.q,
      outDim: config.dModel,
      x: { data: own.attention_TQ },
      precision: act.precision,
      weight: weights.view(`L${layer}/out`),
      out: { data: own.mid_TD },
      residual: { data: hidden }
    },
    normForward(ctx, `L${layer}/norm2`, own.mid_TD, own.normed_TD, own.stats2)
  ];
}
__name(attentionForward, "attentionForward");
function attentionBackward(ctx, layer, batch) {
  const { config } = ctx.shape;
  const { act, weights } = ctx;
  const sums = gradientsOf(ctx);
  const own = act.layer(layer);
  const { dHidden_TD, dNormed_TD, dAttention_TQ, dQkv_TW, dQk } = act.gradients;
  const widths = qkvWidths(config);
  const segments = qkSegments(ctx, layer);
  const gradients = operands(ctx, dQkv_TW, dQk);
  const projected = operands(ctx, dQkv_TW, null);
  const out = {
    rows: act.tokens,
    inDim: widths.q,
    outDim: config.dModel,
    dOut: { data: dHidden_TD },
    precision: act.precision
  };
  const qkv = {
    rows: act.tokens,
    inDim: config.dModel,
    outDim: widths.all,
    dOut: { data: dQkv_TW },
    precision: act.precision
  };
  const { grainStarts } = act;
  return [
    normBackward(ctx, `L${layer}/norm2`, {
      x: own.mid_TD,
      stats: own.stats2,
      dOut: dNormed_TD,
      dx: dHidden_TD,
      accumulate: true
    }),
    {
      op: "linear.backward.weight",
      ...out,
      x: { data: own.attention_TQ },
      grainStarts,
      weightSum: sums.view(`L${layer}/out`)
    },
    {
      op: "linear.backward.input",
      ...out,
      weight: weights.view(`L${layer}/out`),
      dx: { data: dAttention_TQ }
    },
    {
      op: "attention.backward",
      ...attentionCommon(ctx, layer, batch),
      dOut: { data: dAttention_TQ },
      dq: gradients.q,
      dk: gradients.k,
      dv: gradients.v
    },
    rope(ctx, gradients.q, true),
    ...segments === null ? [] : [
      qkNormBackward(ctx, segments[0], gradients.q, projected.q),
      qkNormBackward(ctx, segments[1], gradients.k, projected.k)
    ],
    {
      op: "linear.backward.weight",
      ...qkv,
      x: rowsOf(own.normed1_TD),
      grainStarts,
      weightSum: sums.view(`L${layer}/qkv`)
    },
    { op: "linear.backward.input", ...qkv, weight: weights.view(`L${layer}/qkv`), dx: { data: dNormed_TD } },
    normBackward(ctx, `L${layer}/norm1`, {
      x: act.hidden(layer),
      stats: own.stats1,
      dOut: dNormed_TD,
      dx: dHidden_TD,
      accumulate: true
    })
  ];
}
__name(attentionBackward, "attentionBackward");

// packages/model/dist/statistics.js
function lossValue(fixed) {
  return Number(fixed) * 2 ** LOSS_QUANTUM_LOG2;
}
__name(lossValue, "lossValue");
var StageStatistics = class {
  static {
    __name(this, "StageStatistics");
  }
  /** Σ of the cross entropy over valid targets, one element; LOSS_QUANTUM. */
  lossSum;
  layers;
  #byLayer;
  constructor(device, config, layers = moeLayers(config)) {
    this.lossSum = device.int64s(1);
    const experts = config.moe?.experts ?? 0;
    this.layers = layers.map((layer) => ({
      layer,
      lossSums: device.int64s(2),
      counts_E: device.ints(experts),
      probSums_E: device.int64s(experts)
    }));
    this.#byLayer = new Map(this.layers.map((statistics) => [statistics.layer, statistics]));
  }
  of(layer) {
    const statistics = this.#byLayer.get(layer);
    assert(statistics !== void 0, "statistics exist for the MoE layers of the stage", { layer });
    return statistics;
  }
  reset() {
    this.lossSum.fill(0n);
    for (const { lossSums, counts_E, probSums_E } of this.layers) {
      lossSums.fill(0n);
      counts_E.fill(0);
      probSums_E.fill(0n);
    }
  }
};

// packages/model/dist/balance.js
function checkBalance(config) {
  if (config.moe === null || config.moe.balance.auxLoss === 0)
    return;
  const { scope, layers } = config.moe.balance;
  if (scope === "microbatch") {
    throw new NotBuiltError("balance scope microbatch", "use scope global with one microbatch, or scope sequence");
  }
  if (scope === "sequence" && layers === "pooled") {
    throw new NotBuiltError("balance of pooled layers within a sequence", "use scope global, or layers each");
  }
}
__name(checkBalance, "checkBalance");
var sum = /* @__PURE__ */ __name((values) => {
  let total = 0;
  for (const value of values)
    total += value;
  return total;
}, "sum");
function fractionsOf(layers, moe, tokens) {
  const choices = layers.length * tokens * moe.topK;
  return Float64Array.from({ length: moe.experts }, (_, expert) => choices === 0 ? 0 : sum(layers.map(({ counts_E }) => counts_E[expert] ?? 0)) / choices);
}
__name(fractionsOf, "fractionsOf");
function imbalance(layers, moe, tokens) {
  if (tokens === 0 || layers.length === 0)
    return 0;
  const fractions = fractionsOf(layers, moe, tokens);
  const products = Array.from(fractions, (fraction, expert) => {
    const probability = sum(layers.map(({ probSums_E }) => lossValue(probSums_E[expert] ?? 0n)));
    return fraction * probability / (layers.length * tokens);
  });
  return moe.experts * sum(products);
}
__name(imbalance, "imbalance");
function balanceLosses(config, layers, global2) {
  checkBalance(config);
  const { moe } = config;
  if (moe === null)
    return { auxLoss: 0, zLoss: 0 };
  const { balance } = moe;
  const perLayer = layers.map((layer) => balance.scope === "sequence" && global2.sequences > 0 ? lossValue(layer.lossSums[0] ?? 0n) / global2.sequences : imbalance([layer], moe, global2.tokens));
  const balanced = balance.layers === "pooled" ? imbalance(layers, moe, global2.tokens) : sum(perLayer);
  const squares = sum(layers.map((layer) => lossValue(layer.lossSums[1] ?? 0n)));
  return {
    auxLoss: balance.auxLoss * balanced,
    zLoss: global2.tokens === 0 ? 0 : balance.zLoss * squares / global2.tokens
  };
}
__name(balanceLosses, "balanceLosses");
function balanceCoefficients(config, global2, layers = []) {
  checkBalance(config);
  const { moe } = config;
  assert(moe !== null, "balance needs a model with experts");
  const { auxLoss, zLoss, scope } = moe.balance;
  const zScale = global2.tokens === 0 ? 0 : zLoss / global2.tokens;
  if (scope === "sequence" || auxLoss === 0) {
    return {
      auxScale: global2.sequences === 0 ? 0 : auxLoss / global2.sequences,
      zScale,
      fractions: /* @__PURE__ */ __name(() => null, "fractions")
    };
  }
  const pooled = moe.balance.layers === "pooled";
  const divisor = global2.tokens * (pooled ? layers.length : 1);
  return {
    auxScale: divisor === 0 ? 0 : auxLoss / divisor,
    zScale,
    fractions: /* @__PURE__ */ __name((layer) => fractionsOf(pooled ? layers : layers.filter((each) => each.layer === layer), moe, global2.tokens), "fractions")
  };
}
__name(balanceCoefficients, "balanceCoefficients");

// packages/model/dist/batch.js
function checkBatch(shape, batch) {
  const tokens = tokensOf(shape);
  for (const name of ["ids_T", "targets_T", "firstSeen_T", "valid_T"]) {
    if (batch[name].length !== tokens)
      throw new BatchLengthError(name, batch[name].length, tokens);
  }
}
__name(checkBatch, "checkBatch");
function numValidTargets(targets_T) {
  let count3 = 0;
  for (const target of targets_T)
    if (target >= 0)
      count3++;
  return count3;
}
__name(numValidTargets, "numValidTargets");
function numValidTokens(valid_T) {
  let count3 = 0;
  for (const valid of valid_T)
    if (valid !== 0)
      count3++;
  return count3;
}
__name(numValidTokens, "numValidTokens");
function denseBatch(ids_T, seqLen) {
  const targets_T = ids_T.map((_, token) => (token + 1) % seqLen === 0 ? -1 : ids_T[token + 1] ?? -1);
  return {
    ids_T,
    targets_T,
    firstSeen_T: new Int32Array(ids_T.length),
    valid_T: new Uint8Array(ids_T.length).fill(1)
  };
}
__name(denseBatch, "denseBatch");

// packages/model/dist/device-run.js
function runCalls(device, calls) {
  return new Promise((resolve, reject) => {
    device.submit(calls, (completion) => {
      if (completion.error === null)
        resolve(completion);
      else
        reject(completion.error);
    });
  });
}
__name(runCalls, "runCalls");

// packages/model/dist/dispatch.js
function shareOf(moe, rank) {
  let firstToken = 0;
  let firstRow = 0;
  for (let before = 0; before < rank; before++) {
    firstToken += moe.numTokens_R[before] ?? 0;
    firstRow += moe.numRows_R[before] ?? 0;
  }
  const numTokens = moe.numTokens_R[rank];
  const numRows = moe.numRows_R[rank];
  assert(numTokens !== void 0 && numRows !== void 0, "the rank belongs to the group", { rank });
  return { firstToken, numTokens, firstRow, numRows };
}
__name(shareOf, "shareOf");
var topKOf = /* @__PURE__ */ __name((ctx) => ctx.shape.config.moe?.topK ?? 0, "topKOf");
function directSlots(ctx, moe, share) {
  if (share.numTokens === ctx.act.tokens)
    return moe.slots_N.subarray(0, share.numRows);
  const topK = topKOf(ctx);
  for (let row = 0; row < share.numRows; row++) {
    moe.tokens_N[row] = Math.floor((moe.choiceOfRow_N[row] ?? 0) / topK);
  }
  return moe.tokens_N.subarray(0, share.numRows);
}
__name(directSlots, "directSlots");
function pack(ctx, layer, rank, from, out) {
  const { act } = ctx;
  if (act.ranks === 1)
    return [];
  const dim = ctx.shape.config.dModel;
  const moe = act.moe(layer);
  const { firstToken, numTokens } = shareOf(moe, rank);
  const first = rank * act.tokens;
  return [
    {
      op: "gather",
      rows: numTokens,
      dim,
      x: from,
      index: moe.rankTokens.subarray(first, first + numTokens),
      out: out.subarray(firstToken * dim, (firstToken + numTokens) * dim)
    }
  ];
}
__name(pack, "pack");
function packedRows(ctx, layer, rank, packed, all) {
  if (ctx.act.ranks === 1)
    return all;
  const dim = ctx.shape.config.dModel;
  const { firstToken, numTokens } = shareOf(ctx.act.moe(layer), rank);
  return packed.subarray(firstToken * dim, (firstToken + numTokens) * dim);
}
__name(packedRows, "packedRows");
function packTokens(ctx, layer, rank) {
  return pack(ctx, layer, rank, ctx.act.layer(layer).normed_TD, ctx.act.moe(layer).packed_UD);
}
__name(packTokens, "packTokens");
function packedTokens(ctx, layer, rank) {
  return packedRows(ctx, layer, rank, ctx.act.moe(layer).packed_UD, ctx.act.layer(layer).normed_TD);
}
__name(packedTokens, "packedTokens");
function expertSource(ctx, layer, rank) {
  const { act } = ctx;
  const moe = act.moe(layer);
  const share = shareOf(moe, rank);
  const perRank = moe.counts_EG.length / act.ranks;
  return {
    x_UD: packedTokens(ctx, layer, rank),
    slots_N: act.ranks === 1 ? directSlots(ctx, moe, share) : moe.slots_N.subarray(share.firstRow, share.firstRow + share.numRows),
    counts_EG: moe.counts_EG.subarray(rank * perRank, (rank + 1) * perRank),
    numGrains: ctx.shape.grains,
    numTokens: act.ranks === 1 ? act.tokens : share.numTokens,
    numRows: share.numRows
  };
}
__name(expertSource, "expertSource");
function packGradients(ctx, layer, rank) {
  const { dHidden_TD, dPacked_UD } = ctx.act.gradients;
  return pack(ctx, layer, rank, dHidden_TD, dPacked_UD);
}
__name(packGradients, "packGradients");
function expertGradientSource(ctx, layer, rank) {
  const { dHidden_TD, dPacked_UD } = ctx.act.gradients;
  const moe = ctx.act.moe(layer);
  const { firstRow, numRows } = shareOf(moe, rank);
  return {
    dOut_UD: packedRows(ctx, layer, rank, dPacked_UD, dHidden_TD),
    rowWeights_N: moe.rowWeights_N.subarray(firstRow, firstRow + numRows)
  };
}
__name(expertGradientSource, "expertGradientSource");
function rowsOf2(ctx, layer, rank, all) {
  const dim = ctx.shape.config.dModel;
  const { firstRow, numRows } = shareOf(ctx.act.moe(layer), rank);
  return { firstRow, rows: numRows, data: all.subarray(firstRow * dim, (firstRow + numRows) * dim) };
}
__name(rowsOf2, "rowsOf");
function returnedRows(ctx, layer, rank) {
  return rowsOf2(ctx, layer, rank, ctx.act.moe(layer).returned_ND);
}
__name(returnedRows, "returnedRows");
function returnedGradients(ctx, layer, rank) {
  return rowsOf2(ctx, layer, rank, ctx.act.gradients.dReturned_ND);
}
__name(returnedGradients, "returnedGradients");

// packages/model/dist/embedding.js
function embedForward(ctx, batch) {
  checkBatch(ctx.shape, batch);
  return [
    {
      op: "embed.forward",
      ids_T: batch.ids_T,
      table_VD: ctx.weights.view("embed"),
      out_TD: ctx.act.hidden(0),
      dim: ctx.shape.config.dModel
    }
  ];
}
__name(embedForward, "embedForward");
function embedBackward(ctx, batch) {
  const { config } = ctx.shape;
  const gradients = gradientsOf(ctx);
  return [
    {
      op: "embed.backward",
      ids_T: batch.ids_T,
      dOut_TD: ctx.act.gradients.dHidden_TD,
      dim: config.dModel,
      grainStarts: ctx.act.grainStarts,
      tableSum: (config.tiedHead ? gradients.more : gradients).view("embed")
    }
  ];
}
__name(embedBackward, "embedBackward");

// packages/model/dist/experts.js
function expertShape(config, layer, experts, precision) {
  const unit = expertUnit(config, layer, 0);
  return {
    experts,
    dim: config.dModel,
    hidden: config.moe?.dExpert ?? 0,
    activation: config.ffn.activation,
    expertStride: unit.paddedSize,
    precision
  };
}
__name(expertShape, "expertShape");
function savedLength(shape, rows) {
  return rows * hiddenInputs(shape.activation) * shape.hidden;
}
__name(savedLength, "savedLength");
function expertsForward(shape, weights, sources, saved) {
  return [{ op: "experts.forward", ...shape, weights, sources, ...saved === null ? {} : { saved } }];
}
__name(expertsForward, "expertsForward");
function expertsBackward(shape, weights, weightSum, sources, saved) {
  return [{ op: "experts.backward", ...shape, weights, sources, saved, weightSum }];
}
__name(expertsBackward, "expertsBackward");

// packages/model/dist/ffn.js
function denseSource(ctx, layer) {
  const { act } = ctx;
  return { x_UD: act.layer(layer).normed_TD, counts_EG: act.grainCounts, numGrains: ctx.shape.grains };
}
__name(denseSource, "denseSource");
function denseShape(ctx, unitId, hidden) {
  const { config } = ctx.shape;
  const weights = ctx.weights.view(unitId);
  return {
    experts: 1,
    dim: config.dModel,
    hidden,
    activation: config.ffn.activation,
    weights,
    expertStride: weights.length,
    precision: ctx.act.precision
  };
}
__name(denseShape, "denseShape");
function residualFfnForward(ctx, layer, ffn) {
  const { mid_TD, ffnSaved } = ctx.act.layer(layer);
  return [
    { op: "copy", from: mid_TD, out: ffn.out },
    {
      op: "experts.forward",
      ...denseShape(ctx, ffn.unitId, ffn.hidden),
      sources: [{ ...denseSource(ctx, layer), y_ND: ffn.out }],
      accumulate: true,
      ...ffnSaved === null ? {} : { saved: ffnSaved }
    }
  ];
}
__name(residualFfnForward, "residualFfnForward");
function residualFfnBackward(ctx, layer, ffn) {
  const { ffnSaved } = ctx.act.layer(layer);
  const { dHidden_TD, dNormed_TD } = ctx.act.gradients;
  assert(ffnSaved !== null, "a backward pass needs what the forward pass saved", { layer });
  return [
    {
      op: "experts.backward",
      ...denseShape(ctx, ffn.unitId, ffn.hidden),
      sources: [{ ...denseSource(ctx, layer), dOut_UD: dHidden_TD, dx_ND: dNormed_TD }],
      accumulate: ffn.accumulate,
      saved: ffnSaved,
      weightSum: gradientsOf(ctx).view(ffn.unitId)
    }
  ];
}
__name(residualFfnBackward, "residualFfnBackward");
function ffnForward(ctx, layer) {
  const hidden = ctx.shape.config.ffn.dFf;
  return residualFfnForward(ctx, layer, { unitId: `L${layer}/ffn`, hidden, out: ctx.act.hidden(layer + 1) });
}
__name(ffnForward, "ffnForward");
function ffnBackward(ctx, layer) {
  const hidden = ctx.shape.config.ffn.dFf;
  return residualFfnBackward(ctx, layer, { unitId: `L${layer}/ffn`, hidden, accumulate: false });
}
__name(ffnBackward, "ffnBackward");

// packages/model/dist/flat-places.js
var placesByLayout = /* @__PURE__ */ new WeakMap();
function placesOf(layout) {
  const known2 = placesByLayout.get(layout);
  if (known2 !== void 0)
    return known2;
  const units = /* @__PURE__ */ new Map();
  const parameters = /* @__PURE__ */ new Map();
  for (const [index, unit] of layout.units.entries()) {
    const first = layout.starts[index];
    assert(first !== void 0, "a layout has one start per unit");
    units.set(unit.id, { first, size: unit.size, unit });
    for (const parameter of unit.parameters) {
      parameters.set(parameter.name, { first: first + parameter.offset, size: parameter.size, parameter });
    }
  }
  const places = { units, parameters };
  placesByLayout.set(layout, places);
  return places;
}
__name(placesOf, "placesOf");
function placeIn(places, name) {
  const place = places.get(name);
  if (place === void 0)
    throw new UnknownParameterError(name, `it holds ${[...places.keys()].slice(0, 8).join(", ")} \u2026`);
  return place;
}
__name(placeIn, "placeIn");
var Views = class {
  static {
    __name(this, "Views");
  }
  #made = /* @__PURE__ */ new Map();
  #make;
  constructor(make) {
    this.#make = make;
  }
  at(name, first, size) {
    let view = this.#made.get(name);
    if (view === void 0) {
      view = this.#make(first, first + size);
      this.#made.set(name, view);
    }
    return view;
  }
};

// packages/model/dist/flat-gradients.js
var GradientTargets = class {
  static {
    __name(this, "GradientTargets");
  }
  /** Targets that add to what an earlier call of the same microbatch has begun. */
  more;
  #places;
  #views;
  constructor(layout, make, more) {
    this.more = more ?? this;
    this.#places = placesOf(layout);
    this.#views = new Views(make);
  }
  /** One unit, without its padding. @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER */
  view(unitId) {
    const { first, size } = placeIn(this.#places.units, unitId);
    return this.#views.at(unitId, first, size);
  }
  /** Tensor `index` of a unit, null when the unit has fewer. */
  part(unitId, index) {
    const parameter = placeIn(this.#places.units, unitId).unit.parameters[index];
    if (parameter === void 0)
      return null;
    const { first, size } = placeIn(this.#places.parameters, parameter.name);
    return this.#views.at(`=${parameter.name}`, first, size);
  }
  /** As {@link FlatWeights.span}. */
  span(firstUnitId, lastUnitId) {
    const { first } = placeIn(this.#places.units, firstUnitId);
    const last = placeIn(this.#places.units, lastUnitId);
    return this.#views.at(`${firstUnitId}\u2026${lastUnitId}`, first, last.first + last.unit.paddedSize - first);
  }
};
var FlatGradients = class {
  static {
    __name(this, "FlatGradients");
  }
  layout;
  /** One element, set to 1 by kernels when any leaf was NaN or out of range. */
  overflow;
  #first;
  #runs;
  #none;
  constructor(device, layout, kindOf2) {
    this.layout = layout;
    this.overflow = device.ints(1);
    this.#none = device.int64s(0);
    this.#runs = runsOf(layout, kindOf2).map(({ kind, from, to }) => ({
      kind,
      from,
      to,
      values: kind === "stored" ? device.floats(to - from) : device.int64s(to - from)
    }));
    const more = new GradientTargets(layout, (from, to) => this.#target(from, to, false));
    this.#first = new GradientTargets(layout, (from, to) => this.#target(from, to, true), more);
  }
  /** Targets of microbatch `microbatch` of a step. */
  of(microbatch) {
    return microbatch === 0 ? this.#first : this.#first.more;
  }
  /** The arrays that hold elements [from, to), cut to that range, in order. */
  slices(from, to) {
    return this.#runs.flatMap((run) => {
      const [first, last] = [Math.max(from, run.from), Math.min(to, run.to)];
      if (first >= last)
        return [];
      return [{ from: first, to: last, values: run.values.subarray(first - run.from, last - run.from) }];
    });
  }
  /** Elements [from, to), which must be of units whose leaves other devices add to. */
  sum(from, to) {
    const [slice] = this.slices(from, to);
    const isWhole = slice !== void 0 && slice.from === from && slice.to === to;
    assert(isWhole && slice.values instanceof BigInt64Array, "what several devices add up is an exact sum", {
      from,
      to
    });
    return { values: slice.values, overflow: this.overflow };
  }
  /** What makes a step (or another attempt at it) start from nothing; begun and stored gradients need their flag alone. */
  reset() {
    const { overflow } = this;
    const sums = this.#runs.flatMap(({ kind, values }) => kind === "added" && values instanceof BigInt64Array ? [values] : []);
    return [this.#none, ...sums].map((values) => ({ op: "sum.reset", sum: { values, overflow } }));
  }
  #target(from, to, isFirst) {
    const { overflow } = this;
    const run = this.#runs.find((each) => each.from <= from && to <= each.to);
    assert(run !== void 0, "units of one target are of one kind", { from, to });
    const values = run.values.subarray(from - run.from, to - run.from);
    if (!(values instanceof BigInt64Array))
      return { gradient: values, overflow };
    return { values, overflow, begin: isFirst && run.kind === "begun" };
  }
};
function runsOf(layout, kindOf2) {
  const runs = [];
  layout.units.forEach((unit, index) => {
    const from = layout.starts[index] ?? 0;
    const [kind, to] = [kindOf2(unit), from + unit.paddedSize];
    const last = runs.at(-1);
    if (last?.kind === kind)
      last.to = to;
    else
      runs.push({ kind, from, to });
  });
  return runs;
}
__name(runsOf, "runsOf");

// packages/model/dist/flat-weights.js
var FlatWeights = class {
  static {
    __name(this, "FlatWeights");
  }
  layout;
  data;
  #places;
  #views;
  constructor(layout, data) {
    assert(data.length === layout.length, "a flat buffer has the length of its layout", {
      found: data.length,
      expected: layout.length
    });
    this.layout = layout;
    this.data = data;
    this.#places = placesOf(layout);
    this.#views = new Views((first, last) => data.subarray(first, last));
  }
  /**
   * The elements of one unit, without its padding.
   *
   * @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER
   */
  view(unitId) {
    const { first, size } = placeIn(this.#places.units, unitId);
    return this.#views.at(unitId, first, size);
  }
  /** The elements of one tensor by its global name. @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER */
  parameter(name) {
    const { first, size } = placeIn(this.#places.parameters, name);
    return this.#views.at(`=${name}`, first, size);
  }
  /** Tensor `index` of a unit, null when the unit has fewer. */
  part(unitId, index) {
    const parameter = placeIn(this.#places.units, unitId).unit.parameters[index];
    return parameter === void 0 ? null : this.parameter(parameter.name);
  }
  /** From the first element of one unit to the last (padding included) of another: the experts of a group. */
  span(firstUnitId, lastUnitId) {
    const { first } = placeIn(this.#places.units, firstUnitId);
    const last = placeIn(this.#places.units, lastUnitId);
    return this.#views.at(`${firstUnitId}\u2026${lastUnitId}`, first, last.first + last.unit.paddedSize - first);
  }
};

// packages/model/dist/forced-choices.js
var SKEWED_SHARE = 0.7;
function moeOf(config) {
  assert(config.moe !== null, "forced choices need experts");
  return config.moe;
}
__name(moeOf, "moeOf");
function staysOnHotExpert(pair) {
  return (Math.imul(pair ^ pair >>> 15, 2654435761) >>> 0) / 4294967296 < SKEWED_SHARE;
}
__name(staysOnHotExpert, "staysOnHotExpert");
function forcedChoices(config, tokens, firstToken) {
  const { experts, topK, choice } = moeOf(config);
  if (choice === "learned")
    return null;
  const cold = experts - topK;
  return Int32Array.from({ length: tokens * topK }, (_, index) => {
    const pair = firstToken * topK + index;
    if (choice === "balanced")
      return pair % experts;
    const slot = index % topK;
    return slot >= cold || staysOnHotExpert(pair) ? slot : topK + pair % cold;
  });
}
__name(forcedChoices, "forcedChoices");

// packages/model/dist/gate.js
function moeConfig(ctx) {
  const { moe } = ctx.shape.config;
  assert(moe !== null, "a gate needs a model with experts");
  return moe;
}
__name(moeConfig, "moeConfig");
var sharedHidden = /* @__PURE__ */ __name((moe) => moe.sharedExperts * moe.dExpert, "sharedHidden");
function gateLogits(ctx, layer) {
  const { act } = ctx;
  return [
    {
      op: "linear.forward",
      rows: act.tokens,
      inDim: ctx.shape.config.dModel,
      outDim: moeConfig(ctx).experts,
      x: { data: act.layer(layer).normed_TD },
      weight: ctx.weights.view(`L${layer}/gate`),
      out: { data: act.moe(layer).logits_TE }
    }
  ];
}
__name(gateLogits, "gateLogits");
function takeChoices(choices_TK, given_TK, batch, topK) {
  choices_TK.set(given_TK);
  for (const [token, valid] of batch.valid_T.entries()) {
    if (valid === 0)
      choices_TK.fill(-1, token * topK, (token + 1) * topK);
  }
}
__name(takeChoices, "takeChoices");
function gateRoute(ctx, layer, batch, options) {
  const { act } = ctx;
  const { experts, topK, renormalise } = moeConfig(ctx);
  const moe = act.moe(layer);
  const statistics = ctx.statistics.of(layer);
  const given = options.choicesGiven ?? null;
  assert(options.ranks === act.ranks, "activations are made for the ranks that a gate sends to", {
    found: options.ranks,
    expected: act.ranks
  });
  if (given !== null) {
    assert(given.length === act.tokens * topK, "given choices are [T, K]", { found: given.length });
    takeChoices(moe.choices_TK, given, batch, topK);
  }
  const routed = { tokens: act.tokens, experts, topK };
  return [
    {
      op: "gate.forward",
      ...routed,
      renormalise,
      logits_TE: moe.logits_TE,
      valid_T: batch.valid_T,
      choicesGiven: given !== null,
      probs_TE: moe.probs_TE,
      choices_TK: moe.choices_TK,
      weights_TK: moe.weights_TK
    },
    {
      op: "balance.forward",
      ...routed,
      logits_TE: moe.logits_TE,
      probs_TE: moe.probs_TE,
      choices_TK: moe.choices_TK,
      valid_T: batch.valid_T,
      groupStarts: act.groupStarts,
      fractions_BE: moe.fractions_BE,
      lossSums: statistics.lossSums,
      counts_E: statistics.counts_E,
      probSums_E: statistics.probSums_E
    },
    {
      op: "route.plan",
      ...routed,
      ranks: act.ranks,
      choices_TK: moe.choices_TK,
      grainStarts: act.grainStarts,
      counts_EG: moe.counts_EG,
      position_TK: moe.position_TK,
      slots_N: moe.slots_N,
      choiceOfRow_N: moe.choiceOfRow_N,
      rankTokens: moe.rankTokens,
      numTokens_R: moe.numTokens_R,
      numRows_R: moe.numRows_R
    },
    {
      // The number of rows is not known here, so stale indices behind them are gathered too; nobody reads those.
      op: "gather.scalars",
      count: act.tokens * topK,
      values: moe.weights_TK,
      index: moe.choiceOfRow_N,
      out: moe.rowWeights_N
    }
  ];
}
__name(gateRoute, "gateRoute");
function gateForward(ctx, layer, batch, options) {
  const hidden = sharedHidden(moeConfig(ctx));
  const unitId = `L${layer}/shared`;
  return [
    ...gateLogits(ctx, layer),
    ...gateRoute(ctx, layer, batch, options),
    ...hidden === 0 ? [] : residualFfnForward(ctx, layer, { unitId, hidden, out: ctx.act.hidden(layer + 1) })
  ];
}
__name(gateForward, "gateForward");
function combineForward(ctx, layer, parts) {
  const { act } = ctx;
  const { position_TK, weights_TK } = act.moe(layer);
  const config = moeConfig(ctx);
  const out_TD = act.hidden(layer + 1);
  return [
    {
      op: "combine",
      tokens: act.tokens,
      topK: config.topK,
      dim: ctx.shape.config.dModel,
      parts,
      position_TK,
      weights_TK,
      base_TD: sharedHidden(config) === 0 ? act.layer(layer).mid_TD : out_TD,
      out_TD
    }
  ];
}
__name(combineForward, "combineForward");
function combineBackward(ctx, layer, parts) {
  const { act } = ctx;
  return [
    {
      op: "combine.backward.weights",
      tokens: act.tokens,
      topK: moeConfig(ctx).topK,
      dim: ctx.shape.config.dModel,
      parts,
      position_TK: act.moe(layer).position_TK,
      dOut_TD: act.gradients.dHidden_TD,
      dWeights_TK: act.gradients.dWeights_TK
    }
  ];
}
__name(combineBackward, "combineBackward");
function gateBackward(ctx, layer, batch, dxParts, balance) {
  const { act, weights } = ctx;
  const { experts, topK, renormalise, sharedExperts, dExpert } = moeConfig(ctx);
  const moe = act.moe(layer);
  const { dLogits_TE, dNormed_TD, dWeights_TK } = act.gradients;
  const dim = ctx.shape.config.dModel;
  const isGlobal = balance.fractions !== void 0;
  if (balance.fractions !== void 0) {
    assert(balance.fractions.length === moe.fractions_E.length, "global fractions are one per expert, for scope global", {
      found: balance.fractions.length
    });
    moe.fractions_E.set(balance.fractions);
  }
  const gate = { rows: act.tokens, inDim: dim, outDim: experts, dOut: { data: dLogits_TE } };
  return [
    {
      op: "gate.backward",
      tokens: act.tokens,
      experts,
      topK,
      renormalise,
      logits_TE: moe.logits_TE,
      probs_TE: moe.probs_TE,
      choices_TK: moe.choices_TK,
      weights_TK: moe.weights_TK,
      dWeights_TK,
      valid_T: batch.valid_T,
      groupStarts: act.groupStarts,
      fractions: isGlobal ? moe.fractions_E : moe.fractions_BE,
      fractionsGlobal: isGlobal,
      auxScale: balance.auxScale,
      zScale: balance.zScale,
      dLogits_TE
    },
    {
      op: "linear.backward.weight",
      ...gate,
      x: { data: act.layer(layer).normed_TD },
      grainStarts: act.grainStarts,
      weightSum: gradientsOf(ctx).view(`L${layer}/gate`)
    },
    {
      op: "linear.backward.input",
      ...gate,
      weight: weights.view(`L${layer}/gate`),
      dx: { data: dNormed_TD }
    },
    {
      op: "combine",
      tokens: act.tokens,
      topK,
      dim,
      parts: dxParts,
      position_TK: moe.position_TK,
      base_TD: dNormed_TD,
      out_TD: dNormed_TD
    },
    ...sharedExperts === 0 ? [] : residualFfnBackward(ctx, layer, {
      unitId: `L${layer}/shared`,
      hidden: sharedExperts * dExpert,
      accumulate: true
    })
  ];
}
__name(gateBackward, "gateBackward");

// packages/model/dist/head.js
function headUnit(ctx) {
  return ctx.shape.config.tiedHead ? "embed" : "head";
}
__name(headUnit, "headUnit");
function finalNormForward(ctx) {
  const { act } = ctx;
  return [
    normForward(ctx, "norm", act.hidden(act.firstLayer + act.numLayers), act.finalNormed_TD, act.finalStats)
  ];
}
__name(finalNormForward, "finalNormForward");
function headForward(ctx, batch, mode) {
  const { act } = ctx;
  const { dModel, vocab } = ctx.shape.config;
  const unitId = headUnit(ctx);
  const training = "gradScale" in mode ? { gradScale: mode.gradScale, dx_TD: act.gradients.dNormed_TD, headSum: gradientsOf(ctx).view(unitId) } : null;
  return [
    ...finalNormForward(ctx),
    {
      op: "head.loss",
      tokens: act.tokens,
      dim: dModel,
      vocab,
      x_TD: act.finalNormed_TD,
      head_VD: ctx.weights.view(unitId),
      targets_T: batch.targets_T,
      grainStarts: act.grainStarts,
      loss_T: act.loss_T,
      lossSum: ctx.statistics.lossSum,
      precision: act.precision,
      ...training
    }
  ];
}
__name(headForward, "headForward");
function headBackward(ctx) {
  const { act } = ctx;
  const { dHidden_TD, dNormed_TD } = act.gradients;
  return [
    normBackward(ctx, "norm", {
      x: act.hidden(act.firstLayer + act.numLayers),
      stats: act.finalStats,
      dOut: dNormed_TD,
      dx: dHidden_TD,
      accumulate: false
    })
  ];
}
__name(headBackward, "headBackward");
function headLogits(ctx, slice) {
  const { dModel, vocab } = ctx.shape.config;
  assert(slice.out.length >= slice.rows * vocab, "logits are [rows, V]", { found: slice.out.length });
  return [
    {
      op: "linear.forward",
      rows: slice.rows,
      inDim: dModel,
      outDim: vocab,
      x: { ...rowsOf(ctx.act.finalNormed_TD), offset: slice.firstRow * dModel },
      precision: ctx.act.precision,
      weight: ctx.weights.view(headUnit(ctx)),
      out: { data: slice.out }
    }
  ];
}
__name(headLogits, "headLogits");

// packages/model/dist/initialise.js
var scaleOf = /* @__PURE__ */ __name((init) => init.kind === "constant" ? init.value : init.std, "scaleOf");
function initialise(unit, seed, out, unitFirstElement = 0) {
  const calls = [];
  for (const { name, offset, size, init } of unit.parameters) {
    const first = Math.max(offset, unitFirstElement);
    const last = Math.min(offset + size, unitFirstElement + out.length);
    if (first >= last)
      continue;
    calls.push({
      op: "fill",
      out: out.subarray(first - unitFirstElement, last - unitFirstElement),
      kind: init.kind,
      scale: scaleOf(init),
      key: philoxKey(seed, `init/${name}`),
      firstIndex: first - offset
    });
  }
  return calls;
}
__name(initialise, "initialise");

// packages/model/dist/local-experts.js
var LocalExperts = class {
  static {
    __name(this, "LocalExperts");
  }
  #device;
  #saved = /* @__PURE__ */ new Map();
  constructor(device) {
    this.#device = device;
  }
  forward(ctx, layer) {
    return ranksOf(ctx).flatMap((rank) => {
      const { shape, weights } = groupOf(ctx, layer, rank);
      const source = expertSource(ctx, layer, rank);
      const saved = ctx.act.training ? this.#savedRows(ctx, layer, rank, source.numRows) : null;
      return expertsForward(shape, weights, [{ ...source, y_ND: returnedRows(ctx, layer, rank).data }], saved);
    });
  }
  backward(ctx, layer, targets) {
    return ranksOf(ctx).flatMap((rank) => {
      const { shape, weights, first, last } = groupOf(ctx, layer, rank);
      const source = expertSource(ctx, layer, rank);
      const gradient = expertGradientSource(ctx, layer, rank);
      const dx_ND = returnedGradients(ctx, layer, rank).data;
      const saved = this.#savedRows(ctx, layer, rank, source.numRows);
      return expertsBackward(shape, weights, targets.span(first, last), [{ ...source, ...gradient, dx_ND }], saved);
    });
  }
  /** Made for as many rows as there can be, once. */
  #savedRows(ctx, layer, rank, rows) {
    const key = `${layer}/${rank}`;
    const { shape } = groupOf(ctx, layer, rank);
    let saved = this.#saved.get(key);
    if (saved === void 0) {
      const length = savedLength(shape, ctx.act.tokens * (ctx.shape.config.moe?.topK ?? 0));
      saved = shape.precision === "bf16" ? this.#device.halves(length) : this.#device.floats(length);
      this.#saved.set(key, saved);
    }
    return saved.subarray(0, savedLength(shape, rows));
  }
};
function ranksOf(ctx) {
  return Array.from({ length: ctx.act.ranks }, (_, rank) => rank);
}
__name(ranksOf, "ranksOf");
function groupOf(ctx, layer, rank) {
  const perRank = (ctx.shape.config.moe?.experts ?? 0) / ctx.act.ranks;
  const first = `L${layer}/expert${rank * perRank}`;
  const last = `L${layer}/expert${(rank + 1) * perRank - 1}`;
  const weights = ctx.weights;
  return {
    shape: expertShape(ctx.shape.config, layer, perRank, ctx.act.precision),
    weights: weights.span(first, last),
    first,
    last
  };
}
__name(groupOf, "groupOf");

// packages/model/dist/local-pass.js
async function forwardLayers(ctx, batch, experts, run) {
  const { config } = ctx.shape;
  const { tokens, ranks, numLayers } = ctx.act;
  const choicesGiven = config.moe === null ? null : forcedChoices(config, tokens, 0);
  await run(embedForward(ctx, batch));
  for (let layer = 0; layer < numLayers; layer++) {
    if (!isMoeLayer(config, layer)) {
      await run([...attentionForward(ctx, layer, batch), ...ffnForward(ctx, layer)]);
      continue;
    }
    await run([
      ...attentionForward(ctx, layer, batch),
      ...gateForward(ctx, layer, batch, { ranks, choicesGiven })
    ]);
    await run([
      ...ranksOf(ctx).flatMap((rank) => packTokens(ctx, layer, rank)),
      ...experts.forward(ctx, layer),
      ...combineForward(ctx, layer, ranksOf(ctx).map((rank) => returnedRows(ctx, layer, rank)))
    ]);
  }
}
__name(forwardLayers, "forwardLayers");
function moeBackward(ctx, layer, batch, pass) {
  const { auxScale, zScale, fractions } = pass.balance;
  const global2 = fractions(layer);
  const ranks = ranksOf(ctx);
  const outputs = ranks.map((rank) => returnedRows(ctx, layer, rank));
  const gradients = ranks.map((rank) => returnedGradients(ctx, layer, rank));
  return [
    ...combineBackward(ctx, layer, outputs),
    ...ranks.flatMap((rank) => packGradients(ctx, layer, rank)),
    ...pass.experts.backward(ctx, layer, gradientsOf(ctx)),
    ...gateBackward(ctx, layer, batch, gradients, {
      auxScale,
      zScale,
      ...global2 === null ? {} : { fractions: global2 }
    })
  ];
}
__name(moeBackward, "moeBackward");
async function backwardLayers(ctx, batch, pass, run) {
  const { experts, balance } = pass;
  await run(headBackward(ctx));
  for (let layer = ctx.act.numLayers - 1; layer >= 0; layer--) {
    const isMoe = balance !== null && isMoeLayer(ctx.shape.config, layer);
    const ffn = isMoe ? moeBackward(ctx, layer, batch, { experts, balance }) : ffnBackward(ctx, layer);
    await run([...ffn, ...attentionBackward(ctx, layer, batch)]);
  }
  await run(embedBackward(ctx, batch));
}
__name(backwardLayers, "backwardLayers");

// packages/model/dist/rope-tables.js
function ropeTables(device, config) {
  const half = config.headDim / 2;
  const cos_S2 = device.floats(config.seqLen * half);
  const sin_S2 = device.floats(config.seqLen * half);
  for (let pair = 0; pair < half; pair++) {
    const frequency = 1 / config.rope.theta ** (2 * pair / config.headDim);
    for (let position = 0; position < config.seqLen; position++) {
      cos_S2[position * half + pair] = Math.cos(position * frequency);
      sin_S2[position * half + pair] = Math.sin(position * frequency);
    }
  }
  return { cos_S2, sin_S2 };
}
__name(ropeTables, "ropeTables");

// packages/model/dist/local-model.js
function modelLayout(config) {
  return flatLayout([
    ...denseUnits(config),
    ...moeLayers(config).flatMap((layer) => expertUnits(config, layer))
  ]);
}
__name(modelLayout, "modelLayout");
var LocalModel = class {
  static {
    __name(this, "LocalModel");
  }
  device;
  config;
  shape;
  weights;
  statistics;
  #ranks;
  #rope;
  #experts;
  #inference = null;
  #trainer = null;
  /** @param weights - existing storage in {@link modelLayout}; default: new, zeroed */
  constructor(device, options, weights) {
    const { config, sequences, grains = 1, ranks = 1, precision = "f32" } = options;
    this.device = device;
    this.config = config;
    this.shape = { config, sequences, grains, precision };
    this.weights = weights ?? newWeights(device, modelLayout(config));
    this.statistics = new StageStatistics(device, config);
    this.#ranks = ranks;
    this.#rope = ropeTables(device, config);
    this.#experts = new LocalExperts(device);
  }
  /** Draws every parameter. */
  async initialise(seed) {
    const { layout } = this.weights;
    await this.#run(layout.units.flatMap((unit) => initialise(unit, seed, this.weights.view(unit.id))));
  }
  /** Loss of a batch. @throws {BatchLengthError} TROUPE_MODEL_BATCH */
  async forward(batch) {
    const ctx = this.#context(this.#inferenceActivations(), null);
    this.statistics.reset();
    await forwardLayers(ctx, batch, this.#experts, (calls) => this.#run(calls));
    await this.#run(headForward(ctx, batch, { evaluate: true }));
    return this.#losses(batch);
  }
  /**
   * Logits of `rows` tokens from `firstRow`, [rows, V]; default all, [T, V].
   *
   * @throws {BatchLengthError} TROUPE_MODEL_BATCH
   */
  async logits(batch, slice) {
    const ctx = this.#context(this.#inferenceActivations(), null);
    const { firstRow, rows } = slice ?? { firstRow: 0, rows: ctx.act.tokens };
    const out = this.device.floats(rows * this.config.vocab);
    this.statistics.reset();
    await forwardLayers(ctx, batch, this.#experts, (calls) => this.#run(calls));
    await this.#run([...finalNormForward(ctx), ...headLogits(ctx, { firstRow, rows, out })]);
    return out;
  }
  /** Loss and the gradient of `total` by every parameter. @throws {BatchLengthError} TROUPE_MODEL_BATCH */
  async lossAndGradients(batch) {
    const trainer = this.#training();
    const { act, sums, gradients, experts, norm128: norm1282 } = trainer;
    const ctx = this.#context(act, sums);
    const targets = numValidTargets(batch.targets_T);
    this.statistics.reset();
    norm1282.fill(0n);
    await this.#run(sums.reset());
    await forwardLayers(ctx, batch, experts, (calls) => this.#run(calls));
    await this.#run(headForward(ctx, batch, { gradScale: targets === 0 ? 0 : 1 / targets }));
    const balance = this.config.moe === null ? null : balanceCoefficients(this.config, this.#global(batch), this.statistics.layers);
    await backwardLayers(ctx, batch, { experts, balance }, (calls) => this.#run(calls));
    await this.#run([
      { op: "sum.read", sum: sums.sum(0, gradients.data.length).values, out: gradients.data },
      { op: "sum.squares", gradient: gradients.data, norm128: norm1282 }
    ]);
    const finite = sums.overflow[0] === 0;
    return { ...this.#losses(batch), gradients, norm: finite ? normValue(norm1282) : Number.NaN };
  }
  /** What {@link lossAndGradients} left is applied with one clip scale. */
  async adamwStep(options) {
    const trainer = this.#trainer;
    assert(trainer !== null, "a step applies the gradients of a batch");
    const { gradients, m, v, norm128: norm1282 } = trainer;
    const { learningRate: learningRate2, beta1, beta2, eps, weightDecay, clip } = options;
    const norm = normValue(norm1282);
    trainer.clock += 1;
    await this.#run([
      {
        op: "adamw",
        weights: this.weights.data,
        out: this.weights.data,
        m,
        v,
        gradient: gradients.data,
        gradScale: norm > clip ? clip / norm : 1,
        learningRate: learningRate2,
        beta1,
        beta2,
        eps,
        weightDecay,
        correction1: 1 - beta1 ** trainer.clock,
        correction2: 1 - beta2 ** trainer.clock
      }
    ]);
  }
  /** What the last call of {@link lossAndGradients} computed on its way. */
  get trainingActivations() {
    return this.#training().act;
  }
  #run(calls) {
    return runCalls(this.device, calls);
  }
  #global(batch) {
    return { sequences: this.shape.sequences, tokens: numValidTokens(batch.valid_T) };
  }
  #losses(batch) {
    const targets = numValidTargets(batch.targets_T);
    const loss = targets === 0 ? 0 : lossValue(this.statistics.lossSum[0] ?? 0n) / targets;
    const balance = balanceLosses(this.config, this.statistics.layers, this.#global(batch));
    return { loss, ...balance, total: loss + balance.auxLoss + balance.zLoss };
  }
  #context(act, sums) {
    const { shape, weights, statistics } = this;
    const gradients = sums === null ? null : sums.of(0);
    return { shape, weights, gradients, act, rope: this.#rope, statistics };
  }
  #inferenceActivations() {
    this.#inference ??= new Activations(this.device, this.shape, { training: false, ranks: this.#ranks });
    return this.#inference;
  }
  #training() {
    const { device } = this;
    const { layout } = this.weights;
    this.#trainer ??= {
      act: new Activations(device, this.shape, { training: true, ranks: this.#ranks }),
      sums: new FlatGradients(device, layout, () => "begun"),
      gradients: newWeights(device, layout),
      m: device.floats(layout.length),
      v: device.floats(layout.length),
      experts: new LocalExperts(device),
      norm128: device.int64s(2),
      clock: 0
    };
    return this.#trainer;
  }
};
function newWeights(device, layout) {
  return new FlatWeights(layout, device.floats(layout.length));
}
__name(newWeights, "newWeights");
function normValue(norm1282) {
  const squares = ((norm1282[1] ?? 0n) << 64n) + BigInt.asUintN(64, norm1282[0] ?? 0n);
  return Math.sqrt(Number(squares) * 2 ** NORM_QUANTUM_LOG2);
}
__name(normValue, "normValue");

// packages/model/dist/sampling.js
function checkSampling({ temperature = 0.8, topK = 50, topP = 0.95 }) {
  if (!(temperature >= 0))
    throw new GenerationError(`temperature ${temperature} is not \u2265 0`, { temperature });
  if (!Number.isInteger(topK) || topK < 0)
    throw new GenerationError(`topK ${topK} is not an integer \u2265 0`, { topK });
  if (!(topP > 0 && topP <= 1))
    throw new GenerationError(`topP ${topP} is not in (0, 1]`, { topP });
  return { temperature, topK, topP };
}
__name(checkSampling, "checkSampling");
function ranked(logits_V, topK) {
  const order = Array.from(logits_V.keys()).sort((a, b) => (logits_V[b] ?? 0) - (logits_V[a] ?? 0) || a - b);
  return topK === 0 ? order : order.slice(0, topK);
}
__name(ranked, "ranked");
function sampleToken(logits_V, options, draws) {
  const { temperature, topK, topP } = options;
  const order = ranked(logits_V, temperature === 0 ? 1 : topK);
  const [best] = order;
  if (best === void 0)
    throw new GenerationError("there are no logits to draw from");
  if (temperature === 0)
    return best;
  const weights = order.map((id) => Math.exp(((logits_V[id] ?? 0) - (logits_V[best] ?? 0)) / temperature));
  const total = weights.reduce((sum2, weight) => sum2 + weight, 0);
  let kept = 0;
  let mass = 0;
  for (const weight of weights) {
    mass += weight;
    kept += 1;
    if (mass >= topP * total)
      break;
  }
  let left = draws.uniform(0) * mass;
  for (let index = 0; index < kept; index++) {
    left -= weights[index] ?? 0;
    if (left < 0)
      return order[index] ?? best;
  }
  return order[kept - 1] ?? best;
}
__name(sampleToken, "sampleToken");

// packages/model/dist/generate.js
var SMALLEST_WINDOW = 16;
function windowBatch(context, seqLen) {
  const ids_T = new Int32Array(seqLen);
  ids_T.set(context);
  const valid_T = new Uint8Array(seqLen).fill(1, 0, context.length);
  return { ...denseBatch(ids_T, seqLen), targets_T: new Int32Array(seqLen).fill(-1), valid_T };
}
__name(windowBatch, "windowBatch");
var Generator = class {
  static {
    __name(this, "Generator");
  }
  #device;
  #config;
  #weights;
  #precision;
  #windows = /* @__PURE__ */ new Map();
  /** @param weights - in `modelLayout(config)`, as {@link LocalModel.weights} */
  constructor(device, config, weights, precision = "f32") {
    this.#device = device;
    this.#config = config;
    this.#weights = weights;
    this.#precision = precision;
  }
  /**
   * Yields new token ids one by one.
   *
   * @throws {GenerationError} TROUPE_MODEL_GENERATION for an empty prompt, an id outside the vocabulary, or settings out of range
   */
  async *generate(prompt, options) {
    const sampling = checkSampling(options);
    this.#checkPrompt(prompt);
    const { maxTokens, minTokens = 0, seed, stop = [] } = options;
    const context = [...prompt];
    for (let made = 0; made < maxTokens; made++) {
      const logits_V = await this.#nextLogits(context);
      if (made < minTokens)
        for (const id2 of stop)
          logits_V[id2] = Number.NEGATIVE_INFINITY;
      const id = sampleToken(logits_V, sampling, prng({ seed, purpose: "sample", position: context.length }));
      if (stop.includes(id))
        return;
      context.push(id);
      yield id;
    }
  }
  async #nextLogits(context) {
    const seen = context.slice(-this.#config.seqLen);
    let seqLen = SMALLEST_WINDOW;
    while (seqLen < seen.length)
      seqLen *= 2;
    const window2 = this.#window(Math.min(seqLen, this.#config.seqLen));
    return window2.logits(windowBatch(seen, window2.config.seqLen), { firstRow: seen.length - 1, rows: 1 });
  }
  #window(seqLen) {
    let window2 = this.#windows.get(seqLen);
    if (window2 === void 0) {
      const config = { ...this.#config, seqLen };
      window2 = new LocalModel(this.#device, { config, sequences: 1, precision: this.#precision }, this.#weights);
      this.#windows.set(seqLen, window2);
    }
    return window2;
  }
  #checkPrompt(prompt) {
    if (prompt.length === 0) {
      throw new GenerationError("the prompt has no tokens; give at least one, for example the start of a document");
    }
    const { vocab } = this.#config;
    const foreign = prompt.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab);
    if (foreign !== void 0) {
      throw new GenerationError(`token ${foreign} is outside the vocabulary of ${vocab}`, {
        id: foreign,
        vocab
      });
    }
  }
};

// actors/dist/gradients.js
function intersect(a, b) {
  const from = Math.max(a.from, b.from);
  const to = Math.min(a.to, b.to);
  return from < to ? { from, to } : null;
}
__name(intersect, "intersect");
var CHUNK_ELEMENTS = 1 << 20;
function* chunks(range) {
  for (let from = range.from; from < range.to; from += CHUNK_ELEMENTS)
    yield { from, to: Math.min(range.to, from + CHUNK_ELEMENTS) };
}
__name(chunks, "chunks");
function sendLeaves(self2, replica, among, sent) {
  const { parameterClass, level, within, step, attempt: attempt2 } = sent;
  const { gradients } = replica.buffers(parameterClass);
  for (const { dp, part } of among.others(level)) {
    const range = intersect(within, part);
    const to = addresses2.optimizer(parameterClass, dp);
    for (const chunk of range === null ? [] : chunks(range)) {
      const { values, overflow } = gradients.sum(chunk.from, chunk.to);
      const body = { ...chunk, level, overflow: overflow[0] ?? 0 };
      self2.tell(to, "gradient.add", { step, attempt: attempt2, body, tensors: [values] });
    }
  }
}
__name(sendLeaves, "sendLeaves");
function sendGradients(self2, replica, bucket) {
  const { parameterClass, step, attempt: attempt2 } = bucket;
  const among = replica.exchange(parameterClass);
  sendLeaves(self2, replica, among, { parameterClass, level: 0, within: bucket, step, attempt: attempt2 });
  const own = intersect(bucket, among.exchange.part(1));
  if (own === null)
    return;
  self2.tell(addresses2.optimizer(parameterClass, replica.dp), "gradient.add", {
    step,
    attempt: attempt2,
    body: { ...own, level: 0, overflow: 0 }
  });
}
__name(sendGradients, "sendGradients");

// actors/dist/job.js
function jobShape(job) {
  const { dp, ep, batch, grains, microbatches } = job;
  assert(dp % ep === 0 && grains % (dp * microbatches) === 0 && batch % grains === 0, "the topology was validated", { dp, ep, batch, grains, microbatches });
  const experts = job.model.moe?.experts ?? 0;
  assert(experts % ep === 0, "the topology was validated", { experts, ep });
  const microbatchSequences = batch / (dp * microbatches);
  return {
    edp: dp / ep,
    microbatchSequences,
    microbatchGrains: grains / (dp * microbatches),
    replicaSequences: batch / dp,
    sequencesPerGrain: batch / grains,
    expertsPerRank: experts / ep,
    layers: moeLayers(job.model),
    evaluationPasses: Math.ceil(job.evaluationSequences / (microbatchSequences * dp))
  };
}
__name(jobShape, "jobShape");
var parameterClasses = /* @__PURE__ */ __name(({ model }) => moeLayers(model).length === 0 ? ["dense"] : ["dense", "expert"], "parameterClasses");
var expertRank = /* @__PURE__ */ __name((job, dp) => ({
  ep: dp % job.ep,
  edp: Math.floor(dp / job.ep)
}), "expertRank");
function expertGroup(job, dp) {
  const first = Math.floor(dp / job.ep) * job.ep;
  return Array.from({ length: job.ep }, (_, rank) => first + rank);
}
__name(expertGroup, "expertGroup");
var numClassPeers = /* @__PURE__ */ __name((job, parameterClass) => parameterClass === "dense" ? job.dp : job.dp / job.ep, "numClassPeers");
function holdersOf(job, parameterClass, dp) {
  if (parameterClass === "dense")
    return { first: 0, stride: 1, position: dp };
  const { ep, edp } = expertRank(job, dp);
  return { first: ep, stride: job.ep, position: edp };
}
__name(holdersOf, "holdersOf");
function classPeers(job, parameterClass, dp) {
  const { first, stride } = holdersOf(job, parameterClass, dp);
  return Array.from({ length: numClassPeers(job, parameterClass) }, (_, index) => first + stride * index);
}
__name(classPeers, "classPeers");

// actors/dist/class-exchange.js
var ClassExchange = class {
  static {
    __name(this, "ClassExchange");
  }
  exchange;
  #others;
  constructor(job, dp, parameterClass, { length }) {
    const { position, first, stride } = holdersOf(job, parameterClass, dp);
    this.exchange = new Exchange(length, position, job.exchange[parameterClass]);
    this.#others = Array.from({ length: this.exchange.numLevels }, (_, level) => this.exchange.others(level).map((other) => ({ dp: first + stride * other.position, part: other.part })));
  }
  /** The members of the shard's group at a level without itself, in the order of their parts. */
  others(level) {
    return this.#others[level] ?? [];
  }
};

// actors/dist/replica.js
var ParameterBuffers = class {
  static {
    __name(this, "ParameterBuffers");
  }
  layout;
  weights;
  gradients;
  constructor(device, layout, options) {
    this.layout = layout;
    const open = /* @__PURE__ */ __name(() => new FlatWeights(layout, device.floats(layout.length)), "open");
    const first = open();
    this.weights = [first, options.isAlone ? first : open()];
    this.gradients = new FlatGradients(device, layout, options.kindOf);
  }
  at(version) {
    return this.weights[version % 2];
  }
};
function gradientKind(job, parameterClass) {
  const hasOwnCalls = parameterClass === "expert" && job.expert !== void 0;
  if (hasOwnCalls || numClassPeers(job, parameterClass) > 1)
    return () => "added";
  if (job.microbatches > 1)
    return () => "begun";
  return ({ id }) => job.model.tiedHead && id === "embed" ? "begun" : "stored";
}
__name(gradientKind, "gradientKind");
var Replica = class {
  static {
    __name(this, "Replica");
  }
  dp;
  job;
  shape;
  device;
  dense;
  experts;
  statistics;
  evaluationStatistics;
  /** Batch of the microbatch that is being computed. */
  batch = null;
  /** Gradient coefficients of the balance losses of the open step. */
  balance = null;
  /** Tokens of the global batch of the open step, padding not counted. */
  globalTokens = 0;
  /** Time inside kernels since the last measurement, milliseconds. */
  kernelMs = 0;
  /**
   * REC-1: the attempt that all actors of this worker are in. The first of them to hear of a new one raises it for all, so from then on no
   * actor here takes anything up that belongs to an abandoned attempt, and what the device still has of it is behind it in the queue.
   * A worker that joins a run knows none yet and takes nothing.
   */
  attempt;
  #exchanges = /* @__PURE__ */ new Map();
  #training;
  #evaluation;
  /** @param joins - it takes the place of a lost one: its shards hold nothing yet */
  constructor(job, dp, device, joins = false) {
    this.job = job;
    this.dp = dp;
    this.attempt = joins ? Number.POSITIVE_INFINITY : 0;
    this.device = this.#metered(device);
    this.shape = jobShape(job);
    const open = /* @__PURE__ */ __name((parameterClass, units2) => new ParameterBuffers(device, flatLayout(units2), {
      isAlone: this.isAlone,
      kindOf: gradientKind(job, parameterClass)
    }), "open");
    this.dense = open("dense", denseUnits(job.model));
    const { ep } = expertRank(job, dp);
    const { expertsPerRank, layers } = this.shape;
    const units = layers.flatMap((layer) => Array.from({ length: expertsPerRank }, (_, index) => expertUnit(job.model, layer, ep * expertsPerRank + index)));
    this.experts = units.length === 0 ? null : open("expert", units);
    this.statistics = new StageStatistics(device, job.model);
    this.evaluationStatistics = new StageStatistics(device, job.model);
    const shape = {
      config: job.model,
      sequences: this.shape.microbatchSequences,
      grains: this.shape.microbatchGrains,
      precision: job.precision ?? "f32"
    };
    const rope3 = ropeTables(device, job.model);
    const contexts = /* @__PURE__ */ __name((training, statistics) => {
      const act = new Activations(device, shape, { training, ranks: job.ep });
      const context = /* @__PURE__ */ __name((parity, microbatch) => ({
        shape,
        weights: this.dense.weights[parity],
        gradients: training ? this.dense.gradients.of(microbatch) : null,
        act,
        rope: rope3,
        statistics
      }), "context");
      return [
        [context(0, 0), context(0, 1)],
        [context(1, 0), context(1, 1)]
      ];
    }, "contexts");
    this.#training = contexts(true, this.statistics);
    this.#evaluation = job.evaluationSequences > 0 ? contexts(false, this.evaluationStatistics) : this.#training;
  }
  /** The device, with its kernel time counted. */
  #metered(device) {
    return {
      ...withoutQueue(device),
      submit: /* @__PURE__ */ __name((calls, done) => device.submit(calls, (completion) => {
        this.kernelMs += completion.kernelMs;
        done(completion);
      }), "submit")
    };
  }
  /** Nobody else computes: what its actors make is read on this device, or after a list that they wait for. */
  get isAlone() {
    return this.job.dp === 1;
  }
  /**
   * REP-2: runs `calls` for one of the actors, whose `done` says that other actors may go on. Where all of them stand on this device, it
   * comes once the calls are queued: the device has the next list before it is through with this one. Else results are sent away, so they
   * must be there. Not for results that JavaScript reads.
   */
  chain(self2, calls, done, fields2) {
    if (this.isAlone)
      self2.queue(this.device, calls, done, fields2);
    else
      self2.submit(this.device, calls, done, fields2);
  }
  get joins() {
    return this.attempt === Number.POSITIVE_INFINITY;
  }
  /** The fence of an actor of this worker: events of `kinds` from an abandoned attempt are dropped. */
  fence(kinds) {
    return {
      epoch: /* @__PURE__ */ __name(() => ({ step: 0, attempt: this.attempt }), "epoch"),
      fenced: /* @__PURE__ */ new Set([...kinds, "message.refused"])
    };
  }
  context(version, pass) {
    const contexts = pass.mode === "train" ? this.#training : this.#evaluation;
    return contexts[version % 2][pass.microbatch === 0 ? 0 : 1];
  }
  buffers(parameterClass) {
    const buffers = parameterClass === "dense" ? this.dense : this.experts;
    assert(buffers !== null, "a model without experts has no expert parameters");
    return buffers;
  }
  /** With whom the shard of a class here exchanges gradients and weights. */
  exchange(parameterClass) {
    const { layout } = this.buffers(parameterClass);
    const known2 = this.#exchanges.get(parameterClass) ?? new ClassExchange(this.job, this.dp, parameterClass, layout);
    this.#exchanges.set(parameterClass, known2);
    return known2;
  }
  /** The slice of the expert class that belongs to one layer. */
  expertBuffers(layer) {
    const buffers = this.buffers("expert");
    const { expertsPerRank, layers } = this.shape;
    const index = layers.indexOf(layer) * expertsPerRank;
    const from = buffers.layout.starts[index] ?? 0;
    const stride = buffers.layout.units[index]?.paddedSize ?? 0;
    const to = from + stride * expertsPerRank;
    const views = buffers.weights.map((weights) => weights.data.subarray(from, to));
    const [first, last] = [buffers.layout.units[index], buffers.layout.units[index + expertsPerRank - 1]];
    assert(first !== void 0 && last !== void 0, "a layer has experts", { layer });
    return {
      stride,
      from,
      to,
      gradient: /* @__PURE__ */ __name((microbatch) => buffers.gradients.of(microbatch).span(first.id, last.id), "gradient"),
      weights: /* @__PURE__ */ __name((version) => views[version % 2], "weights")
    };
  }
};
var passMode = /* @__PURE__ */ __name((value) => value === "evaluate" ? "evaluate" : "train", "passMode");

// actors/dist/expert/effects.js
var GrowingStorage = class {
  static {
    __name(this, "GrowingStorage");
  }
  #data = null;
  #allocate;
  constructor(allocate) {
    this.#allocate = allocate;
  }
  take(length) {
    if (this.#data === null || this.#data.length < length)
      this.#data = this.#allocate(Math.ceil(length * 1.25));
    return this.#data.subarray(0, length);
  }
};
function expertEffects(self2, replica, layer) {
  const { job, dp, device, shape } = replica;
  const { ep: ownRank } = expertRank(job, dp);
  const gates = expertGroup(job, dp).map((each) => addresses2.gate(layer, each));
  const group = expertShape(job.model, layer, shape.expertsPerRank, job.precision ?? "f32");
  const buffers = replica.expertBuffers(layer);
  const floats = /* @__PURE__ */ __name((length) => device.floats(length), "floats");
  const outputs = gates.map(() => new GrowingStorage(floats));
  const inputGradients = gates.map(() => new GrowingStorage(floats));
  const savedRows = new GrowingStorage(group.precision === "bf16" ? (length) => device.halves(length) : floats);
  const arrivals = /* @__PURE__ */ new Map();
  let saved = null;
  let mode = "train";
  let last = false;
  const inOrder = /* @__PURE__ */ __name(() => gates.map((_, source) => {
    const arrival = arrivals.get(source);
    assert(arrival, "a pass runs when every source has arrived", { source });
    return arrival;
  }), "inOrder");
  const present = /* @__PURE__ */ __name((value) => {
    assert(value !== null, "a backward pass follows its forward pass", { layer });
    return value;
  }, "present");
  const place = /* @__PURE__ */ __name((context) => ({
    step: context.step,
    attempt: context.attempt,
    version: context.wanted,
    layer,
    microbatch: context.microbatch
  }), "place");
  const sourceOf2 = /* @__PURE__ */ __name((arrival) => ({
    x_UD: arrival.x_UD,
    slots_N: arrival.slots_N,
    counts_EG: arrival.counts_EG,
    numGrains: shape.microbatchGrains
  }), "sourceOf");
  const forget = /* @__PURE__ */ __name(() => {
    for (const { isLocal, x_UD, dOut_UD } of arrivals.values()) {
      if (!isLocal)
        self2.free(dOut_UD === null ? [x_UD] : [x_UD, dOut_UD]);
    }
    arrivals.clear();
  }, "forget");
  return {
    acceptRows: /* @__PURE__ */ __name((event) => {
      const source = numberIn(event, "source");
      const [x, slots, counts, y] = event.tensors;
      const slots_N = slots;
      mode = passMode(event.body["mode"]);
      arrivals.set(source, {
        x_UD: x,
        slots_N,
        counts_EG: counts,
        isLocal: source === ownRank,
        y_ND: source === ownRank ? y : present(outputs[source] ?? null).take(slots_N.length * group.dim),
        dOut_UD: null,
        rowWeights_N: null,
        dx_ND: null
      });
    }, "acceptRows"),
    forward: /* @__PURE__ */ __name((_event, context) => {
      const sources = inOrder();
      const rows = sources.reduce((sum2, { slots_N }) => sum2 + slots_N.length, 0);
      saved = mode === "evaluate" ? null : savedRows.take(savedLength(group, rows));
      const made = sources.map((arrival) => ({ ...sourceOf2(arrival), y_ND: arrival.y_ND }));
      const calls = expertsForward(group, buffers.weights(context.wanted), made, saved);
      replica.chain(self2, replaced(calls, (call) => job.expert?.forward(call)), "experts.forwarded", place(context));
    }, "forward"),
    returnRows: /* @__PURE__ */ __name((_event, context) => {
      inOrder().forEach(({ isLocal, y_ND }, source) => {
        const to = gates[source];
        assert(to, "every source has a gate", { source });
        self2.tell(to, "rows.return", {
          ...place(context),
          tensors: isLocal ? [] : [y_ND],
          body: { rank: ownRank }
        });
      });
      if (mode === "evaluate")
        forget();
    }, "returnRows"),
    acceptGradients: /* @__PURE__ */ __name((event) => {
      const source = numberIn(event, "source");
      const arrival = arrivals.get(source);
      assert(arrival, "gradients follow rows", { source });
      const [dOut, rowWeights, dx] = event.tensors;
      last = flagIn(event, "last");
      arrival.dOut_UD = dOut;
      arrival.rowWeights_N = rowWeights;
      arrival.dx_ND = arrival.isLocal ? dx : present(inputGradients[source] ?? null).take(arrival.slots_N.length * group.dim);
    }, "acceptGradients"),
    backward: /* @__PURE__ */ __name((_event, context) => {
      const sources = inOrder().map((arrival) => ({
        ...sourceOf2(arrival),
        dOut_UD: present(arrival.dOut_UD),
        rowWeights_N: present(arrival.rowWeights_N),
        dx_ND: present(arrival.dx_ND)
      }));
      const calls = expertsBackward(group, buffers.weights(context.wanted), buffers.gradient(context.microbatch), sources, present(saved));
      replica.chain(self2, replaced(calls, (call) => job.expert?.backward(call)), "experts.backwarded", place(context));
    }, "backward"),
    // The collector frees what arrived: the device may still read it.
    abandon: /* @__PURE__ */ __name(() => arrivals.clear(), "abandon"),
    returnGradients: /* @__PURE__ */ __name((_event, context) => {
      inOrder().forEach(({ isLocal, dx_ND }, source) => {
        const to = gates[source];
        assert(to, "every source has a gate", { source });
        self2.tell(to, "gradients.return", {
          ...place(context),
          tensors: isLocal ? [] : [present(dx_ND)],
          body: { rank: ownRank }
        });
      });
      forget();
      if (last) {
        sendGradients(self2, replica, {
          from: buffers.from,
          to: buffers.to,
          parameterClass: "expert",
          step: context.step,
          attempt: context.attempt
        });
      }
    }, "returnGradients")
  };
}
__name(expertEffects, "expertEffects");
function replaced(calls, rule) {
  return calls.flatMap((call) => rule(call) ?? [call]);
}
__name(replaced, "replaced");

// node_modules/xstate/dist/xstate-dev.esm.js
function getGlobal() {
  if (typeof globalThis !== "undefined") {
    return globalThis;
  }
  if (typeof self !== "undefined") {
    return self;
  }
  if (typeof window !== "undefined") {
    return window;
  }
  if (typeof global !== "undefined") {
    return global;
  }
}
__name(getGlobal, "getGlobal");
function getDevTools() {
  const w = getGlobal();
  if (w.__xstate__) {
    return w.__xstate__;
  }
  return void 0;
}
__name(getDevTools, "getDevTools");
var devToolsAdapter = /* @__PURE__ */ __name((service) => {
  if (typeof window === "undefined") {
    return;
  }
  const devTools = getDevTools();
  if (devTools) {
    devTools.register(service);
  }
}, "devToolsAdapter");

// node_modules/xstate/dist/raise-effbee0c.esm.js
var Mailbox2 = class {
  static {
    __name(this, "Mailbox");
  }
  constructor(_process) {
    this._process = _process;
    this._active = false;
    this._current = null;
    this._last = null;
  }
  start() {
    this._active = true;
    this.flush();
  }
  clear() {
    if (this._current) {
      this._current.next = null;
      this._last = this._current;
    }
  }
  enqueue(event) {
    const enqueued = {
      value: event,
      next: null
    };
    if (this._current) {
      this._last.next = enqueued;
      this._last = enqueued;
      return;
    }
    this._current = enqueued;
    this._last = enqueued;
    if (this._active) {
      this.flush();
    }
  }
  flush() {
    while (this._current) {
      const consumed = this._current;
      this._process(consumed.value);
      this._current = consumed.next;
    }
    this._last = null;
  }
};
var STATE_DELIMITER = ".";
var TARGETLESS_KEY = "";
var NULL_EVENT = "";
var STATE_IDENTIFIER = "#";
var WILDCARD = "*";
var XSTATE_INIT = "xstate.init";
var XSTATE_ERROR = "xstate.error";
var XSTATE_STOP = "xstate.stop";
function createAfterEvent(delayRef, id) {
  return {
    type: `xstate.after.${delayRef}.${id}`
  };
}
__name(createAfterEvent, "createAfterEvent");
function createDoneStateEvent(id, output) {
  return {
    type: `xstate.done.state.${id}`,
    output
  };
}
__name(createDoneStateEvent, "createDoneStateEvent");
function createDoneActorEvent(invokeId, output) {
  return {
    type: `xstate.done.actor.${invokeId}`,
    output,
    actorId: invokeId
  };
}
__name(createDoneActorEvent, "createDoneActorEvent");
function createErrorActorEvent(id, error) {
  return {
    type: `xstate.error.actor.${id}`,
    error,
    actorId: id
  };
}
__name(createErrorActorEvent, "createErrorActorEvent");
function createInitEvent(input) {
  return {
    type: XSTATE_INIT,
    input
  };
}
__name(createInitEvent, "createInitEvent");
function reportUnhandledError(err) {
  setTimeout(() => {
    throw err;
  });
}
__name(reportUnhandledError, "reportUnhandledError");
var symbolObservable = (() => typeof Symbol === "function" && Symbol.observable || "@@observable")();
function matchesState(parentStateId, childStateId) {
  const parentStateValue = toStateValue(parentStateId);
  const childStateValue = toStateValue(childStateId);
  if (typeof childStateValue === "string") {
    if (typeof parentStateValue === "string") {
      return childStateValue === parentStateValue;
    }
    return false;
  }
  if (typeof parentStateValue === "string") {
    return parentStateValue in childStateValue;
  }
  return Object.keys(parentStateValue).every((key) => {
    if (!(key in childStateValue)) {
      return false;
    }
    return matchesState(parentStateValue[key], childStateValue[key]);
  });
}
__name(matchesState, "matchesState");
function toStatePath(stateId) {
  if (isArray(stateId)) {
    return stateId;
  }
  const result = [];
  let segment = "";
  for (let i = 0; i < stateId.length; i++) {
    const char = stateId.charCodeAt(i);
    switch (char) {
      // \
      case 92:
        segment += stateId[i + 1];
        i++;
        continue;
      // .
      case 46:
        result.push(segment);
        segment = "";
        continue;
    }
    segment += stateId[i];
  }
  result.push(segment);
  return result;
}
__name(toStatePath, "toStatePath");
function toStateValue(stateValue) {
  if (isMachineSnapshot(stateValue)) {
    return stateValue.value;
  }
  if (typeof stateValue !== "string") {
    return stateValue;
  }
  const statePath = toStatePath(stateValue);
  return pathToStateValue(statePath);
}
__name(toStateValue, "toStateValue");
function pathToStateValue(statePath) {
  if (statePath.length === 1) {
    return statePath[0];
  }
  const value = {};
  let marker = value;
  for (let i = 0; i < statePath.length - 1; i++) {
    if (i === statePath.length - 2) {
      marker[statePath[i]] = statePath[i + 1];
    } else {
      const previous = marker;
      marker = {};
      previous[statePath[i]] = marker;
    }
  }
  return value;
}
__name(pathToStateValue, "pathToStateValue");
function mapValues(collection, iteratee) {
  const result = {};
  const collectionKeys = Object.keys(collection);
  for (let i = 0; i < collectionKeys.length; i++) {
    const key = collectionKeys[i];
    result[key] = iteratee(collection[key], key, collection, i);
  }
  return result;
}
__name(mapValues, "mapValues");
function toArrayStrict(value) {
  if (isArray(value)) {
    return value;
  }
  return [value];
}
__name(toArrayStrict, "toArrayStrict");
function toArray(value) {
  if (value === void 0) {
    return [];
  }
  return toArrayStrict(value);
}
__name(toArray, "toArray");
function resolveOutput(mapper, context, event, self2) {
  if (typeof mapper === "function") {
    return mapper({
      context,
      event,
      self: self2
    });
  }
  return mapper;
}
__name(resolveOutput, "resolveOutput");
function isArray(value) {
  return Array.isArray(value);
}
__name(isArray, "isArray");
function isErrorActorEvent(event) {
  return event.type.startsWith("xstate.error.actor");
}
__name(isErrorActorEvent, "isErrorActorEvent");
function toTransitionConfigArray(configLike) {
  return toArrayStrict(configLike).map((transitionLike) => {
    if (typeof transitionLike === "undefined" || typeof transitionLike === "string") {
      return {
        target: transitionLike
      };
    }
    return transitionLike;
  });
}
__name(toTransitionConfigArray, "toTransitionConfigArray");
function normalizeTarget(target) {
  if (target === void 0 || target === TARGETLESS_KEY) {
    return void 0;
  }
  return toArray(target);
}
__name(normalizeTarget, "normalizeTarget");
function toObserver(nextHandler, errorHandler, completionHandler) {
  const isObserver = typeof nextHandler === "object";
  const self2 = isObserver ? nextHandler : void 0;
  return {
    next: (isObserver ? nextHandler.next : nextHandler)?.bind(self2),
    error: (isObserver ? nextHandler.error : errorHandler)?.bind(self2),
    complete: (isObserver ? nextHandler.complete : completionHandler)?.bind(self2)
  };
}
__name(toObserver, "toObserver");
function createInvokeId(stateNodeId, index) {
  return `${index}.${stateNodeId}`;
}
__name(createInvokeId, "createInvokeId");
function resolveReferencedActor(machine, src) {
  const match = src.match(/^xstate\.invoke\.(\d+)\.(.*)/);
  if (!match) {
    return machine.implementations.actors[src];
  }
  const [, indexStr, nodeId2] = match;
  const node = machine.getStateNodeById(nodeId2);
  const invokeConfig = node.config.invoke;
  return (Array.isArray(invokeConfig) ? invokeConfig[indexStr] : invokeConfig).src;
}
__name(resolveReferencedActor, "resolveReferencedActor");
function matchesEventDescriptor(eventType, descriptor) {
  if (descriptor === eventType) {
    return true;
  }
  if (descriptor === WILDCARD) {
    return true;
  }
  if (!descriptor.endsWith(".*")) {
    return false;
  }
  const partialEventTokens = descriptor.split(".");
  const eventTokens = eventType.split(".");
  for (let tokenIndex = 0; tokenIndex < partialEventTokens.length; tokenIndex++) {
    const partialEventToken = partialEventTokens[tokenIndex];
    const eventToken = eventTokens[tokenIndex];
    if (partialEventToken === "*") {
      const isLastToken = tokenIndex === partialEventTokens.length - 1;
      return isLastToken;
    }
    if (partialEventToken !== eventToken) {
      return false;
    }
  }
  return true;
}
__name(matchesEventDescriptor, "matchesEventDescriptor");
function createScheduledEventId(actorRef, id) {
  return `${actorRef.sessionId}.${id}`;
}
__name(createScheduledEventId, "createScheduledEventId");
var idCounter = 0;
function createSystem(rootActor, options) {
  const children = /* @__PURE__ */ new Map();
  const keyedActors = /* @__PURE__ */ new Map();
  const reverseKeyedActors = /* @__PURE__ */ new WeakMap();
  const inspectionObservers = /* @__PURE__ */ new Set();
  const timerMap = {};
  const {
    clock,
    logger
  } = options;
  const scheduler = {
    schedule: /* @__PURE__ */ __name((source, target, event, delay, id = Math.random().toString(36).slice(2)) => {
      const scheduledEvent = {
        source,
        target,
        event,
        delay,
        id,
        startedAt: Date.now()
      };
      const scheduledEventId = createScheduledEventId(source, id);
      system._snapshot._scheduledEvents[scheduledEventId] = scheduledEvent;
      const timeout = clock.setTimeout(() => {
        delete timerMap[scheduledEventId];
        delete system._snapshot._scheduledEvents[scheduledEventId];
        system._relay(source, target, event);
      }, delay);
      timerMap[scheduledEventId] = timeout;
    }, "schedule"),
    cancel: /* @__PURE__ */ __name((source, id) => {
      const scheduledEventId = createScheduledEventId(source, id);
      const timeout = timerMap[scheduledEventId];
      delete timerMap[scheduledEventId];
      delete system._snapshot._scheduledEvents[scheduledEventId];
      if (timeout !== void 0) {
        clock.clearTimeout(timeout);
      }
    }, "cancel"),
    cancelAll: /* @__PURE__ */ __name((actorRef) => {
      for (const scheduledEventId in system._snapshot._scheduledEvents) {
        const scheduledEvent = system._snapshot._scheduledEvents[scheduledEventId];
        if (scheduledEvent.source === actorRef) {
          scheduler.cancel(actorRef, scheduledEvent.id);
        }
      }
    }, "cancelAll")
  };
  const sendInspectionEvent = /* @__PURE__ */ __name((event) => {
    if (!inspectionObservers.size) {
      return;
    }
    const resolvedInspectionEvent = {
      ...event,
      rootId: rootActor.sessionId
    };
    inspectionObservers.forEach((observer) => observer.next?.(resolvedInspectionEvent));
  }, "sendInspectionEvent");
  const system = {
    _snapshot: {
      _scheduledEvents: (options?.snapshot && options.snapshot.scheduler) ?? {}
    },
    _bookId: /* @__PURE__ */ __name(() => `x:${idCounter++}`, "_bookId"),
    _register: /* @__PURE__ */ __name((sessionId, actorRef) => {
      children.set(sessionId, actorRef);
      return sessionId;
    }, "_register"),
    _unregister: /* @__PURE__ */ __name((actorRef) => {
      children.delete(actorRef.sessionId);
      const systemId = reverseKeyedActors.get(actorRef);
      if (systemId !== void 0) {
        keyedActors.delete(systemId);
        reverseKeyedActors.delete(actorRef);
      }
    }, "_unregister"),
    get: /* @__PURE__ */ __name((systemId) => {
      return keyedActors.get(systemId);
    }, "get"),
    getAll: /* @__PURE__ */ __name(() => {
      return Object.fromEntries(keyedActors.entries());
    }, "getAll"),
    _set: /* @__PURE__ */ __name((systemId, actorRef) => {
      const existing = keyedActors.get(systemId);
      if (existing && existing !== actorRef) {
        throw new Error(`Actor with system ID '${systemId}' already exists.`);
      }
      keyedActors.set(systemId, actorRef);
      reverseKeyedActors.set(actorRef, systemId);
    }, "_set"),
    inspect: /* @__PURE__ */ __name((observerOrFn) => {
      const observer = toObserver(observerOrFn);
      inspectionObservers.add(observer);
      return {
        unsubscribe() {
          inspectionObservers.delete(observer);
        }
      };
    }, "inspect"),
    _sendInspectionEvent: sendInspectionEvent,
    _relay: /* @__PURE__ */ __name((source, target, event) => {
      system._sendInspectionEvent({
        type: "@xstate.event",
        sourceRef: source,
        actorRef: target,
        event
      });
      target._send(event);
    }, "_relay"),
    scheduler,
    getSnapshot: /* @__PURE__ */ __name(() => {
      return {
        _scheduledEvents: {
          ...system._snapshot._scheduledEvents
        }
      };
    }, "getSnapshot"),
    start: /* @__PURE__ */ __name(() => {
      const scheduledEvents = system._snapshot._scheduledEvents;
      system._snapshot._scheduledEvents = {};
      for (const scheduledId in scheduledEvents) {
        const {
          source,
          target,
          event,
          delay,
          id
        } = scheduledEvents[scheduledId];
        scheduler.schedule(source, target, event, delay, id);
      }
    }, "start"),
    _clock: clock,
    _logger: logger
  };
  return system;
}
__name(createSystem, "createSystem");
var executingCustomAction = false;
var $$ACTOR_TYPE = 1;
var ProcessingStatus = /* @__PURE__ */ (function(ProcessingStatus2) {
  ProcessingStatus2[ProcessingStatus2["NotStarted"] = 0] = "NotStarted";
  ProcessingStatus2[ProcessingStatus2["Running"] = 1] = "Running";
  ProcessingStatus2[ProcessingStatus2["Stopped"] = 2] = "Stopped";
  return ProcessingStatus2;
})({});
var defaultOptions = {
  clock: {
    setTimeout: /* @__PURE__ */ __name((fn, ms) => {
      return setTimeout(fn, ms);
    }, "setTimeout"),
    clearTimeout: /* @__PURE__ */ __name((id) => {
      return clearTimeout(id);
    }, "clearTimeout")
  },
  logger: console.log.bind(console),
  devTools: false
};
var Actor = class {
  static {
    __name(this, "Actor");
  }
  /**
   * Creates a new actor instance for the given logic with the provided options,
   * if any.
   *
   * @param logic The logic to create an actor from
   * @param options Actor options
   */
  constructor(logic, options) {
    this.logic = logic;
    this._snapshot = void 0;
    this.clock = void 0;
    this.options = void 0;
    this.id = void 0;
    this.mailbox = new Mailbox2(this._process.bind(this));
    this.observers = /* @__PURE__ */ new Set();
    this.eventListeners = /* @__PURE__ */ new Map();
    this.logger = void 0;
    this._processingStatus = ProcessingStatus.NotStarted;
    this._parent = void 0;
    this._syncSnapshot = void 0;
    this.ref = void 0;
    this._actorScope = void 0;
    this.systemId = void 0;
    this.sessionId = void 0;
    this.system = void 0;
    this._doneEvent = void 0;
    this.src = void 0;
    this._deferred = [];
    const resolvedOptions = {
      ...defaultOptions,
      ...options
    };
    const {
      clock,
      logger,
      parent,
      syncSnapshot,
      id,
      systemId,
      inspect
    } = resolvedOptions;
    this.system = parent ? parent.system : createSystem(this, {
      clock,
      logger
    });
    if (inspect && !parent) {
      this.system.inspect(toObserver(inspect));
    }
    this.sessionId = this.system._bookId();
    this.id = id ?? this.sessionId;
    this.logger = options?.logger ?? this.system._logger;
    this.clock = options?.clock ?? this.system._clock;
    this._parent = parent;
    this._syncSnapshot = syncSnapshot;
    this.options = resolvedOptions;
    this.src = resolvedOptions.src ?? logic;
    this.ref = this;
    this._actorScope = {
      self: this,
      id: this.id,
      sessionId: this.sessionId,
      logger: this.logger,
      defer: /* @__PURE__ */ __name((fn) => {
        this._deferred.push(fn);
      }, "defer"),
      system: this.system,
      stopChild: /* @__PURE__ */ __name((child) => {
        if (child._parent !== this) {
          throw new Error(`Cannot stop child actor ${child.id} of ${this.id} because it is not a child`);
        }
        child._stop();
      }, "stopChild"),
      emit: /* @__PURE__ */ __name((emittedEvent) => {
        const listeners = this.eventListeners.get(emittedEvent.type);
        const wildcardListener = this.eventListeners.get("*");
        if (!listeners && !wildcardListener) {
          return;
        }
        const allListeners = [...listeners ? listeners.values() : [], ...wildcardListener ? wildcardListener.values() : []];
        for (const handler of allListeners) {
          try {
            handler(emittedEvent);
          } catch (err) {
            reportUnhandledError(err);
          }
        }
      }, "emit"),
      actionExecutor: /* @__PURE__ */ __name((action) => {
        const exec = /* @__PURE__ */ __name(() => {
          this._actorScope.system._sendInspectionEvent({
            type: "@xstate.action",
            actorRef: this,
            action: {
              type: action.type,
              params: action.params
            }
          });
          if (!action.exec) {
            return;
          }
          const saveExecutingCustomAction = executingCustomAction;
          try {
            executingCustomAction = true;
            action.exec(action.info, action.params);
          } finally {
            executingCustomAction = saveExecutingCustomAction;
          }
        }, "exec");
        if (this._processingStatus === ProcessingStatus.Running) {
          exec();
        } else {
          this._deferred.push(exec);
        }
      }, "actionExecutor")
    };
    this.send = this.send.bind(this);
    this.system._sendInspectionEvent({
      type: "@xstate.actor",
      actorRef: this
    });
    if (systemId) {
      this.systemId = systemId;
      this.system._set(systemId, this);
    }
    this._initState(options?.snapshot ?? options?.state);
    if (systemId && this._snapshot.status !== "active") {
      this.system._unregister(this);
    }
  }
  _initState(persistedState) {
    try {
      this._snapshot = persistedState ? this.logic.restoreSnapshot ? this.logic.restoreSnapshot(persistedState, this._actorScope) : persistedState : this.logic.getInitialSnapshot(this._actorScope, this.options?.input);
    } catch (err) {
      this._snapshot = {
        status: "error",
        output: void 0,
        error: err
      };
    }
  }
  update(snapshot, event) {
    this._snapshot = snapshot;
    let deferredFn;
    while (deferredFn = this._deferred.shift()) {
      try {
        deferredFn();
      } catch (err) {
        this._deferred.length = 0;
        this._snapshot = {
          ...snapshot,
          status: "error",
          error: err
        };
      }
    }
    switch (this._snapshot.status) {
      case "active":
        for (const observer of this.observers) {
          try {
            observer.next?.(snapshot);
          } catch (err) {
            reportUnhandledError(err);
          }
        }
        break;
      case "done":
        for (const observer of this.observers) {
          try {
            observer.next?.(snapshot);
          } catch (err) {
            reportUnhandledError(err);
          }
        }
        this._stopProcedure();
        this._complete();
        this._doneEvent = createDoneActorEvent(this.id, this._snapshot.output);
        if (this._parent) {
          this.system._relay(this, this._parent, this._doneEvent);
        }
        break;
      case "error":
        this._error(this._snapshot.error);
        break;
    }
    this.system._sendInspectionEvent({
      type: "@xstate.snapshot",
      actorRef: this,
      event,
      snapshot
    });
  }
  /**
   * Subscribe an observer to an actor’s snapshot values.
   *
   * @remarks
   * The observer will receive the actor’s snapshot value when it is emitted.
   * The observer can be:
   *
   * - A plain function that receives the latest snapshot, or
   * - An observer object whose `.next(snapshot)` method receives the latest
   *   snapshot
   *
   * @example
   *
   * ```ts
   * // Observer as a plain function
   * const subscription = actor.subscribe((snapshot) => {
   *   console.log(snapshot);
   * });
   * ```
   *
   * @example
   *
   * ```ts
   * // Observer as an object
   * const subscription = actor.subscribe({
   *   next(snapshot) {
   *     console.log(snapshot);
   *   },
   *   error(err) {
   *     // ...
   *   },
   *   complete() {
   *     // ...
   *   }
   * });
   * ```
   *
   * The return value of `actor.subscribe(observer)` is a subscription object
   * that has an `.unsubscribe()` method. You can call
   * `subscription.unsubscribe()` to unsubscribe the observer:
   *
   * @example
   *
   * ```ts
   * const subscription = actor.subscribe((snapshot) => {
   *   // ...
   * });
   *
   * // Unsubscribe the observer
   * subscription.unsubscribe();
   * ```
   *
   * When the actor is stopped, all of its observers will automatically be
   * unsubscribed.
   *
   * @param observer - Either a plain function that receives the latest
   *   snapshot, or an observer object whose `.next(snapshot)` method receives
   *   the latest snapshot
   */
  subscribe(nextListenerOrObserver, errorListener, completeListener) {
    const observer = toObserver(nextListenerOrObserver, errorListener, completeListener);
    if (this._processingStatus !== ProcessingStatus.Stopped) {
      this.observers.add(observer);
    } else {
      switch (this._snapshot.status) {
        case "done":
          try {
            observer.complete?.();
          } catch (err) {
            reportUnhandledError(err);
          }
          break;
        case "error": {
          const err = this._snapshot.error;
          if (!observer.error) {
            reportUnhandledError(err);
          } else {
            try {
              observer.error(err);
            } catch (err2) {
              reportUnhandledError(err2);
            }
          }
          break;
        }
      }
    }
    return {
      unsubscribe: /* @__PURE__ */ __name(() => {
        this.observers.delete(observer);
      }, "unsubscribe")
    };
  }
  on(type, handler) {
    let listeners = this.eventListeners.get(type);
    if (!listeners) {
      listeners = /* @__PURE__ */ new Set();
      this.eventListeners.set(type, listeners);
    }
    const wrappedHandler = handler.bind(void 0);
    listeners.add(wrappedHandler);
    return {
      unsubscribe: /* @__PURE__ */ __name(() => {
        listeners.delete(wrappedHandler);
      }, "unsubscribe")
    };
  }
  select(selector, equalityFn = Object.is) {
    return {
      subscribe: /* @__PURE__ */ __name((observerOrFn) => {
        const observer = toObserver(observerOrFn);
        const snapshot = this.getSnapshot();
        let previousSelected = selector(snapshot);
        return this.subscribe((snapshot2) => {
          const nextSelected = selector(snapshot2);
          if (!equalityFn(previousSelected, nextSelected)) {
            previousSelected = nextSelected;
            observer.next?.(nextSelected);
          }
        });
      }, "subscribe"),
      get: /* @__PURE__ */ __name(() => selector(this.getSnapshot()), "get")
    };
  }
  /** Starts the Actor from the initial state */
  start() {
    if (this._processingStatus === ProcessingStatus.Running) {
      return this;
    }
    if (this._syncSnapshot) {
      this.subscribe({
        next: /* @__PURE__ */ __name((snapshot) => {
          if (snapshot.status === "active") {
            this.system._relay(this, this._parent, {
              type: `xstate.snapshot.${this.id}`,
              snapshot
            });
          }
        }, "next"),
        error: /* @__PURE__ */ __name(() => {
        }, "error")
      });
    }
    this.system._register(this.sessionId, this);
    if (this.systemId) {
      this.system._set(this.systemId, this);
    }
    this._processingStatus = ProcessingStatus.Running;
    const initEvent = createInitEvent(this.options.input);
    this.system._sendInspectionEvent({
      type: "@xstate.event",
      sourceRef: this._parent,
      actorRef: this,
      event: initEvent
    });
    const status = this._snapshot.status;
    switch (status) {
      case "done":
        this.update(this._snapshot, initEvent);
        return this;
      case "error":
        this._error(this._snapshot.error);
        return this;
    }
    if (!this._parent) {
      this.system.start();
    }
    if (this.logic.start) {
      try {
        this.logic.start(this._snapshot, this._actorScope);
      } catch (err) {
        this._snapshot = {
          ...this._snapshot,
          status: "error",
          error: err
        };
        this._error(err);
        return this;
      }
    }
    this.update(this._snapshot, initEvent);
    if (this.options.devTools) {
      this.attachDevTools();
    }
    this.mailbox.start();
    return this;
  }
  _process(event) {
    let nextState;
    let caughtError;
    try {
      nextState = this.logic.transition(this._snapshot, event, this._actorScope);
    } catch (err) {
      caughtError = {
        err
      };
    }
    if (caughtError) {
      const {
        err
      } = caughtError;
      this._snapshot = {
        ...this._snapshot,
        status: "error",
        error: err
      };
      this._error(err);
      return;
    }
    this.update(nextState, event);
    if (event.type === XSTATE_STOP) {
      this._stopProcedure();
      this._complete();
    }
  }
  _stop() {
    if (this._processingStatus === ProcessingStatus.Stopped) {
      return this;
    }
    this.mailbox.clear();
    if (this._processingStatus === ProcessingStatus.NotStarted) {
      this._processingStatus = ProcessingStatus.Stopped;
      return this;
    }
    this.mailbox.enqueue({
      type: XSTATE_STOP
    });
    return this;
  }
  /** Stops the Actor and unsubscribe all listeners. */
  stop() {
    if (this._parent) {
      throw new Error("A non-root actor cannot be stopped directly.");
    }
    return this._stop();
  }
  _complete() {
    for (const observer of this.observers) {
      try {
        observer.complete?.();
      } catch (err) {
        reportUnhandledError(err);
      }
    }
    this.observers.clear();
    this.eventListeners.clear();
  }
  _reportError(err) {
    if (!this.observers.size) {
      if (!this._parent) {
        reportUnhandledError(err);
      }
      this.eventListeners.clear();
      return;
    }
    let reportError = false;
    for (const observer of this.observers) {
      const errorListener = observer.error;
      reportError ||= !errorListener;
      try {
        errorListener?.(err);
      } catch (err2) {
        reportUnhandledError(err2);
      }
    }
    this.observers.clear();
    this.eventListeners.clear();
    if (reportError) {
      reportUnhandledError(err);
    }
  }
  _error(err) {
    this._stopProcedure();
    this._reportError(err);
    if (this._parent) {
      this.system._relay(this, this._parent, createErrorActorEvent(this.id, err));
    }
  }
  // TODO: atm children don't belong entirely to the actor so
  // in a way - it's not even super aware of them
  // so we can't stop them from here but we really should!
  // right now, they are being stopped within the machine's transition
  // but that could throw and leave us with "orphaned" active actors
  _stopProcedure() {
    if (this._processingStatus !== ProcessingStatus.Running) {
      return this;
    }
    this.system.scheduler.cancelAll(this);
    this.mailbox.clear();
    this.mailbox = new Mailbox2(this._process.bind(this));
    this._processingStatus = ProcessingStatus.Stopped;
    this.system._unregister(this);
    return this;
  }
  /** @internal */
  _send(event) {
    if (this._processingStatus === ProcessingStatus.Stopped) {
      return;
    }
    this.mailbox.enqueue(event);
  }
  /**
   * Sends an event to the running Actor to trigger a transition.
   *
   * @param event The event to send
   */
  send(event) {
    this.system._relay(void 0, this, event);
  }
  attachDevTools() {
    const {
      devTools
    } = this.options;
    if (devTools) {
      const resolvedDevToolsAdapter = typeof devTools === "function" ? devTools : devToolsAdapter;
      resolvedDevToolsAdapter(this);
    }
  }
  toJSON() {
    return {
      xstate$$type: $$ACTOR_TYPE,
      id: this.id
    };
  }
  /**
   * Obtain the internal state of the actor, which can be persisted.
   *
   * @remarks
   * The internal state can be persisted from any actor, not only machines.
   *
   * Note that the persisted state is not the same as the snapshot from
   * {@link Actor.getSnapshot}. Persisted state represents the internal state of
   * the actor, while snapshots represent the actor's last emitted value.
   *
   * Can be restored with {@link ActorOptions.state}
   * @see https://stately.ai/docs/persistence
   */
  getPersistedSnapshot(options) {
    return this.logic.getPersistedSnapshot(this._snapshot, options);
  }
  [symbolObservable]() {
    return this;
  }
  /**
   * Read an actor’s snapshot synchronously.
   *
   * @remarks
   * The snapshot represent an actor's last emitted value.
   *
   * When an actor receives an event, its internal state may change. An actor
   * may emit a snapshot when a state transition occurs.
   *
   * Note that some actors, such as callback actors generated with
   * `fromCallback`, will not emit snapshots.
   * @see {@link Actor.subscribe} to subscribe to an actor’s snapshot values.
   * @see {@link Actor.getPersistedSnapshot} to persist the internal state of an actor (which is more than just a snapshot).
   */
  getSnapshot() {
    return this._snapshot;
  }
};
function createActor(logic, ...[options]) {
  return new Actor(logic, options);
}
__name(createActor, "createActor");
function resolveCancel(_, snapshot, actionArgs, actionParams, {
  sendId
}) {
  const resolvedSendId = typeof sendId === "function" ? sendId(actionArgs, actionParams) : sendId;
  return [snapshot, {
    sendId: resolvedSendId
  }, void 0];
}
__name(resolveCancel, "resolveCancel");
function executeCancel(actorScope, params) {
  actorScope.defer(() => {
    actorScope.system.scheduler.cancel(actorScope.self, params.sendId);
  });
}
__name(executeCancel, "executeCancel");
function cancel(sendId) {
  function cancel2(_args, _params) {
  }
  __name(cancel2, "cancel");
  cancel2.type = "xstate.cancel";
  cancel2.sendId = sendId;
  cancel2.resolve = resolveCancel;
  cancel2.execute = executeCancel;
  return cancel2;
}
__name(cancel, "cancel");
function resolveSpawn(actorScope, snapshot, actionArgs, _actionParams, {
  id,
  systemId,
  src,
  input,
  syncSnapshot
}) {
  const logic = typeof src === "string" ? resolveReferencedActor(snapshot.machine, src) : src;
  const resolvedId = typeof id === "function" ? id(actionArgs) : id;
  let actorRef;
  let resolvedInput = void 0;
  if (logic) {
    resolvedInput = typeof input === "function" ? input({
      context: snapshot.context,
      event: actionArgs.event,
      self: actorScope.self
    }) : input;
    actorRef = createActor(logic, {
      id: resolvedId,
      src,
      parent: actorScope.self,
      syncSnapshot,
      systemId,
      input: resolvedInput
    });
  }
  return [cloneMachineSnapshot(snapshot, {
    children: {
      ...snapshot.children,
      [resolvedId]: actorRef
    }
  }), {
    id,
    systemId,
    actorRef,
    src,
    input: resolvedInput
  }, void 0];
}
__name(resolveSpawn, "resolveSpawn");
function executeSpawn(actorScope, {
  actorRef
}) {
  if (!actorRef) {
    return;
  }
  actorScope.defer(() => {
    if (actorRef._processingStatus === ProcessingStatus.Stopped) {
      return;
    }
    actorRef.start();
  });
}
__name(executeSpawn, "executeSpawn");
function spawnChild(...[src, {
  id,
  systemId,
  input,
  syncSnapshot = false
} = {}]) {
  function spawnChild2(_args, _params) {
  }
  __name(spawnChild2, "spawnChild");
  spawnChild2.type = "xstate.spawnChild";
  spawnChild2.id = id;
  spawnChild2.systemId = systemId;
  spawnChild2.src = src;
  spawnChild2.input = input;
  spawnChild2.syncSnapshot = syncSnapshot;
  spawnChild2.resolve = resolveSpawn;
  spawnChild2.execute = executeSpawn;
  return spawnChild2;
}
__name(spawnChild, "spawnChild");
function resolveStop(_, snapshot, args, actionParams, {
  actorRef
}) {
  const actorRefOrString = typeof actorRef === "function" ? actorRef(args, actionParams) : actorRef;
  const resolvedActorRef = typeof actorRefOrString === "string" ? snapshot.children[actorRefOrString] : actorRefOrString;
  let children = snapshot.children;
  if (resolvedActorRef) {
    children = {
      ...children
    };
    delete children[resolvedActorRef.id];
  }
  return [cloneMachineSnapshot(snapshot, {
    children
  }), resolvedActorRef, void 0];
}
__name(resolveStop, "resolveStop");
function unregisterRecursively(actorScope, actorRef) {
  const snapshot = actorRef.getSnapshot();
  if (snapshot && "children" in snapshot) {
    for (const child of Object.values(snapshot.children)) {
      unregisterRecursively(actorScope, child);
    }
  }
  actorScope.system._unregister(actorRef);
}
__name(unregisterRecursively, "unregisterRecursively");
function executeStop(actorScope, actorRef) {
  if (!actorRef) {
    return;
  }
  unregisterRecursively(actorScope, actorRef);
  if (actorRef._processingStatus !== ProcessingStatus.Running) {
    actorScope.stopChild(actorRef);
    return;
  }
  actorScope.defer(() => {
    actorScope.stopChild(actorRef);
  });
}
__name(executeStop, "executeStop");
function stopChild(actorRef) {
  function stop(_args, _params) {
  }
  __name(stop, "stop");
  stop.type = "xstate.stopChild";
  stop.actorRef = actorRef;
  stop.resolve = resolveStop;
  stop.execute = executeStop;
  return stop;
}
__name(stopChild, "stopChild");
function checkAnd(snapshot, {
  context,
  event
}, {
  guards
}) {
  return guards.every((guard) => evaluateGuard(guard, context, event, snapshot));
}
__name(checkAnd, "checkAnd");
function and(guards) {
  function and2(_args, _params) {
    return false;
  }
  __name(and2, "and");
  and2.check = checkAnd;
  and2.guards = guards;
  return and2;
}
__name(and, "and");
function evaluateGuard(guard, context, event, snapshot) {
  const {
    machine
  } = snapshot;
  const isInline = typeof guard === "function";
  const resolved = isInline ? guard : machine.implementations.guards[typeof guard === "string" ? guard : guard.type];
  if (!isInline && !resolved) {
    throw new Error(`Guard '${typeof guard === "string" ? guard : guard.type}' is not implemented.'.`);
  }
  if (typeof resolved !== "function") {
    return evaluateGuard(resolved, context, event, snapshot);
  }
  const guardArgs = {
    context,
    event
  };
  const guardParams = isInline || typeof guard === "string" ? void 0 : "params" in guard ? typeof guard.params === "function" ? guard.params({
    context,
    event
  }) : guard.params : void 0;
  if (!("check" in resolved)) {
    return resolved(guardArgs, guardParams);
  }
  const builtinGuard = resolved;
  return builtinGuard.check(
    snapshot,
    guardArgs,
    resolved
    // this holds all params
  );
}
__name(evaluateGuard, "evaluateGuard");
function isAtomicStateNode(stateNode) {
  return stateNode.type === "atomic" || stateNode.type === "final";
}
__name(isAtomicStateNode, "isAtomicStateNode");
function getChildren(stateNode) {
  return Object.values(stateNode.states).filter((sn) => sn.type !== "history");
}
__name(getChildren, "getChildren");
function getProperAncestors(stateNode, toStateNode) {
  const ancestors2 = [];
  if (toStateNode === stateNode) {
    return ancestors2;
  }
  let m = stateNode.parent;
  while (m && m !== toStateNode) {
    ancestors2.push(m);
    m = m.parent;
  }
  return ancestors2;
}
__name(getProperAncestors, "getProperAncestors");
function getAllStateNodes(stateNodes) {
  const nodeSet = new Set(stateNodes);
  const adjList = getAdjList(nodeSet);
  for (const s of nodeSet) {
    if (s.type === "compound" && (!adjList.get(s) || !adjList.get(s).length)) {
      getInitialStateNodesWithTheirAncestors(s).forEach((sn) => nodeSet.add(sn));
    } else {
      if (s.type === "parallel") {
        for (const child of getChildren(s)) {
          if (child.type === "history") {
            continue;
          }
          if (!nodeSet.has(child)) {
            const initialStates = getInitialStateNodesWithTheirAncestors(child);
            for (const initialStateNode of initialStates) {
              nodeSet.add(initialStateNode);
            }
          }
        }
      }
    }
  }
  for (const s of nodeSet) {
    let m = s.parent;
    while (m) {
      nodeSet.add(m);
      m = m.parent;
    }
  }
  return nodeSet;
}
__name(getAllStateNodes, "getAllStateNodes");
function getValueFromAdj(baseNode, adjList) {
  const childStateNodes = adjList.get(baseNode);
  if (!childStateNodes) {
    return {};
  }
  if (baseNode.type === "compound") {
    const childStateNode = childStateNodes[0];
    if (childStateNode) {
      if (isAtomicStateNode(childStateNode)) {
        return childStateNode.key;
      }
    } else {
      return {};
    }
  }
  const stateValue = {};
  for (const childStateNode of childStateNodes) {
    stateValue[childStateNode.key] = getValueFromAdj(childStateNode, adjList);
  }
  return stateValue;
}
__name(getValueFromAdj, "getValueFromAdj");
function getAdjList(stateNodes) {
  const adjList = /* @__PURE__ */ new Map();
  for (const s of stateNodes) {
    if (!adjList.has(s)) {
      adjList.set(s, []);
    }
    if (s.parent) {
      if (!adjList.has(s.parent)) {
        adjList.set(s.parent, []);
      }
      adjList.get(s.parent).push(s);
    }
  }
  return adjList;
}
__name(getAdjList, "getAdjList");
function getStateValue(rootNode, stateNodes) {
  const config = getAllStateNodes(stateNodes);
  return getValueFromAdj(rootNode, getAdjList(config));
}
__name(getStateValue, "getStateValue");
function isInFinalState(stateNodeSet, stateNode) {
  if (stateNode.type === "compound") {
    return getChildren(stateNode).some((s) => s.type === "final" && stateNodeSet.has(s));
  }
  if (stateNode.type === "parallel") {
    return getChildren(stateNode).every((sn) => isInFinalState(stateNodeSet, sn));
  }
  return stateNode.type === "final";
}
__name(isInFinalState, "isInFinalState");
var isStateId = /* @__PURE__ */ __name((str) => str[0] === STATE_IDENTIFIER, "isStateId");
function getCandidates(stateNode, receivedEventType) {
  const exactMatch = stateNode.transitions.get(receivedEventType);
  const wildcardCandidates = [...stateNode.transitions.keys()].filter((eventDescriptor) => eventDescriptor !== receivedEventType && matchesEventDescriptor(receivedEventType, eventDescriptor)).sort((a, b) => b.length - a.length).flatMap((key) => stateNode.transitions.get(key));
  return exactMatch ? [...exactMatch, ...wildcardCandidates] : wildcardCandidates;
}
__name(getCandidates, "getCandidates");
function getDelayedTransitions(stateNode) {
  const afterConfig = stateNode.config.after;
  if (!afterConfig) {
    return [];
  }
  const mutateEntryExit = /* @__PURE__ */ __name((delay) => {
    const afterEvent = createAfterEvent(delay, stateNode.id);
    const eventType = afterEvent.type;
    stateNode.entry.push(raise(afterEvent, {
      id: eventType,
      delay
    }));
    stateNode.exit.push(cancel(eventType));
    return eventType;
  }, "mutateEntryExit");
  const delayedTransitions = Object.keys(afterConfig).flatMap((delay) => {
    const configTransition = afterConfig[delay];
    const resolvedTransition = typeof configTransition === "string" ? {
      target: configTransition
    } : configTransition;
    const resolvedDelay = Number.isNaN(+delay) ? delay : +delay;
    const eventType = mutateEntryExit(resolvedDelay);
    return toArray(resolvedTransition).map((transition) => ({
      ...transition,
      event: eventType,
      delay: resolvedDelay
    }));
  });
  return delayedTransitions.map((delayedTransition) => {
    const {
      delay
    } = delayedTransition;
    return {
      ...formatTransition(stateNode, delayedTransition.event, delayedTransition),
      delay
    };
  });
}
__name(getDelayedTransitions, "getDelayedTransitions");
function formatTransition(stateNode, descriptor, transitionConfig) {
  const normalizedTarget = normalizeTarget(transitionConfig.target);
  const reenter = transitionConfig.reenter ?? false;
  const target = resolveTarget(stateNode, normalizedTarget);
  const transition = {
    ...transitionConfig,
    actions: toArray(transitionConfig.actions),
    guard: transitionConfig.guard,
    target,
    source: stateNode,
    reenter,
    eventType: descriptor,
    toJSON: /* @__PURE__ */ __name(() => ({
      ...transition,
      source: `#${stateNode.id}`,
      target: target ? target.map((t2) => `#${t2.id}`) : void 0
    }), "toJSON")
  };
  return transition;
}
__name(formatTransition, "formatTransition");
function formatTransitions(stateNode) {
  const transitions = /* @__PURE__ */ new Map();
  if (stateNode.config.on) {
    for (const descriptor of Object.keys(stateNode.config.on)) {
      if (descriptor === NULL_EVENT) {
        throw new Error('Null events ("") cannot be specified as a transition key. Use `always: { ... }` instead.');
      }
      const transitionsConfig = stateNode.config.on[descriptor];
      transitions.set(descriptor, toTransitionConfigArray(transitionsConfig).map((t2) => formatTransition(stateNode, descriptor, t2)));
    }
  }
  if (stateNode.config.onDone) {
    const descriptor = `xstate.done.state.${stateNode.id}`;
    transitions.set(descriptor, toTransitionConfigArray(stateNode.config.onDone).map((t2) => formatTransition(stateNode, descriptor, t2)));
  }
  for (const invokeDef of stateNode.invoke) {
    if (invokeDef.onDone) {
      const descriptor = `xstate.done.actor.${invokeDef.id}`;
      transitions.set(descriptor, toTransitionConfigArray(invokeDef.onDone).map((t2) => formatTransition(stateNode, descriptor, t2)));
    }
    if (invokeDef.onError) {
      const descriptor = `xstate.error.actor.${invokeDef.id}`;
      transitions.set(descriptor, toTransitionConfigArray(invokeDef.onError).map((t2) => formatTransition(stateNode, descriptor, t2)));
    }
    if (invokeDef.onSnapshot) {
      const descriptor = `xstate.snapshot.${invokeDef.id}`;
      transitions.set(descriptor, toTransitionConfigArray(invokeDef.onSnapshot).map((t2) => formatTransition(stateNode, descriptor, t2)));
    }
  }
  for (const delayedTransition of stateNode.after) {
    let existing = transitions.get(delayedTransition.eventType);
    if (!existing) {
      existing = [];
      transitions.set(delayedTransition.eventType, existing);
    }
    existing.push(delayedTransition);
  }
  return transitions;
}
__name(formatTransitions, "formatTransitions");
function formatRouteTransitions(rootStateNode) {
  const routeTransitions = [];
  const collectRoutes = /* @__PURE__ */ __name((states) => {
    Object.values(states).forEach((sn) => {
      if (sn.config.route && sn.config.id) {
        const routeId = sn.config.id;
        const userGuard = sn.config.route.guard;
        const routeMatches = /* @__PURE__ */ __name(({
          event
        }) => event.to === `#${routeId}`, "routeMatches");
        const transition = {
          ...sn.config.route,
          guard: userGuard ? and([routeMatches, userGuard]) : routeMatches,
          target: `#${routeId}`
        };
        routeTransitions.push(formatTransition(rootStateNode, "xstate.route", transition));
      }
      if (sn.states) {
        collectRoutes(sn.states);
      }
    });
  }, "collectRoutes");
  collectRoutes(rootStateNode.states);
  if (routeTransitions.length > 0) {
    rootStateNode.transitions.set("xstate.route", routeTransitions);
  }
}
__name(formatRouteTransitions, "formatRouteTransitions");
function formatInitialTransition(stateNode, _target) {
  const resolvedTarget = typeof _target === "string" ? stateNode.states[_target] : _target ? stateNode.states[_target.target] : void 0;
  if (!resolvedTarget && _target) {
    throw new Error(
      // oxlint-disable-next-line typescript/restrict-template-expressions, typescript/no-base-to-string
      `Initial state node "${_target}" not found on parent state node #${stateNode.id}`
    );
  }
  const transition = {
    source: stateNode,
    actions: !_target || typeof _target === "string" ? [] : toArray(_target.actions),
    eventType: null,
    reenter: false,
    target: resolvedTarget ? [resolvedTarget] : [],
    meta: typeof _target === "object" ? _target.meta : void 0,
    description: typeof _target === "object" ? _target.description : void 0,
    toJSON: /* @__PURE__ */ __name(() => ({
      ...transition,
      source: `#${stateNode.id}`,
      target: resolvedTarget ? [`#${resolvedTarget.id}`] : []
    }), "toJSON")
  };
  return transition;
}
__name(formatInitialTransition, "formatInitialTransition");
function resolveTarget(stateNode, targets) {
  if (targets === void 0) {
    return void 0;
  }
  return targets.map((target) => {
    if (typeof target !== "string") {
      return target;
    }
    if (isStateId(target)) {
      return stateNode.machine.getStateNodeById(target);
    }
    const isInternalTarget = target[0] === STATE_DELIMITER;
    if (isInternalTarget && !stateNode.parent) {
      return getStateNodeByPath(stateNode, target.slice(1));
    }
    const resolvedTarget = isInternalTarget ? stateNode.key + target : target;
    if (stateNode.parent) {
      try {
        const targetStateNode = getStateNodeByPath(stateNode.parent, resolvedTarget);
        return targetStateNode;
      } catch (err) {
        throw new Error(`Invalid transition definition for state node '${stateNode.id}':
${err.message}`);
      }
    } else {
      throw new Error(`Invalid target: "${target}" is not a valid target from the root node. Did you mean ".${target}"?`);
    }
  });
}
__name(resolveTarget, "resolveTarget");
function resolveHistoryDefaultTransition(stateNode) {
  const normalizedTarget = normalizeTarget(stateNode.config.target);
  if (!normalizedTarget) {
    if (stateNode.parent.type === "parallel") {
      return {
        target: [stateNode.parent]
      };
    }
    return stateNode.parent.initial;
  }
  return {
    target: normalizedTarget.map((t2) => typeof t2 === "string" ? getStateNodeByPath(stateNode.parent, t2) : t2)
  };
}
__name(resolveHistoryDefaultTransition, "resolveHistoryDefaultTransition");
function isHistoryNode(stateNode) {
  return stateNode.type === "history";
}
__name(isHistoryNode, "isHistoryNode");
function getInitialStateNodesWithTheirAncestors(stateNode) {
  const states = getInitialStateNodes(stateNode);
  for (const initialState of states) {
    for (const ancestor of getProperAncestors(initialState, stateNode)) {
      states.add(ancestor);
    }
  }
  return states;
}
__name(getInitialStateNodesWithTheirAncestors, "getInitialStateNodesWithTheirAncestors");
function getInitialStateNodes(stateNode) {
  const set = /* @__PURE__ */ new Set();
  function iter(descStateNode) {
    if (set.has(descStateNode)) {
      return;
    }
    set.add(descStateNode);
    if (descStateNode.type === "compound") {
      iter(descStateNode.initial.target[0]);
    } else if (descStateNode.type === "parallel") {
      for (const child of getChildren(descStateNode)) {
        iter(child);
      }
    }
  }
  __name(iter, "iter");
  iter(stateNode);
  return set;
}
__name(getInitialStateNodes, "getInitialStateNodes");
function getStateNode(stateNode, stateKey) {
  if (isStateId(stateKey)) {
    return stateNode.machine.getStateNodeById(stateKey);
  }
  if (!stateNode.states) {
    throw new Error(`Unable to retrieve child state '${stateKey}' from '${stateNode.id}'; no child states exist.`);
  }
  const result = stateNode.states[stateKey];
  if (!result) {
    throw new Error(`Child state '${stateKey}' does not exist on '${stateNode.id}'`);
  }
  return result;
}
__name(getStateNode, "getStateNode");
function getStateNodeByPath(stateNode, statePath) {
  if (typeof statePath === "string" && isStateId(statePath)) {
    try {
      return stateNode.machine.getStateNodeById(statePath);
    } catch {
    }
  }
  const arrayStatePath = toStatePath(statePath).slice();
  let currentStateNode = stateNode;
  while (arrayStatePath.length) {
    const key = arrayStatePath.shift();
    if (!key.length) {
      break;
    }
    currentStateNode = getStateNode(currentStateNode, key);
  }
  return currentStateNode;
}
__name(getStateNodeByPath, "getStateNodeByPath");
function getStateNodes(stateNode, stateValue) {
  if (typeof stateValue === "string") {
    const childStateNode = stateNode.states[stateValue];
    if (!childStateNode) {
      throw new Error(`State '${stateValue}' does not exist on '${stateNode.id}'`);
    }
    return [stateNode, childStateNode];
  }
  const childStateKeys = Object.keys(stateValue);
  const childStateNodes = childStateKeys.map((subStateKey) => getStateNode(stateNode, subStateKey)).filter(Boolean);
  return [stateNode.machine.root, stateNode].concat(childStateNodes, childStateKeys.reduce((allSubStateNodes, subStateKey) => {
    const subStateNode = getStateNode(stateNode, subStateKey);
    if (!subStateNode) {
      return allSubStateNodes;
    }
    const subStateNodes = getStateNodes(subStateNode, stateValue[subStateKey]);
    return allSubStateNodes.concat(subStateNodes);
  }, []));
}
__name(getStateNodes, "getStateNodes");
function transitionAtomicNode(stateNode, stateValue, snapshot, event) {
  const childStateNode = getStateNode(stateNode, stateValue);
  const next = childStateNode.next(snapshot, event);
  if (!next || !next.length) {
    return stateNode.next(snapshot, event);
  }
  return next;
}
__name(transitionAtomicNode, "transitionAtomicNode");
function transitionCompoundNode(stateNode, stateValue, snapshot, event) {
  const subStateKeys = Object.keys(stateValue);
  const childStateNode = getStateNode(stateNode, subStateKeys[0]);
  const next = transitionNode(childStateNode, stateValue[subStateKeys[0]], snapshot, event);
  if (!next || !next.length) {
    return stateNode.next(snapshot, event);
  }
  return next;
}
__name(transitionCompoundNode, "transitionCompoundNode");
function transitionParallelNode(stateNode, stateValue, snapshot, event) {
  const allInnerTransitions = [];
  for (const subStateKey of Object.keys(stateValue)) {
    const subStateValue = stateValue[subStateKey];
    if (!subStateValue) {
      continue;
    }
    const subStateNode = getStateNode(stateNode, subStateKey);
    const innerTransitions = transitionNode(subStateNode, subStateValue, snapshot, event);
    if (innerTransitions) {
      allInnerTransitions.push(...innerTransitions);
    }
  }
  if (!allInnerTransitions.length) {
    return stateNode.next(snapshot, event);
  }
  return allInnerTransitions;
}
__name(transitionParallelNode, "transitionParallelNode");
function transitionNode(stateNode, stateValue, snapshot, event) {
  if (typeof stateValue === "string") {
    return transitionAtomicNode(stateNode, stateValue, snapshot, event);
  }
  if (Object.keys(stateValue).length === 1) {
    return transitionCompoundNode(stateNode, stateValue, snapshot, event);
  }
  return transitionParallelNode(stateNode, stateValue, snapshot, event);
}
__name(transitionNode, "transitionNode");
function getHistoryNodes(stateNode) {
  return Object.keys(stateNode.states).map((key) => stateNode.states[key]).filter((sn) => sn.type === "history");
}
__name(getHistoryNodes, "getHistoryNodes");
function isDescendant(childStateNode, parentStateNode) {
  let marker = childStateNode;
  while (marker.parent && marker.parent !== parentStateNode) {
    marker = marker.parent;
  }
  return marker.parent === parentStateNode;
}
__name(isDescendant, "isDescendant");
function hasIntersection(s1, s2) {
  const set1 = new Set(s1);
  const set2 = new Set(s2);
  for (const item of set1) {
    if (set2.has(item)) {
      return true;
    }
  }
  for (const item of set2) {
    if (set1.has(item)) {
      return true;
    }
  }
  return false;
}
__name(hasIntersection, "hasIntersection");
function removeConflictingTransitions(enabledTransitions, stateNodeSet, historyValue) {
  const filteredTransitions = /* @__PURE__ */ new Set();
  for (const t1 of enabledTransitions) {
    let t1Preempted = false;
    const transitionsToRemove = /* @__PURE__ */ new Set();
    for (const t2 of filteredTransitions) {
      if (hasIntersection(computeExitSet([t1], stateNodeSet, historyValue), computeExitSet([t2], stateNodeSet, historyValue))) {
        if (isDescendant(t1.source, t2.source)) {
          transitionsToRemove.add(t2);
        } else {
          t1Preempted = true;
          break;
        }
      }
    }
    if (!t1Preempted) {
      for (const t3 of transitionsToRemove) {
        filteredTransitions.delete(t3);
      }
      filteredTransitions.add(t1);
    }
  }
  return Array.from(filteredTransitions);
}
__name(removeConflictingTransitions, "removeConflictingTransitions");
function findLeastCommonAncestor(stateNodes) {
  const [head, ...tail] = stateNodes;
  for (const ancestor of getProperAncestors(head, void 0)) {
    if (tail.every((sn) => isDescendant(sn, ancestor))) {
      return ancestor;
    }
  }
}
__name(findLeastCommonAncestor, "findLeastCommonAncestor");
function getEffectiveTargetStates(transition, historyValue) {
  if (!transition.target) {
    return [];
  }
  const targets = /* @__PURE__ */ new Set();
  for (const targetNode of transition.target) {
    if (isHistoryNode(targetNode)) {
      if (historyValue[targetNode.id]) {
        for (const node of historyValue[targetNode.id]) {
          targets.add(node);
        }
      } else {
        for (const node of getEffectiveTargetStates(resolveHistoryDefaultTransition(targetNode), historyValue)) {
          targets.add(node);
        }
      }
    } else {
      targets.add(targetNode);
    }
  }
  return [...targets];
}
__name(getEffectiveTargetStates, "getEffectiveTargetStates");
function getTransitionDomain(transition, historyValue) {
  const targetStates = getEffectiveTargetStates(transition, historyValue);
  if (!targetStates) {
    return;
  }
  if (!transition.reenter && targetStates.every((target) => target === transition.source || isDescendant(target, transition.source))) {
    return transition.source;
  }
  const lca = findLeastCommonAncestor(targetStates.concat(transition.source));
  if (lca) {
    return lca;
  }
  if (transition.reenter) {
    return;
  }
  return transition.source.machine.root;
}
__name(getTransitionDomain, "getTransitionDomain");
function computeExitSet(transitions, stateNodeSet, historyValue) {
  const statesToExit = /* @__PURE__ */ new Set();
  for (const t2 of transitions) {
    if (t2.target?.length) {
      const domain = getTransitionDomain(t2, historyValue);
      if (t2.reenter && t2.source === domain) {
        statesToExit.add(domain);
      }
      for (const stateNode of stateNodeSet) {
        if (isDescendant(stateNode, domain)) {
          statesToExit.add(stateNode);
        }
      }
    }
  }
  return [...statesToExit];
}
__name(computeExitSet, "computeExitSet");
function areStateNodeCollectionsEqual(prevStateNodes, nextStateNodeSet) {
  if (prevStateNodes.length !== nextStateNodeSet.size) {
    return false;
  }
  for (const node of prevStateNodes) {
    if (!nextStateNodeSet.has(node)) {
      return false;
    }
  }
  return true;
}
__name(areStateNodeCollectionsEqual, "areStateNodeCollectionsEqual");
function initialMicrostep(root, preInitialState, actorScope, initEvent, internalQueue) {
  return microstep([{
    target: [...getInitialStateNodes(root)],
    source: root,
    reenter: true,
    actions: [],
    eventType: null,
    toJSON: null
  }], preInitialState, actorScope, initEvent, true, internalQueue);
}
__name(initialMicrostep, "initialMicrostep");
function microstep(transitions, currentSnapshot, actorScope, event, isInitial, internalQueue) {
  const actions = [];
  if (!transitions.length) {
    return [currentSnapshot, actions];
  }
  const originalExecutor = actorScope.actionExecutor;
  actorScope.actionExecutor = (action) => {
    actions.push(action);
    originalExecutor(action);
  };
  try {
    const mutStateNodeSet = new Set(currentSnapshot._nodes);
    let historyValue = currentSnapshot.historyValue;
    const filteredTransitions = removeConflictingTransitions(transitions, mutStateNodeSet, historyValue);
    let nextState = currentSnapshot;
    if (!isInitial) {
      [nextState, historyValue] = exitStates(nextState, event, actorScope, filteredTransitions, mutStateNodeSet, historyValue, internalQueue, actorScope.actionExecutor);
    }
    nextState = resolveActionsAndContext(nextState, event, actorScope, filteredTransitions.flatMap((t2) => t2.actions), internalQueue, void 0);
    nextState = enterStates(nextState, event, actorScope, filteredTransitions, mutStateNodeSet, internalQueue, historyValue, isInitial);
    const nextStateNodes = [...mutStateNodeSet];
    if (nextState.status === "done") {
      nextState = resolveActionsAndContext(nextState, event, actorScope, nextStateNodes.sort((a, b) => b.order - a.order).flatMap((state) => state.exit), internalQueue, void 0);
    }
    try {
      if (historyValue === currentSnapshot.historyValue && areStateNodeCollectionsEqual(currentSnapshot._nodes, mutStateNodeSet)) {
        return [nextState, actions];
      }
      return [cloneMachineSnapshot(nextState, {
        _nodes: nextStateNodes,
        historyValue
      }), actions];
    } catch (e2) {
      throw e2;
    }
  } finally {
    actorScope.actionExecutor = originalExecutor;
  }
}
__name(microstep, "microstep");
function getMachineOutput(snapshot, event, actorScope, rootNode, rootCompletionNode) {
  if (rootNode.output === void 0) {
    return;
  }
  const doneStateEvent = createDoneStateEvent(rootCompletionNode.id, rootCompletionNode.output !== void 0 && rootCompletionNode.parent ? resolveOutput(rootCompletionNode.output, snapshot.context, event, actorScope.self) : void 0);
  return resolveOutput(rootNode.output, snapshot.context, doneStateEvent, actorScope.self);
}
__name(getMachineOutput, "getMachineOutput");
function enterStates(currentSnapshot, event, actorScope, filteredTransitions, mutStateNodeSet, internalQueue, historyValue, isInitial) {
  let nextSnapshot = currentSnapshot;
  const statesToEnter = /* @__PURE__ */ new Set();
  const statesForDefaultEntry = /* @__PURE__ */ new Set();
  computeEntrySet(filteredTransitions, historyValue, statesForDefaultEntry, statesToEnter);
  if (isInitial) {
    statesForDefaultEntry.add(currentSnapshot.machine.root);
  }
  const completedNodes = /* @__PURE__ */ new Set();
  for (const stateNodeToEnter of [...statesToEnter].sort((a, b) => a.order - b.order)) {
    mutStateNodeSet.add(stateNodeToEnter);
    const actions = [];
    actions.push(...stateNodeToEnter.entry);
    for (const invokeDef of stateNodeToEnter.invoke) {
      actions.push(spawnChild(invokeDef.src, {
        ...invokeDef,
        syncSnapshot: !!invokeDef.onSnapshot
      }));
    }
    if (statesForDefaultEntry.has(stateNodeToEnter)) {
      const initialActions = stateNodeToEnter.initial.actions;
      actions.push(...initialActions);
    }
    nextSnapshot = resolveActionsAndContext(nextSnapshot, event, actorScope, actions, internalQueue, stateNodeToEnter.invoke.map((invokeDef) => invokeDef.id));
    if (stateNodeToEnter.type === "final") {
      const parent = stateNodeToEnter.parent;
      let ancestorMarker = parent?.type === "parallel" ? parent : parent?.parent;
      let rootCompletionNode = ancestorMarker || stateNodeToEnter;
      if (parent?.type === "compound") {
        internalQueue.push(createDoneStateEvent(parent.id, stateNodeToEnter.output !== void 0 ? resolveOutput(stateNodeToEnter.output, nextSnapshot.context, event, actorScope.self) : void 0));
      }
      while (ancestorMarker?.type === "parallel" && !completedNodes.has(ancestorMarker) && isInFinalState(mutStateNodeSet, ancestorMarker)) {
        completedNodes.add(ancestorMarker);
        internalQueue.push(createDoneStateEvent(ancestorMarker.id));
        rootCompletionNode = ancestorMarker;
        ancestorMarker = ancestorMarker.parent;
      }
      if (ancestorMarker) {
        continue;
      }
      nextSnapshot = cloneMachineSnapshot(nextSnapshot, {
        status: "done",
        output: getMachineOutput(nextSnapshot, event, actorScope, nextSnapshot.machine.root, rootCompletionNode)
      });
    }
  }
  return nextSnapshot;
}
__name(enterStates, "enterStates");
function computeEntrySet(transitions, historyValue, statesForDefaultEntry, statesToEnter) {
  for (const t2 of transitions) {
    const domain = getTransitionDomain(t2, historyValue);
    for (const s of t2.target || []) {
      if (!isHistoryNode(s) && // if the target is different than the source then it will *definitely* be entered
      (t2.source !== s || // we know that the domain can't lie within the source
      // if it's different than the source then it's outside of it and it means that the target has to be entered as well
      t2.source !== domain || // reentering transitions always enter the target, even if it's the source itself
      t2.reenter)) {
        statesToEnter.add(s);
        statesForDefaultEntry.add(s);
      }
      addDescendantStatesToEnter(s, historyValue, statesForDefaultEntry, statesToEnter);
    }
    const targetStates = getEffectiveTargetStates(t2, historyValue);
    for (const s of targetStates) {
      const ancestors2 = getProperAncestors(s, domain);
      if (domain?.type === "parallel") {
        ancestors2.push(domain);
      }
      addAncestorStatesToEnter(statesToEnter, historyValue, statesForDefaultEntry, ancestors2, !t2.source.parent && t2.reenter ? void 0 : domain);
    }
  }
}
__name(computeEntrySet, "computeEntrySet");
function addDescendantStatesToEnter(stateNode, historyValue, statesForDefaultEntry, statesToEnter) {
  if (isHistoryNode(stateNode)) {
    if (historyValue[stateNode.id]) {
      const historyStateNodes = historyValue[stateNode.id];
      for (const s of historyStateNodes) {
        statesToEnter.add(s);
        addDescendantStatesToEnter(s, historyValue, statesForDefaultEntry, statesToEnter);
      }
      for (const s of historyStateNodes) {
        addProperAncestorStatesToEnter(s, stateNode.parent, statesToEnter, historyValue, statesForDefaultEntry);
      }
    } else {
      const historyDefaultTransition = resolveHistoryDefaultTransition(stateNode);
      for (const s of historyDefaultTransition.target) {
        statesToEnter.add(s);
        if (historyDefaultTransition === stateNode.parent?.initial) {
          statesForDefaultEntry.add(stateNode.parent);
        }
        addDescendantStatesToEnter(s, historyValue, statesForDefaultEntry, statesToEnter);
      }
      for (const s of historyDefaultTransition.target) {
        addProperAncestorStatesToEnter(s, stateNode.parent, statesToEnter, historyValue, statesForDefaultEntry);
      }
    }
  } else {
    if (stateNode.type === "compound") {
      const [initialState] = stateNode.initial.target;
      if (!isHistoryNode(initialState)) {
        statesToEnter.add(initialState);
        statesForDefaultEntry.add(initialState);
      }
      addDescendantStatesToEnter(initialState, historyValue, statesForDefaultEntry, statesToEnter);
      addProperAncestorStatesToEnter(initialState, stateNode, statesToEnter, historyValue, statesForDefaultEntry);
    } else {
      if (stateNode.type === "parallel") {
        for (const child of getChildren(stateNode).filter((sn) => !isHistoryNode(sn))) {
          if (![...statesToEnter].some((s) => isDescendant(s, child))) {
            if (!isHistoryNode(child)) {
              statesToEnter.add(child);
              statesForDefaultEntry.add(child);
            }
            addDescendantStatesToEnter(child, historyValue, statesForDefaultEntry, statesToEnter);
          }
        }
      }
    }
  }
}
__name(addDescendantStatesToEnter, "addDescendantStatesToEnter");
function addAncestorStatesToEnter(statesToEnter, historyValue, statesForDefaultEntry, ancestors2, reentrancyDomain) {
  for (const anc of ancestors2) {
    if (!reentrancyDomain || isDescendant(anc, reentrancyDomain)) {
      statesToEnter.add(anc);
    }
    if (anc.type === "parallel") {
      for (const child of getChildren(anc).filter((sn) => !isHistoryNode(sn))) {
        if (![...statesToEnter].some((s) => isDescendant(s, child))) {
          statesToEnter.add(child);
          addDescendantStatesToEnter(child, historyValue, statesForDefaultEntry, statesToEnter);
        }
      }
    }
  }
}
__name(addAncestorStatesToEnter, "addAncestorStatesToEnter");
function addProperAncestorStatesToEnter(stateNode, toStateNode, statesToEnter, historyValue, statesForDefaultEntry) {
  addAncestorStatesToEnter(statesToEnter, historyValue, statesForDefaultEntry, getProperAncestors(stateNode, toStateNode));
}
__name(addProperAncestorStatesToEnter, "addProperAncestorStatesToEnter");
function exitStates(currentSnapshot, event, actorScope, transitions, mutStateNodeSet, historyValue, internalQueue, _actionExecutor) {
  let nextSnapshot = currentSnapshot;
  const statesToExit = computeExitSet(transitions, mutStateNodeSet, historyValue);
  statesToExit.sort((a, b) => b.order - a.order);
  let changedHistory;
  for (const exitStateNode of statesToExit) {
    for (const historyNode of getHistoryNodes(exitStateNode)) {
      let predicate;
      if (historyNode.history === "deep") {
        predicate = /* @__PURE__ */ __name((sn) => isAtomicStateNode(sn) && isDescendant(sn, exitStateNode), "predicate");
      } else {
        predicate = /* @__PURE__ */ __name((sn) => {
          return sn.parent === exitStateNode;
        }, "predicate");
      }
      changedHistory ??= {
        ...historyValue
      };
      changedHistory[historyNode.id] = Array.from(mutStateNodeSet).filter(predicate);
    }
  }
  for (const s of statesToExit) {
    nextSnapshot = resolveActionsAndContext(nextSnapshot, event, actorScope, [...s.exit, ...s.invoke.map((def) => stopChild(def.id))], internalQueue, void 0);
    mutStateNodeSet.delete(s);
  }
  return [nextSnapshot, changedHistory || historyValue];
}
__name(exitStates, "exitStates");
function getAction(machine, actionType) {
  return machine.implementations.actions[actionType];
}
__name(getAction, "getAction");
function resolveAndExecuteActionsWithContext(currentSnapshot, event, actorScope, actions, extra, retries) {
  const {
    machine
  } = currentSnapshot;
  let intermediateSnapshot = currentSnapshot;
  for (const action of actions) {
    const isInline = typeof action === "function";
    const resolvedAction = isInline ? action : (
      // the existing type of `.actions` assumes non-nullable `TExpressionAction`
      // it's fine to cast this here to get a common type and lack of errors in the rest of the code
      // our logic below makes sure that we call those 2 "variants" correctly
      getAction(machine, typeof action === "string" ? action : action.type)
    );
    const actionArgs = {
      context: intermediateSnapshot.context,
      event,
      self: actorScope.self,
      system: actorScope.system
    };
    const actionParams = isInline || typeof action === "string" ? void 0 : "params" in action ? typeof action.params === "function" ? action.params({
      context: intermediateSnapshot.context,
      event
    }) : action.params : void 0;
    if (!resolvedAction || !("resolve" in resolvedAction)) {
      actorScope.actionExecutor({
        type: typeof action === "string" ? action : typeof action === "object" ? action.type : action.name || "(anonymous)",
        info: actionArgs,
        params: actionParams,
        exec: resolvedAction
      });
      continue;
    }
    const builtinAction = resolvedAction;
    const [nextState, params, actions2] = builtinAction.resolve(
      actorScope,
      intermediateSnapshot,
      actionArgs,
      actionParams,
      resolvedAction,
      // this holds all params
      extra
    );
    intermediateSnapshot = nextState;
    if ("retryResolve" in builtinAction) {
      retries?.push([builtinAction, params]);
    }
    if ("execute" in builtinAction) {
      actorScope.actionExecutor({
        type: builtinAction.type,
        info: actionArgs,
        params,
        exec: builtinAction.execute.bind(null, actorScope, params)
      });
    }
    if (actions2) {
      intermediateSnapshot = resolveAndExecuteActionsWithContext(intermediateSnapshot, event, actorScope, actions2, extra, retries);
    }
  }
  return intermediateSnapshot;
}
__name(resolveAndExecuteActionsWithContext, "resolveAndExecuteActionsWithContext");
function resolveActionsAndContext(currentSnapshot, event, actorScope, actions, internalQueue, deferredActorIds) {
  const retries = deferredActorIds ? [] : void 0;
  const nextState = resolveAndExecuteActionsWithContext(currentSnapshot, event, actorScope, actions, {
    internalQueue,
    deferredActorIds
  }, retries);
  retries?.forEach(([builtinAction, params]) => {
    builtinAction.retryResolve(actorScope, nextState, params);
  });
  return nextState;
}
__name(resolveActionsAndContext, "resolveActionsAndContext");
function macrostep(snapshot, event, actorScope, internalQueue) {
  let nextSnapshot = snapshot;
  const microsteps = [];
  function addMicrostep(step, event2, transitions) {
    actorScope.system._sendInspectionEvent({
      type: "@xstate.microstep",
      actorRef: actorScope.self,
      event: event2,
      snapshot: step[0],
      _transitions: transitions
    });
    microsteps.push(step);
  }
  __name(addMicrostep, "addMicrostep");
  if (event.type === XSTATE_STOP) {
    nextSnapshot = cloneMachineSnapshot(stopChildren(nextSnapshot, event, actorScope), {
      status: "stopped"
    });
    addMicrostep([nextSnapshot, []], event, []);
    return {
      snapshot: nextSnapshot,
      microsteps
    };
  }
  let nextEvent = event;
  if (nextEvent.type !== XSTATE_INIT) {
    const currentEvent = nextEvent;
    const isErr = isErrorActorEvent(currentEvent);
    const transitions = selectTransitions(currentEvent, nextSnapshot);
    if (isErr && !transitions.length) {
      nextSnapshot = cloneMachineSnapshot(stopChildren(nextSnapshot, currentEvent, actorScope), {
        status: "error",
        error: currentEvent.error
      });
      addMicrostep([nextSnapshot, []], currentEvent, []);
      return {
        snapshot: nextSnapshot,
        microsteps
      };
    }
    const step = microstep(
      transitions,
      snapshot,
      actorScope,
      nextEvent,
      false,
      // isInitial
      internalQueue
    );
    nextSnapshot = step[0];
    addMicrostep(step, currentEvent, transitions);
  }
  let shouldSelectEventlessTransitions = true;
  const maxIterations = snapshot.machine.options?.maxIterations ?? Infinity;
  let iterationCount = 0;
  while (nextSnapshot.status === "active") {
    iterationCount++;
    if (iterationCount > maxIterations) {
      throw new Error(`Infinite loop detected: the machine has processed more than ${maxIterations} microsteps without reaching a stable state. This usually happens when there's a cycle of transitions (e.g., eventless transitions or raised events causing state A -> B -> C -> A).`);
    }
    let enabledTransitions = shouldSelectEventlessTransitions ? selectEventlessTransitions(nextSnapshot, nextEvent) : [];
    const previousState = enabledTransitions.length ? nextSnapshot : void 0;
    if (!enabledTransitions.length) {
      if (!internalQueue.length) {
        break;
      }
      nextEvent = internalQueue.shift();
      enabledTransitions = selectTransitions(nextEvent, nextSnapshot);
    }
    const step = microstep(enabledTransitions, nextSnapshot, actorScope, nextEvent, false, internalQueue);
    nextSnapshot = step[0];
    shouldSelectEventlessTransitions = nextSnapshot !== previousState;
    addMicrostep(step, nextEvent, enabledTransitions);
  }
  if (nextSnapshot.status !== "active") {
    stopChildren(nextSnapshot, nextEvent, actorScope);
  }
  return {
    snapshot: nextSnapshot,
    microsteps
  };
}
__name(macrostep, "macrostep");
function stopChildren(nextState, event, actorScope) {
  return resolveActionsAndContext(nextState, event, actorScope, Object.values(nextState.children).map((child) => stopChild(child)), [], void 0);
}
__name(stopChildren, "stopChildren");
function selectTransitions(event, nextState) {
  return nextState.machine.getTransitionData(nextState, event);
}
__name(selectTransitions, "selectTransitions");
function selectEventlessTransitions(nextState, event) {
  const enabledTransitionSet = /* @__PURE__ */ new Set();
  const atomicStates = nextState._nodes.filter(isAtomicStateNode);
  for (const stateNode of atomicStates) {
    loop: for (const s of [stateNode].concat(getProperAncestors(stateNode, void 0))) {
      if (!s.always) {
        continue;
      }
      for (const transition of s.always) {
        if (transition.guard === void 0 || evaluateGuard(transition.guard, nextState.context, event, nextState)) {
          enabledTransitionSet.add(transition);
          break loop;
        }
      }
    }
  }
  return removeConflictingTransitions(Array.from(enabledTransitionSet), new Set(nextState._nodes), nextState.historyValue);
}
__name(selectEventlessTransitions, "selectEventlessTransitions");
function resolveStateValue(rootNode, stateValue) {
  const allStateNodes = getAllStateNodes(getStateNodes(rootNode, stateValue));
  return getStateValue(rootNode, [...allStateNodes]);
}
__name(resolveStateValue, "resolveStateValue");
function isMachineSnapshot(value) {
  return !!value && typeof value === "object" && "machine" in value && "value" in value;
}
__name(isMachineSnapshot, "isMachineSnapshot");
var machineSnapshotMatches = /* @__PURE__ */ __name(function matches(testValue) {
  return matchesState(testValue, this.value);
}, "matches");
var machineSnapshotHasTag = /* @__PURE__ */ __name(function hasTag(tag) {
  return this.tags.has(tag);
}, "hasTag");
var machineSnapshotCan = /* @__PURE__ */ __name(function can(event) {
  const transitionData = this.machine.getTransitionData(this, event);
  return !!transitionData?.length && // Check that at least one transition is not forbidden
  transitionData.some((t2) => t2.target !== void 0 || t2.actions.length);
}, "can");
var machineSnapshotToJSON = /* @__PURE__ */ __name(function toJSON() {
  const {
    _nodes: nodes,
    tags,
    machine,
    getMeta: getMeta2,
    toJSON: toJSON2,
    can: can2,
    hasTag: hasTag2,
    matches: matches2,
    ...jsonValues
  } = this;
  return {
    ...jsonValues,
    tags: Array.from(tags)
  };
}, "toJSON");
var machineSnapshotGetMeta = /* @__PURE__ */ __name(function getMeta() {
  return this._nodes.reduce((acc, stateNode) => {
    if (stateNode.meta !== void 0) {
      acc[stateNode.id] = stateNode.meta;
    }
    return acc;
  }, {});
}, "getMeta");
function createMachineSnapshot(config, machine) {
  return {
    status: config.status,
    output: config.output,
    error: config.error,
    machine,
    context: config.context,
    _nodes: config._nodes,
    value: getStateValue(machine.root, config._nodes),
    tags: new Set(config._nodes.flatMap((sn) => sn.tags)),
    children: config.children,
    historyValue: config.historyValue || {},
    matches: machineSnapshotMatches,
    hasTag: machineSnapshotHasTag,
    can: machineSnapshotCan,
    getMeta: machineSnapshotGetMeta,
    toJSON: machineSnapshotToJSON
  };
}
__name(createMachineSnapshot, "createMachineSnapshot");
function cloneMachineSnapshot(snapshot, config = {}) {
  return createMachineSnapshot({
    ...snapshot,
    ...config
  }, snapshot.machine);
}
__name(cloneMachineSnapshot, "cloneMachineSnapshot");
function serializeHistoryValue(historyValue) {
  if (typeof historyValue !== "object" || historyValue === null) {
    return {};
  }
  const result = {};
  for (const key in historyValue) {
    const value = historyValue[key];
    if (Array.isArray(value)) {
      result[key] = value.map((item) => ({
        id: item.id
      }));
    }
  }
  return result;
}
__name(serializeHistoryValue, "serializeHistoryValue");
function getPersistedSnapshot(snapshot, options) {
  const {
    _nodes: nodes,
    tags,
    machine,
    children,
    context,
    can: can2,
    hasTag: hasTag2,
    matches: matches2,
    getMeta: getMeta2,
    toJSON: toJSON2,
    ...jsonValues
  } = snapshot;
  const childrenJson = {};
  for (const id in children) {
    const child = children[id];
    childrenJson[id] = {
      snapshot: child.getPersistedSnapshot(options),
      src: child.src,
      systemId: child.systemId,
      syncSnapshot: child._syncSnapshot
    };
  }
  const persisted = {
    ...jsonValues,
    context: persistContext(context),
    children: childrenJson,
    historyValue: serializeHistoryValue(jsonValues.historyValue)
  };
  return persisted;
}
__name(getPersistedSnapshot, "getPersistedSnapshot");
function persistContext(contextPart) {
  let copy2;
  for (const key in contextPart) {
    const value = contextPart[key];
    if (value && typeof value === "object") {
      if ("sessionId" in value && "send" in value && "ref" in value) {
        copy2 ??= Array.isArray(contextPart) ? contextPart.slice() : {
          ...contextPart
        };
        copy2[key] = {
          xstate$$type: $$ACTOR_TYPE,
          id: value.id
        };
      } else {
        const result = persistContext(value);
        if (result !== value) {
          copy2 ??= Array.isArray(contextPart) ? contextPart.slice() : {
            ...contextPart
          };
          copy2[key] = result;
        }
      }
    }
  }
  return copy2 ?? contextPart;
}
__name(persistContext, "persistContext");
function resolveRaise(_, snapshot, args, actionParams, {
  event: eventOrExpr,
  id,
  delay
}, {
  internalQueue
}) {
  const delaysMap = snapshot.machine.implementations.delays;
  if (typeof eventOrExpr === "string") {
    throw new Error(
      // oxlint-disable-next-line typescript/restrict-template-expressions
      `Only event objects may be used with raise; use raise({ type: "${eventOrExpr}" }) instead`
    );
  }
  const resolvedEvent = typeof eventOrExpr === "function" ? eventOrExpr(args, actionParams) : eventOrExpr;
  let resolvedDelay;
  if (typeof delay === "string") {
    const configDelay = delaysMap && delaysMap[delay];
    resolvedDelay = typeof configDelay === "function" ? configDelay(args, actionParams) : configDelay;
  } else {
    resolvedDelay = typeof delay === "function" ? delay(args, actionParams) : delay;
  }
  if (typeof resolvedDelay !== "number") {
    internalQueue.push(resolvedEvent);
  }
  return [snapshot, {
    event: resolvedEvent,
    id,
    delay: resolvedDelay
  }, void 0];
}
__name(resolveRaise, "resolveRaise");
function executeRaise(actorScope, params) {
  const {
    event,
    delay,
    id
  } = params;
  if (typeof delay === "number") {
    actorScope.defer(() => {
      const self2 = actorScope.self;
      actorScope.system.scheduler.schedule(self2, self2, event, delay, id);
    });
    return;
  }
}
__name(executeRaise, "executeRaise");
function raise(eventOrExpr, options) {
  function raise2(_args, _params) {
  }
  __name(raise2, "raise");
  raise2.type = "xstate.raise";
  raise2.event = eventOrExpr;
  raise2.id = options?.id;
  raise2.delay = options?.delay;
  raise2.resolve = resolveRaise;
  raise2.execute = executeRaise;
  return raise2;
}
__name(raise, "raise");

// node_modules/xstate/dist/assign-1f0d7720.esm.js
function createSpawner(actorScope, {
  machine,
  context
}, event, spawnedChildren) {
  const spawn = /* @__PURE__ */ __name((src, options) => {
    if (typeof src === "string") {
      const logic = resolveReferencedActor(machine, src);
      if (!logic) {
        throw new Error(`Actor logic '${src}' not implemented in machine '${machine.id}'`);
      }
      const actorRef = createActor(logic, {
        id: options?.id,
        parent: actorScope.self,
        syncSnapshot: options?.syncSnapshot,
        input: typeof options?.input === "function" ? options.input({
          context,
          event,
          self: actorScope.self
        }) : options?.input,
        src,
        systemId: options?.systemId
      });
      spawnedChildren[actorRef.id] = actorRef;
      return actorRef;
    } else {
      const actorRef = createActor(src, {
        id: options?.id,
        parent: actorScope.self,
        syncSnapshot: options?.syncSnapshot,
        input: options?.input,
        src,
        systemId: options?.systemId
      });
      return actorRef;
    }
  }, "spawn");
  return (src, options) => {
    const actorRef = spawn(src, options);
    spawnedChildren[actorRef.id] = actorRef;
    actorScope.defer(() => {
      if (actorRef._processingStatus === ProcessingStatus.Stopped) {
        return;
      }
      actorRef.start();
    });
    return actorRef;
  };
}
__name(createSpawner, "createSpawner");
function resolveAssign(actorScope, snapshot, actionArgs, actionParams, {
  assignment
}) {
  if (!snapshot.context) {
    throw new Error("Cannot assign to undefined `context`. Ensure that `context` is defined in the machine config.");
  }
  const spawnedChildren = {};
  const assignArgs = {
    context: snapshot.context,
    event: actionArgs.event,
    spawn: createSpawner(actorScope, snapshot, actionArgs.event, spawnedChildren),
    self: actorScope.self,
    system: actorScope.system
  };
  let partialUpdate = {};
  if (typeof assignment === "function") {
    partialUpdate = assignment(assignArgs, actionParams);
  } else {
    for (const key of Object.keys(assignment)) {
      const propAssignment = assignment[key];
      partialUpdate[key] = typeof propAssignment === "function" ? propAssignment(assignArgs, actionParams) : propAssignment;
    }
  }
  const updatedContext = Object.assign({}, snapshot.context, partialUpdate);
  return [cloneMachineSnapshot(snapshot, {
    context: updatedContext,
    children: Object.keys(spawnedChildren).length ? {
      ...snapshot.children,
      ...spawnedChildren
    } : snapshot.children
  }), void 0, void 0];
}
__name(resolveAssign, "resolveAssign");
function assign(assignment) {
  function assign2(_args, _params) {
  }
  __name(assign2, "assign");
  assign2.type = "xstate.assign";
  assign2.assignment = assignment;
  assign2.resolve = resolveAssign;
  return assign2;
}
__name(assign, "assign");

// node_modules/xstate/dist/StateMachine-ae06a22b.esm.js
var cache = /* @__PURE__ */ new WeakMap();
function memo(object, key, fn) {
  let memoizedData = cache.get(object);
  if (!memoizedData) {
    memoizedData = {
      [key]: fn()
    };
    cache.set(object, memoizedData);
  } else if (!(key in memoizedData)) {
    memoizedData[key] = fn();
  }
  return memoizedData[key];
}
__name(memo, "memo");
var EMPTY_OBJECT = {};
var toSerializableAction = /* @__PURE__ */ __name((action) => {
  if (typeof action === "string") {
    return {
      type: action
    };
  }
  if (typeof action === "function") {
    if ("resolve" in action) {
      return {
        type: action.type
      };
    }
    return {
      type: action.name
    };
  }
  return action;
}, "toSerializableAction");
var StateNode = class _StateNode {
  static {
    __name(this, "StateNode");
  }
  constructor(config, options) {
    this.config = config;
    this.key = void 0;
    this.id = void 0;
    this.type = void 0;
    this.path = void 0;
    this.states = void 0;
    this.history = void 0;
    this.entry = void 0;
    this.exit = void 0;
    this.parent = void 0;
    this.machine = void 0;
    this.meta = void 0;
    this.output = void 0;
    this.order = -1;
    this.description = void 0;
    this.tags = [];
    this.transitions = void 0;
    this.always = void 0;
    this.parent = options._parent;
    this.key = options._key;
    this.machine = options._machine;
    this.path = this.parent ? this.parent.path.concat(this.key) : [];
    this.id = this.config.id || [this.machine.id, ...this.path].join(STATE_DELIMITER);
    this.type = this.config.type || (this.config.states && Object.keys(this.config.states).length ? "compound" : this.config.history ? "history" : "atomic");
    this.description = this.config.description;
    this.order = this.machine.idMap.size;
    this.machine.idMap.set(this.id, this);
    this.states = this.config.states ? mapValues(this.config.states, (stateConfig, key) => {
      const stateNode = new _StateNode(stateConfig, {
        _parent: this,
        _key: key,
        _machine: this.machine
      });
      return stateNode;
    }) : EMPTY_OBJECT;
    if (this.type === "compound" && !this.config.initial) {
      throw new Error(`No initial state specified for compound state node "#${this.id}". Try adding { initial: "${Object.keys(this.states)[0]}" } to the state config.`);
    }
    this.history = this.config.history === true ? "shallow" : this.config.history || false;
    this.entry = toArray(this.config.entry).slice();
    this.exit = toArray(this.config.exit).slice();
    this.meta = this.config.meta;
    this.output = this.type === "final" || !this.parent ? this.config.output : void 0;
    this.tags = toArray(config.tags).slice();
  }
  /** @internal */
  _initialize() {
    this.transitions = formatTransitions(this);
    if (this.config.always) {
      this.always = toTransitionConfigArray(this.config.always).map((t2) => formatTransition(this, NULL_EVENT, t2));
    }
    Object.keys(this.states).forEach((key) => {
      this.states[key]._initialize();
    });
  }
  /** The well-structured state node definition. */
  get definition() {
    return {
      id: this.id,
      key: this.key,
      version: this.machine.version,
      type: this.type,
      initial: this.initial ? {
        target: this.initial.target,
        source: this,
        actions: this.initial.actions.map(toSerializableAction),
        eventType: null,
        reenter: false,
        meta: this.initial.meta,
        description: this.initial.description,
        toJSON: /* @__PURE__ */ __name(() => ({
          target: this.initial.target.map((t2) => `#${t2.id}`),
          source: `#${this.id}`,
          actions: this.initial.actions.map(toSerializableAction),
          eventType: null,
          meta: this.initial.meta,
          description: this.initial.description
        }), "toJSON")
      } : void 0,
      history: this.history,
      states: mapValues(this.states, (state) => state.definition),
      on: this.on,
      transitions: [...this.transitions.values()].flat().map((t2) => ({
        ...t2,
        actions: t2.actions.map(toSerializableAction)
      })),
      entry: this.entry.map(toSerializableAction),
      exit: this.exit.map(toSerializableAction),
      meta: this.meta,
      order: this.order || -1,
      output: this.output,
      invoke: this.invoke,
      description: this.description,
      tags: this.tags
    };
  }
  /** @internal */
  toJSON() {
    return this.definition;
  }
  /** The logic invoked as actors by this state node. */
  get invoke() {
    return memo(this, "invoke", () => toArray(this.config.invoke).map((invokeConfig, i) => {
      const {
        src,
        systemId
      } = invokeConfig;
      const resolvedId = invokeConfig.id ?? createInvokeId(this.id, i);
      const sourceName = typeof src === "string" ? src : `xstate.invoke.${createInvokeId(this.id, i)}`;
      return {
        ...invokeConfig,
        src: sourceName,
        id: resolvedId,
        systemId,
        toJSON() {
          const {
            onDone,
            onError,
            ...invokeDefValues
          } = invokeConfig;
          return {
            ...invokeDefValues,
            type: "xstate.invoke",
            src: sourceName,
            id: resolvedId
          };
        }
      };
    }));
  }
  /** The mapping of events to transitions. */
  get on() {
    return memo(this, "on", () => {
      const transitions = this.transitions;
      return [...transitions].flatMap(([descriptor, t2]) => t2.map((t3) => [descriptor, t3])).reduce((map, [descriptor, transition]) => {
        map[descriptor] = map[descriptor] || [];
        map[descriptor].push(transition);
        return map;
      }, {});
    });
  }
  get after() {
    return memo(this, "delayedTransitions", () => getDelayedTransitions(this));
  }
  get initial() {
    return memo(this, "initial", () => formatInitialTransition(this, this.config.initial));
  }
  /** @internal */
  next(snapshot, event) {
    const eventType = event.type;
    const actions = [];
    let selectedTransition;
    const candidates = memo(this, `candidates-${eventType}`, () => getCandidates(this, eventType));
    for (const candidate of candidates) {
      const {
        guard
      } = candidate;
      const resolvedContext = snapshot.context;
      let guardPassed = false;
      try {
        guardPassed = !guard || evaluateGuard(guard, resolvedContext, event, snapshot);
      } catch (err) {
        const guardType = typeof guard === "string" ? guard : typeof guard === "object" ? guard.type : void 0;
        throw new Error(`Unable to evaluate guard ${guardType ? `'${guardType}' ` : ""}in transition for event '${eventType}' in state node '${this.id}':
${err.message}`);
      }
      if (guardPassed) {
        actions.push(...candidate.actions);
        selectedTransition = candidate;
        break;
      }
    }
    return selectedTransition ? [selectedTransition] : void 0;
  }
  /** All the event types accepted by this state node and its descendants. */
  get events() {
    return memo(this, "events", () => {
      const {
        states
      } = this;
      const events = new Set(this.ownEvents);
      if (states) {
        for (const stateId of Object.keys(states)) {
          const state = states[stateId];
          if (state.states) {
            for (const event of state.events) {
              events.add(`${event}`);
            }
          }
        }
      }
      return Array.from(events);
    });
  }
  /**
   * All the events that have transitions directly from this state node.
   *
   * Excludes any inert events.
   */
  get ownEvents() {
    const keys = Object.keys(Object.fromEntries(this.transitions));
    const events = new Set(keys.filter((descriptor) => {
      return this.transitions.get(descriptor).some((transition) => !(!transition.target && !transition.actions.length && !transition.reenter));
    }));
    return Array.from(events);
  }
};
var STATE_IDENTIFIER2 = "#";
var StateMachine = class _StateMachine {
  static {
    __name(this, "StateMachine");
  }
  constructor(config, implementations) {
    this.config = config;
    this.version = void 0;
    this.schemas = void 0;
    this.implementations = void 0;
    this.options = void 0;
    this.__xstatenode = true;
    this.idMap = /* @__PURE__ */ new Map();
    this.root = void 0;
    this.id = void 0;
    this.states = void 0;
    this.events = void 0;
    this.id = config.id || "(machine)";
    this.implementations = {
      actors: implementations?.actors ?? {},
      actions: implementations?.actions ?? {},
      delays: implementations?.delays ?? {},
      guards: implementations?.guards ?? {}
    };
    this.version = this.config.version;
    this.schemas = this.config.schemas;
    this.options = {
      maxIterations: Infinity,
      ...this.config.options
    };
    this.transition = this.transition.bind(this);
    this.getInitialSnapshot = this.getInitialSnapshot.bind(this);
    this.getPersistedSnapshot = this.getPersistedSnapshot.bind(this);
    this.restoreSnapshot = this.restoreSnapshot.bind(this);
    this.start = this.start.bind(this);
    this.root = new StateNode(config, {
      _key: this.id,
      _machine: this
    });
    this.root._initialize();
    formatRouteTransitions(this.root);
    this.states = this.root.states;
    this.events = this.root.events;
  }
  /**
   * Clones this state machine with the provided implementations.
   *
   * @param implementations Options (`actions`, `guards`, `actors`, `delays`) to
   *   recursively merge with the existing options.
   * @returns A new `StateMachine` instance with the provided implementations.
   */
  provide(implementations) {
    const {
      actions,
      guards,
      actors,
      delays
    } = this.implementations;
    return new _StateMachine(this.config, {
      actions: {
        ...actions,
        ...implementations.actions
      },
      guards: {
        ...guards,
        ...implementations.guards
      },
      actors: {
        ...actors,
        ...implementations.actors
      },
      delays: {
        ...delays,
        ...implementations.delays
      }
    });
  }
  resolveState(config) {
    const resolvedStateValue = resolveStateValue(this.root, config.value);
    const nodeSet = getAllStateNodes(getStateNodes(this.root, resolvedStateValue));
    return createMachineSnapshot({
      _nodes: [...nodeSet],
      context: config.context || {},
      children: {},
      status: isInFinalState(nodeSet, this.root) ? "done" : config.status || "active",
      output: config.output,
      error: config.error,
      historyValue: config.historyValue
    }, this);
  }
  /**
   * Determines the next snapshot given the current `snapshot` and received
   * `event`. Calculates a full macrostep from all microsteps.
   *
   * @param snapshot The current snapshot
   * @param event The received event
   */
  transition(snapshot, event, actorScope) {
    return macrostep(snapshot, event, actorScope, []).snapshot;
  }
  /**
   * Determines the next state given the current `state` and `event`. Calculates
   * a microstep.
   *
   * @param state The current state
   * @param event The received event
   */
  microstep(snapshot, event, actorScope) {
    return macrostep(snapshot, event, actorScope, []).microsteps.map(([s]) => s);
  }
  getTransitionData(snapshot, event) {
    return transitionNode(this.root, snapshot.value, snapshot, event) || [];
  }
  /**
   * The initial state _before_ evaluating any microsteps. This "pre-initial"
   * state is provided to initial actions executed in the initial state.
   *
   * @internal
   */
  _getPreInitialState(actorScope, initEvent, internalQueue) {
    const {
      context
    } = this.config;
    const preInitial = createMachineSnapshot({
      context: typeof context !== "function" && context ? context : {},
      _nodes: [this.root],
      children: {},
      status: "active"
    }, this);
    if (typeof context === "function") {
      const assignment = /* @__PURE__ */ __name(({
        spawn,
        event,
        self: self2
      }) => context({
        spawn,
        input: event.input,
        self: self2
      }), "assignment");
      return resolveActionsAndContext(preInitial, initEvent, actorScope, [assign(assignment)], internalQueue, void 0);
    }
    return preInitial;
  }
  /**
   * Returns the initial `State` instance, with reference to `self` as an
   * `ActorRef`.
   */
  getInitialSnapshot(actorScope, input) {
    const initEvent = createInitEvent(input);
    const internalQueue = [];
    let snapshot = createMachineSnapshot({
      context: typeof this.config.context !== "function" && this.config.context ? this.config.context : {},
      _nodes: [this.root],
      children: {},
      status: "active"
    }, this);
    try {
      snapshot = this._getPreInitialState(actorScope, initEvent, internalQueue);
      const [nextState] = initialMicrostep(this.root, snapshot, actorScope, initEvent, internalQueue);
      const {
        snapshot: macroState
      } = macrostep(nextState, initEvent, actorScope, internalQueue);
      return macroState;
    } catch (error) {
      return cloneMachineSnapshot(snapshot, {
        status: "error",
        error
      });
    }
  }
  start(snapshot) {
    Object.values(snapshot.children).forEach((child) => {
      if (child.getSnapshot().status === "active") {
        child.start();
      }
    });
  }
  getStateNodeById(stateId) {
    const fullPath = toStatePath(stateId);
    const relativePath = fullPath.slice(1);
    const resolvedStateId = isStateId(fullPath[0]) ? fullPath[0].slice(STATE_IDENTIFIER2.length) : fullPath[0];
    const stateNode = this.idMap.get(resolvedStateId);
    if (!stateNode) {
      throw new Error(`Child state node '#${resolvedStateId}' does not exist on machine '${this.id}'`);
    }
    return getStateNodeByPath(stateNode, relativePath);
  }
  get definition() {
    return this.root.definition;
  }
  toJSON() {
    return this.definition;
  }
  getPersistedSnapshot(snapshot, options) {
    return getPersistedSnapshot(snapshot, options);
  }
  restoreSnapshot(snapshot, _actorScope) {
    const children = {};
    const snapshotChildren = snapshot.children;
    Object.keys(snapshotChildren).forEach((actorId) => {
      const actorData = snapshotChildren[actorId];
      const childState = actorData.snapshot;
      const src = actorData.src;
      const logic = typeof src === "string" ? resolveReferencedActor(this, src) : src;
      if (!logic) {
        return;
      }
      const actorRef = createActor(logic, {
        id: actorId,
        parent: _actorScope.self,
        syncSnapshot: actorData.syncSnapshot,
        snapshot: childState,
        src,
        systemId: actorData.systemId
      });
      children[actorId] = actorRef;
    });
    function resolveHistoryReferencedState(root, referenced) {
      if (referenced instanceof StateNode) {
        return referenced;
      }
      try {
        return root.machine.getStateNodeById(referenced.id);
      } catch {
      }
    }
    __name(resolveHistoryReferencedState, "resolveHistoryReferencedState");
    function reviveHistoryValue(root, historyValue) {
      if (!historyValue || typeof historyValue !== "object") {
        return {};
      }
      const revived = {};
      for (const key in historyValue) {
        const arr = historyValue[key];
        for (const item of arr) {
          const resolved = resolveHistoryReferencedState(root, item);
          if (!resolved) {
            continue;
          }
          revived[key] ??= [];
          revived[key].push(resolved);
        }
      }
      return revived;
    }
    __name(reviveHistoryValue, "reviveHistoryValue");
    const revivedHistoryValue = reviveHistoryValue(this.root, snapshot.historyValue);
    const restoredSnapshot = createMachineSnapshot({
      ...snapshot,
      children,
      _nodes: Array.from(getAllStateNodes(getStateNodes(this.root, snapshot.value))),
      historyValue: revivedHistoryValue
    }, this);
    const seen = /* @__PURE__ */ new Set();
    function reviveContext(contextPart, children2) {
      if (seen.has(contextPart)) {
        return;
      }
      seen.add(contextPart);
      for (const key in contextPart) {
        const value = contextPart[key];
        if (value && typeof value === "object") {
          if ("xstate$$type" in value && value.xstate$$type === $$ACTOR_TYPE) {
            contextPart[key] = children2[value.id];
            continue;
          }
          reviveContext(value, children2);
        }
      }
    }
    __name(reviveContext, "reviveContext");
    reviveContext(restoredSnapshot.context, children);
    return restoredSnapshot;
  }
};

// node_modules/xstate/dist/log-6a5e50a8.esm.js
function resolveEmit(_, snapshot, args, actionParams, {
  event: eventOrExpr
}) {
  const resolvedEvent = typeof eventOrExpr === "function" ? eventOrExpr(args, actionParams) : eventOrExpr;
  return [snapshot, {
    event: resolvedEvent
  }, void 0];
}
__name(resolveEmit, "resolveEmit");
function executeEmit(actorScope, {
  event
}) {
  actorScope.defer(() => actorScope.emit(event));
}
__name(executeEmit, "executeEmit");
function emit(eventOrExpr) {
  function emit2(_args, _params) {
  }
  __name(emit2, "emit");
  emit2.type = "xstate.emit";
  emit2.event = eventOrExpr;
  emit2.resolve = resolveEmit;
  emit2.execute = executeEmit;
  return emit2;
}
__name(emit, "emit");
var SpecialTargets = /* @__PURE__ */ (function(SpecialTargets2) {
  SpecialTargets2["Parent"] = "#_parent";
  SpecialTargets2["Internal"] = "#_internal";
  return SpecialTargets2;
})({});
function resolveSendTo(actorScope, snapshot, args, actionParams, {
  to,
  event: eventOrExpr,
  id,
  delay
}, extra) {
  const delaysMap = snapshot.machine.implementations.delays;
  if (typeof eventOrExpr === "string") {
    throw new Error(
      // oxlint-disable-next-line typescript/restrict-template-expressions
      `Only event objects may be used with sendTo; use sendTo({ type: "${eventOrExpr}" }) instead`
    );
  }
  const resolvedEvent = typeof eventOrExpr === "function" ? eventOrExpr(args, actionParams) : eventOrExpr;
  let resolvedDelay;
  if (typeof delay === "string") {
    const configDelay = delaysMap && delaysMap[delay];
    resolvedDelay = typeof configDelay === "function" ? configDelay(args, actionParams) : configDelay;
  } else {
    resolvedDelay = typeof delay === "function" ? delay(args, actionParams) : delay;
  }
  const resolvedTarget = typeof to === "function" ? to(args, actionParams) : to;
  let targetActorRef;
  if (typeof resolvedTarget === "string") {
    if (resolvedTarget === SpecialTargets.Parent) {
      targetActorRef = actorScope.self._parent;
    } else if (resolvedTarget === SpecialTargets.Internal) {
      targetActorRef = actorScope.self;
    } else if (resolvedTarget.startsWith("#_")) {
      targetActorRef = snapshot.children[resolvedTarget.slice(2)];
    } else {
      targetActorRef = extra.deferredActorIds?.includes(resolvedTarget) ? resolvedTarget : snapshot.children[resolvedTarget];
    }
    if (!targetActorRef) {
      throw new Error(`Unable to send event to actor '${resolvedTarget}' from machine '${snapshot.machine.id}'.`);
    }
  } else {
    targetActorRef = resolvedTarget || actorScope.self;
  }
  return [snapshot, {
    to: targetActorRef,
    targetId: typeof resolvedTarget === "string" ? resolvedTarget : void 0,
    event: resolvedEvent,
    id,
    delay: resolvedDelay
  }, void 0];
}
__name(resolveSendTo, "resolveSendTo");
function retryResolveSendTo(_, snapshot, params) {
  if (typeof params.to === "string") {
    params.to = snapshot.children[params.to];
  }
}
__name(retryResolveSendTo, "retryResolveSendTo");
function executeSendTo(actorScope, params) {
  actorScope.defer(() => {
    const {
      to,
      event,
      delay,
      id
    } = params;
    if (typeof delay === "number") {
      actorScope.system.scheduler.schedule(actorScope.self, to, event, delay, id);
      return;
    }
    actorScope.system._relay(
      actorScope.self,
      // at this point, in a deferred task, it should already be mutated by retryResolveSendTo
      // if it initially started as a string
      to,
      event.type === XSTATE_ERROR ? createErrorActorEvent(actorScope.self.id, event.data) : event
    );
  });
}
__name(executeSendTo, "executeSendTo");
function sendTo(to, eventOrExpr, options) {
  function sendTo2(_args, _params) {
  }
  __name(sendTo2, "sendTo");
  sendTo2.type = "xstate.sendTo";
  sendTo2.to = to;
  sendTo2.event = eventOrExpr;
  sendTo2.id = options?.id;
  sendTo2.delay = options?.delay;
  sendTo2.resolve = resolveSendTo;
  sendTo2.retryResolve = retryResolveSendTo;
  sendTo2.execute = executeSendTo;
  return sendTo2;
}
__name(sendTo, "sendTo");
function sendParent(event, options) {
  return sendTo(SpecialTargets.Parent, event, options);
}
__name(sendParent, "sendParent");
function resolveEnqueueActions(actorScope, snapshot, args, actionParams, {
  collect
}) {
  const actions = [];
  const enqueue = /* @__PURE__ */ __name(function enqueue2(action) {
    actions.push(action);
  }, "enqueue");
  enqueue.assign = (...args2) => {
    actions.push(assign(...args2));
  };
  enqueue.cancel = (...args2) => {
    actions.push(cancel(...args2));
  };
  enqueue.raise = (...args2) => {
    actions.push(raise(...args2));
  };
  enqueue.sendTo = (...args2) => {
    actions.push(sendTo(...args2));
  };
  enqueue.sendParent = (...args2) => {
    actions.push(sendParent(...args2));
  };
  enqueue.spawnChild = (...args2) => {
    actions.push(spawnChild(...args2));
  };
  enqueue.stopChild = (...args2) => {
    actions.push(stopChild(...args2));
  };
  enqueue.emit = (...args2) => {
    actions.push(emit(...args2));
  };
  collect({
    context: args.context,
    event: args.event,
    enqueue,
    check: /* @__PURE__ */ __name((guard) => evaluateGuard(guard, snapshot.context, args.event, snapshot), "check"),
    self: actorScope.self,
    system: actorScope.system
  }, actionParams);
  return [snapshot, void 0, actions];
}
__name(resolveEnqueueActions, "resolveEnqueueActions");
function enqueueActions(collect) {
  function enqueueActions2(_args, _params) {
  }
  __name(enqueueActions2, "enqueueActions");
  enqueueActions2.type = "xstate.enqueueActions";
  enqueueActions2.collect = collect;
  enqueueActions2.resolve = resolveEnqueueActions;
  return enqueueActions2;
}
__name(enqueueActions, "enqueueActions");
function resolveLog(_, snapshot, actionArgs, actionParams, {
  value,
  label
}) {
  return [snapshot, {
    value: typeof value === "function" ? value(actionArgs, actionParams) : value,
    label
  }, void 0];
}
__name(resolveLog, "resolveLog");
function executeLog({
  logger
}, {
  value,
  label
}) {
  if (label) {
    logger(label, value);
  } else {
    logger(value);
  }
}
__name(executeLog, "executeLog");
function log(value = ({
  context,
  event
}) => ({
  context,
  event
}), label) {
  function log2(_args, _params) {
  }
  __name(log2, "log");
  log2.type = "xstate.log";
  log2.value = value;
  log2.label = label;
  log2.resolve = resolveLog;
  log2.execute = executeLog;
  return log2;
}
__name(log, "log");

// node_modules/xstate/dist/xstate.esm.js
function createMachine(config, implementations) {
  return new StateMachine(config, implementations);
}
__name(createMachine, "createMachine");
function setup({
  schemas,
  actors,
  actions,
  guards,
  delays
}) {
  return {
    assign,
    sendTo,
    raise,
    log,
    cancel,
    stopChild,
    enqueueActions,
    emit,
    spawnChild,
    createStateConfig: /* @__PURE__ */ __name((config) => config, "createStateConfig"),
    createAction: /* @__PURE__ */ __name((fn) => fn, "createAction"),
    createMachine: /* @__PURE__ */ __name((config) => createMachine({
      ...config,
      schemas
    }, {
      actors,
      actions,
      guards,
      delays
    }), "createMachine"),
    extend: /* @__PURE__ */ __name((extended) => setup({
      schemas,
      actors,
      actions: {
        ...actions,
        ...extended.actions
      },
      guards: {
        ...guards,
        ...extended.guards
      },
      delays: {
        ...delays,
        ...extended.delays
      }
    }), "extend")
  };
}
__name(setup, "setup");

// actors/dist/expert/machine.js
var fencedByExpert = [
  "weights.publish",
  "rows.dispatch",
  "experts.forwarded",
  "gradients.dispatch",
  "experts.backwarded"
];
var expertMachine = setup({
  types: { context: {}, events: {}, input: {} },
  actions: {
    acceptRows: /* @__PURE__ */ __name(() => {
    }, "acceptRows"),
    forward: /* @__PURE__ */ __name(() => {
    }, "forward"),
    returnRows: /* @__PURE__ */ __name(() => {
    }, "returnRows"),
    acceptGradients: /* @__PURE__ */ __name(() => {
    }, "acceptGradients"),
    backward: /* @__PURE__ */ __name(() => {
    }, "backward"),
    returnGradients: /* @__PURE__ */ __name(() => {
    }, "returnGradients"),
    abandon: /* @__PURE__ */ __name(() => {
    }, "abandon")
  },
  guards: {
    completesVersion: /* @__PURE__ */ __name(({ context, event }) => context.arrived + numberIn(event, "elements") === context.numElements, "completesVersion"),
    canForward: /* @__PURE__ */ __name(({ context }) => context.rows === context.numSources && context.wanted === context.version, "canForward"),
    canBackward: /* @__PURE__ */ __name(({ context }) => context.gradients === context.numSources, "canBackward")
  }
}).createMachine({
  id: "expert",
  context: /* @__PURE__ */ __name(({ input }) => ({
    ...input,
    version: input.version - 1,
    arrived: 0,
    rows: 0,
    gradients: 0,
    step: 0,
    attempt: 0,
    wanted: 0,
    microbatch: 0
  }), "context"),
  initial: "loading",
  on: {
    "weights.publish": [
      {
        guard: "completesVersion",
        target: ".serving",
        actions: assign({ version: /* @__PURE__ */ __name(({ event }) => event.version, "version"), arrived: 0 })
      },
      {
        actions: assign({ arrived: /* @__PURE__ */ __name(({ context, event }) => context.arrived + numberIn(event, "elements"), "arrived") })
      }
    ],
    "rows.dispatch": {
      actions: [
        "acceptRows",
        assign({
          rows: /* @__PURE__ */ __name(({ context }) => context.rows + 1, "rows"),
          step: /* @__PURE__ */ __name(({ event }) => event.step, "step"),
          attempt: /* @__PURE__ */ __name(({ event }) => event.attempt, "attempt"),
          wanted: /* @__PURE__ */ __name(({ event }) => event.version, "wanted"),
          microbatch: /* @__PURE__ */ __name(({ event }) => event.microbatch, "microbatch")
        })
      ]
    },
    "attempt.abandon": {
      target: ".loading",
      actions: [assign({ version: -1, arrived: 0, rows: 0, gradients: 0 }), "abandon"]
    }
  },
  states: {
    /** Weights are on their way; rows of a faster rank wait here. */
    loading: {},
    serving: {
      initial: "gathering",
      states: {
        gathering: {
          on: {
            "gradients.dispatch": {
              actions: ["acceptGradients", assign({ gradients: /* @__PURE__ */ __name(({ context }) => context.gradients + 1, "gradients") })]
            }
          },
          always: [
            { guard: "canForward", target: "forwarding" },
            { guard: "canBackward", target: "backwarding" }
          ]
        },
        forwarding: {
          entry: [assign({ rows: 0 }), "forward"],
          on: { "experts.forwarded": { target: "gathering", actions: "returnRows" } }
        },
        backwarding: {
          entry: [assign({ gradients: 0 }), "backward"],
          on: { "experts.backwarded": { target: "gathering", actions: "returnGradients" } }
        }
      }
    }
  }
});

// actors/dist/expert/index.js
function mountExpert(replica, layer) {
  return (self2) => {
    const { from, to } = replica.expertBuffers(layer);
    const input = {
      version: replica.job.first.step,
      numElements: to - from,
      numSources: replica.job.ep
    };
    return {
      machine: expertMachine,
      input,
      effects: expertEffects(self2, replica, layer),
      ...replica.fence(fencedByExpert)
    };
  };
}
__name(mountExpert, "mountExpert");

// actors/dist/feeder/machine.js
var feederMachine = setup({
  types: { events: {} },
  actions: { feedStep: /* @__PURE__ */ __name(() => {
  }, "feedStep"), feedEvaluation: /* @__PURE__ */ __name(() => {
  }, "feedEvaluation") }
}).createMachine({
  id: "feeder",
  initial: "serving",
  states: {
    serving: {
      on: {
        "batch.prefetch": { actions: "feedStep" },
        "evaluation.prefetch": { actions: "feedEvaluation" }
      }
    }
  }
});

// actors/dist/feeder/index.js
function mountFeeder(job, dp, source) {
  const shape = jobShape(job);
  return (self2) => {
    const effects = {
      feedStep: /* @__PURE__ */ __name(({ step }) => {
        let targets = 0;
        let tokens = 0;
        for (let microbatch = 0; microbatch < job.microbatches; microbatch++) {
          const first = dp * shape.replicaSequences + microbatch * shape.microbatchSequences;
          const batch = source.trainBatch(step, first, shape.microbatchSequences);
          targets += numValidTargets(batch.targets_T);
          tokens += numValidTokens(batch.valid_T);
          const tensors = [batch.ids_T, batch.targets_T, batch.firstSeen_T, batch.valid_T];
          self2.tell(addresses2.stage(dp), "batch.ready", { step, microbatch, tensors });
        }
        self2.tell(addresses2.trainer, "batch.counted", { step, body: { targets, tokens } });
      }, "feedStep"),
      feedEvaluation: /* @__PURE__ */ __name(({ step, attempt: attempt2, microbatch }) => {
        const perPass = job.dp * shape.microbatchSequences;
        const batch = source.evalBatch(microbatch * perPass + dp * shape.microbatchSequences, shape.microbatchSequences);
        const tensors = [batch.ids_T, batch.targets_T, batch.firstSeen_T, batch.valid_T];
        self2.tell(addresses2.stage(dp), "evaluation.ready", {
          step,
          attempt: attempt2,
          microbatch,
          tensors,
          body: { targets: numValidTargets(batch.targets_T) }
        });
      }, "feedEvaluation")
    };
    return { machine: feederMachine, input: void 0, effects };
  };
}
__name(mountFeeder, "mountFeeder");

// actors/dist/gate/effects.js
function gateEffects(self2, replica, layer) {
  const { job, dp, device, shape } = replica;
  const { edp, ep: ownRank } = expertRank(job, dp);
  const ranks = expertGroup(job, dp).map((_, rank) => rank);
  const experts = ranks.map((rank) => addresses2.expert(layer, rank, edp));
  const stage = addresses2.stage(dp);
  const config = job.model;
  const moe = config.moe;
  assert(moe !== null, "only models with experts have gates");
  const forced = /* @__PURE__ */ new Map();
  const current = /* @__PURE__ */ __name((context) => replica.context(context.version, context), "current");
  const batch = /* @__PURE__ */ __name(() => {
    assert(replica.batch, "the stage sets the batch before it asks its gates");
    return replica.batch;
  }, "batch");
  const firstToken = /* @__PURE__ */ __name(({ mode, microbatch }) => (mode === "evaluate" ? (microbatch * job.dp + dp) * shape.microbatchSequences : dp * shape.replicaSequences + microbatch * shape.microbatchSequences) * config.seqLen, "firstToken");
  const choices = /* @__PURE__ */ __name((context) => {
    const tokens = shape.microbatchSequences * config.seqLen;
    if (job.gate !== void 0) {
      const { logits_TE } = current(context).act.moe(layer);
      const question = {
        tokens,
        experts: moe.experts,
        topK: moe.topK,
        step: context.step,
        layer,
        firstToken: firstToken(context)
      };
      return job.gate.choose(logits_TE, question);
    }
    if (moe.choice === "learned")
      return null;
    const first = firstToken(context);
    let known2 = forced.get(first);
    if (known2 === void 0) {
      known2 = forcedChoices(config, tokens, first);
      forced.set(first, known2);
    }
    return known2;
  }, "choices");
  const place = /* @__PURE__ */ __name((context) => ({
    step: context.step,
    attempt: context.attempt,
    version: context.version,
    layer,
    microbatch: context.microbatch
  }), "place");
  const waitForRanks = /* @__PURE__ */ __name((context, reason) => self2.wait({
    name: "experts",
    awaited: experts,
    reason,
    step: context.step,
    layer,
    microbatch: context.microbatch,
    deadlineMs: job.deadlines.stepMs
  }), "waitForRanks");
  const accept = /* @__PURE__ */ __name((event, part) => {
    const [rows] = event.tensors;
    if (rows !== void 0) {
      part.data.set(rows);
      self2.free([rows]);
    }
    self2.answered("experts", event.from);
  }, "accept");
  const rankOf = /* @__PURE__ */ __name((event) => numberIn(event, "rank"), "rankOf");
  return {
    score: /* @__PURE__ */ __name((_event, context) => self2.submit(device, gateLogits(current(context), layer), "logits.computed", place(context)), "score"),
    route: /* @__PURE__ */ __name((_event, context) => {
      const calls = gateForward(current(context), layer, batch(), {
        ranks: job.ep,
        choicesGiven: choices(context)
      });
      self2.submit(device, job.gate === void 0 ? calls : calls.slice(1), "routing.planned", place(context));
    }, "route"),
    pack: /* @__PURE__ */ __name((_event, context) => {
      const calls = ranks.flatMap((rank) => packTokens(current(context), layer, rank));
      self2.submit(device, calls, "tokens.packed", place(context));
    }, "pack"),
    dispatch: /* @__PURE__ */ __name((_event, context) => {
      const ctx = current(context);
      waitForRanks(context, "outputs of its rows");
      for (const rank of ranks) {
        const source = expertSource(ctx, layer, rank);
        const tensors = [source.x_UD, source.slots_N, source.counts_EG];
        if (rank === ownRank)
          tensors.push(returnedRows(ctx, layer, rank).data);
        const to = experts[rank];
        assert(to, "every rank has an expert group", { rank });
        self2.tell(to, "rows.dispatch", {
          ...place(context),
          tensors,
          body: { source: ownRank, mode: context.mode }
        });
      }
    }, "dispatch"),
    acceptRows: /* @__PURE__ */ __name((event, context) => accept(event, returnedRows(current(context), layer, rankOf(event))), "acceptRows"),
    combine: /* @__PURE__ */ __name((_event, context) => {
      self2.endWait("experts");
      const ctx = current(context);
      const parts = ranks.map((rank) => returnedRows(ctx, layer, rank));
      replica.chain(self2, combineForward(ctx, layer, parts), "outputs.combined", place(context));
    }, "combine"),
    finishForward: /* @__PURE__ */ __name((_event, context) => self2.tell(stage, "forward.done", place(context)), "finishForward"),
    weigh: /* @__PURE__ */ __name((_event, context) => {
      const ctx = current(context);
      const parts = ranks.map((rank) => returnedRows(ctx, layer, rank));
      const calls = [
        ...combineBackward(ctx, layer, parts),
        ...ranks.flatMap((rank) => packGradients(ctx, layer, rank))
      ];
      replica.chain(self2, calls, "gradients.packed", place(context));
    }, "weigh"),
    dispatchGradients: /* @__PURE__ */ __name((_event, context) => {
      const ctx = current(context);
      waitForRanks(context, "gradients of its rows");
      for (const rank of ranks) {
        const source = expertGradientSource(ctx, layer, rank);
        const tensors = [source.dOut_UD, source.rowWeights_N];
        if (rank === ownRank)
          tensors.push(returnedGradients(ctx, layer, rank).data);
        const to = experts[rank];
        assert(to, "every rank has an expert group", { rank });
        self2.tell(to, "gradients.dispatch", {
          ...place(context),
          tensors,
          body: { source: ownRank, last: context.last }
        });
      }
      self2.tell(stage, "rows.left", place(context));
    }, "dispatchGradients"),
    acceptGradients: /* @__PURE__ */ __name((event, context) => accept(event, returnedGradients(current(context), layer, rankOf(event))), "acceptGradients"),
    backward: /* @__PURE__ */ __name((_event, context) => {
      self2.endWait("experts");
      const ctx = current(context);
      const parts = ranks.map((rank) => returnedGradients(ctx, layer, rank));
      const { balance } = replica;
      assert(balance, "the stage sets the balance coefficients before a backward pass");
      const fractions = balance.fractions(layer);
      const options = {
        auxScale: balance.auxScale,
        zScale: balance.zScale,
        ...fractions === null ? {} : { fractions }
      };
      replica.chain(self2, gateBackward(ctx, layer, batch(), parts, options), "gate.backwarded", place(context));
    }, "backward"),
    abandon: /* @__PURE__ */ __name(() => self2.endWait("experts"), "abandon"),
    finishBackward: /* @__PURE__ */ __name((_event, context) => self2.tell(stage, "backward.done", place(context)), "finishBackward")
  };
}
__name(gateEffects, "gateEffects");

// actors/dist/gate/machine.js
var passOf = /* @__PURE__ */ __name((event) => ({
  step: event.step,
  attempt: event.attempt,
  version: event.version,
  microbatch: event.microbatch,
  mode: passMode(event.body["mode"])
}), "passOf");
var fencedByGate = [
  "forward.run",
  "logits.computed",
  "routing.planned",
  "tokens.packed",
  "rows.return",
  "outputs.combined",
  "backward.run",
  "gradients.packed",
  "gradients.return",
  "gate.backwarded"
];
var gateMachine = setup({
  types: { context: {}, events: {}, input: {} },
  actions: {
    score: /* @__PURE__ */ __name(() => {
    }, "score"),
    route: /* @__PURE__ */ __name(() => {
    }, "route"),
    pack: /* @__PURE__ */ __name(() => {
    }, "pack"),
    dispatch: /* @__PURE__ */ __name(() => {
    }, "dispatch"),
    acceptRows: /* @__PURE__ */ __name(() => {
    }, "acceptRows"),
    combine: /* @__PURE__ */ __name(() => {
    }, "combine"),
    finishForward: /* @__PURE__ */ __name(() => {
    }, "finishForward"),
    weigh: /* @__PURE__ */ __name(() => {
    }, "weigh"),
    dispatchGradients: /* @__PURE__ */ __name(() => {
    }, "dispatchGradients"),
    acceptGradients: /* @__PURE__ */ __name(() => {
    }, "acceptGradients"),
    backward: /* @__PURE__ */ __name(() => {
    }, "backward"),
    finishBackward: /* @__PURE__ */ __name(() => {
    }, "finishBackward"),
    abandon: /* @__PURE__ */ __name(() => {
    }, "abandon")
  },
  guards: {
    choosesItself: /* @__PURE__ */ __name(({ context }) => context.choosesItself, "choosesItself"),
    oneRank: /* @__PURE__ */ __name(({ context }) => context.numRanks === 1, "oneRank"),
    allReturned: /* @__PURE__ */ __name(({ context }) => context.returned + 1 === context.numRanks, "allReturned")
  }
}).createMachine({
  id: "gate",
  context: /* @__PURE__ */ __name(({ input }) => ({
    ...input,
    step: 0,
    attempt: 0,
    version: 0,
    microbatch: 0,
    mode: "train",
    last: false,
    returned: 0
  }), "context"),
  initial: "idle",
  on: { "attempt.abandon": { target: ".idle", actions: "abandon" } },
  states: {
    idle: {
      on: {
        "forward.run": [
          { guard: "choosesItself", target: "scoring", actions: assign(({ event }) => passOf(event)) },
          { target: "planning", actions: assign(({ event }) => passOf(event)) }
        ],
        "backward.run": {
          target: "weighing",
          actions: assign({
            last: /* @__PURE__ */ __name(({ event }) => flagIn(event, "last"), "last"),
            microbatch: /* @__PURE__ */ __name(({ event }) => event.microbatch, "microbatch")
          })
        }
      }
    },
    /** Logits for a gate that chooses on its own. */
    scoring: { entry: "score", on: { "logits.computed": { target: "planning" } } },
    planning: {
      entry: "route",
      on: {
        "routing.planned": [
          { guard: "oneRank", target: "awaitingRows", actions: "dispatch" },
          { target: "packing" }
        ]
      }
    },
    packing: { entry: "pack", on: { "tokens.packed": { target: "awaitingRows", actions: "dispatch" } } },
    awaitingRows: {
      entry: assign({ returned: 0 }),
      on: {
        "rows.return": [
          { guard: "allReturned", target: "combining", actions: "acceptRows" },
          { actions: ["acceptRows", assign({ returned: /* @__PURE__ */ __name(({ context }) => context.returned + 1, "returned") })] }
        ]
      }
    },
    combining: { entry: "combine", on: { "outputs.combined": { target: "idle", actions: "finishForward" } } },
    weighing: {
      entry: "weigh",
      on: { "gradients.packed": { target: "awaitingGradients", actions: "dispatchGradients" } }
    },
    awaitingGradients: {
      entry: assign({ returned: 0 }),
      on: {
        "gradients.return": [
          { guard: "allReturned", target: "finishing", actions: "acceptGradients" },
          { actions: ["acceptGradients", assign({ returned: /* @__PURE__ */ __name(({ context }) => context.returned + 1, "returned") })] }
        ]
      }
    },
    finishing: {
      entry: "backward",
      on: { "gate.backwarded": { target: "idle", actions: "finishBackward" } }
    }
  }
});

// actors/dist/gate/index.js
function mountGate(replica, layer) {
  return (self2) => {
    const input = { numRanks: replica.job.ep, choosesItself: replica.job.gate !== void 0 };
    return {
      machine: gateMachine,
      input,
      effects: gateEffects(self2, replica, layer),
      ...replica.fence(fencedByGate)
    };
  };
}
__name(mountGate, "mountGate");

// actors/dist/optimizer/buddies.js
var hasTwin = /* @__PURE__ */ __name((job, parameterClass) => job.zero === 0 && numClassPeers(job, parameterClass) > 1, "hasTwin");
var isGuarded = /* @__PURE__ */ __name((job, parameterClass) => (job.buddyShift ?? 0) > 0 && !hasTwin(job, parameterClass), "isGuarded");
function buddyOf(job, parameterClass, dp) {
  return isGuarded(job, parameterClass) ? (dp + (job.buddyShift ?? 0)) % job.dp : null;
}
__name(buddyOf, "buddyOf");
function wardOf(job, parameterClass, dp) {
  return isGuarded(job, parameterClass) ? (dp - (job.buddyShift ?? 0) + job.dp) % job.dp : null;
}
__name(wardOf, "wardOf");

// actors/dist/optimizer/shard.js
function sliceOf(replica, parameterClass, dp) {
  const { layout } = replica.buffers(parameterClass);
  const { exchange } = new ClassExchange(replica.job, dp, parameterClass, layout);
  return exchange.part(exchange.numLevels);
}
__name(sliceOf, "sliceOf");
var Shard = class {
  static {
    __name(this, "Shard");
  }
  replica;
  parameterClass;
  /** Those that hold the same parameters, and who exchanges what with whom. */
  among;
  /** The slice whose gradient sum this shard completes and votes with. */
  reduces;
  /** The slice whose weights and moments it owns: the same under ZeRO 1, everything under ZeRO 0. */
  owns;
  length;
  /** The replicas that keep a copy of this state and whose state is kept here; null: nobody. */
  buddy;
  ward;
  constructor(replica, parameterClass) {
    this.replica = replica;
    this.parameterClass = parameterClass;
    this.among = replica.exchange(parameterClass);
    this.length = replica.buffers(parameterClass).layout.length;
    const { exchange } = this.among;
    this.reduces = exchange.part(exchange.numLevels);
    this.owns = replica.job.zero === 0 ? exchange.part(0) : this.reduces;
    this.buddy = buddyOf(replica.job, parameterClass, replica.dp);
    const ward = wardOf(replica.job, parameterClass, replica.dp);
    this.ward = ward === null ? null : { dp: ward, owns: sliceOf(replica, parameterClass, ward) };
  }
  get input() {
    const { exchange } = this.among;
    const slice = this.reduces.to - this.reduces.from;
    return {
      version: this.replica.job.first.step,
      expected: Array.from({ length: exchange.numLevels }, (_, level) => exchange.expected(level)),
      expectedTotals: this.replica.job.zero === 0 ? this.length - slice : 0,
      pieces: this.pieces(this.owns).length,
      owned: this.owns.to - this.owns.from,
      source: this.replica.job.first.step > 0 ? "snapshot" : "seed",
      joins: this.replica.joins,
      guarded: this.buddy === null ? 0 : this.owns.to - this.owns.from,
      wardSize: this.ward === null ? 0 : this.ward.owns.to - this.ward.owns.from
    };
  }
  /** The tensors' parts within `range`, in order; padding is in none. */
  pieces(range) {
    const { layout } = this.replica.buffers(this.parameterClass);
    return layout.units.flatMap((unit, index) => {
      const start = layout.starts[index] ?? 0;
      return unit.parameters.flatMap((parameter) => {
        const first = start + parameter.offset;
        const flat = intersect(range, { from: first, to: first + parameter.size });
        return flat === null ? [] : [{ parameter, offset: flat.from - first, flat }];
      });
    });
  }
};
function readers({ replica, parameterClass }, whole) {
  if (parameterClass === "dense")
    return whole.from < whole.to ? [{ to: addresses2.stage(replica.dp), range: whole }] : [];
  const { ep, edp } = expertRank(replica.job, replica.dp);
  return replica.shape.layers.flatMap((layer) => {
    const range = intersect(whole, replica.expertBuffers(layer));
    return range === null ? [] : [{ to: addresses2.expert(layer, ep, edp), range }];
  });
}
__name(readers, "readers");

// actors/dist/optimizer/spread.js
var Spread = class {
  static {
    __name(this, "Spread");
  }
  #exchange;
  #arrived;
  #round = "";
  #hasOwn = false;
  /** The level to which the next part goes, less one: all above have theirs. */
  #level;
  constructor(exchange) {
    this.#exchange = exchange;
    this.#arrived = Array.from({ length: exchange.numLevels }, () => 0);
    this.#level = exchange.numLevels;
  }
  /** The own slice is complete. */
  own(round) {
    this.#begin(round);
    this.#hasOwn = true;
    return this.#advance();
  }
  /** `elements` came from a member of the group at `level`. */
  accept(round, level, elements) {
    this.#begin(round);
    this.#arrived[level] = (this.#arrived[level] ?? 0) + elements;
    return this.#advance();
  }
  #begin(round) {
    if (round === this.#round)
      return;
    this.#round = round;
    this.#hasOwn = false;
    this.#arrived.fill(0);
    this.#level = this.#exchange.numLevels;
  }
  #advance() {
    const passed = [];
    while (this.#hasOwn && this.#level > 0 && this.#holds(this.#level)) {
      passed.push({ level: this.#level - 1, part: this.#exchange.part(this.#level) });
      this.#level--;
    }
    return passed;
  }
  /** Whether the part behind `level` levels is complete, given that the one behind the next is. */
  #holds(level) {
    if (level === this.#exchange.numLevels)
      return true;
    const [whole, inner] = [this.#exchange.part(level), this.#exchange.part(level + 1)];
    return this.#arrived[level] === whole.to - whole.from - (inner.to - inner.from);
  }
};

// actors/dist/optimizer/ward.js
var Ward = class {
  static {
    __name(this, "Ward");
  }
  owns;
  #weights;
  #m;
  #v;
  #sums;
  /** @param like - the buddy's own gradients, whose kinds are those of the ward */
  constructor(device, owns, like) {
    const size = owns.to - owns.from;
    this.owns = owns;
    this.#weights = device.floats(size);
    this.#m = device.floats(size);
    this.#v = device.floats(size);
    this.#sums = like.slices(owns.from, owns.to).map(({ from, to, values }) => ({
      from,
      to,
      values: values instanceof BigInt64Array ? device.int64s(to - from) : device.floats(to - from)
    }));
  }
  keepState(from, tensors) {
    const [weights, m, v] = tensors;
    const at = from - this.owns.from;
    this.#weights.set(weights, at);
    this.#m.set(m, at);
    this.#v.set(v, at);
  }
  keepSum(from, values) {
    const kept = this.#sums.find((each) => each.from <= from && from < each.to);
    assert(kept, "a ward sends what it owns", { from });
    if (kept.values instanceof BigInt64Array)
      kept.values.set(values, from - kept.from);
    else
      kept.values.set(values, from - kept.from);
  }
  /** Weights and moments of `range`, for the ward's next life. */
  state({ from, to }) {
    const [first, end] = [from - this.owns.from, to - this.owns.from];
    return [this.#weights, this.#m, this.#v].map((each) => each.subarray(first, end));
  }
  /** BUD-2: the calls that the ward makes for the same decision. */
  updates(rates) {
    return this.#sums.map(({ from, to, values }) => {
      const [weights, m, v] = this.state({ from, to });
      return { op: "adamw", weights, out: weights, m, v, gradient: values, ...rates };
    });
  }
};

// actors/dist/optimizer/effects.js
var roundOf = /* @__PURE__ */ __name((number, attempt2) => `${number}/${attempt2}`, "roundOf");
function optimizerEffects(self2, shard) {
  const { replica, parameterClass, owns, reduces, among } = shard;
  const { job, device } = replica;
  const buffers = replica.buffers(parameterClass);
  const { gradients } = buffers;
  const numOwned = owns.to - owns.from;
  const moments = { m: device.floats(numOwned), v: device.floats(numOwned) };
  let hasMoments = false;
  const norm1282 = device.int64s(2);
  const ward = shard.ward === null ? null : new Ward(device, shard.ward.owns, gradients);
  const buddy = shard.buddy === null ? null : addresses2.optimizer(parameterClass, shard.buddy);
  const aside = [];
  const store2 = addresses2.store(0);
  const ownWeights = /* @__PURE__ */ __name((version) => buffers.at(version).data.subarray(owns.from, owns.to), "ownWeights");
  const spread = new Spread(among.exchange);
  const updates = /* @__PURE__ */ __name((decided, version) => {
    const { apply, ...decidedRates } = decided;
    const { beta1, beta2, eps, weightDecay } = job.optimizer;
    const rates = { ...decidedRates, beta1, beta2, eps, weightDecay };
    const [before, after] = [buffers.at(version).data, buffers.at(version + 1).data];
    if (!apply) {
      const [from, out] = [ownWeights(version), ownWeights(version + 1)];
      return before === after ? [] : [{ op: "copy", from, out }];
    }
    const own = gradients.slices(owns.from, owns.to).map(({ from, to, values }) => ({
      op: "adamw",
      weights: before.subarray(from, to),
      out: after.subarray(from, to),
      m: moments.m.subarray(from - owns.from, to - owns.from),
      v: moments.v.subarray(from - owns.from, to - owns.from),
      gradient: values,
      ...rates
    }));
    return ward === null ? own : [...own, ...ward.updates(rates)];
  }, "updates");
  const ownState = /* @__PURE__ */ __name((range, version) => {
    const [from, end] = [range.from - owns.from, range.to - owns.from];
    return [ownWeights(version), moments.m, moments.v].map((each) => each.subarray(from, end));
  }, "ownState");
  const acceptState = /* @__PURE__ */ __name((event, version) => {
    hasMoments = true;
    const from = numberIn(event, "from");
    const [weights, m, v] = event.tensors;
    buffers.at(version).data.set(weights, from);
    moments.m.set(m, from - owns.from);
    moments.v.set(v, from - owns.from);
  }, "acceptState");
  const announce = /* @__PURE__ */ __name((range, { version, attempt: attempt2 }) => {
    for (const { to, range: part } of readers(shard, range)) {
      const body = { ...part, elements: part.to - part.from };
      self2.tell(to, "weights.publish", { version, attempt: attempt2, body });
    }
  }, "announce");
  const pass = /* @__PURE__ */ __name((kind, passed, fields2, at) => {
    for (const { level, part } of passed) {
      for (const { dp } of among.others(level)) {
        const to = addresses2.optimizer(parameterClass, dp);
        for (const chunk of chunks(part))
          self2.tell(to, kind, { ...fields2, body: { ...chunk, level }, tensors: [at(chunk)] });
      }
    }
  }, "pass");
  const passWeights = /* @__PURE__ */ __name((passed, { version, attempt: attempt2 }) => pass("weights.spread", passed, { version, attempt: attempt2 }, ({ from, to }) => buffers.at(version).data.subarray(from, to)), "passWeights");
  const passTotals = /* @__PURE__ */ __name((passed, { step, attempt: attempt2 }) => pass("gradient.total", passed, { step, attempt: attempt2 }, ({ from, to }) => gradients.sum(from, to).values), "passTotals");
  const publish = /* @__PURE__ */ __name(({ version, attempt: attempt2 }) => {
    announce(owns, { version, attempt: attempt2 });
    if (job.zero === 1)
      passWeights(spread.own(roundOf(version, attempt2)), { version, attempt: attempt2 });
  }, "publish");
  const acknowledge = /* @__PURE__ */ __name((event) => {
    const { step, version, attempt: attempt2 } = event;
    const body = { from: numberIn(event, "from"), to: numberIn(event, "to") };
    self2.tell(event.from, "ward.kept", { step, version, attempt: attempt2, body });
  }, "acknowledge");
  return {
    initialise: /* @__PURE__ */ __name((_event, context) => {
      const { layout } = buffers;
      const weights = buffers.at(context.version).data;
      if (hasMoments) {
        moments.m.fill(0);
        moments.v.fill(0);
      }
      hasMoments = true;
      const calls = layout.units.flatMap((unit, index) => {
        const start = layout.starts[index] ?? 0;
        const part = intersect(owns, { from: start, to: start + unit.size });
        return part === null ? [] : initialise(unit, job.seed, weights.subarray(part.from, part.to), part.from - start);
      });
      self2.submit(device, calls, "parameters.initialised", { attempt: context.attempt });
    }, "initialise"),
    askSlices: /* @__PURE__ */ __name((_event, { attempt: attempt2 }) => {
      shard.pieces(owns).forEach(({ parameter, offset, flat }) => {
        const body = { name: parameter.name, offset, length: flat.to - flat.from, from: flat.from };
        const options = { deadlineMs: job.deadlines.loadMs, reason: `state of ${parameter.name}` };
        self2.ask(store2, "slices.read", { attempt: attempt2, body }, options);
      });
    }, "askSlices"),
    acceptSlice: /* @__PURE__ */ __name((event, context) => acceptState(event, context.version), "acceptSlice"),
    acceptState: /* @__PURE__ */ __name((event, context) => acceptState(event, context.version), "acceptState"),
    failLoading: /* @__PURE__ */ __name((event) => {
      assert(event.error, "a failed ask carries its error");
      self2.fail(deserializeError(event.error));
    }, "failLoading"),
    publishFirst: /* @__PURE__ */ __name((_event, context) => {
      publish(context);
      if (buddy === null)
        return;
      const { version, attempt: attempt2 } = context;
      for (const chunk of chunksOf(owns))
        self2.tell(buddy, "ward.state", {
          version,
          attempt: attempt2,
          body: { ...chunk },
          tensors: ownState(chunk, version)
        });
    }, "publishFirst"),
    reportLoaded: /* @__PURE__ */ __name((_event, { version, attempt: attempt2 }) => self2.tell(addresses2.trainer, "shard.loaded", { version, attempt: attempt2 }), "reportLoaded"),
    guardSum: /* @__PURE__ */ __name(({ step, attempt: attempt2 }) => {
      if (buddy === null)
        return;
      for (const slice of gradients.slices(owns.from, owns.to)) {
        for (const chunk of chunks(slice)) {
          const values = slice.values.subarray(chunk.from - slice.from, chunk.to - slice.from);
          self2.tell(buddy, "ward.sum", { step, attempt: attempt2, body: { ...chunk }, tensors: [values] });
        }
      }
    }, "guardSum"),
    keepState: /* @__PURE__ */ __name((event) => {
      assert(ward, "a ward sends its state to its buddy", { from: event.from });
      ward.keepState(numberIn(event, "from"), event.tensors);
      acknowledge(event);
    }, "keepState"),
    keepSum: /* @__PURE__ */ __name((event) => {
      assert(ward, "a ward sends its sum to its buddy", { from: event.from });
      ward.keepSum(numberIn(event, "from"), event.tensors[0]);
      acknowledge(event);
    }, "keepSum"),
    setAside: /* @__PURE__ */ __name((event) => {
      aside.push(event);
    }, "setAside"),
    takeUp: /* @__PURE__ */ __name(() => {
      for (const { type, from: _from, error: _error, kernelMs: _kernelMs, correlation: _correlation, ...fields2 } of aside.splice(0))
        self2.post(type, fields2);
    }, "takeUp"),
    reset: /* @__PURE__ */ __name((_event, { attempt: attempt2 }) => self2.submit(device, gradients.reset(), "sums.reset", { attempt: attempt2 }), "reset"),
    abandon: /* @__PURE__ */ __name(() => {
      aside.length = 0;
    }, "abandon"),
    reportAbandoned: /* @__PURE__ */ __name((_event, { attempt: attempt2, version, loaded, ward: copy2 }) => {
      const kept = shard.ward !== null && copy2.version >= 0 ? { ward: addresses2.optimizer(parameterClass, shard.ward.dp), wardVersion: copy2.version } : {};
      self2.tell(addresses2.trainer, "attempt.abandoned", { attempt: attempt2, version, body: { loaded, ...kept } });
    }, "reportAbandoned"),
    sendState: /* @__PURE__ */ __name((event, { version, attempt: attempt2 }) => {
      const to = address(textIn(event, "to"));
      const copy2 = flagIn(event, "fromCopy") ? ward : null;
      for (const chunk of chunksOf(copy2?.owns ?? owns)) {
        const tensors = copy2?.state(chunk) ?? ownState(chunk, version);
        self2.tell(to, "state.slice", { version: event.version, attempt: attempt2, body: { ...chunk }, tensors });
      }
    }, "sendState"),
    add: /* @__PURE__ */ __name((event) => {
      const [leaf] = event.tensors;
      if (leaf === void 0)
        return;
      const range = { from: numberIn(event, "from"), to: numberIn(event, "to") };
      const call = {
        op: "sum.add",
        sum: gradients.sum(range.from, range.to),
        other: leaf,
        otherOverflow: numberIn(event, "overflow")
      };
      self2.submit(device, [call], "gradient.added", { step: event.step, attempt: event.attempt });
    }, "add"),
    measureNorm: /* @__PURE__ */ __name((_event, context) => {
      norm1282.fill(0n);
      const calls = gradients.slices(reduces.from, reduces.to).map(({ values }) => ({ op: "sum.squares", gradient: values, norm128: norm1282 }));
      self2.submit(device, calls, "norm.measured", {
        step: context.version + 1,
        attempt: context.attempt
      });
    }, "measureNorm"),
    vote: /* @__PURE__ */ __name((_event, { version, attempt: attempt2 }) => {
      self2.tell(addresses2.trainer, "gradient.vote", {
        step: version + 1,
        attempt: attempt2,
        tensors: [norm1282.slice()],
        body: { overflow: gradients.overflow[0] !== 0 }
      });
    }, "vote"),
    // Behind all that the device still has to add, so that what is passed on is the sum.
    settle: /* @__PURE__ */ __name((_event, { attempt: attempt2, version }) => self2.submit(device, [], "sums.settled", { step: version + 1, attempt: attempt2 }), "settle"),
    passOn: /* @__PURE__ */ __name(({ step, attempt: attempt2 }, { level }) => {
      const within = among.exchange.part(level);
      sendLeaves(self2, replica, among, { parameterClass, level, within, step, attempt: attempt2 });
    }, "passOn"),
    shareTotal: /* @__PURE__ */ __name(({ step, attempt: attempt2 }) => {
      if (job.zero === 0)
        passTotals(spread.own(roundOf(step, attempt2)), { step, attempt: attempt2 });
    }, "shareTotal"),
    acceptTotal: /* @__PURE__ */ __name((event) => {
      const { step, attempt: attempt2 } = event;
      const [from, to] = [numberIn(event, "from"), numberIn(event, "to")];
      gradients.sum(from, to).values.set(event.tensors[0]);
      const passed = spread.accept(roundOf(step, attempt2), numberIn(event, "level"), to - from);
      passTotals(passed, { step, attempt: attempt2 });
    }, "acceptTotal"),
    acceptSpread: /* @__PURE__ */ __name((event) => {
      const { version, attempt: attempt2 } = event;
      const range = { from: numberIn(event, "from"), to: numberIn(event, "to") };
      const [values] = event.tensors;
      buffers.at(version).data.set(values, range.from);
      self2.free([values]);
      announce(range, { version, attempt: attempt2 });
      const length = range.to - range.from;
      const passed = spread.accept(roundOf(version, attempt2), numberIn(event, "level"), length);
      passWeights(passed, { version, attempt: attempt2 });
    }, "acceptSpread"),
    apply: /* @__PURE__ */ __name((event, context) => {
      const calls = [...updates(decisionIn(event), context.version), ...gradients.reset()];
      self2.submit(device, calls, "weights.applied", {
        step: context.version + 1,
        attempt: context.attempt
      });
    }, "apply"),
    publish: /* @__PURE__ */ __name((event, context) => {
      publish(context);
      self2.tell(addresses2.trainer, "commit.applied", {
        step: event.step,
        attempt: event.attempt,
        version: context.version
      });
    }, "publish"),
    snapshot: /* @__PURE__ */ __name((event, context) => {
      const weights = buffers.at(context.version).data;
      const pieces = shard.pieces(reduces).flatMap((piece) => [...chunks(piece.flat)].map((flat) => ({
        ...piece,
        flat,
        offset: piece.offset + flat.from - piece.flat.from
      })));
      for (const { parameter, offset, flat } of pieces) {
        const { from, to } = flat;
        const tensors = [
          weights.subarray(from, to),
          moments.m.subarray(from - owns.from, to - owns.from),
          moments.v.subarray(from - owns.from, to - owns.from)
        ];
        self2.tell(store2, "snapshot.slice", {
          step: event.step,
          attempt: event.attempt,
          version: context.version,
          body: { name: parameter.name, offset },
          tensors
        });
      }
      self2.tell(store2, "snapshot.sent", {
        step: event.step,
        attempt: event.attempt,
        version: context.version,
        body: { pieces: pieces.length }
      });
    }, "snapshot")
  };
}
__name(optimizerEffects, "optimizerEffects");
var chunksOf = /* @__PURE__ */ __name((range) => range.from < range.to ? chunks(range) : [range], "chunksOf");
function decisionIn(event) {
  return {
    apply: flagIn(event, "apply"),
    gradScale: numberIn(event, "gradScale"),
    learningRate: numberIn(event, "learningRate"),
    correction1: numberIn(event, "correction1"),
    correction2: numberIn(event, "correction2")
  };
}
__name(decisionIn, "decisionIn");

// actors/dist/optimizer/ward-copy.js
var noCopy = /* @__PURE__ */ __name((size) => ({ version: -1, attempt: 0, received: 0, size }), "noCopy");
function receivePart(copy2, part) {
  const { version, attempt: attempt2 } = part;
  const received = part.elements + (attempt2 === copy2.attempt ? copy2.received : 0);
  const isComplete = received === copy2.size || version === copy2.version;
  return { ...copy2, attempt: attempt2, received, version: isComplete ? version : -1 };
}
__name(receivePart, "receivePart");
var advance = /* @__PURE__ */ __name((copy2) => copy2.version < 0 ? copy2 : { ...copy2, version: copy2.version + 1 }, "advance");

// actors/dist/optimizer/machine.js
var count = /* @__PURE__ */ __name((event) => numberIn(event, "to") - numberIn(event, "from"), "count");
var fencedByOptimizer = [
  "parameters.initialised",
  "slices.read",
  "ask.failed",
  "gradient.add",
  "gradient.added",
  "gradient.total",
  "step.open",
  "sums.reset",
  "sums.settled",
  "norm.measured",
  "commit.decide",
  "snapshot.take",
  "shard.keep",
  "shard.send",
  "shard.restore",
  "state.slice",
  "weights.spread",
  "ward.state",
  "ward.sum",
  "ward.kept"
];
var nothingCollected = {
  opened: false,
  level: 0,
  received: [],
  totals: 0,
  kept: 0
};
var receivedAt = /* @__PURE__ */ __name(({ received }, level) => received[level] ?? 0, "receivedAt");
var optimizerMachine = setup({
  types: { context: {}, events: {}, input: {} },
  actions: {
    ignore: /* @__PURE__ */ __name(() => {
    }, "ignore"),
    initialise: /* @__PURE__ */ __name(() => {
    }, "initialise"),
    askSlices: /* @__PURE__ */ __name(() => {
    }, "askSlices"),
    acceptSlice: /* @__PURE__ */ __name(() => {
    }, "acceptSlice"),
    failLoading: /* @__PURE__ */ __name(() => {
    }, "failLoading"),
    publishFirst: /* @__PURE__ */ __name(() => {
    }, "publishFirst"),
    reportLoaded: /* @__PURE__ */ __name(() => {
    }, "reportLoaded"),
    guardSum: /* @__PURE__ */ __name(() => {
    }, "guardSum"),
    keepState: /* @__PURE__ */ __name(() => {
    }, "keepState"),
    keepSum: /* @__PURE__ */ __name(() => {
    }, "keepSum"),
    reset: /* @__PURE__ */ __name(() => {
    }, "reset"),
    add: /* @__PURE__ */ __name(() => {
    }, "add"),
    acceptTotal: /* @__PURE__ */ __name(() => {
    }, "acceptTotal"),
    setAside: /* @__PURE__ */ __name(() => {
    }, "setAside"),
    settle: /* @__PURE__ */ __name(() => {
    }, "settle"),
    passOn: /* @__PURE__ */ __name(() => {
    }, "passOn"),
    acceptSpread: /* @__PURE__ */ __name(() => {
    }, "acceptSpread"),
    measureNorm: /* @__PURE__ */ __name(() => {
    }, "measureNorm"),
    vote: /* @__PURE__ */ __name(() => {
    }, "vote"),
    shareTotal: /* @__PURE__ */ __name(() => {
    }, "shareTotal"),
    apply: /* @__PURE__ */ __name(() => {
    }, "apply"),
    publish: /* @__PURE__ */ __name(() => {
    }, "publish"),
    takeUp: /* @__PURE__ */ __name(() => {
    }, "takeUp"),
    snapshot: /* @__PURE__ */ __name(() => {
    }, "snapshot"),
    abandon: /* @__PURE__ */ __name(() => {
    }, "abandon"),
    reportAbandoned: /* @__PURE__ */ __name(() => {
    }, "reportAbandoned"),
    sendState: /* @__PURE__ */ __name(() => {
    }, "sendState"),
    acceptState: /* @__PURE__ */ __name(() => {
    }, "acceptState"),
    beginAnew: assign(({ event }) => ({ ...nothingCollected, opened: true, attempt: event.attempt })),
    countAdded: assign({
      received: /* @__PURE__ */ __name(({ context, event }) => {
        const level = numberIn(event, "level");
        const received = context.expected.map((_, index) => receivedAt(context, index));
        received[level] = receivedAt(context, level) + count(event);
        return received;
      }, "received")
    }),
    countKept: assign({ kept: /* @__PURE__ */ __name(({ context, event }) => context.kept + count(event), "kept") }),
    countPart: assign({
      ward: /* @__PURE__ */ __name(({ context, event }) => receivePart(context.ward, {
        version: event.version,
        attempt: event.attempt,
        elements: count(event)
      }), "ward")
    }),
    countTotal: assign({ totals: /* @__PURE__ */ __name(({ context, event }) => context.totals + count(event), "totals") }),
    countState: assign({
      version: /* @__PURE__ */ __name(({ event }) => event.version, "version"),
      loaded: false,
      copied: /* @__PURE__ */ __name(({ context, event }) => context.copied + count(event), "copied")
    })
  },
  guards: {
    joins: /* @__PURE__ */ __name(({ context }) => context.joins, "joins"),
    fromSnapshot: /* @__PURE__ */ __name(({ context }) => context.source === "snapshot", "fromSnapshot"),
    lastSlice: /* @__PURE__ */ __name(({ context }) => context.missing === 1, "lastSlice"),
    nothingMissing: /* @__PURE__ */ __name(({ context }) => context.missing === 0, "nothingMissing"),
    copied: /* @__PURE__ */ __name(({ context }) => context.copied === context.owned, "copied"),
    complete: /* @__PURE__ */ __name(({ context }) => context.opened && receivedAt(context, context.level) === context.expected[context.level], "complete"),
    completeInGroup: /* @__PURE__ */ __name(({ context }) => context.opened && context.level < context.expected.length - 1 && receivedAt(context, context.level) === context.expected[context.level], "completeInGroup"),
    isGuarded: /* @__PURE__ */ __name(({ context }) => context.kept === context.guarded, "isGuarded"),
    mayVote: /* @__PURE__ */ __name(({ context }) => context.totals === context.expectedTotals && context.kept === context.guarded, "mayVote"),
    isReplay: /* @__PURE__ */ __name(({ context, event }) => event.attempt > context.attempt, "isReplay"),
    isNextStep: /* @__PURE__ */ __name(({ context, event }) => event.step > context.version + 1, "isNextStep"),
    isApplied: /* @__PURE__ */ __name(({ context, event }) => event.version < context.version, "isApplied")
  }
}).createMachine({
  id: "optimizer",
  context: /* @__PURE__ */ __name(({ input: { wardSize, ...input } }) => ({
    ...input,
    ward: noCopy(wardSize),
    ...nothingCollected,
    attempt: 1,
    loaded: false,
    missing: input.pieces,
    copied: 0
  }), "context"),
  initial: "loading",
  on: {
    // Queued on the device in order, so their completions change nothing.
    "gradient.added": { actions: "ignore" },
    // Others may be at the next version already; what they pass on is for the buffer that nobody reads any more (REP-1).
    "weights.spread": { actions: "acceptSpread" },
    "sums.reset": { actions: "ignore" },
    "ward.state": { actions: ["countPart", "keepState"] },
    "ward.sum": { actions: "keepSum" },
    // An empty slice waits for no answer, and gets one.
    "ward.kept": { actions: "ignore" },
    // Who keeps the copy of a lost shard may have lost, or even regained, its own state.
    "shard.send": { actions: "sendState" },
    "commit.decide": { guard: "isApplied", actions: "ignore" },
    "attempt.abandon": {
      target: ".draining",
      actions: [assign({ ...nothingCollected, attempt: /* @__PURE__ */ __name(({ event }) => event.attempt, "attempt"), copied: 0 }), "abandon"]
    }
  },
  states: {
    loading: {
      initial: "choosing",
      states: {
        choosing: {
          always: [
            { guard: "joins", target: "#optimizer.abandoned" },
            { guard: "fromSnapshot", target: "reading" },
            { target: "drawing" }
          ]
        },
        drawing: { entry: "initialise", on: { "parameters.initialised": "#optimizer.publishing" } },
        reading: {
          entry: "askSlices",
          always: { guard: "nothingMissing", target: "#optimizer.publishing" },
          on: {
            "slices.read": [
              { guard: "lastSlice", target: "#optimizer.publishing", actions: "acceptSlice" },
              { actions: ["acceptSlice", assign({ missing: /* @__PURE__ */ __name(({ context }) => context.missing - 1, "missing") })] }
            ],
            "ask.failed": { actions: "failLoading" }
          }
        },
        /** A peer that holds the same state sends it. */
        copying: {
          always: { guard: "copied", target: "#optimizer.publishing" },
          on: { "state.slice": { actions: ["countState", "acceptState"] } }
        }
      },
      on: { "gradient.add": { actions: "setAside" }, "step.open": { actions: "setAside" } }
    },
    /** Readers get the weights, and the buddy all of the state: only then can a loss do no harm. */
    publishing: {
      entry: [assign({ loaded: true, kept: 0 }), "publishFirst"],
      on: { "ward.kept": { actions: "countKept" } },
      always: {
        guard: "isGuarded",
        target: "collecting",
        actions: ["reportLoaded", assign({ kept: 0 })]
      }
    },
    /** Sums of the step after `version` arrive. */
    collecting: {
      entry: "takeUp",
      on: {
        "step.open": [
          { guard: "isReplay", actions: ["beginAnew", "reset"] },
          { actions: assign({ opened: true }) }
        ],
        "gradient.add": [{ guard: "isNextStep", actions: "setAside" }, { actions: ["add", "countAdded"] }],
        "gradient.total": { actions: ["acceptTotal", "countTotal"] },
        "snapshot.take": { actions: "snapshot" }
      },
      always: [
        { guard: "completeInGroup", target: "passing" },
        { guard: "complete", target: "measuring" }
      ]
    },
    /** The group's sum goes on to those of other groups that complete its parts. */
    passing: {
      entry: "settle",
      on: {
        "sums.settled": {
          target: "collecting",
          actions: [assign({ level: /* @__PURE__ */ __name(({ context }) => context.level + 1, "level") }), "passOn"]
        },
        "gradient.add": { actions: ["add", "countAdded"] },
        "gradient.total": { actions: ["acceptTotal", "countTotal"] }
      }
    },
    measuring: {
      entry: "measureNorm",
      on: {
        "norm.measured": { target: "gathering", actions: ["shareTotal", "guardSum"] },
        "gradient.add": { actions: "setAside" },
        "gradient.total": { actions: ["acceptTotal", "countTotal"] }
      }
    },
    /** The own slice is summed; those of the peers come (ZeRO 0), or the buddy says that it holds the sum too. */
    gathering: {
      on: {
        "gradient.add": { actions: "setAside" },
        "gradient.total": { actions: ["acceptTotal", "countTotal"] },
        "ward.kept": { actions: "countKept" }
      },
      always: { guard: "mayVote", target: "voted", actions: "vote" }
    },
    /** The sum is complete; the trainer decides. */
    voted: {
      on: {
        "commit.decide": { target: "applying", actions: "apply" },
        "gradient.add": { actions: "setAside" },
        "step.open": { guard: "isReplay", target: "collecting", actions: ["beginAnew", "reset"] }
      }
    },
    applying: {
      on: {
        "weights.applied": {
          target: "collecting",
          actions: [
            assign({
              ...nothingCollected,
              version: /* @__PURE__ */ __name(({ context }) => context.version + 1, "version"),
              ward: /* @__PURE__ */ __name(({ context }) => advance(context.ward), "ward")
            }),
            "publish"
          ]
        },
        "gradient.add": { actions: "setAside" },
        "gradient.total": { actions: "setAside" },
        "step.open": { actions: "setAside" },
        "attempt.abandon": { actions: "setAside" }
      }
    },
    /** Nothing of the abandoned attempt may reach the sums of the next one. */
    draining: {
      entry: "reset",
      on: { "sums.reset": { target: "abandoned", actions: "reportAbandoned" } }
    },
    /** The trainer says where each shard's state is to come from. */
    abandoned: {
      on: {
        "shard.keep": "publishing",
        "state.slice": { target: "loading.copying", actions: ["countState", "acceptState"] },
        "shard.restore": {
          target: "loading",
          actions: assign({
            version: /* @__PURE__ */ __name(({ event }) => event.version, "version"),
            loaded: false,
            joins: false,
            missing: /* @__PURE__ */ __name(({ context }) => context.pieces, "missing"),
            source: /* @__PURE__ */ __name(({ event }) => textIn(event, "source") === "seed" ? "seed" : "snapshot", "source")
          })
        }
      }
    }
  }
});

// actors/dist/optimizer/index.js
function mountOptimizer(replica, parameterClass) {
  return (self2) => {
    const shard = new Shard(replica, parameterClass);
    return {
      machine: optimizerMachine,
      input: shard.input,
      effects: optimizerEffects(self2, shard),
      ...replica.fence(fencedByOptimizer)
    };
  };
}
__name(mountOptimizer, "mountOptimizer");

// actors/dist/stage/effects.js
var batchOf = /* @__PURE__ */ __name((event) => {
  const [ids_T, targets_T, firstSeen_T, valid_T] = event.tensors;
  return {
    ids_T,
    targets_T,
    firstSeen_T,
    valid_T
  };
}, "batchOf");
function denseRanges(replica) {
  const { units, starts, length } = replica.dense.layout;
  const rangeOf = /* @__PURE__ */ __name((belongs) => {
    const indices = units.map((_, index) => index).filter(belongs);
    const last = indices.at(-1) ?? 0;
    return { from: starts[indices[0] ?? 0] ?? 0, to: starts[last + 1] ?? length };
  }, "rangeOf");
  const embed = rangeOf((index) => units[index]?.id === "embed");
  return {
    embed,
    layer: /* @__PURE__ */ __name((layer) => rangeOf((index) => units[index]?.layer === layer), "layer"),
    tail: rangeOf((index) => units[index]?.layer === null && units[index]?.id !== "embed")
  };
}
__name(denseRanges, "denseRanges");
function stageEffects(self2, replica) {
  const { job, dp, device } = replica;
  const { model } = job;
  const batches = /* @__PURE__ */ new Map();
  const ranges = denseRanges(replica);
  const gates = new Map(replica.shape.layers.map((layer) => [layer, addresses2.gate(layer, dp)]));
  const gateOf = /* @__PURE__ */ __name((layer) => {
    const gate = gates.get(layer);
    assert(gate, "only layers with experts have a gate", { layer });
    return gate;
  }, "gateOf");
  const held = [];
  let targets = 0;
  let evaluated = 0;
  let evaluationBatch = null;
  const current = /* @__PURE__ */ __name((context) => replica.context(context.wanted, context), "current");
  const batchFor = /* @__PURE__ */ __name((context) => {
    const batch = context.mode === "evaluate" ? evaluationBatch : batches.get(`${context.step}/${context.microbatch}`);
    assert(batch, "the tokens of a pass are here before it begins", {
      step: context.step,
      microbatch: context.microbatch
    });
    return batch;
  }, "batchFor");
  const place = /* @__PURE__ */ __name((context) => ({
    step: context.step,
    attempt: context.attempt,
    version: context.wanted,
    layer: context.layer,
    microbatch: context.microbatch
  }), "place");
  const lastMicrobatch = /* @__PURE__ */ __name((context) => context.microbatch === job.microbatches - 1, "lastMicrobatch");
  const send = /* @__PURE__ */ __name((context, range) => sendGradients(self2, replica, {
    ...range,
    parameterClass: "dense",
    step: context.step,
    attempt: context.attempt
  }), "send");
  return {
    acceptBatch: /* @__PURE__ */ __name((event) => {
      batches.set(`${event.step}/${event.microbatch}`, batchOf(event));
    }, "acceptBatch"),
    acceptEvaluation: /* @__PURE__ */ __name((event) => {
      self2.endWait("evaluation");
      evaluationBatch = batchOf(event);
      replica.batch = evaluationBatch;
      evaluated += numberIn(event, "targets");
    }, "acceptEvaluation"),
    askEvaluation: /* @__PURE__ */ __name((_event, context) => {
      self2.tell(addresses2.feeder(dp), "evaluation.prefetch", place(context));
    }, "askEvaluation"),
    begin: /* @__PURE__ */ __name((_event, context) => {
      current(context).statistics.reset();
      evaluated = 0;
      if (context.mode === "evaluate")
        return;
      for (const key of batches.keys())
        if (Number(key.split("/")[0]) < context.step)
          batches.delete(key);
    }, "begin"),
    forwardAttention: /* @__PURE__ */ __name((_event, context) => {
      const ctx = current(context);
      const batch = batchFor(context);
      replica.batch = batch;
      const calls = [
        ...context.layer === 0 ? embedForward(ctx, batch) : [],
        ...attentionForward(ctx, context.layer, batch),
        ...isMoeLayer(model, context.layer) ? [] : ffnForward(ctx, context.layer)
      ];
      replica.chain(self2, calls, "attention.forwarded", place(context));
    }, "forwardAttention"),
    route: /* @__PURE__ */ __name((_event, context) => {
      self2.tell(gateOf(context.layer), "forward.run", { ...place(context), body: { mode: context.mode } });
    }, "route"),
    forwardHead: /* @__PURE__ */ __name((_event, context) => {
      const ctx = current(context);
      const batch = batchFor(context);
      const calls = context.mode === "evaluate" ? headForward(ctx, batch, { evaluate: true }) : [...headForward(ctx, batch, { gradScale: 1 / targets }), ...headBackward(ctx)];
      if (context.mode === "evaluate" || context.sharesBalance)
        self2.submit(device, calls, "head.finished", place(context));
      else
        replica.chain(self2, calls, "head.finished", place(context));
    }, "forwardHead"),
    open: /* @__PURE__ */ __name((event) => {
      replica.attempt = event.attempt;
      targets = numberIn(event, "targets");
      const tokens = numberIn(event, "tokens");
      if (model.moe !== null && model.moe.balance.scope !== "global") {
        replica.balance = balanceCoefficients(model, { sequences: job.batch, tokens });
      }
      replica.globalTokens = tokens;
    }, "open"),
    shareBalance: /* @__PURE__ */ __name((_event, context) => {
      const counts = current(context).statistics.layers.map((layer) => layer.counts_E);
      self2.tell(addresses2.trainer, "balance.share", { ...place(context), tensors: [concatInts(counts)] });
      self2.wait({
        name: "balance",
        awaited: [addresses2.trainer],
        reason: "the balance of the whole batch",
        step: context.step,
        deadlineMs: job.deadlines.stepMs
      });
    }, "shareBalance"),
    acceptBalance: /* @__PURE__ */ __name((event, context) => {
      self2.endWait("balance");
      const counts = event.tensors[0];
      const experts = model.moe?.experts ?? 0;
      const layers = current(context).statistics.layers.map((layer, index) => ({
        ...layer,
        counts_E: counts.slice(index * experts, (index + 1) * experts)
      }));
      replica.balance = balanceCoefficients(model, { sequences: job.batch, tokens: replica.globalTokens }, layers);
    }, "acceptBalance"),
    unroute: /* @__PURE__ */ __name((_event, context) => {
      self2.tell(gateOf(context.layer), "backward.run", {
        ...place(context),
        body: { last: lastMicrobatch(context) }
      });
    }, "unroute"),
    backwardAttention: /* @__PURE__ */ __name((_event, context) => {
      const ctx = current(context);
      const calls = [
        ...isMoeLayer(model, context.layer) ? [] : ffnBackward(ctx, context.layer),
        ...attentionBackward(ctx, context.layer, batchFor(context))
      ];
      replica.chain(self2, calls, "attention.backwarded", place(context));
    }, "backwardAttention"),
    sendLayer: /* @__PURE__ */ __name((_event, context) => {
      if (!lastMicrobatch(context))
        return;
      if (context.layer === model.layers - 1)
        held.push(ranges.tail);
      held.push(ranges.layer(context.layer));
    }, "sendLayer"),
    // Rows come first: a bucket of megabytes in front of them would hold up the other ranks' experts.
    sendHeld: /* @__PURE__ */ __name((_event, context) => {
      for (const range of held.splice(0))
        send(context, range);
    }, "sendHeld"),
    backwardEmbedding: /* @__PURE__ */ __name((_event, context) => {
      self2.submit(device, embedBackward(current(context), batchFor(context)), "embedding.backwarded", place(context));
    }, "backwardEmbedding"),
    sendEnds: /* @__PURE__ */ __name((_event, context) => {
      for (const range of [...held.splice(0), ranges.embed])
        send(context, range);
    }, "sendEnds"),
    measure: /* @__PURE__ */ __name((_event, context) => {
      const { lossSum, layers } = replica.statistics;
      const tensors = [
        lossSum.slice(),
        concatInt64s(layers.map((layer) => layer.lossSums)),
        concatInts(layers.map((layer) => layer.counts_E)),
        concatInt64s(layers.map((layer) => layer.probSums_E))
      ];
      self2.tell(addresses2.trainer, "replica.measured", {
        ...place(context),
        tensors,
        body: { kernelMs: replica.kernelMs }
      });
      replica.kernelMs = 0;
    }, "measure"),
    abandon: /* @__PURE__ */ __name(({ attempt: attempt2 }) => {
      replica.attempt = attempt2;
      self2.endWait("balance");
      held.length = 0;
      const { ep, edp } = expertRank(job, dp);
      const { layers } = replica.shape;
      for (const to of [
        ...layers.map(gateOf),
        ...layers.map((layer) => addresses2.expert(layer, ep, edp)),
        ...parameterClasses(job).map((each) => addresses2.optimizer(each, dp))
      ])
        self2.tell(to, "attempt.abandon", { attempt: attempt2 });
    }, "abandon"),
    reportEvaluation: /* @__PURE__ */ __name((_event, context) => {
      const tensors = [replica.evaluationStatistics.lossSum.slice()];
      self2.tell(addresses2.trainer, "replica.evaluated", {
        ...place(context),
        tensors,
        body: { targets: evaluated }
      });
      replica.kernelMs = 0;
    }, "reportEvaluation")
  };
}
__name(stageEffects, "stageEffects");
function concatInts(parts) {
  return Int32Array.from(parts.flatMap((part) => [...part]));
}
__name(concatInts, "concatInts");
function concatInt64s(parts) {
  return BigInt64Array.from(parts.flatMap((part) => [...part]));
}
__name(concatInt64s, "concatInt64s");

// actors/dist/stage/machine.js
var fencedByStage = [
  "weights.publish",
  "evaluation.ready",
  "step.open",
  "evaluation.open",
  "attention.forwarded",
  "attention.backwarded",
  "head.finished",
  "embedding.backwarded",
  "forward.done",
  "rows.left",
  "backward.done",
  "balance.shared"
];
var stageMachine = setup({
  types: { context: {}, events: {}, input: {} },
  actions: {
    ignore: /* @__PURE__ */ __name(() => {
    }, "ignore"),
    acceptBatch: /* @__PURE__ */ __name(() => {
    }, "acceptBatch"),
    acceptEvaluation: /* @__PURE__ */ __name(() => {
    }, "acceptEvaluation"),
    askEvaluation: /* @__PURE__ */ __name(() => {
    }, "askEvaluation"),
    open: /* @__PURE__ */ __name(() => {
    }, "open"),
    begin: /* @__PURE__ */ __name(() => {
    }, "begin"),
    forwardAttention: /* @__PURE__ */ __name(() => {
    }, "forwardAttention"),
    route: /* @__PURE__ */ __name(() => {
    }, "route"),
    forwardHead: /* @__PURE__ */ __name(() => {
    }, "forwardHead"),
    shareBalance: /* @__PURE__ */ __name(() => {
    }, "shareBalance"),
    acceptBalance: /* @__PURE__ */ __name(() => {
    }, "acceptBalance"),
    unroute: /* @__PURE__ */ __name(() => {
    }, "unroute"),
    backwardAttention: /* @__PURE__ */ __name(() => {
    }, "backwardAttention"),
    sendLayer: /* @__PURE__ */ __name(() => {
    }, "sendLayer"),
    sendHeld: /* @__PURE__ */ __name(() => {
    }, "sendHeld"),
    backwardEmbedding: /* @__PURE__ */ __name(() => {
    }, "backwardEmbedding"),
    sendEnds: /* @__PURE__ */ __name(() => {
    }, "sendEnds"),
    measure: /* @__PURE__ */ __name(() => {
    }, "measure"),
    reportEvaluation: /* @__PURE__ */ __name(() => {
    }, "reportEvaluation"),
    abandon: /* @__PURE__ */ __name(() => {
    }, "abandon")
  },
  guards: {
    known: /* @__PURE__ */ __name(({ context, event }) => event.attempt <= context.attempt, "known"),
    completesVersion: /* @__PURE__ */ __name(({ context, event }) => context.arrived + numberIn(event, "elements") === context.numElements, "completesVersion"),
    canTrain: /* @__PURE__ */ __name(({ context }) => context.opened && context.mode === "train" && context.version === context.wanted && context.batches.get(context.step)?.size === context.numMicrobatches, "canTrain"),
    canEvaluate: /* @__PURE__ */ __name(({ context }) => context.opened && context.mode === "evaluate" && context.version === context.wanted, "canEvaluate"),
    isMoe: /* @__PURE__ */ __name(({ context }) => context.isMoe(context.layer), "isMoe"),
    lastLayer: /* @__PURE__ */ __name(({ context }) => context.layer === context.numLayers - 1, "lastLayer"),
    firstLayer: /* @__PURE__ */ __name(({ context }) => context.layer === 0, "firstLayer"),
    evaluating: /* @__PURE__ */ __name(({ context }) => context.mode === "evaluate", "evaluating"),
    sharesBalance: /* @__PURE__ */ __name(({ context }) => context.sharesBalance, "sharesBalance"),
    moreMicrobatches: /* @__PURE__ */ __name(({ context }) => context.microbatch + 1 < context.numMicrobatches, "moreMicrobatches"),
    morePasses: /* @__PURE__ */ __name(({ context }) => context.microbatch + 1 < context.numEvaluationPasses, "morePasses")
  }
}).createMachine({
  id: "stage",
  context: /* @__PURE__ */ __name(({ input }) => ({
    ...input,
    version: input.version - 1,
    step: 0,
    attempt: 0,
    arrived: 0,
    layer: 0,
    microbatch: 0,
    mode: "train",
    opened: false,
    wanted: 0,
    batches: /* @__PURE__ */ new Map()
  }), "context"),
  initial: "waiting",
  on: {
    "weights.publish": [
      {
        guard: "completesVersion",
        actions: assign({ version: /* @__PURE__ */ __name(({ event }) => event.version, "version"), arrived: 0 })
      },
      {
        actions: assign({ arrived: /* @__PURE__ */ __name(({ context, event }) => context.arrived + numberIn(event, "elements"), "arrived") })
      }
    ],
    "batch.ready": {
      actions: [
        "acceptBatch",
        assign({
          batches: /* @__PURE__ */ __name(({ context, event }) => {
            const here = context.batches.get(event.step) ?? [];
            return new Map([...context.batches, [event.step, /* @__PURE__ */ new Set([...here, event.microbatch])]]);
          }, "batches")
        })
      ]
    },
    "attempt.abandon": [
      { guard: "known", actions: "ignore" },
      {
        target: ".waiting",
        actions: [
          assign({ attempt: /* @__PURE__ */ __name(({ event }) => event.attempt, "attempt"), version: -1, arrived: 0, opened: false }),
          "abandon"
        ]
      }
    ]
  },
  states: {
    waiting: {
      on: {
        "step.open": {
          actions: [
            "open",
            assign({
              step: /* @__PURE__ */ __name(({ event }) => event.step, "step"),
              attempt: /* @__PURE__ */ __name(({ event }) => event.attempt, "attempt"),
              wanted: /* @__PURE__ */ __name(({ event }) => event.version, "wanted"),
              mode: "train",
              opened: true
            })
          ]
        },
        "evaluation.open": {
          actions: assign({
            step: /* @__PURE__ */ __name(({ event }) => event.step, "step"),
            attempt: /* @__PURE__ */ __name(({ event }) => event.attempt, "attempt"),
            wanted: /* @__PURE__ */ __name(({ event }) => event.version, "wanted"),
            mode: "evaluate",
            opened: true
          })
        }
      },
      always: [
        {
          guard: "canTrain",
          target: "attending",
          actions: [
            assign({
              opened: false,
              layer: 0,
              microbatch: 0,
              batches: /* @__PURE__ */ __name(({ context }) => new Map([...context.batches].filter(([step]) => step >= context.step)), "batches")
            }),
            "begin"
          ]
        },
        {
          guard: "canEvaluate",
          target: "fetching",
          actions: [assign({ opened: false, microbatch: 0 }), "begin"]
        }
      ]
    },
    /** Waits for the held-out sequences of one evaluation pass. */
    fetching: {
      entry: "askEvaluation",
      on: {
        "evaluation.ready": {
          target: "attending",
          actions: ["acceptEvaluation", assign({ layer: 0 })]
        }
      }
    },
    attending: {
      entry: "forwardAttention",
      on: {
        "attention.forwarded": [
          { guard: "isMoe", target: "routing" },
          { guard: "lastLayer", target: "heading" },
          {
            target: "attending",
            reenter: true,
            actions: assign({ layer: /* @__PURE__ */ __name(({ context }) => context.layer + 1, "layer") })
          }
        ]
      }
    },
    /** The layer's gate has the tokens; its experts may be elsewhere. */
    routing: {
      entry: "route",
      on: {
        "forward.done": [
          { guard: "lastLayer", target: "heading" },
          { target: "attending", actions: assign({ layer: /* @__PURE__ */ __name(({ context }) => context.layer + 1, "layer") }) }
        ]
      }
    },
    heading: {
      entry: "forwardHead",
      on: {
        "head.finished": [
          { guard: "evaluating", target: "nextPass" },
          { guard: "sharesBalance", target: "sharing" },
          { target: "backward" }
        ]
      }
    },
    sharing: {
      entry: "shareBalance",
      on: { "balance.shared": { target: "backward", actions: "acceptBalance" } }
    },
    nextPass: {
      always: [
        {
          guard: "morePasses",
          target: "fetching",
          actions: assign({ microbatch: /* @__PURE__ */ __name(({ context }) => context.microbatch + 1, "microbatch") })
        },
        { target: "waiting", actions: "reportEvaluation" }
      ]
    },
    backward: { always: [{ guard: "isMoe", target: "unrouting" }, { target: "unattending" }] },
    /** The layer's gate has the gradients. */
    unrouting: {
      entry: "unroute",
      on: { "rows.left": { actions: "sendHeld" }, "backward.done": { target: "unattending" } }
    },
    unattending: {
      entry: "backwardAttention",
      on: {
        "attention.backwarded": [
          { guard: "firstLayer", target: "unembedding", actions: "sendLayer" },
          {
            target: "backward",
            actions: ["sendLayer", assign({ layer: /* @__PURE__ */ __name(({ context }) => context.layer - 1, "layer") })]
          }
        ]
      }
    },
    unembedding: {
      entry: "backwardEmbedding",
      on: {
        "embedding.backwarded": [
          {
            guard: "moreMicrobatches",
            target: "attending",
            actions: assign({ microbatch: /* @__PURE__ */ __name(({ context }) => context.microbatch + 1, "microbatch"), layer: 0 })
          },
          { target: "waiting", actions: ["sendEnds", "measure"] }
        ]
      }
    }
  }
});

// actors/dist/stage/index.js
function mountStage(replica) {
  const { job, shape } = replica;
  const balance = job.model.moe?.balance;
  return (self2) => {
    const input = {
      version: job.first.step,
      numElements: replica.dense.layout.length,
      numLayers: job.model.layers,
      numMicrobatches: job.microbatches,
      numEvaluationPasses: shape.evaluationPasses,
      isMoe: /* @__PURE__ */ __name((layer) => isMoeLayer(job.model, layer), "isMoe"),
      sharesBalance: balance !== void 0 && balance.scope === "global" && balance.auxLoss !== 0
    };
    return {
      machine: stageMachine,
      input,
      effects: stageEffects(self2, replica),
      ...replica.fence(fencedByStage)
    };
  };
}
__name(mountStage, "mountStage");

// packages/checkpoint/dist/checkpoint-folders.js
function stepFolder(step) {
  assert(Number.isSafeInteger(step) && step >= 0, "a step is a count", { step });
  return `step-${String(step).padStart(6, "0")}`;
}
__name(stepFolder, "stepFolder");
var folderSuffix = { partial: ".partial", replaced: ".replaced", removing: ".removing" };
function checkpointFolders(names) {
  const folders = names.flatMap((name) => {
    const match = /^step-(\d{6,})(\.replaced)?$/u.exec(name);
    return match === null ? [] : [{ name, step: Number(match[1]), isReplaced: match[2] !== void 0 }];
  });
  return folders.sort((a, b) => b.step - a.step || Number(a.isReplaced) - Number(b.isReplaced));
}
__name(checkpointFolders, "checkpointFolders");
var isLeftover = /* @__PURE__ */ __name((name) => /^step-\d{6,}\.(?:partial|removing)$/u.test(name), "isLeftover");
var inFolder = /* @__PURE__ */ __name((folder, name) => folder === "" ? name : `${folder}/${name}`, "inFolder");

// packages/checkpoint/dist/errors.js
var CheckpointFormatError = class extends TroupeError {
  static {
    __name(this, "CheckpointFormatError");
  }
  name = "CheckpointFormatError";
  constructor(file, problem, details = {}) {
    super("TROUPE_CHECKPOINT_FORMAT", `${file}: ${problem}`, { details: { file, ...details } });
  }
};
var CheckpointDamagedError = class extends TroupeError {
  static {
    __name(this, "CheckpointDamagedError");
  }
  name = "CheckpointDamagedError";
  constructor(folder, problem, details = {}, cause) {
    super("TROUPE_CHECKPOINT_DAMAGED", `checkpoint '${folder}' is damaged: ${problem}; resume from another one`, {
      details: { folder, ...details },
      cause
    });
  }
};
var CheckpointMissingError = class extends TroupeError {
  static {
    __name(this, "CheckpointMissingError");
  }
  name = "CheckpointMissingError";
  constructor(folder, details = {}) {
    super("TROUPE_CHECKPOINT_MISSING", `'${folder}' holds no checkpoint: it has no manifest.json`, {
      details: { folder, ...details }
    });
  }
};
var CheckpointMismatchError = class extends TroupeError {
  static {
    __name(this, "CheckpointMismatchError");
  }
  name = "CheckpointMismatchError";
  constructor(folder, problems) {
    const shown = problems.slice(0, 8).join("; ");
    const rest = problems.length > 8 ? `; and ${problems.length - 8} more` : "";
    super("TROUPE_CHECKPOINT_MISMATCH", `checkpoint '${folder}' does not fit the model: ${shown}${rest}`, {
      details: { folder, problems }
    });
  }
};
var CheckpointPiecesError = class extends TroupeError {
  static {
    __name(this, "CheckpointPiecesError");
  }
  name = "CheckpointPiecesError";
  constructor(problem, details = {}) {
    super("TROUPE_CHECKPOINT_PIECES", problem, { details });
  }
};
var CheckpointHasherError = class extends TroupeError {
  static {
    __name(this, "CheckpointHasherError");
  }
  name = "CheckpointHasherError";
  constructor(reason, cause) {
    super("TROUPE_CHECKPOINT_HASHER", `the hashing thread ended: ${reason}`, { retryable: true, cause });
  }
};

// packages/checkpoint/dist/hasher.js
import { createHash } from "node:crypto";
import { Worker } from "node:worker_threads";
function inlineHasher() {
  const hashes = /* @__PURE__ */ new Map();
  let numOpened = 0;
  const hashOf = /* @__PURE__ */ __name((stream) => {
    const hash = hashes.get(stream);
    assert(hash !== void 0, "a hash stream is open until its digest", { stream });
    return hash;
  }, "hashOf");
  return {
    open() {
      numOpened += 1;
      hashes.set(numOpened, createHash("sha256"));
      return numOpened;
    },
    async update(streams, bytes) {
      for (const stream of streams)
        hashOf(stream).update(bytes);
      return bytes;
    },
    async digest(stream) {
      const hex = hashOf(stream).digest("hex");
      hashes.delete(stream);
      return hex;
    },
    async close() {
      hashes.clear();
    }
  };
}
__name(inlineHasher, "inlineHasher");
function workerHasher() {
  let worker = null;
  let failure = null;
  let numOpened = 0;
  let waiters = [];
  const fail = /* @__PURE__ */ __name((reason, cause) => {
    failure ??= new CheckpointHasherError(reason, cause);
    const waiting = waiters;
    waiters = [];
    for (const waiter of waiting)
      waiter.reject(failure);
  }, "fail");
  const start = /* @__PURE__ */ __name(() => {
    const started = new Worker(new URL("./hash-worker.js", new URL("../../checkpoint/dist/hasher.js", import.meta.url).href));
    started.on("message", (answer2) => {
      const waiter = waiters.shift();
      if (waiters.length === 0)
        started.unref();
      waiter?.resolve(answer2);
    });
    started.on("error", (error) => fail(error.message, error));
    started.on("exit", (code) => fail(`exit code ${code}`));
    started.unref();
    return started;
  }, "start");
  const ask = /* @__PURE__ */ __name((request, transfer = []) => new Promise((resolve, reject) => {
    if (failure !== null) {
      reject(failure);
      return;
    }
    worker ??= start();
    waiters.push({ resolve, reject });
    worker.ref();
    worker.postMessage(request, transfer);
  }), "ask");
  return {
    open() {
      numOpened += 1;
      return numOpened;
    },
    async update(streams, bytes) {
      const whole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
      const buffer = whole ? bytes.buffer : bytes.slice().buffer;
      const answer2 = await ask({ kind: "update", streams, buffer }, [buffer]);
      assert(answer2.kind === "updated", "the hashing thread answers in order");
      return new Uint8Array(answer2.buffer);
    },
    async digest(stream) {
      const answer2 = await ask({ kind: "digest", stream });
      assert(answer2.kind === "digested", "the hashing thread answers in order");
      return answer2.sha256;
    },
    async close() {
      fail("it was closed");
      await worker?.terminate();
    }
  };
}
__name(workerHasher, "workerHasher");

// packages/checkpoint/dist/duplicate-key.js
function duplicateKey(json) {
  const scopes = [];
  const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/gu;
  let lastString = null;
  for (const [text] of json.matchAll(token)) {
    if (text === "{")
      scopes.push(/* @__PURE__ */ new Set());
    else if (text === "[")
      scopes.push(null);
    else if (text === "}" || text === "]")
      scopes.pop();
    else if (text === ":" && lastString !== null) {
      const key = JSON.parse(lastString);
      const keys = scopes.at(-1);
      if (keys?.has(key) === true)
        return key;
      keys?.add(key);
    }
    lastString = text.startsWith('"') ? text : null;
  }
  return null;
}
__name(duplicateKey, "duplicateKey");

// packages/checkpoint/dist/manifest.js
var MANIFEST_FILE = "manifest.json";
var TOKENIZER_FILE = "tokenizer.json";
var FORMAT_VERSION = 1;
var tensorGroups = ["weights", "adam-m", "adam-v"];
var tailOf = /* @__PURE__ */ __name((sha256) => `,
 "manifestSha256": "${sha256}"
}
`, "tailOf");
var TAIL_BYTES = tailOf("0".repeat(64)).length;
async function sha256Of(bytes, hasher2) {
  const stream = hasher2.open();
  await hasher2.update([stream], bytes);
  return hasher2.digest(stream);
}
__name(sha256Of, "sha256Of");
async function encodeManifest(manifest, hasher2) {
  assertPlain(manifest, "manifest");
  const body = JSON.stringify(manifest, null, 1).slice(0, -"\n}".length);
  const sha256 = await sha256Of(new TextEncoder().encode(body), hasher2);
  return { bytes: new TextEncoder().encode(body + tailOf(sha256)), sha256 };
}
__name(encodeManifest, "encodeManifest");
async function decodeManifest(folder, bytes, hasher2) {
  const damaged = /* @__PURE__ */ __name((problem2) => new CheckpointDamagedError(folder, `${MANIFEST_FILE} ${problem2}`, { file: MANIFEST_FILE }), "damaged");
  const body = bytes.slice(0, Math.max(0, bytes.byteLength - TAIL_BYTES));
  const tail = new TextDecoder().decode(bytes.subarray(body.byteLength));
  const sha256 = await sha256Of(body, hasher2);
  if (tail !== tailOf(sha256))
    throw damaged("does not match its own hash");
  const text = new TextDecoder().decode(bytes);
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(`is no JSON: ${String(error)}`);
  }
  const twice = duplicateKey(text);
  if (twice !== null)
    throw damaged(`has the key '${twice}' twice`);
  const problem = manifestProblem(value);
  if (problem !== null)
    throw damaged(problem);
  return value;
}
__name(decodeManifest, "decodeManifest");
function manifestProblem(manifest) {
  if (manifest.format !== "troupe-checkpoint")
    return `has format ${JSON.stringify(manifest.format)}`;
  if (manifest.formatVersion !== FORMAT_VERSION) {
    return `has format version ${JSON.stringify(manifest.formatVersion)}; this Troupe reads ${FORMAT_VERSION}`;
  }
  if (!isCount(manifest.step))
    return `has step ${JSON.stringify(manifest.step)}`;
  if (!Array.isArray(manifest.files) || !Array.isArray(manifest.tensors))
    return "lacks the list of files or tensors";
  const files = /* @__PURE__ */ new Set();
  for (const file of manifest.files) {
    const { name, sizeBytes, sha256, header } = file;
    const isGood = isFileName(name) && isCount(sizeBytes) && isSha256(sha256) && header !== void 0;
    if (!isGood)
      return `describes file ${JSON.stringify(name)} wrongly`;
    if (header !== null && (!isCount(header.sizeBytes) || !isSha256(header.sha256))) {
      return `describes the header of '${name}' wrongly`;
    }
    if (files.has(name) || name === MANIFEST_FILE)
      return `lists file '${name}' twice`;
    files.add(name);
  }
  const tensors = /* @__PURE__ */ new Set();
  for (const tensor of manifest.tensors) {
    const { name, group, file, key, shape, dtype, sha256 } = tensor;
    const isGood = typeof name === "string" && typeof key === "string" && group !== void 0 && tensorGroups.includes(group) && Array.isArray(shape) && shape.every(isCount) && dtype === "f32" && isSha256(sha256);
    if (!isGood)
      return `describes tensor ${JSON.stringify(name)} wrongly`;
    if (file === void 0 || !files.has(file))
      return `puts tensor '${name}' into '${file}', which it does not list`;
    const id = tensorId(name, group);
    if (tensors.has(id))
      return `lists tensor '${name}' (${group}) twice`;
    tensors.add(id);
  }
  return null;
}
__name(manifestProblem, "manifestProblem");
var tensorId = /* @__PURE__ */ __name((name, group) => `${group}:${name}`, "tensorId");
var isCount = /* @__PURE__ */ __name((value) => Number.isSafeInteger(value) && value >= 0, "isCount");
var isSha256 = /* @__PURE__ */ __name((value) => typeof value === "string" && /^[0-9a-f]{64}$/u.test(value), "isSha256");
var isFileName = /* @__PURE__ */ __name((value) => typeof value === "string" && /^[\w.-]+$/u.test(value), "isFileName");
function assertPlain(value, path) {
  if (value === null || typeof value === "string" || typeof value === "boolean")
    return;
  if (typeof value === "number") {
    assert(Number.isFinite(value), `${path} is ${value}, which JSON cannot hold`);
    return;
  }
  assert(typeof value === "object" && !ArrayBuffer.isView(value), `${path} is no plain JSON value`);
  for (const [key, each] of Object.entries(value)) {
    if (each !== void 0)
      assertPlain(each, `${path}.${key}`);
  }
}
__name(assertPlain, "assertPlain");

// packages/checkpoint/dist/safetensors-header.js
var dtypeSizes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8
};
var safetensorsDtypeBytes = dtypeSizes;
var HEADER_BYTES_MAX = 1e8;
var numElements = /* @__PURE__ */ __name((shape) => shape.reduce((a, b) => a * b, 1), "numElements");
var tensorBytes = /* @__PURE__ */ __name((tensor) => numElements(tensor.shape) * safetensorsDtypeBytes[tensor.dtype], "tensorBytes");
function writeHeader(file, tensors, metadata = {}) {
  const entries = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  const names = /* @__PURE__ */ new Set(["__metadata__"]);
  let end = 0;
  for (const tensor of tensors) {
    if (names.has(tensor.name)) {
      throw new CheckpointFormatError(file, `tensor '${tensor.name}' comes twice`, { tensor: tensor.name });
    }
    names.add(tensor.name);
    const start = end;
    end += tensorBytes(tensor);
    entries.push([tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [start, end] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const headerBytes = 8 + Math.ceil(json.byteLength / 8) * 8;
  const bytes = new Uint8Array(headerBytes).fill(32);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes - 8), true);
  bytes.set(json, 8);
  let offsetBytes = headerBytes;
  const placed = tensors.map((tensor) => {
    const lengthBytes = tensorBytes(tensor);
    const place = { ...tensor, offsetBytes, lengthBytes };
    offsetBytes += lengthBytes;
    return [tensor.name, place];
  });
  return { bytes, header: { tensors: new Map(placed), metadata, headerBytes, fileBytes: headerBytes + end } };
}
__name(writeHeader, "writeHeader");
function headerJsonBytes(file, prefix, fileBytes) {
  if (prefix.byteLength < 8) {
    throw new CheckpointFormatError(file, `has ${fileBytes} bytes, fewer than the 8 that give the header's length`);
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, 8);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(HEADER_BYTES_MAX) || length > BigInt(fileBytes - 8)) {
    const found = `its header claims ${length} bytes`;
    throw new CheckpointFormatError(file, `${found} in a file of ${fileBytes}; it is cut or no safetensors file`);
  }
  return Number(length);
}
__name(headerJsonBytes, "headerJsonBytes");
function parseHeader(file, json, fileBytes) {
  const entries = Object.entries(parseJson(file, json));
  const headerBytes = 8 + json.byteLength;
  let metadata = {};
  const tensors = [];
  for (const [name, value] of entries) {
    if (name === "__metadata__")
      metadata = parseMetadata(file, value);
    else
      tensors.push(parseTensor(file, name, value, headerBytes));
  }
  checkTiling(file, tensors, headerBytes, fileBytes);
  return { tensors: new Map(tensors.map((each) => [each.name, each])), metadata, headerBytes, fileBytes };
}
__name(parseHeader, "parseHeader");
var isRecord = /* @__PURE__ */ __name((value) => typeof value === "object" && value !== null && !Array.isArray(value), "isRecord");
var isCount2 = /* @__PURE__ */ __name((value) => Number.isSafeInteger(value) && value >= 0, "isCount");
function parseJson(file, json) {
  let text;
  let value;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json);
    value = JSON.parse(text);
  } catch (error) {
    throw new CheckpointFormatError(file, `its header is no JSON: ${String(error)}`);
  }
  if (!isRecord(value) || !text.startsWith("{")) {
    throw new CheckpointFormatError(file, "its header does not start with a JSON object");
  }
  const twice = duplicateKey(text);
  if (twice !== null)
    throw new CheckpointFormatError(file, `'${twice}' comes twice in the header`, { tensor: twice });
  return value;
}
__name(parseJson, "parseJson");
function parseMetadata(file, value) {
  if (isRecord(value) && Object.values(value).every((each) => typeof each === "string")) {
    return value;
  }
  throw new CheckpointFormatError(file, "__metadata__ is not an object of strings");
}
__name(parseMetadata, "parseMetadata");
function parseTensor(file, name, value, headerBytes) {
  const refuse3 = /* @__PURE__ */ __name((problem) => new CheckpointFormatError(file, `tensor '${name}' ${problem}`, { tensor: name }), "refuse");
  if (!isRecord(value))
    throw refuse3("has no description");
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(dtypeSizes, dtype)) {
    throw refuse3(`has dtype ${JSON.stringify(dtype)}, which is not one of ${Object.keys(dtypeSizes).join(", ")}`);
  }
  if (!Array.isArray(shape) || !shape.every(isCount2)) {
    throw refuse3(`has shape ${JSON.stringify(shape)}, which is no list of counts`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount2)) {
    throw refuse3(`has data_offsets ${JSON.stringify(offsets)}, which is no pair of counts`);
  }
  const [start, end] = offsets;
  const tensor = { name, dtype, shape };
  const expected = tensorBytes(tensor);
  if (end - start !== expected) {
    throw refuse3(`has ${end - start} bytes, but ${dtype} [${shape.join(", ")}] takes ${expected}`);
  }
  return { ...tensor, offsetBytes: headerBytes + start, lengthBytes: expected };
}
__name(parseTensor, "parseTensor");
function checkTiling(file, tensors, headerBytes, fileBytes) {
  const inOrder = tensors.toSorted((a, b) => a.offsetBytes - b.offsetBytes || a.lengthBytes - b.lengthBytes);
  let end = headerBytes;
  let before = null;
  for (const tensor of inOrder) {
    if (tensor.offsetBytes !== end) {
      const neighbour = before === null ? "the header" : `tensor '${before.name}'`;
      const what = tensor.offsetBytes < end ? "overlaps" : "leaves a hole behind";
      throw new CheckpointFormatError(file, `tensor '${tensor.name}' ${what} ${neighbour}`, {
        tensor: tensor.name
      });
    }
    end += tensor.lengthBytes;
    before = tensor;
  }
  if (end !== fileBytes) {
    const what = end > fileBytes ? "it is cut" : "it has bytes that belong to no tensor";
    const last = before === null ? {} : { tensor: before.name };
    throw new CheckpointFormatError(file, `data ends at byte ${end}, the file at ${fileBytes}: ${what}`, last);
  }
}
__name(checkTiling, "checkTiling");

// packages/checkpoint/dist/safetensors.js
var SafetensorsWriter = class _SafetensorsWriter {
  static {
    __name(this, "SafetensorsWriter");
  }
  header;
  /** The header's bytes as they lie in the file. */
  headerBytes;
  #file;
  #pending;
  #position;
  constructor(file, pending, plan) {
    this.header = plan.header;
    this.headerBytes = plan.bytes;
    this.#file = file;
    this.#pending = pending;
    this.#position = plan.bytes.byteLength;
  }
  /** Opens `file` aside and writes its header. */
  static async create(storage, file, tensors, metadata = {}) {
    const plan = writeHeader(file, tensors, metadata);
    const pending = await storage.create(file);
    try {
      await pending.write(plan.bytes);
    } catch (error) {
      await pending.abort();
      throw error;
    }
    return new _SafetensorsWriter(file, pending, plan);
  }
  /** Next byte to be written, from the start of the file. */
  get position() {
    return this.#position;
  }
  /** Writes the next bytes of the data, whatever tensors they belong to. */
  async append(bytes) {
    assert(this.#position + bytes.byteLength <= this.header.fileBytes, "the header names every byte of the data", {
      file: this.#file
    });
    await this.#pending.write(bytes);
    this.#position += bytes.byteLength;
  }
  /** @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT when bytes are still missing */
  async commit() {
    if (this.#position !== this.header.fileBytes) {
      throw new CheckpointFormatError(this.#file, `ends at byte ${this.#position} of ${this.header.fileBytes}`);
    }
    await this.#pending.commit();
  }
  async abort() {
    await this.#pending.abort();
  }
};
function floatsOf(bytes) {
  const aligned2 = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned2.buffer, aligned2.byteOffset, aligned2.byteLength / 4);
}
__name(floatsOf, "floatsOf");
function bytesOf(values) {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
__name(bytesOf, "bytesOf");

// packages/checkpoint/dist/checkpoint-reader.js
var CHUNK_BYTES = 8 * 2 ** 20;
var CheckpointReader = class {
  static {
    __name(this, "CheckpointReader");
  }
  folder;
  manifest;
  #storage;
  #hasher;
  #ownsHasher;
  #headers;
  #tensors;
  /** Tensors whose hash has been checked, or is being checked. */
  #checked = /* @__PURE__ */ new Map();
  /** Use {@link openCheckpoint}. */
  constructor(storage, folder, contents, hasher2) {
    this.folder = folder;
    this.manifest = contents.manifest;
    this.#storage = storage;
    this.#hasher = hasher2.hasher;
    this.#ownsHasher = hasher2.isOwn;
    this.#headers = contents.headers;
    this.#tensors = new Map(contents.manifest.tensors.map((each) => [tensorId(each.name, each.group), each]));
  }
  /**
   * Reads elements of a tensor, float32 bit for bit.
   *
   * @param elementOffset - first element, default 0
   * @param length - elements, default up to the end of the tensor
   * @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH when the checkpoint has no such tensor
   * @throws {CheckpointDamagedError} TROUPE_CHECKPOINT_DAMAGED when the tensor's hash does not match
   */
  async read(name, group, elementOffset = 0, length) {
    const tensor = this.#tensors.get(tensorId(name, group));
    if (tensor === void 0) {
      throw new CheckpointMismatchError(this.folder, [`tensor '${name}' (${group}) is missing`]);
    }
    const place = this.#place(tensor);
    const size = place.lengthBytes / 4;
    const count3 = length ?? size - elementOffset;
    assert(elementOffset >= 0 && count3 >= 0 && elementOffset + count3 <= size, "a range lies inside its tensor", {
      tensor: name,
      elementOffset,
      length: count3,
      size
    });
    await this.#checkOnce(tensor);
    const offset = place.offsetBytes + 4 * elementOffset;
    return floatsOf(await this.#storage.read(inFolder(this.folder, tensor.file), { offset, lengthBytes: 4 * count3 }));
  }
  /** Bytes of `tokenizer.json`, or null when the checkpoint has none. */
  async tokenizer() {
    const file = this.manifest.files.find((each) => each.name === TOKENIZER_FILE);
    if (file === void 0)
      return null;
    const bytes = await this.#storage.read(inFolder(this.folder, file.name));
    const sha256 = await this.#sha256(bytes.slice());
    if (sha256 !== file.sha256)
      throw damagedParts(this.folder, [`file '${file.name}'`]);
    return bytes;
  }
  /**
   * Hashes every byte of every file.
   *
   * @throws {CheckpointDamagedError} TROUPE_CHECKPOINT_DAMAGED naming every damaged tensor, or the file where no tensor is at fault
   */
  async verify() {
    const parts = [];
    for (const file of this.manifest.files)
      parts.push(...await this.#damagedPartsOf(file));
    if (parts.length > 0)
      throw damagedParts(this.folder, parts);
    for (const id of this.#tensors.keys())
      this.#checked.set(id, Promise.resolve());
  }
  /**
   * Compares the checkpoint with the parameters that a model has, in each of `groups`.
   *
   * @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH naming every missing, extra, duplicate and misshapen tensor
   */
  expectParameters(parameters, groups2 = tensorGroups) {
    const problems = [];
    const expected = /* @__PURE__ */ new Set();
    for (const group of groups2) {
      for (const { name, shape } of parameters) {
        const id = tensorId(name, group);
        const found = this.#tensors.get(id);
        if (expected.has(id))
          problems.push(`tensor '${name}' (${group}) is asked for twice`);
        else if (found === void 0)
          problems.push(`tensor '${name}' (${group}) is missing`);
        else if (String(found.shape) !== String(shape)) {
          const shapes = `has shape [${found.shape.join(", ")}], the model [${shape.join(", ")}]`;
          problems.push(`tensor '${name}' (${group}) ${shapes}`);
        }
        expected.add(id);
      }
    }
    for (const [id, { name, group }] of this.#tensors) {
      if (groups2.includes(group) && !expected.has(id))
        problems.push(`tensor '${name}' (${group}) is extra`);
    }
    if (problems.length > 0)
      throw new CheckpointMismatchError(this.folder, problems);
  }
  /** Ends the hashing thread, if it is the reader's own. */
  async close() {
    if (this.#ownsHasher)
      await this.#hasher.close();
  }
  #place(tensor) {
    const place = this.#headers.get(tensor.file)?.tensors.get(tensor.key);
    assert(place !== void 0, "an open checkpoint has all tensors of its manifest", {
      tensor: tensor.name
    });
    return place;
  }
  #checkOnce(tensor) {
    const id = tensorId(tensor.name, tensor.group);
    const earlier = this.#checked.get(id);
    if (earlier !== void 0)
      return earlier;
    const check = this.#check(tensor);
    this.#checked.set(id, check);
    return check;
  }
  async #check(tensor) {
    const stream = this.#hasher.open();
    const { offsetBytes, lengthBytes } = this.#place(tensor);
    await this.#hashRange(tensor.file, offsetBytes, offsetBytes + lengthBytes, [stream]);
    const sha256 = await this.#hasher.digest(stream);
    if (sha256 !== tensor.sha256)
      throw damagedParts(this.folder, [describe(tensor)]);
  }
  async #damagedPartsOf(file) {
    const damaged = [];
    const whole = this.#hasher.open();
    const tensors = this.manifest.tensors.filter((tensor) => tensor.file === file.name);
    const places = tensors.map((tensor) => ({ tensor, place: this.#place(tensor) }));
    let position = file.header?.sizeBytes ?? file.sizeBytes;
    await this.#hashRange(file.name, 0, position, [whole]);
    for (const { tensor, place } of places.sort((a, b) => a.place.offsetBytes - b.place.offsetBytes)) {
      const stream = this.#hasher.open();
      const end = position + place.lengthBytes;
      await this.#hashRange(file.name, position, end, [whole, stream]);
      position = end;
      if (await this.#hasher.digest(stream) !== tensor.sha256)
        damaged.push(describe(tensor));
    }
    const sha256 = await this.#hasher.digest(whole);
    return damaged.length === 0 && sha256 !== file.sha256 ? [`file '${file.name}'`] : damaged;
  }
  async #hashRange(file, start, end, streams) {
    const path = inFolder(this.folder, file);
    for (let offset = start; offset < end; offset += CHUNK_BYTES) {
      const lengthBytes = Math.min(CHUNK_BYTES, end - offset);
      await this.#hasher.update(streams, await this.#storage.read(path, { offset, lengthBytes }));
    }
  }
  async #sha256(bytes) {
    const stream = this.#hasher.open();
    await this.#hasher.update([stream], bytes);
    return this.#hasher.digest(stream);
  }
};
var describe = /* @__PURE__ */ __name((tensor) => `tensor '${tensor.name}' (${tensor.group}) in '${tensor.file}'`, "describe");
function damagedParts(folder, parts) {
  const rest = parts.length > 8 ? ` and ${parts.length - 8} more` : "";
  const problem = `bytes of ${parts.slice(0, 8).join(", ")}${rest} have changed since they were written`;
  return new CheckpointDamagedError(folder, problem, { parts });
}
__name(damagedParts, "damagedParts");
async function checkFiles(storage, folder, manifest) {
  const present = new Set(await storage.list(folder));
  for (const { name, sizeBytes } of manifest.files) {
    if (!present.delete(name))
      throw new CheckpointDamagedError(folder, `file '${name}' is missing`, { file: name });
    const found = await storage.sizeBytes(inFolder(folder, name));
    if (found !== sizeBytes) {
      throw new CheckpointDamagedError(folder, `file '${name}' has ${found} bytes instead of ${sizeBytes}`, {
        file: name
      });
    }
  }
  present.delete(MANIFEST_FILE);
  const [extra] = present;
  if (extra !== void 0) {
    throw new CheckpointDamagedError(folder, `file '${extra}' does not belong to it`, { file: extra });
  }
}
__name(checkFiles, "checkFiles");
async function readHeader(storage, folder, manifest, file, hasher2) {
  const { name, sizeBytes } = file;
  const damaged = /* @__PURE__ */ __name((problem, details = {}) => new CheckpointDamagedError(folder, problem, { file: name, ...details }), "damaged");
  const lengthBytes = Math.min(file.header.sizeBytes, sizeBytes);
  const bytes = await storage.read(inFolder(folder, name), { offset: 0, lengthBytes });
  const stream = hasher2.open();
  await hasher2.update([stream], bytes.slice());
  if (await hasher2.digest(stream) !== file.header.sha256)
    throw damaged(`the header of file '${name}' has changed`);
  let header;
  try {
    assert(headerJsonBytes(name, bytes, sizeBytes) === lengthBytes - 8, "the manifest knows the length of the header");
    header = parseHeader(name, bytes.subarray(8), sizeBytes);
  } catch (error) {
    if (!(error instanceof CheckpointFormatError))
      throw error;
    throw new CheckpointDamagedError(folder, error.message, { ...error.details }, error);
  }
  const keys = new Set(header.tensors.keys());
  for (const tensor of manifest.tensors.filter((each) => each.file === name)) {
    const found = header.tensors.get(tensor.key);
    if (found === void 0 || !keys.delete(tensor.key)) {
      throw damaged(`tensor '${tensor.key}' is missing in '${name}'`, { tensor: tensor.name });
    }
    if (found.dtype !== "F32" || String(found.shape) !== String(tensor.shape)) {
      throw damaged(`tensor '${tensor.key}' in '${name}' is not what the manifest says`, {
        tensor: tensor.name
      });
    }
  }
  const [extra] = keys;
  if (extra !== void 0)
    throw damaged(`tensor '${extra}' in '${name}' is not in the manifest`, { tensor: extra });
  return header;
}
__name(readHeader, "readHeader");
async function openCheckpoint(storage, folder, options = {}) {
  const path = storagePath(folder);
  if (!await storage.exists(path))
    throw new CheckpointMissingError(path);
  const manifestPath = inFolder(path, MANIFEST_FILE);
  if (!await storage.exists(manifestPath)) {
    throw new CheckpointDamagedError(path, `file '${MANIFEST_FILE}' is missing`, { file: MANIFEST_FILE });
  }
  const hasher2 = options.hasher ?? workerHasher();
  try {
    const manifest = await decodeManifest(path, await storage.read(manifestPath), hasher2);
    await checkFiles(storage, path, manifest);
    const headers2 = /* @__PURE__ */ new Map();
    for (const file of manifest.files) {
      const { header } = file;
      if (header === null)
        continue;
      headers2.set(file.name, await readHeader(storage, path, manifest, { ...file, header }, hasher2));
    }
    const isOwn = options.hasher === void 0;
    const reader = new CheckpointReader(storage, path, { manifest, headers: headers2 }, { hasher: hasher2, isOwn });
    if ((options.verify ?? "full") === "full")
      await reader.verify();
    return reader;
  } catch (error) {
    if (options.hasher === void 0)
      await hasher2.close();
    throw error;
  }
}
__name(openCheckpoint, "openCheckpoint");

// packages/checkpoint/dist/checkpoint-run.js
async function foldersIn(storage, folder) {
  return await storage.exists(folder) ? checkpointFolders(await storage.list(folder)) : [];
}
__name(foldersIn, "foldersIn");
async function latestCheckpoint(storage, folder, options = {}) {
  const damaged = [];
  for (const { name } of await foldersIn(storage, folder)) {
    const path = inFolder(folder, name);
    try {
      return { checkpoint: await openCheckpoint(storage, path, options), damaged };
    } catch (error) {
      if (!(error instanceof CheckpointDamagedError))
        throw error;
      damaged.push({ folder: path, error });
    }
  }
  return { checkpoint: null, damaged };
}
__name(latestCheckpoint, "latestCheckpoint");
async function pruneCheckpoints(storage, folder, keep, options = {}) {
  assert(Number.isSafeInteger(keep) && keep >= 1, "at least one checkpoint is kept", { keep });
  const removed = [];
  const keptSteps = /* @__PURE__ */ new Set();
  for (const { name, step, isReplaced } of await foldersIn(storage, folder)) {
    const path = inFolder(folder, name);
    const isSpare = isReplaced && keptSteps.has(step);
    if (keptSteps.size < keep && !isSpare) {
      if (await isIntact(storage, path, options))
        keptSteps.add(step);
      continue;
    }
    const removing = path + folderSuffix.removing;
    await storage.remove(removing);
    await storage.rename(path, removing);
    await storage.syncFolder(folder);
    await storage.remove(removing);
    removed.push(path);
  }
  return removed;
}
__name(pruneCheckpoints, "pruneCheckpoints");
async function isIntact(storage, path, options) {
  try {
    const reader = await openCheckpoint(storage, path, { verify: "lazy", ...options });
    await reader.close();
    return true;
  } catch (error) {
    if (error instanceof CheckpointDamagedError)
      return false;
    throw error;
  }
}
__name(isIntact, "isIntact");

// packages/checkpoint/dist/tensor-place.js
function tensorPlace(name) {
  const layer = /^model\.layers\.(\d+)\./u.exec(name)?.[1];
  const expert = /^model\.layers\.\d+\.mlp\.experts\.(\d+)\./u.exec(name)?.[1];
  return {
    layer: layer === void 0 ? null : Number(layer),
    expert: expert === void 0 ? null : Number(expert)
  };
}
__name(tensorPlace, "tensorPlace");

// packages/checkpoint/dist/file-plan.js
var FILE_BYTES_MAX = 256 * 2 ** 20;
var keySuffix = {
  weights: "",
  "adam-m": ".exp_avg",
  "adam-v": ".exp_avg_sq"
};
function planFiles(layout, maxFileBytes = FILE_BYTES_MAX) {
  assert(maxFileBytes > 0, "a file holds at least a byte");
  const ids = /* @__PURE__ */ new Set();
  for (const { name, group } of layout) {
    const id = tensorId(name, group);
    if (ids.has(id))
      throw new CheckpointPiecesError(`tensor '${name}' (${group}) comes twice`, { tensor: name });
    ids.add(id);
  }
  if (ids.size === 0)
    throw new CheckpointPiecesError("a checkpoint without tensors");
  const planned = layout.map((tensor) => ({
    ...tensor,
    key: tensor.name + keySuffix[tensor.group],
    size: numElements(tensor.shape)
  }));
  const weights = planned.filter((tensor) => tensor.group === "weights");
  const moments = planned.filter((tensor) => tensor.group !== "weights");
  return [...packFiles("weights", weights, maxFileBytes), ...packFiles("optimizer", moments, maxFileBytes)];
}
__name(planFiles, "planFiles");
var bytesOf2 = /* @__PURE__ */ __name((tensors) => tensors.reduce((sum2, each) => sum2 + 4 * each.size, 0), "bytesOf");
function packFiles(kind, tensors, maxFileBytes = FILE_BYTES_MAX) {
  const byLayer = /* @__PURE__ */ new Map();
  for (const tensor of tensors) {
    const { layer } = tensorPlace(tensor.name);
    const group = byLayer.get(layer);
    if (group === void 0)
      byLayer.set(layer, [tensor]);
    else
      group.push(tensor);
  }
  const groups2 = [...byLayer.values()].flatMap((layer) => bytesOf2(layer) > maxFileBytes ? layer.map((tensor) => [tensor]) : [layer]);
  const files = [];
  let roomBytes = 0;
  for (const group of groups2) {
    const groupBytes = bytesOf2(group);
    const last = files.at(-1);
    if (last === void 0 || groupBytes > roomBytes) {
      files.push([...group]);
      roomBytes = maxFileBytes - groupBytes;
    } else {
      last.push(...group);
      roomBytes -= groupBytes;
    }
  }
  const digits = /* @__PURE__ */ __name((value) => String(value).padStart(5, "0"), "digits");
  return files.map((tensors2, index) => ({
    name: files.length === 1 ? `${kind}.safetensors` : `${kind}-${digits(index + 1)}-of-${digits(files.length)}.safetensors`,
    tensors: tensors2
  }));
}
__name(packFiles, "packFiles");

// packages/checkpoint/dist/file-stream.js
var FileStream = class {
  static {
    __name(this, "FileStream");
  }
  name;
  /** SHA-256 of each tensor that is complete, by key. */
  sha256s = /* @__PURE__ */ new Map();
  #writer;
  #hasher;
  #tensors;
  #waiting = /* @__PURE__ */ new Map();
  #fileHash;
  #headerSha256 = "";
  #current = null;
  #numDone = 0;
  #heldBytes = 0;
  #work;
  constructor(file, writer, hasher2) {
    this.name = file.name;
    this.#tensors = file.tensors;
    this.#writer = writer;
    this.#hasher = hasher2;
    this.#fileHash = hasher2.open();
    this.#work = this.#hashHeader();
    this.#work.catch(() => void 0);
  }
  /** Bytes that wait for what comes before them. */
  get heldBytes() {
    return this.#heldBytes;
  }
  /**
   * Takes bytes of one tensor and writes what is next in line.
   *
   * @param bytes - owned by the stream from now on
   * @param offsetBytes - inside the tensor
   */
  add(key, offsetBytes, bytes) {
    const place = this.#writer.header.tensors.get(key);
    assert(place !== void 0, "a piece belongs to a tensor of its file", { key });
    this.#waiting.set(place.offsetBytes + offsetBytes, bytes);
    this.#heldBytes += bytes.byteLength;
    this.#work = this.#work.then(() => this.#drain());
    return this.#work;
  }
  /** Commits the file, once every piece is in. */
  async finish() {
    this.#work = this.#work.then(() => this.#drain());
    await this.#work;
    await this.#writer.commit();
    const { fileBytes, headerBytes } = this.#writer.header;
    const sha256 = await this.#hasher.digest(this.#fileHash);
    const header = { sizeBytes: headerBytes, sha256: this.#headerSha256 };
    return { name: this.name, sizeBytes: fileBytes, sha256, header };
  }
  async abort() {
    await this.#work.catch(() => void 0);
    this.#waiting.clear();
    this.#heldBytes = 0;
    await this.#writer.abort();
  }
  async #hashHeader() {
    const hash = this.#hasher.open();
    await this.#hasher.update([this.#fileHash, hash], this.#writer.headerBytes.slice());
    this.#headerSha256 = await this.#hasher.digest(hash);
  }
  async #drain() {
    await this.#step();
    for (; ; ) {
      const { position } = this.#writer;
      const bytes = this.#waiting.get(position);
      const current = this.#current;
      if (bytes === void 0 || current === null)
        return;
      this.#waiting.delete(position);
      const { byteLength } = bytes;
      await this.#writer.append(bytes);
      this.#heldBytes -= byteLength;
      await this.#hasher.update([this.#fileHash, current.hash], bytes);
      await this.#step();
    }
  }
  /** Ends the tensors that the position has passed and begins the one it is in. */
  async #step() {
    for (; ; ) {
      if (this.#current !== null) {
        if (this.#writer.position < this.#current.endBytes)
          return;
        this.sha256s.set(this.#current.tensor.key, await this.#hasher.digest(this.#current.hash));
        this.#current = null;
        this.#numDone += 1;
      }
      const tensor = this.#tensors[this.#numDone];
      if (tensor === void 0)
        return;
      this.#current = {
        tensor,
        hash: this.#hasher.open(),
        endBytes: this.#writer.position + 4 * tensor.size
      };
    }
  }
};

// packages/checkpoint/dist/tiling.js
var Tiling = class {
  static {
    __name(this, "Tiling");
  }
  size;
  /** Covered stretches, in order, neither touching nor overlapping. */
  #stretches = [];
  constructor(size) {
    this.size = size;
  }
  /** @returns false, and changes nothing, when elements of [start, end) are there already */
  add(start, end) {
    const at = this.#stretches.findIndex((stretch) => stretch.end >= start);
    const index = at < 0 ? this.#stretches.length : at;
    const before = this.#stretches[index];
    if (before !== void 0 && before.end === start) {
      const after = this.#stretches[index + 1];
      if (after !== void 0 && after.start < end)
        return false;
      before.end = end;
      if (after?.start === end) {
        before.end = after.end;
        this.#stretches.splice(index + 1, 1);
      }
      return true;
    }
    if (before !== void 0 && before.start < end)
      return false;
    if (before?.start === end)
      before.start = start;
    else
      this.#stretches.splice(index, 0, { start, end });
    return true;
  }
  /** First stretch that has not come, or null. */
  get gap() {
    if (this.size === 0)
      return null;
    const [first, second] = this.#stretches;
    if (first === void 0)
      return { start: 0, end: this.size };
    if (first.start > 0)
      return { start: 0, end: first.start };
    return first.end === this.size ? null : { start: first.end, end: second?.start ?? this.size };
  }
};

// packages/checkpoint/dist/weight-index.js
function weightIndex(files) {
  const entries = files.flatMap((file) => file.tensors.map((tensor) => [tensor.key, file.name]));
  const totalBytes = files.flatMap((file) => file.tensors).reduce((sum2, tensor) => sum2 + 4 * tensor.size, 0);
  const index = { metadata: { total_size: totalBytes }, weight_map: Object.fromEntries(entries) };
  return new TextEncoder().encode(`${JSON.stringify(index, null, 1)}
`);
}
__name(weightIndex, "weightIndex");

// packages/checkpoint/dist/checkpoint-writer.js
var LATEST_FILE = "latest";
var CheckpointWriter = class {
  static {
    __name(this, "CheckpointWriter");
  }
  #storage;
  #folder;
  #base;
  #options;
  #hasher;
  #plan;
  #streams = [];
  #tensors = /* @__PURE__ */ new Map();
  #state = "open";
  /** Use {@link beginCheckpoint}. */
  constructor(storage, folder, base, layout, options) {
    this.#storage = storage;
    this.#folder = storagePath(folder);
    this.#base = base;
    this.#options = options;
    this.#plan = planFiles(layout, options.maxFileBytes ?? FILE_BYTES_MAX);
    this.#hasher = options.hasher ?? workerHasher();
  }
  /** Bytes of pieces that wait in memory for earlier ones; 0 when pieces come in the order of the files. */
  get heldBytes() {
    return this.#streams.reduce((sum2, stream) => sum2 + stream.heldBytes, 0);
  }
  /** Clears what a crash left, makes the folder and opens the files. */
  async open() {
    const storage = this.#storage;
    await storage.makeFolder(this.#folder);
    for (let at = this.#folder; at !== ""; at = parentFolder(at))
      await storage.syncFolder(parentFolder(at));
    for (const name of await storage.list(this.#folder)) {
      if (isLeftover(name))
        await storage.remove(inFolder(this.#folder, name));
    }
    await storage.makeFolder(this.#partial);
    for (const file of this.#plan) {
      const header = file.tensors.map(({ key, shape }) => ({ name: key, shape, dtype: "F32" }));
      const path = inFolder(this.#partial, file.name);
      const writer = await SafetensorsWriter.create(storage, path, header, { format: "pt" });
      const stream = new FileStream(file, writer, this.#hasher);
      this.#streams.push(stream);
      for (const tensor of file.tensors) {
        this.#tensors.set(tensorId(tensor.name, tensor.group), {
          tensor,
          stream,
          tiling: new Tiling(tensor.size)
        });
      }
    }
  }
  /**
   * Takes a slice of a tensor; slices come in any order and tile each tensor exactly.
   *
   * The values are copied before this returns; the promise ends when all that is next in line has been written, so
   * awaiting it is the brake. After an error the only way on is `abort`.
   *
   * @param elementOffset - first element inside the tensor
   * @throws {CheckpointPiecesError} TROUPE_CHECKPOINT_PIECES for an unknown tensor, an overlap or a slice past the end
   * @throws {TroupeError} what the storage throws, TROUPE_STORAGE_FULL among it
   */
  async put(name, group, elementOffset, values) {
    assert(this.#state === "open", "pieces come before finish and abort", { tensor: name });
    const entry = this.#tensors.get(tensorId(name, group));
    if (entry === void 0)
      throw pieceError(name, group, "is not in the layout of this checkpoint");
    const { tensor, stream, tiling } = entry;
    const end = elementOffset + values.length;
    const range = `[${elementOffset}, ${end})`;
    if (!Number.isSafeInteger(elementOffset) || elementOffset < 0 || end > tensor.size) {
      throw pieceError(name, group, `has ${tensor.size} elements, the piece is ${range}`);
    }
    if (values.length === 0)
      return;
    if (!tiling.add(elementOffset, end))
      throw pieceError(name, group, `has elements of ${range} already`);
    await stream.add(tensor.key, 4 * elementOffset, bytesOf(values).slice());
  }
  /**
   * Ends the files, writes the manifest last and renames the folder into its place. When it fails, everything that
   * was written is removed and the checkpoints before are as they were.
   *
   * @throws {CheckpointPiecesError} TROUPE_CHECKPOINT_PIECES naming what no piece covered
   * @throws {TroupeError} what the storage throws, TROUPE_STORAGE_FULL among it
   */
  async finish() {
    assert(this.#state === "open", "a checkpoint is finished once");
    this.#state = "finishing";
    try {
      this.#mustBeComplete();
      const files = [];
      for (const stream of this.#streams)
        files.push(await stream.finish());
      for (const [name, bytes2] of this.#sideFiles())
        files.push(await this.#writeSideFile(name, bytes2));
      const { bytes, sha256 } = await encodeManifest({
        format: "troupe-checkpoint",
        formatVersion: FORMAT_VERSION,
        ...this.#base,
        parents: this.#base.parents ?? [],
        files,
        tensors: this.#manifestTensors()
      }, this.#hasher);
      await this.#storage.writeAtomic(inFolder(this.#partial, MANIFEST_FILE), bytes);
      await this.#storage.syncFolder(this.#partial);
      await this.#publish();
      const sizeBytes = files.reduce((sum2, file) => sum2 + file.sizeBytes, bytes.byteLength);
      await this.#close();
      return { folder: this.#final, step: this.#base.step, sizeBytes, sha256 };
    } catch (error) {
      await this.#removeAll();
      throw error;
    }
  }
  /** Removes everything that was written; does nothing after `finish`. */
  async abort() {
    if (this.#state === "open")
      await this.#removeAll();
  }
  get #final() {
    return inFolder(this.#folder, stepFolder(this.#base.step));
  }
  get #partial() {
    return this.#final + folderSuffix.partial;
  }
  #mustBeComplete() {
    const gaps = [];
    for (const { tensor, tiling } of this.#tensors.values()) {
      const { gap } = tiling;
      if (gap !== null)
        gaps.push(`'${tensor.name}' (${tensor.group}) from ${gap.start} to ${gap.end}`);
    }
    if (gaps.length === 0)
      return;
    const rest = gaps.length > 8 ? ` and ${gaps.length - 8} more` : "";
    throw new CheckpointPiecesError(`no piece covered ${gaps.slice(0, 8).join(", ")}${rest}`, { gaps });
  }
  #manifestTensors() {
    return [...this.#tensors.values()].map(({ tensor, stream }) => {
      const { name, group, key, shape, dtype } = tensor;
      const sha256 = stream.sha256s.get(key);
      assert(sha256 !== void 0, "a finished file has hashed its tensors", { key });
      return { name, group, file: stream.name, key, shape, dtype, sha256, ...tensorPlace(name) };
    });
  }
  /** The tokenizer, and the index by which other programs find weights in several files. */
  #sideFiles() {
    const { tokenizer } = this.#options;
    const weights = this.#plan.filter((file) => file.tensors[0]?.group === "weights");
    const sides = tokenizer === void 0 ? [] : [[TOKENIZER_FILE, tokenizer]];
    if (weights.length > 1) {
      sides.push(["weights.safetensors.index.json", weightIndex(weights)]);
    }
    return sides;
  }
  async #writeSideFile(name, bytes) {
    await this.#storage.writeAtomic(inFolder(this.#partial, name), bytes);
    const stream = this.#hasher.open();
    await this.#hasher.update([stream], bytes.slice());
    return { name, sizeBytes: bytes.byteLength, sha256: await this.#hasher.digest(stream), header: null };
  }
  /** From here on the new checkpoint is the one that counts; before, the old one is. */
  async #publish() {
    const storage = this.#storage;
    const replaced2 = this.#final + folderSuffix.replaced;
    const isReplacing = await storage.exists(this.#final);
    if (isReplacing) {
      await storage.remove(replaced2);
      await storage.rename(this.#final, replaced2);
    }
    try {
      await storage.rename(this.#partial, this.#final);
    } catch (error) {
      if (isReplacing)
        await storage.rename(replaced2, this.#final);
      throw error;
    }
    await storage.syncFolder(this.#folder);
    if (await storage.exists(replaced2))
      await storage.remove(replaced2);
    const pointer = new TextEncoder().encode(`${stepFolder(this.#base.step)}
`);
    await storage.writeAtomic(inFolder(this.#folder, LATEST_FILE), pointer);
  }
  async #removeAll() {
    this.#state = "finishing";
    try {
      for (const stream of this.#streams)
        await stream.abort();
      await this.#storage.remove(this.#partial);
    } finally {
      await this.#close();
    }
  }
  async #close() {
    this.#state = "closed";
    if (this.#options.hasher === void 0)
      await this.#hasher.close();
  }
};
var pieceError = /* @__PURE__ */ __name((name, group, problem) => new CheckpointPiecesError(`tensor '${name}' (${group}) ${problem}`, { tensor: name, group }), "pieceError");
async function beginCheckpoint(storage, folder, base, layout, options = {}) {
  const writer = new CheckpointWriter(storage, folder, base, layout, options);
  try {
    await writer.open();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  return writer;
}
__name(beginCheckpoint, "beginCheckpoint");

// actors/dist/store/machine.js
var fencedByStore = [
  "slices.read",
  "checkpoint.begin",
  "snapshot.slice",
  "snapshot.sent",
  "message.refused"
];
var nothingCame = { sent: 0, announced: 0, received: 0 };
var storeMachine = setup({
  types: { context: {}, events: {} },
  actions: {
    readSlice: /* @__PURE__ */ __name(() => {
    }, "readSlice"),
    answerSlice: /* @__PURE__ */ __name(() => {
    }, "answerSlice"),
    refuseSlice: /* @__PURE__ */ __name(() => {
    }, "refuseSlice"),
    open: /* @__PURE__ */ __name(() => {
    }, "open"),
    put: /* @__PURE__ */ __name(() => {
    }, "put"),
    finish: /* @__PURE__ */ __name(() => {
    }, "finish"),
    reportWritten: /* @__PURE__ */ __name(() => {
    }, "reportWritten"),
    reportBroken: /* @__PURE__ */ __name(() => {
    }, "reportBroken"),
    discard: /* @__PURE__ */ __name(() => {
    }, "discard"),
    reportSettled: /* @__PURE__ */ __name(() => {
    }, "reportSettled"),
    findSnapshot: /* @__PURE__ */ __name(() => {
    }, "findSnapshot"),
    answerSnapshot: /* @__PURE__ */ __name(() => {
    }, "answerSnapshot"),
    refuseSnapshot: /* @__PURE__ */ __name(() => {
    }, "refuseSnapshot"),
    release: /* @__PURE__ */ __name(() => {
    }, "release"),
    takeAttempt: assign({ attempt: /* @__PURE__ */ __name(({ event }) => event.attempt, "attempt") })
  },
  guards: {
    complete: /* @__PURE__ */ __name(({ context }) => context.sent === context.numShards && context.received === context.announced, "complete")
  }
}).createMachine({
  id: "store",
  context: { step: 0, attempt: 0, numShards: 0, ...nothingCame },
  initial: "idle",
  on: {
    "slices.read": { actions: "readSlice" },
    "slice.ready": { actions: "answerSlice" },
    "slice.failed": { actions: "refuseSlice" },
    "snapshot.find": { actions: "findSnapshot" },
    "snapshot.opened": { actions: "answerSnapshot" },
    "snapshot.unreadable": { actions: "refuseSnapshot" },
    "snapshot.release": { actions: "release" },
    "checkpoint.abandon": {
      target: ".discarding",
      actions: ["takeAttempt", assign(nothingCame)]
    },
    // A shard's first pieces may overtake the trainer's word that a checkpoint begins.
    "snapshot.slice": { actions: ["put", assign({ received: /* @__PURE__ */ __name(({ context }) => context.received + 1, "received") })] },
    "snapshot.sent": {
      actions: assign({
        sent: /* @__PURE__ */ __name(({ context }) => context.sent + 1, "sent"),
        announced: /* @__PURE__ */ __name(({ context, event }) => context.announced + numberIn(event, "pieces"), "announced")
      })
    }
  },
  states: {
    idle: {
      on: {
        "checkpoint.begin": {
          target: "gathering",
          actions: [
            assign({
              step: /* @__PURE__ */ __name(({ event }) => event.step, "step"),
              numShards: /* @__PURE__ */ __name(({ event }) => numberIn(event, "numShards"), "numShards")
            }),
            "open"
          ]
        }
      }
    },
    gathering: { always: { guard: "complete", target: "writing" } },
    writing: {
      entry: ["finish", assign(nothingCame)],
      on: {
        "checkpoint.finished": { target: "idle", actions: "reportWritten" },
        "checkpoint.broken": { target: "idle", actions: "reportBroken" },
        "checkpoint.abandon": { target: "completing", actions: "takeAttempt" }
      }
    },
    /** The attempt is over, but everything of the checkpoint is here. */
    completing: {
      on: {
        "checkpoint.finished": { target: "idle", actions: ["reportWritten", "reportSettled"] },
        "checkpoint.broken": { target: "idle", actions: ["reportBroken", "reportSettled"] },
        "checkpoint.abandon": { actions: "takeAttempt" }
      }
    },
    discarding: {
      entry: "discard",
      on: {
        "checkpoint.discarded": { target: "idle", actions: "reportSettled" },
        "checkpoint.abandon": { actions: "takeAttempt" }
      }
    }
  }
});

// actors/dist/store/index.js
var groups = ["weights", "adam-m", "adam-v"];
function checkpointTensors(job) {
  const units = [
    ...denseUnits(job.model),
    ...jobShape(job).layers.flatMap((layer) => expertUnits(job.model, layer))
  ];
  return units.flatMap((unit) => unit.parameters.flatMap(({ name, shape }) => groups.map((group) => ({ name, shape, dtype: "f32", group }))));
}
__name(checkpointTensors, "checkpointTensors");
function mountStore(options) {
  const { job, storage, folder, keep } = options;
  const hashing = options.hasher === void 0 ? {} : { hasher: options.hasher };
  return (self2) => {
    const requests = [];
    let source = options.resumeFrom;
    let begun;
    const expectBegin = /* @__PURE__ */ __name(() => {
      let start = /* @__PURE__ */ __name(() => {
      }, "start");
      const writer = new Promise((resolve) => start = resolve);
      writer.catch(() => {
      });
      begun = { isStarted: false, start, writer };
    }, "expectBegin");
    const forget = /* @__PURE__ */ __name(() => {
      puts = [];
      expectBegin();
    }, "forget");
    const release = /* @__PURE__ */ __name(async () => {
      const opened = source;
      source = options.resumeFrom;
      if (opened !== options.resumeFrom)
        await opened?.close();
    }, "release");
    const find = /* @__PURE__ */ __name(async (step) => {
      await release();
      if (job.checkpointEvery >= 0)
        source = await newestUpTo(step) ?? options.resumeFrom;
      const { adamClock } = source?.manifest.trajectory ?? { adamClock: 0 };
      return { step: source?.manifest.step ?? 0, body: { exists: source !== null, adamClock } };
    }, "find");
    const newestUpTo = /* @__PURE__ */ __name(async (step) => {
      const folders = await storage.exists(folder) ? checkpointFolders(await storage.list(folder)) : [];
      for (const { name } of folders.filter((each) => each.step <= step)) {
        try {
          const path = folder === "" ? name : `${folder}/${name}`;
          return await openCheckpoint(storage, path, hashing);
        } catch (error) {
          if (!(error instanceof CheckpointDamagedError))
            throw error;
          self2.logger.warn("checkpoint passed over", { name, reason: error.message });
        }
      }
      return null;
    }, "newestUpTo");
    expectBegin();
    let puts = [];
    const finish = /* @__PURE__ */ __name(async () => {
      const writer = await begun.writer;
      const outcomes = await Promise.allSettled(puts);
      const failure = outcomes.find((outcome) => outcome.status === "rejected");
      if (failure !== void 0) {
        await writer.abort();
        throw failure.reason;
      }
      const written = await writer.finish();
      await pruneCheckpoints(storage, folder, keep, hashing);
      return { body: { path: written.folder } };
    }, "finish");
    const discard = /* @__PURE__ */ __name(async () => {
      const writer = await begun.writer;
      await Promise.allSettled(puts);
      await writer.abort();
      return {};
    }, "discard");
    const readSlice = /* @__PURE__ */ __name(async (event) => {
      const from = source;
      assert(from, "slices are read only of a snapshot");
      const read = /* @__PURE__ */ __name((group) => from.read(textIn(event, "name"), group, numberIn(event, "offset"), numberIn(event, "length")), "read");
      return { tensors: [await read("weights"), await read("adam-m"), await read("adam-v")] };
    }, "readSlice");
    const request = /* @__PURE__ */ __name((event) => {
      const found = requests[event.microbatch];
      assert(found, "an answer belongs to a request");
      return found;
    }, "request");
    const effects = {
      readSlice: /* @__PURE__ */ __name((event) => {
        requests.push(event);
        self2.settle(readSlice(event), "slice.ready", "slice.failed", { microbatch: requests.length - 1 });
      }, "readSlice"),
      answerSlice: /* @__PURE__ */ __name((event) => {
        const asked = request(event);
        const { attempt: attempt2 } = asked;
        const body = { from: asked.body["from"] ?? 0 };
        self2.reply(asked, "slices.read", { attempt: attempt2, tensors: event.tensors, body });
      }, "answerSlice"),
      refuseSlice: /* @__PURE__ */ __name((event) => {
        assert(event.error, "a failed read carries its error");
        self2.refuse(request(event), deserializeError(event.error));
      }, "refuseSlice"),
      open: /* @__PURE__ */ __name((event) => {
        const base = {
          step: event.step,
          topology: options.topology,
          trajectory: { adamClock: numberIn(event, "adamClock") },
          dataCursor: { step: event.step },
          rngKeys: { seed: job.seed },
          ...options.resumeFrom === null ? {} : { parents: [options.resumeFrom.manifest.manifestSha256] }
        };
        const more = {
          ...options.tokenizer === null ? {} : { tokenizer: options.tokenizer },
          ...hashing
        };
        const writer = beginCheckpoint(storage, folder, base, checkpointTensors(job), more);
        begun.isStarted = true;
        begun.start(writer);
      }, "open"),
      put: /* @__PURE__ */ __name((event) => {
        const [name, offset] = [textIn(event, "name"), numberIn(event, "offset")];
        const put = begun.writer.then((writer) => Promise.all(groups.map((group, index) => writer.put(name, group, offset, asFloat32(event.tensors[index])))));
        put.catch(() => {
        });
        puts.push(put);
      }, "put"),
      finish: /* @__PURE__ */ __name(() => {
        self2.settle(finish().finally(forget), "checkpoint.finished", "checkpoint.broken");
      }, "finish"),
      discard: /* @__PURE__ */ __name(() => {
        const discarded = begun.isStarted ? discard() : Promise.resolve({});
        self2.settle(discarded.finally(forget), "checkpoint.discarded", "checkpoint.discarded");
      }, "discard"),
      reportSettled: /* @__PURE__ */ __name((_event, { attempt: attempt2 }) => self2.tell(addresses2.trainer, "checkpoint.settled", { attempt: attempt2 }), "reportSettled"),
      findSnapshot: /* @__PURE__ */ __name((event) => {
        requests.push(event);
        self2.settle(find(event.step), "snapshot.opened", "snapshot.unreadable", {
          microbatch: requests.length - 1
        });
      }, "findSnapshot"),
      answerSnapshot: /* @__PURE__ */ __name((event) => {
        const asked = request(event);
        self2.reply(asked, "snapshot.found", { attempt: asked.attempt, step: event.step, body: event.body });
      }, "answerSnapshot"),
      refuseSnapshot: /* @__PURE__ */ __name((event) => {
        assert(event.error, "a failed search carries its error");
        self2.refuse(request(event), deserializeError(event.error));
      }, "refuseSnapshot"),
      release: /* @__PURE__ */ __name(() => {
        release().catch((error) => self2.logger.warn("snapshot not closed", { reason: String(error) }));
      }, "release"),
      reportWritten: /* @__PURE__ */ __name((event, context) => {
        self2.tell(addresses2.trainer, "checkpoint.written", { step: context.step, body: event.body });
      }, "reportWritten"),
      reportBroken: /* @__PURE__ */ __name((event, context) => {
        const { code, message, retryable } = event.error ?? {
          code: "TROUPE_UNKNOWN",
          message: "unknown",
          retryable: false
        };
        self2.tell(addresses2.trainer, "checkpoint.failed", {
          step: context.step,
          body: { code, message, retryable }
        });
      }, "reportBroken")
    };
    return {
      machine: storeMachine,
      input: void 0,
      effects,
      epoch: /* @__PURE__ */ __name(({ attempt: attempt2 }) => ({ step: 0, attempt: attempt2 }), "epoch"),
      fenced: new Set(fencedByStore)
    };
  };
}
__name(mountStore, "mountStore");
var asFloat32 = /* @__PURE__ */ __name((values) => values instanceof Float32Array ? values : Float32Array.from(values), "asFloat32");

// actors/dist/supervisor/machine.js
var nextLife = assign({
  lives: /* @__PURE__ */ __name(({ context, event }) => new Map([...context.lives, [textIn(event, "node"), numberIn(event, "incarnation") + 1]]), "lives"),
  away: /* @__PURE__ */ __name(({ context, event }) => /* @__PURE__ */ new Set([...context.away, textIn(event, "node")]), "away")
});
var supervisorMachine = setup({
  types: {
    context: {},
    events: {},
    input: {}
  },
  actions: {
    ignore: /* @__PURE__ */ __name(() => {
    }, "ignore"),
    ping: /* @__PURE__ */ __name(() => {
    }, "ping"),
    remember: /* @__PURE__ */ __name(() => {
    }, "remember"),
    restart: /* @__PURE__ */ __name(() => {
    }, "restart"),
    reopen: /* @__PURE__ */ __name(() => {
    }, "reopen"),
    welcome: /* @__PURE__ */ __name(() => {
    }, "welcome"),
    reportLost: /* @__PURE__ */ __name(() => {
    }, "reportLost"),
    reportStuck: /* @__PURE__ */ __name(() => {
    }, "reportStuck"),
    reportFailed: /* @__PURE__ */ __name(() => {
    }, "reportFailed"),
    describeAwaited: /* @__PURE__ */ __name(() => {
    }, "describeAwaited")
  },
  guards: {
    isStale: /* @__PURE__ */ __name(({ context, event }) => numberIn(event, "incarnation") < (context.lives.get(textIn(event, "node")) ?? 0), "isStale"),
    isAway: /* @__PURE__ */ __name(({ context, event }) => context.away.has(textIn(event, "node")), "isAway"),
    isCurrent: /* @__PURE__ */ __name(({ context, event }) => numberIn(event, "incarnation") === context.lives.get(textIn(event, "node")), "isCurrent"),
    mayReopen: /* @__PURE__ */ __name(({ context }) => context.mayReopen(), "mayReopen"),
    mayRestart: /* @__PURE__ */ __name(({ context }) => context.mayRestart(), "mayRestart"),
    mayRestartFailed: /* @__PURE__ */ __name(({ context, event }) => flagIn(event, "retryable") && context.lives.has(textIn(event, "node")) && context.mayRestart(), "mayRestartFailed")
  },
  delays: { heartbeat: /* @__PURE__ */ __name(({ context }) => context.heartbeatMs, "heartbeat") }
}).createMachine({
  id: "supervisor",
  context: /* @__PURE__ */ __name(({ input }) => ({ ...input, ended: false, away: /* @__PURE__ */ new Set() }), "context"),
  initial: "watching",
  on: {
    // A worker that is gone meanwhile is reported by its loss.
    "message.refused": { actions: "ignore" }
  },
  states: {
    watching: {
      entry: "ping",
      after: { heartbeat: { target: "watching", reenter: true } },
      on: {
        "system.described": { actions: "remember" },
        "worker.lost": [
          { guard: "isStale", actions: "ignore" },
          { guard: "mayRestart", actions: [nextLife, "restart"] },
          { target: "ended", actions: "reportLost" }
        ],
        // A heartbeat without an answer.
        "ask.failed": [
          { guard: "isStale", actions: "ignore" },
          { guard: "mayRestart", actions: [nextLife, "restart"] },
          { target: "ended", actions: "reportLost" }
        ],
        "actor.failed": [
          { guard: "isStale", actions: "ignore" },
          { guard: "mayRestartFailed", actions: [nextLife, "restart"] },
          { target: "ended", actions: "reportFailed" }
        ],
        "link.lost": [
          { guard: "isAway", actions: "ignore" },
          { guard: "mayReopen", actions: "reopen" },
          { target: "ended", actions: "reportLost" }
        ],
        "worker.joined": {
          guard: "isCurrent",
          actions: [
            assign({
              away: /* @__PURE__ */ __name(({ context, event }) => new Set([...context.away].filter((node) => node !== textIn(event, "node"))), "away")
            }),
            "welcome"
          ]
        },
        "worker.stuck": { target: "explaining", actions: "describeAwaited" },
        "run.finished": { target: "ended" }
      }
    },
    /** A wait expired: one last look at what the awaited actor does. */
    explaining: {
      on: {
        "system.described": { target: "ended", actions: ["remember", "reportStuck"] },
        "ask.failed": { target: "ended", actions: "reportStuck" },
        "worker.lost": { target: "ended", actions: "reportLost" },
        "actor.failed": { target: "ended", actions: "reportFailed" },
        "worker.stuck": { actions: "ignore" },
        "worker.joined": { actions: "ignore" },
        "link.lost": { actions: "ignore" },
        "run.finished": { target: "ended" }
      }
    },
    ended: {
      entry: assign({ ended: true }),
      on: {
        "system.described": { actions: "ignore" },
        "ask.failed": { actions: "ignore" },
        "worker.lost": { actions: "ignore" },
        "worker.stuck": { actions: "ignore" },
        "worker.joined": { actions: "ignore" },
        "link.lost": { actions: "ignore" },
        "actor.failed": { actions: "ignore" },
        "run.finished": { actions: "ignore" }
      }
    }
  }
});

// actors/dist/supervisor/index.js
var NAMES_SHOWN = 6;
var listed = /* @__PURE__ */ __name((names) => names.length <= NAMES_SHOWN ? names.join(", ") : `${names.slice(0, NAMES_SHOWN).join(", ")} and ${names.length - NAMES_SHOWN} more`, "listed");
function mountSupervisor(options) {
  const { intensity, periodMs } = options.limit;
  return (self2) => {
    const states = /* @__PURE__ */ new Map();
    let stuck = null;
    let lossesMs = [];
    let breaksMs = [];
    const lives = /* @__PURE__ */ __name((context, node) => context.lives.get(node) ?? 1, "lives");
    const reasonOf = /* @__PURE__ */ __name((event) => {
      if (event.type === "ask.failed")
        return `no answer within ${options.silenceMs} ms`;
      if (event.type === "actor.failed")
        return `${textIn(event, "actor")}: ${textIn(event, "message")}`;
      return textIn(event, "reason");
    }, "reasonOf");
    const sentence = /* @__PURE__ */ __name((event) => {
      const node = textIn(event, "node");
      const actors = options.workers.get(node)?.actors ?? [];
      return `${node} was lost (${reasonOf(event)}) ${options.position()}; it held ${listed(actors)}`;
    }, "sentence");
    const beyond = /* @__PURE__ */ __name(() => intensity === 0 ? "" : `; that is loss ${lossesMs.length + 1} within ${periodMs / 1e3} s, ${intensity} are made good`, "beyond");
    const recent = /* @__PURE__ */ __name((timesMs) => timesMs.filter((at) => self2.clock.now() - at < periodMs), "recent");
    const describe3 = /* @__PURE__ */ __name((node, context) => self2.ask(systemAddress(node), "system.describe", { body: { node, incarnation: lives(context, node) } }, { deadlineMs: options.silenceMs, reason: "heartbeat" }), "describe");
    const effects = {
      ping: /* @__PURE__ */ __name((_event, context) => {
        for (const node of options.workers.keys())
          if (!context.away.has(node))
            describe3(node, context);
      }, "ping"),
      remember: /* @__PURE__ */ __name((event) => {
        for (const line of event.body["lines"] ?? []) {
          const [actor, state] = line.split(" ");
          if (actor !== void 0 && state !== void 0)
            states.set(actor, state);
        }
      }, "remember"),
      restart: /* @__PURE__ */ __name((event, context) => {
        lossesMs = [...recent(lossesMs), self2.clock.now()];
        const node = textIn(event, "node");
        const worker = options.workers.get(node);
        assert(worker, "a worker of this run was lost", { node });
        self2.tell(addresses2.trainer, "worker.lost", {
          body: { dp: worker.dp, node, sentence: sentence(event) }
        });
        options.restart(node, lives(context, node));
      }, "restart"),
      reopen: /* @__PURE__ */ __name((event) => {
        breaksMs = [...recent(breaksMs), self2.clock.now()];
        const node = textIn(event, "node");
        self2.tell(addresses2.trainer, "link.lost", {
          body: {
            node,
            sentence: `the connection of ${textIn(event, "by")} to ${node} broke (${textIn(event, "reason")})`
          }
        });
      }, "reopen"),
      welcome: /* @__PURE__ */ __name((event) => {
        const worker = options.workers.get(textIn(event, "node"));
        assert(worker, "a worker of this run joined");
        self2.tell(addresses2.trainer, "worker.joined", { body: { dp: worker.dp } });
      }, "welcome"),
      reportLost: /* @__PURE__ */ __name((event) => {
        options.failed({
          kind: "lost",
          code: "TROUPE_WORKER_LOST",
          message: `${sentence(event)}${beyond()}`,
          retryable: true
        });
      }, "reportLost"),
      describeAwaited: /* @__PURE__ */ __name((event, context) => {
        stuck = event;
        const awaited = textIn(event, "awaited");
        const node = [...options.workers].find(([, { actors }]) => actors.includes(awaited))?.[0];
        if (node === void 0)
          self2.post("ask.failed", {});
        else
          describe3(node, context);
      }, "describeAwaited"),
      reportStuck: /* @__PURE__ */ __name(() => {
        assert(stuck, "an explanation follows an expired wait");
        const awaited = textIn(stuck, "awaited");
        options.failed({
          kind: "stuck",
          code: "TROUPE_RUN_STUCK",
          message: `${textIn(stuck, "sentence")}; ${awaited} was last seen in state ${states.get(awaited) ?? "unknown"}`,
          retryable: true
        });
      }, "reportStuck"),
      reportFailed: /* @__PURE__ */ __name((event) => {
        options.failed({
          kind: "failed",
          code: textIn(event, "code"),
          message: `${textIn(event, "actor")}: ${textIn(event, "message")}`,
          retryable: flagIn(event, "retryable")
        });
      }, "reportFailed")
    };
    const input = {
      heartbeatMs: options.heartbeatMs,
      lives: new Map([...options.workers.keys()].map((node) => [node, 1])),
      mayRestart: /* @__PURE__ */ __name(() => recent(lossesMs).length < intensity, "mayRestart"),
      // One loss can break a connection of every other worker.
      mayReopen: /* @__PURE__ */ __name(() => recent(breaksMs).length < intensity * options.workers.size, "mayReopen")
    };
    return { machine: supervisorMachine, input, effects };
  };
}
__name(mountSupervisor, "mountSupervisor");

// actors/dist/trainer/ledger.js
var StepLedger = class {
  static {
    __name(this, "StepLedger");
  }
  lossSum = 0n;
  normSum = 0n;
  overflow = false;
  kernelMs = 0;
  bytesSent = 0;
  /** Two sums a MoE layer: balance and squared logsumexp. */
  lossSums = [];
  /** Choices of every expert, MoE layers × experts. */
  counts = new Int32Array(0);
  probSums = [];
  addLosses(lossSum, layerSums, counts, probSums) {
    this.lossSum += lossSum;
    if (this.lossSums.length === 0) {
      this.lossSums = Array.from(layerSums);
      this.counts = counts.slice();
      this.probSums = Array.from(probSums);
      return;
    }
    layerSums.forEach((value, index) => this.lossSums[index] = (this.lossSums[index] ?? 0n) + value);
    counts.forEach((value, index) => this.counts[index] = (this.counts[index] ?? 0) + value);
    probSums.forEach((value, index) => this.probSums[index] = (this.probSums[index] ?? 0n) + value);
  }
};
var normOf = /* @__PURE__ */ __name((sum2) => Math.sqrt(Number(sum2) * 2 ** NORM_QUANTUM_LOG2), "normOf");
function norm128(words) {
  return (BigInt.asIntN(64, words[1] ?? 0n) << 64n) + BigInt.asUintN(64, words[0] ?? 0n);
}
__name(norm128, "norm128");

// actors/dist/trainer/losses.js
function stepLosses(job, ledger, batch) {
  const { layers } = jobShape(job);
  const loss = lossValue(ledger.lossSum) / batch.targets;
  if (job.model.moe === null)
    return { loss, auxLoss: 0, maxExpertLoad: 1, hottest: null };
  const { experts } = job.model.moe;
  let maxExpertLoad = 0;
  let hottest = null;
  layers.forEach((layer, index) => {
    const counts = ledger.counts.subarray(index * experts, (index + 1) * experts);
    const rows = counts.reduce((a, b) => a + b, 0);
    counts.forEach((count3, expert) => {
      const load = rows === 0 ? 0 : count3 * experts / rows;
      if (load > maxExpertLoad) {
        maxExpertLoad = load;
        hottest = { layer, expert };
      }
    });
  });
  const statistics = layers.map((layer, index) => ({
    layer,
    lossSums: BigInt64Array.from(ledger.lossSums.slice(index * 2, index * 2 + 2)),
    counts_E: ledger.counts.subarray(index * experts, (index + 1) * experts),
    probSums_E: BigInt64Array.from(ledger.probSums.slice(index * experts, (index + 1) * experts))
  }));
  const { auxLoss, zLoss } = balanceLosses(job.model, statistics, {
    sequences: job.batch,
    tokens: batch.tokens
  });
  return { loss, auxLoss: auxLoss + zLoss, maxExpertLoad, hottest };
}
__name(stepLosses, "stepLosses");

// actors/dist/trainer/recovery-plan.js
function planRecovery(job, held, version) {
  const sources = [];
  for (let dp = 0; dp < job.dp; dp++) {
    for (const each of parameterClasses(job)) {
      const source = sourceOf(job, each, dp, { held, version });
      if (source === null)
        return null;
      sources.push({ shard: addresses2.optimizer(each, dp), ...source });
    }
  }
  return sources;
}
__name(planRecovery, "planRecovery");
function sourceOf(job, parameterClass, dp, wanted) {
  const { held, version } = wanted;
  const named3 = /* @__PURE__ */ __name((rank) => addresses2.optimizer(parameterClass, rank), "named");
  const twins = job.zero === 0 ? classPeers(job, parameterClass, dp) : [];
  const holder = [dp, ...twins].find((rank) => held.versions.get(named3(rank)) === version);
  if (holder !== void 0)
    return { from: named3(holder), fromCopy: false };
  const buddy = buddyOf(job, parameterClass, dp);
  return buddy !== null && held.copies.get(named3(dp)) === version ? { from: named3(buddy), fromCopy: true } : null;
}
__name(sourceOf, "sourceOf");

// actors/dist/trainer/effects.js
function trainerEffects(self2, options) {
  const { job } = options;
  const replicas = Array.from({ length: job.dp }, (_, dp) => dp);
  const stages = replicas.map((dp) => addresses2.stage(dp));
  const shardsOf = /* @__PURE__ */ __name((dp) => parameterClasses(job).map((each) => addresses2.optimizer(each, dp)), "shardsOf");
  const shards = replicas.flatMap(shardsOf);
  const shape = jobShape(job);
  const counts = /* @__PURE__ */ new Map();
  let ledger = new StepLedger();
  let evaluation = { lossSum: 0n, tokens: 0 };
  let adamClock = job.first.adamClock;
  let openedAtMs = 0;
  let opened = false;
  let lastLoss = null;
  const reported = /* @__PURE__ */ new Map();
  let openings = { step: 0, count: 0 };
  let loss = null;
  let source = "peers";
  let skipped = false;
  const balance = { replicas: 0, counts_LE: new Int32Array(0) };
  let decided = { gradNorm: 0, learningRate: 0 };
  const prefetch = /* @__PURE__ */ __name((step) => {
    for (const dp of replicas)
      self2.tell(addresses2.feeder(dp), "batch.prefetch", { step });
  }, "prefetch");
  const waitFor = /* @__PURE__ */ __name((name, awaited, reason, step, deadlineMs) => self2.wait({ name, awaited, reason, step, deadlineMs }), "waitFor");
  const tokensOf2 = /* @__PURE__ */ __name((step) => {
    const all = [...counts.get(step)?.values() ?? []];
    return {
      targets: all.reduce((sum2, { targets }) => sum2 + targets, 0),
      tokens: all.reduce((sum2, { tokens }) => sum2 + tokens, 0)
    };
  }, "tokensOf");
  const open = /* @__PURE__ */ __name((context) => {
    ledger = new StepLedger();
    balance.replicas = 0;
    openings = { step: context.step, count: openings.step === context.step ? openings.count + 1 : 1 };
    const body = tokensOf2(context.step);
    for (const to of [...shards, ...stages]) {
      self2.tell(to, "step.open", {
        step: context.step,
        attempt: context.attempt,
        version: context.step - 1,
        body
      });
    }
    waitFor("step", [...shards, ...stages], "votes and measurements", context.step, job.deadlines.stepMs);
  }, "open");
  const effects = {
    start: /* @__PURE__ */ __name(() => {
      waitFor("load", shards, "parameters to be loaded", job.first.step, job.deadlines.loadMs);
      prefetch(job.first.step + 1);
    }, "start"),
    recordCount: /* @__PURE__ */ __name((event) => {
      const counted = { targets: numberIn(event, "targets"), tokens: numberIn(event, "tokens") };
      counts.set(event.step, (counts.get(event.step) ?? /* @__PURE__ */ new Map()).set(event.from, counted));
    }, "recordCount"),
    open: /* @__PURE__ */ __name((_event, context) => {
      self2.endWait("load");
      if (!opened)
        options.opened?.();
      opened = true;
      openedAtMs = self2.clock.now();
      open(context);
      if (context.step < job.stopAfter)
        prefetch(context.step + 1);
    }, "open"),
    replay: /* @__PURE__ */ __name((_event, context) => {
      options.report({
        event: "fault",
        message: `step ${context.step} had a non-finite gradient; replaying it`,
        details: { step: context.step }
      });
      open(context);
    }, "replay"),
    recordMeasure: /* @__PURE__ */ __name((event) => {
      const [lossSum, layerSums, loads, probSums] = event.tensors;
      ledger.addLosses(lossSum[0] ?? 0n, layerSums, loads, probSums);
      ledger.kernelMs += numberIn(event, "kernelMs");
      self2.answered("step", event.from);
    }, "recordMeasure"),
    shareBalance: /* @__PURE__ */ __name((event, context) => {
      const counts_LE = event.tensors[0];
      if (balance.replicas === 0)
        balance.counts_LE = new Int32Array(counts_LE.length);
      counts_LE.forEach((count3, index) => balance.counts_LE[index] = (balance.counts_LE[index] ?? 0) + count3);
      balance.replicas++;
      if (balance.replicas < job.dp)
        return;
      balance.replicas = 0;
      for (const dp of replicas) {
        self2.tell(addresses2.stage(dp), "balance.shared", {
          step: context.step,
          attempt: context.attempt,
          tensors: [balance.counts_LE]
        });
      }
    }, "shareBalance"),
    recordVote: /* @__PURE__ */ __name((event) => {
      ledger.normSum += norm128(event.tensors[0]);
      ledger.overflow ||= flagIn(event, "overflow");
      self2.answered("step", event.from);
    }, "recordVote"),
    decide: /* @__PURE__ */ __name((_event, context) => {
      const norm = normOf(ledger.normSum);
      const finite = !ledger.overflow;
      const learningRate2 = job.learningRate(context.step);
      skipped = !finite;
      if (finite)
        adamClock++;
      decided = { gradNorm: finite ? norm : Number.NaN, learningRate: learningRate2 };
      const { clip, beta1, beta2 } = job.optimizer;
      const body = {
        apply: finite,
        gradScale: clip > 0 ? Math.min(1, clip / (norm + 1e-6)) : 1,
        learningRate: learningRate2,
        correction1: 1 - beta1 ** adamClock,
        correction2: 1 - beta2 ** adamClock
      };
      for (const to of shards)
        self2.tell(to, "commit.decide", {
          step: context.step,
          attempt: context.attempt,
          version: context.step - 1,
          body
        });
      waitFor("step", shards, "the decision to be applied", context.step, job.deadlines.stepMs);
    }, "decide"),
    report: /* @__PURE__ */ __name((_event, context) => {
      self2.endWait("step");
      const seconds = (self2.clock.now() - openedAtMs) / 1e3;
      const { targets, tokens } = tokensOf2(context.step);
      for (const step of counts.keys())
        if (step <= context.step)
          counts.delete(step);
      const losses = stepLosses(job, ledger, { targets, tokens });
      lastLoss = losses.loss;
      const before = reported.get(context.step);
      reported.set(context.step, losses.loss);
      if (before !== void 0) {
        if (!Object.is(before, losses.loss))
          options.report({
            event: "fault",
            message: `step ${context.step} was repeated and its loss is ${losses.loss}; before it was ${before}`,
            details: { step: context.step, before, after: losses.loss }
          });
        return;
      }
      const tokensPerSecond = targets / seconds;
      options.report({
        event: "step",
        step: context.step,
        loss: losses.loss,
        auxLoss: losses.auxLoss,
        gradNorm: decided.gradNorm,
        learningRate: decided.learningRate,
        tokens: targets,
        tokensPerSecond,
        mfu: options.peakFlops === null ? null : options.flopsPerToken * tokensPerSecond / options.peakFlops,
        maxExpertLoad: losses.maxExpertLoad,
        hottest: losses.hottest,
        kernelShare: ledger.kernelMs / 1e3 / seconds / job.dp,
        attempts: openings.count,
        skipped
      });
    }, "report"),
    evaluate: /* @__PURE__ */ __name((_event, context) => {
      evaluation = { lossSum: 0n, tokens: 0 };
      for (const dp of replicas)
        self2.tell(addresses2.stage(dp), "evaluation.open", {
          step: context.step,
          attempt: context.attempt,
          version: context.step
        });
      waitFor("evaluation", stages, "the held-out loss", context.step, job.deadlines.stepMs * Math.max(1, shape.evaluationPasses));
    }, "evaluate"),
    recordEvaluation: /* @__PURE__ */ __name((event) => {
      evaluation.lossSum += event.tensors[0][0] ?? 0n;
      evaluation.tokens += numberIn(event, "targets");
    }, "recordEvaluation"),
    reportEvaluation: /* @__PURE__ */ __name((_event, context) => {
      self2.endWait("evaluation");
      options.report({
        event: "eval",
        step: context.step,
        loss: lossValue(evaluation.lossSum) / evaluation.tokens,
        tokens: evaluation.tokens
      });
    }, "reportEvaluation"),
    checkpoint: /* @__PURE__ */ __name((_event, context) => {
      self2.tell(addresses2.store(0), "checkpoint.begin", {
        step: context.step,
        attempt: context.attempt,
        version: context.step,
        body: { adamClock, numShards: shards.length }
      });
      for (const to of shards)
        self2.tell(to, "snapshot.take", {
          step: context.step,
          attempt: context.attempt,
          version: context.step
        });
      waitFor("checkpoint", [addresses2.store(0)], "the checkpoint to be written", context.step, job.deadlines.checkpointMs);
    }, "checkpoint"),
    reportCheckpoint: /* @__PURE__ */ __name((event) => {
      self2.endWait("checkpoint");
      for (const step of reported.keys())
        if (step <= event.step)
          reported.delete(step);
      options.report({ event: "checkpoint", step: event.step, path: textIn(event, "path") });
    }, "reportCheckpoint"),
    failCheckpoint: /* @__PURE__ */ __name((event, context) => {
      self2.endWait("checkpoint");
      options.finished({
        step: context.step,
        loss: lastLoss,
        stopped: false,
        error: event.error ?? {
          code: textIn(event, "code"),
          message: textIn(event, "message"),
          retryable: flagIn(event, "retryable")
        }
      });
    }, "failCheckpoint"),
    finish: /* @__PURE__ */ __name((_event, context) => {
      options.finished({ step: context.step, loss: lastLoss, stopped: context.step < job.stopAfter });
    }, "finish")
  };
  const recovery = {
    reportLoss: /* @__PURE__ */ __name((event, context) => {
      loss ??= { workers: /* @__PURE__ */ new Set(), atMs: self2.clock.now(), step: context.step };
      const worker = textIn(event, "node");
      loss.workers.add(worker);
      options.report({
        event: "fault",
        message: `${textIn(event, "sentence")}; going back to step ${context.step}`,
        details: { worker, step: context.step, attempt: context.attempt }
      });
    }, "reportLoss"),
    abandon: /* @__PURE__ */ __name((_event, context) => {
      for (const name of ["load", "step", "evaluation", "checkpoint"])
        self2.endWait(name);
      const { attempt: attempt2 } = context;
      for (const dp of replicas)
        if (!context.down.has(dp))
          self2.tell(addresses2.stage(dp), "attempt.abandon", { attempt: attempt2 });
      self2.tell(addresses2.store(0), "checkpoint.abandon", { attempt: attempt2 });
      const { recoveryMs } = job.deadlines;
      const lost = [...loss?.workers ?? []].join(", ");
      waitFor("recovery", [...context.awaited], `the run to recover from the loss of ${lost}`, context.step, recoveryMs);
    }, "abandon"),
    abandonJoined: /* @__PURE__ */ __name((event, { attempt: attempt2 }) => self2.tell(addresses2.stage(numberIn(event, "dp")), "attempt.abandon", { attempt: attempt2 }), "abandonJoined"),
    rebuild: /* @__PURE__ */ __name((_event, context) => {
      const { step, attempt: attempt2 } = context;
      const plan = planRecovery(job, context, step);
      assert(plan, "the machine rebuilds what can be rebuilt", { step });
      source = "peers";
      for (const { shard, from, fromCopy } of plan)
        if (from !== shard)
          self2.tell(from, "shard.send", { attempt: attempt2, version: step, body: { to: shard, fromCopy } });
      for (const { shard, from } of plan)
        if (from === shard)
          self2.tell(shard, "shard.keep", { attempt: attempt2, version: step });
      waitFor("recovery", shards, "state of lost shards", step, job.deadlines.recoveryMs);
    }, "rebuild"),
    heard: /* @__PURE__ */ __name((event) => self2.answered("recovery", event.from), "heard"),
    findSnapshot: /* @__PURE__ */ __name((_event, { attempt: attempt2, step }) => {
      const { recoveryMs } = job.deadlines;
      waitFor("recovery", [addresses2.store(0)], "the newest snapshot, for all to go back to", step, recoveryMs);
      self2.ask(addresses2.store(0), "snapshot.find", { attempt: attempt2, step }, { deadlineMs: recoveryMs, reason: "the newest snapshot" });
    }, "findSnapshot"),
    restore: /* @__PURE__ */ __name((event, { attempt: attempt2, step }) => {
      adamClock = numberIn(event, "adamClock");
      source = flagIn(event, "exists") ? "snapshot" : "seed";
      for (const to of shards)
        self2.tell(to, "shard.restore", { attempt: attempt2, version: step, body: { source } });
      waitFor("recovery", shards, "every shard to go back to one snapshot", step, job.deadlines.recoveryMs);
    }, "restore"),
    reportRecovered: /* @__PURE__ */ __name((_event, { step, attempt: attempt2, stopAfter }) => {
      assert(loss, "a recovery follows a loss");
      self2.endWait("recovery");
      self2.tell(addresses2.store(0), "snapshot.release");
      options.report({
        event: "recovered",
        step: step + 1,
        attempt: attempt2,
        worker: [...loss.workers].join(", "),
        ms: self2.clock.now() - loss.atMs,
        from: source,
        repeatedSteps: Math.max(0, loss.step - step)
      });
      loss = null;
      if (step < stopAfter)
        prefetch(step + 1);
    }, "reportRecovered"),
    failRecovery: /* @__PURE__ */ __name((event, context) => {
      options.finished({
        step: context.step,
        loss: lastLoss,
        stopped: false,
        error: event.error ?? {
          code: "TROUPE_WORKER_LOST",
          message: `${[...loss?.workers ?? []].join(", ")} was lost with state that no other worker holds, and there is no snapshot to go back to`,
          retryable: true
        }
      });
    }, "failRecovery")
  };
  return { effects: { ...effects, ...recovery }, finite: /* @__PURE__ */ __name(() => !ledger.overflow, "finite") };
}
__name(trainerEffects, "trainerEffects");

// actors/dist/trainer/pending.js
var Pending = class _Pending {
  static {
    __name(this, "Pending");
  }
  size;
  #groups;
  /** Where each lies, shared by all copies. */
  #places;
  constructor(groups2, places, size) {
    this.#groups = groups2;
    this.#places = places;
    this.size = size;
  }
  static of(values) {
    const all = [...new Set(values)];
    const groupSize = Math.max(1, Math.ceil(Math.sqrt(all.length)));
    const groups2 = [];
    for (let from = 0; from < all.length; from += groupSize)
      groups2.push(new Set(all.slice(from, from + groupSize)));
    const places = new Map(all.map((value, index) => [value, Math.floor(index / groupSize)]));
    return new _Pending(groups2, places, all.length);
  }
  has(value) {
    return this.#groups[this.#places.get(value) ?? -1]?.has(value) === true;
  }
  /** The same without one; itself when that is not in it. */
  without(value) {
    if (!this.has(value))
      return this;
    const place = this.#places.get(value);
    const groups2 = this.#groups.map((group, index) => {
      if (index !== place)
        return group;
      const rest = new Set(group);
      rest.delete(value);
      return rest;
    });
    return new _Pending(groups2, this.#places, this.size - 1);
  }
  /** In the order in which they were given. */
  *[Symbol.iterator]() {
    for (const group of this.#groups)
      yield* group;
  }
};

// actors/dist/trainer/machine.js
var fencedByTrainer = [
  "shard.loaded",
  "replica.measured",
  "balance.share",
  "gradient.vote",
  "commit.applied",
  "replica.evaluated",
  "attempt.abandoned",
  "checkpoint.settled",
  "snapshot.found",
  "ask.failed",
  "message.refused"
];
var addressesOf = /* @__PURE__ */ __name((answerers) => answerers.map(({ address: address2 }) => address2), "addressesOf");
var without = /* @__PURE__ */ __name((values, value) => {
  const rest = new Set(values);
  rest.delete(value);
  return rest;
}, "without");
var withCopy = /* @__PURE__ */ __name((copies, event) => event.body["ward"] === void 0 ? copies : new Map([...copies, [address(textIn(event, "ward")), numberIn(event, "wardVersion")]]), "withCopy");
var trainerMachine = setup({
  types: { context: {}, events: {}, input: {} },
  actions: {
    ignore: /* @__PURE__ */ __name(() => {
    }, "ignore"),
    start: /* @__PURE__ */ __name(() => {
    }, "start"),
    open: /* @__PURE__ */ __name(() => {
    }, "open"),
    replay: /* @__PURE__ */ __name(() => {
    }, "replay"),
    recordCount: /* @__PURE__ */ __name(() => {
    }, "recordCount"),
    recordMeasure: /* @__PURE__ */ __name(() => {
    }, "recordMeasure"),
    recordVote: /* @__PURE__ */ __name(() => {
    }, "recordVote"),
    shareBalance: /* @__PURE__ */ __name(() => {
    }, "shareBalance"),
    decide: /* @__PURE__ */ __name(() => {
    }, "decide"),
    report: /* @__PURE__ */ __name(() => {
    }, "report"),
    evaluate: /* @__PURE__ */ __name(() => {
    }, "evaluate"),
    recordEvaluation: /* @__PURE__ */ __name(() => {
    }, "recordEvaluation"),
    reportEvaluation: /* @__PURE__ */ __name(() => {
    }, "reportEvaluation"),
    checkpoint: /* @__PURE__ */ __name(() => {
    }, "checkpoint"),
    reportCheckpoint: /* @__PURE__ */ __name(() => {
    }, "reportCheckpoint"),
    failCheckpoint: /* @__PURE__ */ __name(() => {
    }, "failCheckpoint"),
    finish: /* @__PURE__ */ __name(() => {
    }, "finish"),
    reportLoss: /* @__PURE__ */ __name(() => {
    }, "reportLoss"),
    abandon: /* @__PURE__ */ __name(() => {
    }, "abandon"),
    abandonJoined: /* @__PURE__ */ __name(() => {
    }, "abandonJoined"),
    rebuild: /* @__PURE__ */ __name(() => {
    }, "rebuild"),
    findSnapshot: /* @__PURE__ */ __name(() => {
    }, "findSnapshot"),
    restore: /* @__PURE__ */ __name(() => {
    }, "restore"),
    reportRecovered: /* @__PURE__ */ __name(() => {
    }, "reportRecovered"),
    failRecovery: /* @__PURE__ */ __name(() => {
    }, "failRecovery"),
    heard: /* @__PURE__ */ __name(() => {
    }, "heard"),
    answered: assign({ awaited: /* @__PURE__ */ __name(({ context, event }) => context.awaited.without(event.from), "awaited") }),
    awaitShards: assign({ awaited: /* @__PURE__ */ __name(({ context }) => Pending.of(addressesOf(context.shards)), "awaited") }),
    awaitStep: assign({
      awaited: /* @__PURE__ */ __name(({ context }) => Pending.of([...addressesOf(context.shards), ...addressesOf(context.stages)]), "awaited")
    }),
    markLost: assign({
      broken: true,
      down: /* @__PURE__ */ __name(({ context, event }) => /* @__PURE__ */ new Set([...context.down, numberIn(event, "dp")]), "down")
    }),
    markJoined: assign({ down: /* @__PURE__ */ __name(({ context, event }) => without(context.down, numberIn(event, "dp")), "down") }),
    /** The shards of a lost worker carry nothing out any more. */
    forgetLost: assign({
      awaited: /* @__PURE__ */ __name(({ context, event }) => Pending.of(addressesOf(context.shards.filter(({ address: address2, dp }) => context.awaited.has(address2) && dp !== numberIn(event, "dp")))), "awaited")
    })
  },
  guards: {
    settled: /* @__PURE__ */ __name(({ context }) => context.awaited.size === 0, "settled"),
    settledBroken: /* @__PURE__ */ __name(({ context }) => context.awaited.size === 0 && context.broken, "settledBroken"),
    settledRebuildable: /* @__PURE__ */ __name(({ context }) => context.awaited.size === 0 && context.rebuildable(context, context.step), "settledRebuildable"),
    begun: /* @__PURE__ */ __name(({ context }) => context.uncounted.get(context.step + 1)?.size === 0, "begun"),
    replayable: /* @__PURE__ */ __name(({ context }) => context.awaited.size === 0 && !context.finite() && !context.replayed, "replayable"),
    evaluationDue: /* @__PURE__ */ __name(({ context }) => context.step > context.evaluated && context.evaluationDue(context.step), "evaluationDue"),
    checkpointDue: /* @__PURE__ */ __name(({ context }) => context.checkpoints && context.step > context.saved && context.checkpointDue(context.step), "checkpointDue"),
    endedUnsaved: /* @__PURE__ */ __name(({ context }) => context.checkpoints && context.saved !== context.step && (context.stopping || context.step >= context.stopAfter), "endedUnsaved"),
    ended: /* @__PURE__ */ __name(({ context }) => context.stopping || context.step >= context.stopAfter, "ended"),
    mayRestore: /* @__PURE__ */ __name(({ context, event }) => flagIn(event, "exists") || context.restartsFromBeginning, "mayRestore")
  }
}).createMachine({
  id: "trainer",
  context: /* @__PURE__ */ __name(({ input }) => ({
    ...input,
    attempt: 1,
    replayed: false,
    awaited: Pending.of([]),
    uncounted: /* @__PURE__ */ new Map(),
    feeders: Pending.of(input.stages.map(({ dp }) => addresses2.feeder(dp))),
    down: /* @__PURE__ */ new Set(),
    broken: false,
    versions: /* @__PURE__ */ new Map(),
    copies: /* @__PURE__ */ new Map(),
    stopping: false,
    saved: input.step,
    evaluated: input.step
  }), "context"),
  initial: "loading",
  on: {
    "run.stop": { actions: assign({ stopping: true }) },
    // Feeders report one step ahead, whatever the trainer does meanwhile.
    "batch.counted": {
      actions: [
        assign({
          uncounted: /* @__PURE__ */ __name(({ context: { uncounted, feeders }, event }) => new Map([...uncounted, [event.step, (uncounted.get(event.step) ?? feeders).without(event.from)]]), "uncounted")
        }),
        "recordCount"
      ]
    },
    "worker.lost": { target: ".recovering", actions: ["markLost", "reportLoss"] },
    "worker.joined": { actions: "markJoined" },
    "link.lost": { target: ".recovering", actions: [assign({ broken: true }), "reportLoss"] },
    "checkpoint.written": { actions: [assign({ saved: /* @__PURE__ */ __name(({ event }) => event.step, "saved") }), "reportCheckpoint"] },
    "checkpoint.failed": { target: ".failed", actions: "failCheckpoint" }
  },
  states: {
    loading: {
      entry: ["awaitShards", "start"],
      on: { "shard.loaded": { actions: "answered" } },
      always: { guard: "settled", target: "choosing" }
    },
    /** Between steps: stop, or open the next one as soon as its batch is counted. */
    choosing: {
      always: [
        { guard: "endedUnsaved", target: "checkpointing" },
        { guard: "ended", target: "closing" },
        { guard: "begun", target: "training" }
      ]
    },
    training: {
      entry: [
        assign({ step: /* @__PURE__ */ __name(({ context }) => context.step + 1, "step"), replayed: false }),
        assign({
          uncounted: /* @__PURE__ */ __name(({ context }) => new Map([...context.uncounted].filter(([step]) => step > context.step)), "uncounted")
        }),
        "awaitStep",
        "open"
      ],
      on: {
        "replica.measured": { actions: ["answered", "recordMeasure"] },
        "balance.share": { actions: "shareBalance" },
        "gradient.vote": { actions: ["answered", "recordVote"] },
        // What is open is not committed: the last commit is the step before.
        "worker.lost": {
          target: "recovering",
          actions: [assign({ step: /* @__PURE__ */ __name(({ context }) => context.step - 1, "step") }), "markLost", "reportLoss"]
        },
        "link.lost": {
          target: "recovering",
          actions: [assign({ step: /* @__PURE__ */ __name(({ context }) => context.step - 1, "step"), broken: true }), "reportLoss"]
        }
      },
      always: [
        {
          guard: "replayable",
          actions: [
            assign({ attempt: /* @__PURE__ */ __name(({ context }) => context.attempt + 1, "attempt"), replayed: true }),
            "awaitStep",
            "replay"
          ]
        },
        { guard: "settled", target: "committing", actions: "decide" }
      ]
    },
    /** The decision is out and binds; shards apply it, also when others are lost meanwhile. */
    committing: {
      entry: "awaitShards",
      on: {
        "commit.applied": { actions: "answered" },
        "worker.lost": { actions: ["forgetLost", "markLost", "reportLoss"] },
        "link.lost": { actions: [assign({ broken: true }), "reportLoss"] }
      },
      always: [
        { guard: "settledBroken", target: "recovering", actions: "report" },
        { guard: "settled", target: "committed", actions: "report" }
      ]
    },
    committed: {
      always: [
        { guard: "evaluationDue", target: "evaluating" },
        { guard: "checkpointDue", target: "checkpointing" },
        { target: "choosing" }
      ]
    },
    evaluating: {
      entry: [assign({ awaited: /* @__PURE__ */ __name(({ context }) => Pending.of(addressesOf(context.stages)), "awaited") }), "evaluate"],
      on: { "replica.evaluated": { actions: ["answered", "recordEvaluation"] } },
      always: {
        guard: "settled",
        target: "committed",
        actions: [assign({ evaluated: /* @__PURE__ */ __name(({ context }) => context.step, "evaluated") }), "reportEvaluation"]
      }
    },
    checkpointing: {
      entry: "checkpoint",
      on: {
        "checkpoint.written": {
          target: "choosing",
          actions: [assign({ saved: /* @__PURE__ */ __name(({ context }) => context.step, "saved") }), "reportCheckpoint"]
        }
      }
    },
    recovering: {
      initial: "abandoning",
      on: {
        "worker.lost": {
          target: ".abandoning",
          reenter: true,
          actions: ["markLost", "reportLoss"]
        },
        "link.lost": { target: ".abandoning", reenter: true, actions: "reportLoss" }
      },
      states: {
        /** Every actor leaves the attempt, and says what it holds; lost workers are awaited. */
        abandoning: {
          entry: [
            assign({
              attempt: /* @__PURE__ */ __name(({ context }) => context.attempt + 1, "attempt"),
              versions: /* @__PURE__ */ new Map(),
              copies: /* @__PURE__ */ new Map(),
              awaited: /* @__PURE__ */ __name(({ context }) => Pending.of([...addressesOf(context.shards), context.store]), "awaited")
            }),
            "abandon"
          ],
          on: {
            "worker.joined": { actions: ["markJoined", "abandonJoined"] },
            "attempt.abandoned": {
              actions: [
                "answered",
                "heard",
                assign({
                  versions: /* @__PURE__ */ __name(({ context, event }) => flagIn(event, "loaded") ? new Map([...context.versions, [event.from, event.version]]) : context.versions, "versions"),
                  copies: /* @__PURE__ */ __name(({ context, event }) => withCopy(context.copies, event), "copies")
                })
              ]
            },
            "checkpoint.settled": { actions: ["answered", "heard"] }
          },
          always: [
            { guard: "settledRebuildable", target: "rebuilding" },
            { guard: "settled", target: "seeking" }
          ]
        },
        /** Shards get their state from shards that hold the same. */
        rebuilding: {
          entry: ["awaitShards", "rebuild"],
          on: { "shard.loaded": { actions: ["answered", "heard"] } },
          always: { guard: "settled", target: "recovered" }
        },
        /** Some state is held by nobody: all go back to one snapshot. */
        seeking: {
          entry: "findSnapshot",
          on: {
            "snapshot.found": [
              {
                guard: "mayRestore",
                target: "restoring",
                actions: assign({
                  step: /* @__PURE__ */ __name(({ event }) => event.step, "step"),
                  saved: /* @__PURE__ */ __name(({ event }) => event.step, "saved")
                })
              },
              { target: "#trainer.failed", actions: "failRecovery" }
            ],
            "ask.failed": { target: "#trainer.failed", actions: "failRecovery" }
          }
        },
        restoring: {
          entry: ["awaitShards", "restore"],
          on: { "shard.loaded": { actions: ["answered", "heard"] } },
          always: { guard: "settled", target: "recovered" }
        },
        recovered: {
          entry: [assign({ broken: false }), "reportRecovered"],
          always: "#trainer.committed"
        }
      }
    },
    closing: {
      entry: "finish",
      on: { "worker.lost": { actions: "ignore" }, "link.lost": { actions: "ignore" } }
    },
    failed: { on: { "worker.lost": { actions: "ignore" }, "link.lost": { actions: "ignore" } } }
  }
});

// actors/dist/trainer/index.js
function mountTrainer(options) {
  const { job } = options;
  const { evaluationPasses } = jobShape(job);
  const replicas = Array.from({ length: job.dp }, (_, dp) => dp);
  return (self2) => {
    const { effects, finite } = trainerEffects(self2, options);
    const input = {
      step: job.first.step,
      shards: replicas.flatMap((dp) => parameterClasses(job).map((each) => ({ address: addresses2.optimizer(each, dp), dp }))),
      stages: replicas.map((dp) => ({ address: addresses2.stage(dp), dp })),
      store: addresses2.store(0),
      restartsFromBeginning: job.restartsFromBeginning,
      rebuildable: /* @__PURE__ */ __name((held, step) => planRecovery(job, held, step) !== null, "rebuildable"),
      stopAfter: job.stopAfter,
      finite,
      evaluationDue: /* @__PURE__ */ __name((step) => evaluationPasses > 0 && (job.evaluateEvery > 0 && step % job.evaluateEvery === 0 || step === job.steps), "evaluationDue"),
      checkpoints: job.checkpointEvery >= 0,
      checkpointDue: /* @__PURE__ */ __name((step) => job.checkpointEvery > 0 && step % job.checkpointEvery === 0, "checkpointDue")
    };
    return {
      machine: trainerMachine,
      input,
      effects,
      epoch: /* @__PURE__ */ __name(({ attempt: attempt2 }) => ({ step: 0, attempt: attempt2 }), "epoch"),
      fenced: new Set(fencedByTrainer)
    };
  };
}
__name(mountTrainer, "mountTrainer");

// actors/dist/cluster.js
var agentNode = nodeId("agent/0");
var workerNode = /* @__PURE__ */ __name((dp) => nodeId(`worker/${dp}`), "workerNode");
function workerActors(job, dp) {
  const { layers } = jobShape(job);
  const { ep, edp } = expertRank(job, dp);
  return [
    addresses2.feeder(dp),
    addresses2.stage(dp),
    ...layers.map((layer) => addresses2.gate(layer, dp)),
    ...layers.map((layer) => addresses2.expert(layer, ep, edp)),
    addresses2.optimizer("dense", dp),
    ...layers.length === 0 ? [] : [addresses2.optimizer("expert", dp)]
  ];
}
__name(workerActors, "workerActors");
function mountWorker(system, job, ports) {
  const { dp, device, tokens, joins = false } = ports;
  const replica = new Replica(job, dp, device, joins);
  const { layers } = replica.shape;
  const mounts = [
    mountFeeder(job, dp, tokens),
    mountStage(replica),
    ...layers.map((layer) => mountGate(replica, layer)),
    ...layers.map((layer) => mountExpert(replica, layer)),
    mountOptimizer(replica, "dense"),
    ...layers.length === 0 ? [] : [mountOptimizer(replica, "expert")]
  ];
  workerActors(job, dp).forEach((address2, index) => {
    const mount = mounts[index];
    assert(mount, "every address of a worker has an actor", { address: address2 });
    system.mount(address2, escalate, mount);
  });
  return replica;
}
__name(mountWorker, "mountWorker");
function mountAgent(system, job, ports) {
  const workers = new Map(Array.from({ length: job.dp }, (_, dp) => [workerNode(dp), { dp, actors: workerActors(job, dp) }]));
  system.mount(addresses2.supervisor, escalate, mountSupervisor({ ...ports.supervisor, workers }));
  system.mount(addresses2.store(0), escalate, mountStore({ ...ports.store, job, storage: ports.storage }));
  system.mount(addresses2.trainer, escalate, mountTrainer({ ...ports.trainer, job }));
}
__name(mountAgent, "mountAgent");

// actors/dist/messages.js
var messageKinds = /* @__PURE__ */ new Set([
  "message.refused",
  "system.describe",
  "system.described",
  "shard.loaded",
  "attempt.abandon",
  "attempt.abandoned",
  "shard.keep",
  "shard.send",
  "shard.restore",
  "state.slice",
  "ward.state",
  "ward.sum",
  "ward.kept",
  "snapshot.find",
  "snapshot.found",
  "snapshot.release",
  "checkpoint.abandon",
  "checkpoint.settled",
  "batch.prefetch",
  "batch.counted",
  "batch.ready",
  "evaluation.prefetch",
  "evaluation.ready",
  "evaluation.open",
  "replica.evaluated",
  "step.open",
  "forward.run",
  "forward.done",
  "rows.dispatch",
  "rows.return",
  "backward.run",
  "rows.left",
  "backward.done",
  "gradients.dispatch",
  "gradients.return",
  "balance.share",
  "balance.shared",
  "replica.measured",
  "gradient.add",
  "gradient.total",
  "gradient.vote",
  "commit.decide",
  "commit.applied",
  "weights.publish",
  "weights.spread",
  "slices.read",
  "snapshot.take",
  "snapshot.slice",
  "snapshot.sent",
  "checkpoint.begin",
  "checkpoint.written",
  "checkpoint.failed",
  "worker.lost",
  "worker.joined",
  "link.lost",
  "worker.stuck",
  "actor.failed",
  "run.stop",
  "run.finished"
]);

// kernels/dist/load-device.js
import { availableParallelism } from "node:os";

// kernels/dist/reference/target-kind.js
var isStored = /* @__PURE__ */ __name((target) => "gradient" in target, "isStored");
var targetLength = /* @__PURE__ */ __name((target) => isStored(target) ? target.gradient.length : target.values.length, "targetLength");

// kernels/dist/reference/argument-check.js
function rowsLayout(rows, rowLength) {
  return { offset: rows.offset ?? 0, stride: rows.stride ?? rowLength };
}
__name(rowsLayout, "rowsLayout");
var ArgumentCheck = class {
  static {
    __name(this, "ArgumentCheck");
  }
  #op;
  #dtype;
  constructor(op, dtype) {
    this.#op = op;
    this.#dtype = dtype;
  }
  fail(name, found, expected) {
    throw new KernelShapeError(`${this.#op}: ${name} is ${found}, expected ${expected}`, {
      op: this.#op,
      argument: name
    });
  }
  /** A number of things: an integer ≥ 0. */
  size(name, value, least = 0) {
    if (!Number.isSafeInteger(value) || value < least)
      this.fail(name, String(value), `an integer \u2265 ${least}`);
  }
  sizes(values) {
    for (const [name, value] of Object.entries(values))
      this.size(name, value);
  }
  number(name, value) {
    if (typeof value !== "number" || Number.isNaN(value))
      this.fail(name, String(value), "a number");
  }
  oneOf(name, value, allowed) {
    if (!allowed.includes(value))
      this.fail(name, value, `one of ${allowed.join(", ")}`);
  }
  equal(name, found, expected, meaning) {
    if (found !== expected)
      this.fail(name, String(found), `${expected} (${meaning})`);
  }
  floats(name, array, length) {
    this.#array(name, array, this.#dtype === "f64" ? Float64Array : Float32Array, length);
  }
  /** bf16 storage where the call allows it, else as {@link floats}. */
  floatsOrHalves(name, array, length) {
    if (array instanceof Uint16Array)
      this.#array(name, array, Uint16Array, length);
    else
      this.floats(name, array, length);
  }
  /** Operands of a call: bf16 storage only with precision bf16. */
  operand(name, array, length, precision) {
    if (precision === "bf16")
      this.floatsOrHalves(name, array, length);
    else
      this.floats(name, array, length);
  }
  /** Pre-activations: bf16 storage with precision bf16, else as {@link floats}. */
  saved(array, precision) {
    if (precision === "bf16")
      this.#array("saved", array, Uint16Array, 0);
    else
      this.floats("saved", array, 0);
  }
  precision(precision) {
    if (precision !== void 0)
      this.oneOf("precision", precision, ["f32", "bf16"]);
  }
  ints(name, array, length) {
    this.#array(name, array, Int32Array, length);
  }
  int64s(name, array, length) {
    this.#array(name, array, BigInt64Array, length);
  }
  bytes(name, array, length) {
    this.#array(name, array, Uint8Array, length);
  }
  sum(name, sum2, length) {
    if (sum2 === null || typeof sum2 !== "object")
      this.fail(name, typeof sum2, "an ExactSum");
    this.int64s(`${name}.values`, sum2.values, length);
    this.ints(`${name}.overflow`, sum2.overflow, 1);
  }
  /** Values of an exact sum, or a stored gradient. */
  gradient(name, gradient) {
    if (gradient instanceof BigInt64Array)
      this.int64s(name, gradient, 0);
    else
      this.floats(name, gradient, 0);
  }
  target(name, target, length) {
    if (target === null || typeof target !== "object")
      this.fail(name, typeof target, "an ExactSum or a StoredGradient");
    if (isStored(target))
      this.floats(`${name}.gradient`, target.gradient, length);
    else
      this.int64s(`${name}.values`, target.values, length);
    this.ints(`${name}.overflow`, target.overflow, 1);
  }
  /** A matrix of `count` rows of `rowLength` elements inside its buffer. */
  rows(name, rows, count3, rowLength) {
    this.floats(`${name}.data`, rows?.data, this.rowsEnd(name, rows, count3, rowLength));
  }
  /** Elements up to the end of the last row. */
  rowsEnd(name, rows, count3, rowLength) {
    if (rows === null || typeof rows !== "object")
      this.fail(name, typeof rows, "rows {data, offset?, stride?}");
    const { offset, stride } = rowsLayout(rows, rowLength);
    this.size(`${name}.offset`, offset);
    this.size(`${name}.stride`, stride);
    if (stride < rowLength && count3 > 1)
      this.fail(`${name}.stride`, String(stride), `at least the row length ${rowLength}`);
    return count3 === 0 ? 0 : offset + (count3 - 1) * stride + rowLength;
  }
  /** As {@link rows}, with bf16 storage allowed with precision bf16. */
  operandRows(name, rows, count3, rowLength, precision) {
    this.operand(`${name}.data`, rows?.data, this.rowsEnd(name, rows, count3, rowLength), precision);
  }
  /**
   * Bounds of consecutive blocks of rows: first 0, last `rows`, never falling.
   *
   * @throws {KernelRangeError} TROUPE_KERNEL_RANGE for wrong bounds
   */
  starts(name, starts, rows) {
    this.ints(name, starts, 1);
    let previous = 0;
    for (let i = 0; i < starts.length; i++) {
      const bound = starts[i];
      const expected = i === 0 ? "0" : i === starts.length - 1 ? `${rows}, the number of rows` : `${previous} \u2026 ${rows}`;
      const wrong = i === 0 ? bound !== 0 : bound < previous || bound > rows;
      if (wrong || i === starts.length - 1 && bound !== rows) {
        throw new KernelRangeError(`${this.#op}: ${name}[${i}] is ${bound}, expected ${expected}`, {
          op: this.#op,
          argument: name
        });
      }
      previous = bound;
    }
  }
  parts(parts, dim) {
    if (!Array.isArray(parts))
      this.fail("parts", typeof parts, "an array of {firstRow, rows, data}");
    parts.forEach((part, i) => {
      this.size(`parts[${i}].firstRow`, part.firstRow);
      this.size(`parts[${i}].rows`, part.rows);
      this.floats(`parts[${i}].data`, part.data, part.rows * dim);
    });
  }
  /** What forward and backward of the expert FFN have in common. */
  experts(call) {
    const { experts, dim, hidden, expertStride } = call;
    this.size("experts", experts, 1);
    this.size("dim", dim, 1);
    this.size("hidden", hidden, 1);
    this.oneOf("activation", call.activation, ["swiglu", "gelu", "gelu-tanh", "relu"]);
    this.precision(call.precision);
    this.size("expertStride", expertStride, (hiddenInputs(call.activation) + 1) * hidden * dim);
    this.floats("weights", call.weights, expertsLength(call));
    if (!Array.isArray(call.sources))
      this.fail("sources", typeof call.sources, "an array");
    call.sources.forEach((source, i) => {
      this.size(`sources[${i}].numGrains`, source.numGrains);
      this.ints(`sources[${i}].counts_EG`, source.counts_EG, experts * source.numGrains);
      this.floats(`sources[${i}].x_UD`, source.x_UD, 0);
      if (source.slots_N !== void 0)
        this.ints(`sources[${i}].slots_N`, source.slots_N, 0);
    });
  }
  #array(name, array, type, length) {
    if (!(array instanceof type)) {
      const found = array === null || typeof array !== "object" ? typeof array : array.constructor.name;
      this.fail(name, found, type.name);
    }
    if (!Number.isSafeInteger(length) || array.length < length)
      this.fail(`${name}.length`, String(array.length), `at least ${length}`);
  }
};
function expertsLength(call) {
  return (call.experts - 1) * call.expertStride + (hiddenInputs(call.activation) + 1) * call.hidden * call.dim;
}
__name(expertsLength, "expertsLength");
function rangeError(op, name, at, found, bound) {
  throw new KernelRangeError(`${op}: ${name}[${at}] is ${found}, expected 0 \u2026 ${bound - 1}`, {
    op,
    argument: name,
    index: at,
    found,
    bound
  });
}
__name(rangeError, "rangeError");

// kernels/dist/reference/exact-sum.js
var TWO_32 = 2 ** 32;
var TWO_52 = 2 ** 52;
function roundHalfEven(x) {
  if (Math.abs(x) >= TWO_52)
    return x;
  return x >= 0 ? x + TWO_52 - TWO_52 : x - TWO_52 + TWO_52;
}
__name(roundHalfEven, "roundHalfEven");
var wordsOf = /* @__PURE__ */ __name((values) => ({
  low: new Uint32Array(values.buffer, values.byteOffset, values.length * 2),
  high: new Int32Array(values.buffer, values.byteOffset, values.length * 2)
}), "wordsOf");
function addInteger({ low, high }, i, integer) {
  const integerHigh = Math.floor(integer / TWO_32);
  const sum2 = low[2 * i] + (integer - integerHigh * TWO_32);
  const carry = sum2 >= TWO_32 ? 1 : 0;
  low[2 * i] = sum2 - carry * TWO_32;
  high[2 * i + 1] = high[2 * i + 1] + integerHigh + carry | 0;
}
__name(addInteger, "addInteger");
function addLeaves(sum2, at, leaves, length) {
  const words = wordsOf(sum2.values);
  const scale = 2 ** -GRADIENT_QUANTUM_LOG2;
  for (let i = 0; i < length; i++) {
    const leaf = leaves[i];
    if (Math.abs(leaf) < GRADIENT_LEAF_LIMIT)
      addInteger(words, at + i, roundHalfEven(leaf * scale));
    else
      sum2.overflow[0] = 1;
  }
}
__name(addLeaves, "addLeaves");
function addLossLeaf(sums, i, leaf) {
  const scaled = roundHalfEven(leaf * 2 ** -LOSS_QUANTUM_LOG2);
  const words = wordsOf(sums);
  const stuck = words.low[2 * i] === 0 && words.high[2 * i + 1] === -2147483648;
  if (stuck)
    return;
  if (Math.abs(scaled) < 2 ** 63)
    addInteger(words, i, scaled);
  else
    sums[i] = -(2n ** 63n);
}
__name(addLossLeaf, "addLossLeaf");
function readInteger({ low, high }, i, single2) {
  const top = high[2 * i + 1];
  let bottom = low[2 * i];
  if (single2 && (top >= 2097152 || top < -2097152) && (bottom & 2047) !== 0)
    bottom = (bottom & ~2047 | 2048) >>> 0;
  return top * TWO_32 + bottom;
}
__name(readInteger, "readInteger");
function readSum(values, out) {
  const words = wordsOf(values);
  const quantum = 2 ** GRADIENT_QUANTUM_LOG2;
  const single2 = out instanceof Float32Array;
  for (let i = 0; i < values.length; i++)
    out[i] = readInteger(words, i, single2) * quantum;
}
__name(readSum, "readSum");
var sumAdd = {
  check(call, check) {
    check.sum("sum", call.sum, 0);
    check.int64s("other", call.other, 0);
    check.equal("other.length", call.other.length, call.sum.values.length, "the length of sum");
    check.number("otherOverflow", call.otherOverflow);
  },
  run({ sum: sum2, other, otherOverflow }) {
    const a = wordsOf(sum2.values);
    const b = wordsOf(other);
    for (let i = 0; i < 2 * other.length; i += 2) {
      const low = a.low[i] + b.low[i];
      const carry = low >= TWO_32 ? 1 : 0;
      a.low[i] = low - carry * TWO_32;
      a.high[i + 1] = a.high[i + 1] + b.high[i + 1] + carry | 0;
    }
    if (otherOverflow !== 0)
      sum2.overflow[0] = 1;
  }
};
var sumReset = {
  check(call, check) {
    check.sum("sum", call.sum, 0);
  },
  run({ sum: sum2 }) {
    sum2.values.fill(0n);
    sum2.overflow[0] = 0;
  }
};
var sumRead = {
  check(call, check) {
    check.int64s("sum", call.sum, 0);
    check.floats("out", call.out, 0);
    check.equal("out.length", call.out.length, call.sum.length, "the length of sum");
  },
  run({ sum: sum2, out }) {
    readSum(sum2, out);
  }
};
function gradientOf(gradient, dtype) {
  if (!(gradient instanceof BigInt64Array))
    return gradient;
  const floats = dtype === "f32" ? new Float32Array(gradient.length) : new Float64Array(gradient.length);
  readSum(gradient, floats);
  return floats;
}
__name(gradientOf, "gradientOf");
var sumSquares = {
  check(call, check) {
    check.gradient("gradient", call.gradient);
    check.int64s("norm128", call.norm128, 2);
  },
  run(call, dtype) {
    const { norm128: norm1282 } = call;
    const gradient = gradientOf(call.gradient, dtype);
    let total = (norm1282[1] << 64n) + BigInt.asUintN(64, norm1282[0]);
    for (let start = 0; start < gradient.length; start += NORM_BLOCK) {
      const end = Math.min(start + NORM_BLOCK, gradient.length);
      let leaf = 0;
      for (let i = start; i < end; i++)
        leaf += gradient[i] * gradient[i];
      total += BigInt(roundHalfEven(leaf * 2 ** -NORM_QUANTUM_LOG2));
    }
    norm1282[0] = BigInt.asIntN(64, total);
    norm1282[1] = BigInt.asIntN(64, total >> 64n);
  }
};

// kernels/dist/reference/adamw.js
var adamw = {
  check(call, check) {
    const length = call.gradient?.length ?? 0;
    check.gradient("gradient", call.gradient);
    for (const name of ["weights", "out", "m", "v"]) {
      check.floats(name, call[name], 0);
      check.equal(`${name}.length`, call[name].length, length, "the length of gradient");
    }
    for (const name of [
      "gradScale",
      "learningRate",
      "beta1",
      "beta2",
      "eps",
      "weightDecay",
      "correction1",
      "correction2"
    ]) {
      check.number(name, call[name]);
    }
  },
  run(call, dtype) {
    const { weights, out, m, v, gradScale, learningRate: learningRate2, beta1, beta2, eps, weightDecay, correction1, correction2 } = call;
    const gradient = gradientOf(call.gradient, dtype);
    for (let i = 0; i < gradient.length; i++) {
      const g = gradient[i] * gradScale;
      const mean = beta1 * m[i] + (1 - beta1) * g;
      const square = beta2 * v[i] + (1 - beta2) * g * g;
      m[i] = mean;
      v[i] = square;
      const step = mean / correction1 / (Math.sqrt(square / correction2) + eps);
      out[i] = weights[i] * (1 - learningRate2 * weightDecay) - learningRate2 * step;
    }
  }
};

// kernels/dist/reference/attention.js
function checkAttention(call, check) {
  const { batch, seqLen, heads, kvHeads, headDim } = call;
  check.sizes({ batch, seqLen });
  check.size("heads", heads, 1);
  check.size("kvHeads", kvHeads, 1);
  check.size("headDim", headDim, 1);
  check.number("scale", call.scale);
  const tokens = batch * seqLen;
  const queryLength = heads * headDim;
  const keyLength = kvHeads * headDim;
  check.rows("q", call.q, tokens, queryLength);
  check.rows("k", call.k, tokens, keyLength);
  check.rows("v", call.v, tokens, keyLength);
  check.rows("out", call.out, tokens, queryLength);
  check.floats("lse_TH", call.lse_TH, tokens * heads);
  if (call.firstSeen_T !== void 0)
    check.ints("firstSeen_T", call.firstSeen_T, tokens);
  return { tokens, queryLength, keyLength };
}
__name(checkAttention, "checkAttention");
function checkFirstSeen({ op, batch, seqLen, firstSeen_T }) {
  if (firstSeen_T === void 0)
    return;
  for (let t2 = 0; t2 < batch * seqLen; t2++) {
    const first = firstSeen_T[t2];
    const own = t2 % seqLen;
    if (first < 0 || first > own) {
      throw new KernelRangeError(`${op}: firstSeen_T[${t2}] is ${first}, expected 0 \u2026 ${own}, the row's own position`);
    }
  }
}
__name(checkFirstSeen, "checkFirstSeen");
function dot(a, aAt, b, bAt, length) {
  let sum2 = 0;
  for (let i = 0; i < length; i++)
    sum2 += a[aAt + i] * b[bAt + i];
  return sum2;
}
__name(dot, "dot");
var attentionForward2 = {
  check(call, check) {
    checkAttention(call, check);
  },
  run(call) {
    checkFirstSeen(call);
    const { batch, seqLen, heads, kvHeads, headDim, scale, firstSeen_T, lse_TH } = call;
    const [q, k, v, out] = [call.q.data, call.k.data, call.v.data, call.out.data];
    const qRows = rowsLayout(call.q, heads * headDim);
    const kRows = rowsLayout(call.k, kvHeads * headDim);
    const vRows = rowsLayout(call.v, kvHeads * headDim);
    const outRows = rowsLayout(call.out, heads * headDim);
    const scores = new Float64Array(seqLen);
    const mixed = new Float64Array(headDim);
    for (let t2 = 0; t2 < batch * seqLen; t2++) {
      const sequence = Math.floor(t2 / seqLen) * seqLen;
      const own = t2 - sequence;
      const first = firstSeen_T?.[t2] ?? 0;
      for (let h = 0; h < heads; h++) {
        const kvHead = Math.floor(h * kvHeads / heads);
        const qAt = qRows.offset + t2 * qRows.stride + h * headDim;
        let largest = -Infinity;
        for (let j = first; j <= own; j++) {
          const kAt = kRows.offset + (sequence + j) * kRows.stride + kvHead * headDim;
          scores[j] = scale * dot(q, qAt, k, kAt, headDim);
          largest = Math.max(largest, scores[j]);
        }
        let total = 0;
        mixed.fill(0);
        for (let j = first; j <= own; j++) {
          const weight = Math.exp(scores[j] - largest);
          const vAt = vRows.offset + (sequence + j) * vRows.stride + kvHead * headDim;
          total += weight;
          for (let d = 0; d < headDim; d++)
            mixed[d] += weight * v[vAt + d];
        }
        const outAt = outRows.offset + t2 * outRows.stride + h * headDim;
        for (let d = 0; d < headDim; d++)
          out[outAt + d] = mixed[d] / total;
        lse_TH[t2 * heads + h] = largest + Math.log(total);
      }
    }
  }
};
var attentionBackward2 = {
  check(call, check) {
    const { tokens, queryLength, keyLength } = checkAttention(call, check);
    check.rows("dOut", call.dOut, tokens, queryLength);
    check.rows("dq", call.dq, tokens, queryLength);
    check.rows("dk", call.dk, tokens, keyLength);
    check.rows("dv", call.dv, tokens, keyLength);
  },
  run(call) {
    checkFirstSeen(call);
    const { batch, seqLen, heads, kvHeads, headDim } = call;
    for (let b = 0; b < batch; b++) {
      for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
        const dk = new Float64Array(seqLen * headDim);
        const dv = new Float64Array(seqLen * headDim);
        for (let h = 0; h < heads; h++) {
          if (Math.floor(h * kvHeads / heads) === kvHead)
            headBackward2(call, b, kvHead, h, dk, dv);
        }
        const dkRows = rowsLayout(call.dk, kvHeads * headDim);
        const dvRows = rowsLayout(call.dv, kvHeads * headDim);
        for (let j = 0; j < seqLen; j++) {
          const row = b * seqLen + j;
          for (let d = 0; d < headDim; d++) {
            call.dk.data[dkRows.offset + row * dkRows.stride + kvHead * headDim + d] = dk[j * headDim + d];
            call.dv.data[dvRows.offset + row * dvRows.stride + kvHead * headDim + d] = dv[j * headDim + d];
          }
        }
      }
    }
  }
};
function headBackward2(call, b, kvHead, h, dk, dv) {
  const { seqLen, heads, kvHeads, headDim, scale, firstSeen_T, lse_TH } = call;
  const [q, k, v, out, dOut] = [call.q.data, call.k.data, call.v.data, call.out.data, call.dOut.data];
  const qRows = rowsLayout(call.q, heads * headDim);
  const kRows = rowsLayout(call.k, kvHeads * headDim);
  const vRows = rowsLayout(call.v, kvHeads * headDim);
  const outRows = rowsLayout(call.out, heads * headDim);
  const dOutRows = rowsLayout(call.dOut, heads * headDim);
  const dqRows = rowsLayout(call.dq, heads * headDim);
  const dq = new Float64Array(headDim);
  for (let i = 0; i < seqLen; i++) {
    const row = b * seqLen + i;
    const qAt = qRows.offset + row * qRows.stride + h * headDim;
    const dOutAt = dOutRows.offset + row * dOutRows.stride + h * headDim;
    const outAt = outRows.offset + row * outRows.stride + h * headDim;
    const dqAt = dqRows.offset + row * dqRows.stride + h * headDim;
    const meeting = dot(dOut, dOutAt, out, outAt, headDim);
    dq.fill(0);
    for (let j = firstSeen_T?.[row] ?? 0; j <= i; j++) {
      const kAt = kRows.offset + (b * seqLen + j) * kRows.stride + kvHead * headDim;
      const vAt = vRows.offset + (b * seqLen + j) * vRows.stride + kvHead * headDim;
      const weight = Math.exp(scale * dot(q, qAt, k, kAt, headDim) - lse_TH[row * heads + h]);
      const dScore = scale * weight * (dot(dOut, dOutAt, v, vAt, headDim) - meeting);
      for (let d = 0; d < headDim; d++) {
        dq[d] += dScore * k[kAt + d];
        dk[j * headDim + d] += dScore * q[qAt + d];
        dv[j * headDim + d] += weight * dOut[dOutAt + d];
      }
    }
    for (let d = 0; d < headDim; d++)
      call.dq.data[dqAt + d] = dq[d];
  }
}
__name(headBackward2, "headBackward");

// kernels/dist/reference/gate.js
var gateForward2 = {
  check({ tokens, experts, topK, logits_TE, valid_T, choicesGiven, probs_TE, choices_TK, weights_TK }, check) {
    check.sizes({ tokens });
    check.size("experts", experts, 1);
    check.size("topK", topK, 1);
    if (topK > experts && !choicesGiven)
      check.fail("topK", String(topK), `at most experts, ${experts}`);
    check.floats("logits_TE", logits_TE, tokens * experts);
    check.floats("probs_TE", probs_TE, tokens * experts);
    check.ints("choices_TK", choices_TK, tokens * topK);
    check.floats("weights_TK", weights_TK, tokens * topK);
    if (valid_T !== void 0)
      check.bytes("valid_T", valid_T, tokens);
  },
  run({ tokens, experts, topK, renormalise, logits_TE, valid_T, choicesGiven, probs_TE, choices_TK, weights_TK }) {
    if (choicesGiven)
      checkChoices("gate.forward", choices_TK, tokens * topK, experts);
    const taken = new Uint8Array(experts);
    const probs = new Float64Array(experts);
    for (let t2 = 0; t2 < tokens; t2++) {
      let largest = -Infinity;
      for (let e2 = 0; e2 < experts; e2++)
        largest = Math.max(largest, logits_TE[t2 * experts + e2]);
      let total = 0;
      for (let e2 = 0; e2 < experts; e2++)
        total += probs[e2] = Math.exp(logits_TE[t2 * experts + e2] - largest);
      for (let e2 = 0; e2 < experts; e2++)
        probs_TE[t2 * experts + e2] = probs[e2] /= total;
      const valid = valid_T === void 0 || valid_T[t2] !== 0;
      if (!valid) {
        choices_TK.fill(-1, t2 * topK, (t2 + 1) * topK);
        weights_TK.fill(0, t2 * topK, (t2 + 1) * topK);
        continue;
      }
      if (!choicesGiven) {
        taken.fill(0);
        for (let k = 0; k < topK; k++) {
          let best = -1;
          for (let e2 = 0; e2 < experts; e2++) {
            if (taken[e2] === 0 && (best < 0 || logits_TE[t2 * experts + e2] > logits_TE[t2 * experts + best]))
              best = e2;
          }
          taken[best] = 1;
          choices_TK[t2 * topK + k] = best;
        }
      }
      let chosen = 0;
      for (let k = 0; k < topK; k++)
        chosen += choices_TK[t2 * topK + k] < 0 ? 0 : probs[choices_TK[t2 * topK + k]];
      const divisor = renormalise && topK > 1 && chosen > 0 ? chosen : 1;
      for (let k = 0; k < topK; k++) {
        const expert = choices_TK[t2 * topK + k];
        weights_TK[t2 * topK + k] = expert < 0 ? 0 : probs[expert] / divisor;
      }
    }
  }
};
function checkChoices(op, choices, count3, experts) {
  for (let i = 0; i < count3; i++) {
    const choice = choices[i];
    if (choice < -1 || choice >= experts)
      rangeError(op, "choices_TK", i, choice, experts);
  }
}
__name(checkChoices, "checkChoices");
var gateBackward2 = {
  check(call, check) {
    const { tokens, experts, topK, groupStarts, fractions, fractionsGlobal } = call;
    check.sizes({ tokens });
    check.size("experts", experts, 1);
    check.size("topK", topK, 1);
    check.number("auxScale", call.auxScale);
    check.number("zScale", call.zScale);
    check.floats("logits_TE", call.logits_TE, tokens * experts);
    check.floats("probs_TE", call.probs_TE, tokens * experts);
    check.ints("choices_TK", call.choices_TK, tokens * topK);
    check.floats("weights_TK", call.weights_TK, tokens * topK);
    check.floats("dWeights_TK", call.dWeights_TK, tokens * topK);
    if (call.valid_T !== void 0)
      check.bytes("valid_T", call.valid_T, tokens);
    check.starts("groupStarts", groupStarts, tokens);
    check.floats("fractions", fractions, (fractionsGlobal ? 1 : groupStarts.length - 1) * experts);
    check.floats("dLogits_TE", call.dLogits_TE, tokens * experts);
  },
  run(call) {
    const { tokens, experts, topK, renormalise, logits_TE, probs_TE, choices_TK, weights_TK, dWeights_TK, valid_T } = call;
    const { groupStarts, fractions, fractionsGlobal, auxScale, zScale, dLogits_TE } = call;
    checkChoices("gate.backward", choices_TK, tokens * topK, experts);
    const dProbs = new Float64Array(experts);
    for (let group = 0; group + 1 < groupStarts.length; group++) {
      const [first, last] = [groupStarts[group], groupStarts[group + 1]];
      const numValid = countValid(valid_T, first, last);
      const auxGradient = auxScale * experts / (fractionsGlobal ? 1 : Math.max(numValid, 1));
      for (let t2 = first; t2 < last; t2++) {
        const at = t2 * experts;
        if (valid_T !== void 0 && valid_T[t2] === 0) {
          dLogits_TE.fill(0, at, at + experts);
          continue;
        }
        for (let e2 = 0; e2 < experts; e2++)
          dProbs[e2] = auxGradient * fractions[(fractionsGlobal ? 0 : group * experts) + e2];
        let chosen = 0;
        let meeting = 0;
        for (let k = 0; k < topK; k++) {
          const expert = choices_TK[t2 * topK + k];
          if (expert < 0)
            continue;
          chosen += probs_TE[at + expert];
          meeting += dWeights_TK[t2 * topK + k] * weights_TK[t2 * topK + k];
        }
        const divided = renormalise && topK > 1 && chosen > 0;
        for (let k = 0; k < topK; k++) {
          const expert = choices_TK[t2 * topK + k];
          const upstream = dWeights_TK[t2 * topK + k];
          if (expert >= 0)
            dProbs[expert] += divided ? (upstream - meeting) / chosen : upstream;
        }
        let projection = 0;
        for (let e2 = 0; e2 < experts; e2++)
          projection += probs_TE[at + e2] * dProbs[e2];
        const zGradient = zScale === 0 ? 0 : 2 * zScale * logSumExp(logits_TE, at, experts);
        for (let e2 = 0; e2 < experts; e2++)
          dLogits_TE[at + e2] = probs_TE[at + e2] * (dProbs[e2] - projection + zGradient);
      }
    }
  }
};
function countValid(valid_T, first, last) {
  if (valid_T === void 0)
    return last - first;
  let count3 = 0;
  for (let t2 = first; t2 < last; t2++)
    count3 += valid_T[t2] === 0 ? 0 : 1;
  return count3;
}
__name(countValid, "countValid");
function logSumExp(values, at, length) {
  let largest = -Infinity;
  for (let i = 0; i < length; i++)
    largest = Math.max(largest, values[at + i]);
  let total = 0;
  for (let i = 0; i < length; i++)
    total += Math.exp(values[at + i] - largest);
  return largest + Math.log(total);
}
__name(logSumExp, "logSumExp");

// kernels/dist/reference/balance.js
var balanceForward = {
  check(call, check) {
    const { tokens, experts, topK, groupStarts } = call;
    check.sizes({ tokens });
    check.size("experts", experts, 1);
    check.size("topK", topK, 1);
    check.floats("logits_TE", call.logits_TE, tokens * experts);
    check.floats("probs_TE", call.probs_TE, tokens * experts);
    check.ints("choices_TK", call.choices_TK, tokens * topK);
    if (call.valid_T !== void 0)
      check.bytes("valid_T", call.valid_T, tokens);
    check.starts("groupStarts", groupStarts, tokens);
    check.floats("fractions_BE", call.fractions_BE, (groupStarts.length - 1) * experts);
    check.int64s("lossSums", call.lossSums, 2);
    check.ints("counts_E", call.counts_E, experts);
    check.int64s("probSums_E", call.probSums_E, experts);
  },
  run(call) {
    const { tokens, experts, topK, logits_TE, probs_TE, choices_TK, valid_T } = call;
    const { groupStarts, fractions_BE, lossSums, counts_E, probSums_E } = call;
    checkChoices("balance.forward", choices_TK, tokens * topK, experts);
    const probSums = new Float64Array(experts);
    const counts = new Int32Array(experts);
    for (let group = 0; group + 1 < groupStarts.length; group++) {
      const [first, last] = [groupStarts[group], groupStarts[group + 1]];
      const numValid = countValid(valid_T, first, last);
      let squares = 0;
      probSums.fill(0);
      counts.fill(0);
      for (let t2 = first; t2 < last; t2++) {
        if (valid_T !== void 0 && valid_T[t2] === 0)
          continue;
        for (let k = 0; k < topK; k++) {
          const expert = choices_TK[t2 * topK + k];
          if (expert >= 0)
            counts[expert] += 1;
        }
        for (let e2 = 0; e2 < experts; e2++)
          probSums[e2] += probs_TE[t2 * experts + e2];
        squares += logSumExp(logits_TE, t2 * experts, experts) ** 2;
      }
      let balance = 0;
      for (let e2 = 0; e2 < experts; e2++) {
        const fraction = numValid === 0 ? 0 : counts[e2] / (numValid * topK);
        fractions_BE[group * experts + e2] = fraction;
        balance += numValid === 0 ? 0 : fraction * probSums[e2] / numValid;
        counts_E[e2] += counts[e2];
        addLossLeaf(probSums_E, e2, probSums[e2]);
      }
      addLossLeaf(lossSums, 0, experts * balance);
      addLossLeaf(lossSums, 1, squares);
    }
  }
};

// kernels/dist/reference/gradient-target.js
function intoTarget(target, first, length, add) {
  const { overflow } = target;
  if (isStored(target)) {
    const values2 = new BigInt64Array(length);
    add({ values: values2, overflow });
    readSum(values2, target.gradient.subarray(first, first + length));
    return;
  }
  const values = target.values.subarray(first, first + length);
  if (target.begin === true)
    values.fill(0n);
  add({ values, overflow });
}
__name(intoTarget, "intoTarget");

// kernels/dist/reference/embed.js
var copy = {
  check({ from, out }, check) {
    check.floats("from", from, 0);
    check.floats("out", out, 0);
    check.equal("out.length", out.length, from.length, "the length of from");
  },
  run({ from, out }) {
    out.set(from);
  }
};
var embedForward2 = {
  check({ ids_T, table_VD, out_TD, dim }, check) {
    check.size("dim", dim, 1);
    check.ints("ids_T", ids_T, 0);
    check.floats("table_VD", table_VD, 0);
    check.floats("out_TD", out_TD, ids_T.length * dim);
  },
  run({ ids_T, table_VD, out_TD, dim }) {
    const vocab = Math.floor(table_VD.length / dim);
    for (let t2 = 0; t2 < ids_T.length; t2++) {
      const id = ids_T[t2];
      if (id < 0 || id >= vocab)
        rangeError("embed.forward", "ids_T", t2, id, vocab);
    }
    for (let t2 = 0; t2 < ids_T.length; t2++) {
      const id = ids_T[t2];
      for (let d = 0; d < dim; d++)
        out_TD[t2 * dim + d] = table_VD[id * dim + d];
    }
  }
};
var embedBackward2 = {
  check({ ids_T, dOut_TD, dim, grainStarts, tableSum }, check) {
    check.size("dim", dim, 1);
    check.ints("ids_T", ids_T, 0);
    check.floats("dOut_TD", dOut_TD, ids_T.length * dim);
    check.starts("grainStarts", grainStarts, ids_T.length);
    check.target("tableSum", tableSum, 0);
  },
  run({ ids_T, dOut_TD, dim, grainStarts, tableSum }) {
    const vocab = Math.floor(targetLength(tableSum) / dim);
    for (let t2 = 0; t2 < ids_T.length; t2++) {
      const id = ids_T[t2];
      if (id < 0 || id >= vocab)
        rangeError("embed.backward", "ids_T", t2, id, vocab);
    }
    intoTarget(tableSum, 0, vocab * dim, (sum2) => {
      for (let g = 0; g + 1 < grainStarts.length; g++) {
        const leaves = /* @__PURE__ */ new Map();
        for (let t2 = grainStarts[g]; t2 < grainStarts[g + 1]; t2++) {
          const id = ids_T[t2];
          const leaf = leaves.get(id) ?? new Float64Array(dim);
          leaves.set(id, leaf);
          for (let d = 0; d < dim; d++)
            leaf[d] += dOut_TD[t2 * dim + d];
        }
        for (const [id, leaf] of leaves)
          addLeaves(sum2, id * dim, leaf, dim);
      }
    });
  }
};

// kernels/dist/reference/activation.js
var SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
var TANH_CUBIC = 0.044715;
function erf(x) {
  const size = Math.abs(x);
  if (Number.isNaN(x))
    return x;
  if (size > 6)
    return Math.sign(x);
  if (size < 3) {
    let term = size;
    let sum2 = size;
    for (let n = 1; term > sum2 * 1e-17; n++) {
      term *= 2 * size * size / (2 * n + 1);
      sum2 += term;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-size * size) * sum2;
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--)
    fraction = n / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * (size + fraction)));
}
__name(erf, "erf");
var sigmoid = /* @__PURE__ */ __name((x) => 1 / (1 + Math.exp(-x)), "sigmoid");
var gaussianCdf = /* @__PURE__ */ __name((x) => 0.5 * (1 + erf(x / Math.SQRT2)), "gaussianCdf");
function activate(activation, x) {
  switch (activation) {
    case "swiglu":
      return x * sigmoid(x);
    case "gelu":
      return x * gaussianCdf(x);
    case "gelu-tanh":
      return 0.5 * x * (1 + Math.tanh(SQRT_2_OVER_PI * (x + TANH_CUBIC * x * x * x)));
    default:
      return x > 0 ? x : 0;
  }
}
__name(activate, "activate");
function activationSlope(activation, x) {
  switch (activation) {
    case "swiglu": {
      const gate = sigmoid(x);
      return gate * (1 + x * (1 - gate));
    }
    case "gelu":
      return gaussianCdf(x) + x * Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
    case "gelu-tanh": {
      const tanh = Math.tanh(SQRT_2_OVER_PI * (x + TANH_CUBIC * x * x * x));
      return 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * SQRT_2_OVER_PI * (1 + 3 * TANH_CUBIC * x * x);
    }
    default:
      return x > 0 ? 1 : 0;
  }
}
__name(activationSlope, "activationSlope");

// kernels/dist/reference/bf16.js
var single = new Float32Array(1);
var word = new Uint32Array(single.buffer);
function bf16Bits(x) {
  single[0] = x;
  const bits = word[0];
  const magnitude = bits & 2147483647;
  const top = bits >>> 16;
  if (magnitude > 2139095040)
    return top | 64;
  if (magnitude < 8388608)
    return top & 32768;
  return bits + 32767 + (top & 1) >>> 16;
}
__name(bf16Bits, "bf16Bits");
function bf16Value(bits) {
  word[0] = bits << 16;
  return single[0];
}
__name(bf16Value, "bf16Value");
var roundBf16 = /* @__PURE__ */ __name((x) => bf16Value(bf16Bits(x)), "roundBf16");
var rounding = /* @__PURE__ */ __name((precision) => precision === "bf16" ? roundBf16 : (x) => x, "rounding");
function widened(array) {
  return array instanceof Uint16Array ? Float64Array.from(array, bf16Value) : array;
}
__name(widened, "widened");
function operand(array, precision) {
  if (array instanceof Uint16Array)
    return widened(array);
  return precision === "bf16" ? Float64Array.from(array, roundBf16) : array;
}
__name(operand, "operand");
var operandRows = /* @__PURE__ */ __name((rows, precision) => operand(rows.data, precision), "operandRows");
function store(out, at, x) {
  out[at] = out instanceof Uint16Array ? bf16Bits(x) : x;
}
__name(store, "store");

// kernels/dist/reference/experts.js
function segmentsOf(op, experts, sources) {
  const segments = [];
  const totals = sources.map(() => 0);
  let savedRow = 0;
  for (let expert = 0; expert < experts; expert++) {
    sources.forEach(({ counts_EG, numGrains }, sourceIndex) => {
      for (let grain = 0; grain < numGrains; grain++) {
        const rows = counts_EG[expert * numGrains + grain];
        if (rows < 0)
          throw new KernelRangeError(`${op}: sources[${sourceIndex}].counts_EG holds ${rows}, expected \u2265 0`);
        segments.push({ expert, sourceIndex, sourceRow: totals[sourceIndex], savedRow, rows });
        totals[sourceIndex] += rows;
        savedRow += rows;
      }
    });
  }
  return { segments, totals };
}
__name(segmentsOf, "segmentsOf");
function atLeast(op, name, array, length) {
  if (array !== void 0 && array.length < length) {
    throw new KernelShapeError(`${op}: ${name}.length is ${array.length}, expected at least ${length} by the counts`, { op, argument: name });
  }
}
__name(atLeast, "atLeast");
function checkSource(op, i, source, rows, dim) {
  const tokens = Math.floor(source.x_UD.length / dim);
  if (source.slots_N === void 0) {
    atLeast(op, `sources[${i}].x_UD`, source.x_UD, rows * dim);
    return;
  }
  atLeast(op, `sources[${i}].slots_N`, source.slots_N, rows);
  for (let row = 0; row < rows; row++) {
    const slot = source.slots_N[row];
    if (slot < 0 || slot >= tokens)
      rangeError(op, `sources[${i}].slots_N`, row, slot, tokens);
  }
}
__name(checkSource, "checkSource");
var expertsForward2 = {
  check(call, check) {
    check.experts(call);
    call.sources.forEach((source, i) => check.floats(`sources[${i}].y_ND`, source.y_ND, 0));
    if (call.saved !== void 0)
      check.saved(call.saved, call.precision);
  },
  run(call) {
    const { op, experts, dim, hidden, activation, expertStride, sources, accumulate, saved, precision } = call;
    const { segments, totals } = segmentsOf(op, experts, sources);
    const width = hiddenInputs(activation) * hidden;
    sources.forEach((source, i) => {
      checkSource(op, i, source, totals[i], dim);
      atLeast(op, `sources[${i}].y_ND`, source.y_ND, totals[i] * dim);
    });
    atLeast(op, "saved", saved, totals.reduce((a, b) => a + b, 0) * width);
    const round = rounding(precision);
    const weights = operand(call.weights, precision);
    const inputs = sources.map(({ x_UD }) => operand(x_UD, precision));
    const before = new Float64Array(width);
    const h = new Float64Array(hidden);
    for (const { expert, sourceIndex, sourceRow, savedRow, rows } of segments) {
      const { slots_N, y_ND } = sources[sourceIndex];
      const x_UD = inputs[sourceIndex];
      const inAt = expert * expertStride;
      const downAt = inAt + width * dim;
      for (let r = 0; r < rows; r++) {
        const row = sourceRow + r;
        const xAt = (slots_N === void 0 ? row : slots_N[row]) * dim;
        for (let f = 0; f < width; f++) {
          let sum2 = 0;
          for (let k = 0; k < dim; k++)
            sum2 += x_UD[xAt + k] * weights[inAt + f * dim + k];
          before[f] = round(sum2);
          if (saved !== void 0)
            store(saved, (savedRow + r) * width + f, sum2);
        }
        for (let f = 0; f < hidden; f++)
          h[f] = round(activate(activation, before[f]) * (width === hidden ? 1 : before[hidden + f]));
        for (let d = 0; d < dim; d++) {
          let sum2 = accumulate === true ? y_ND[row * dim + d] : 0;
          for (let f = 0; f < hidden; f++)
            sum2 += h[f] * weights[downAt + d * hidden + f];
          y_ND[row * dim + d] = sum2;
        }
      }
    }
  }
};
var expertsBackward2 = {
  check(call, check) {
    check.experts(call);
    call.sources.forEach((source, i) => {
      check.floats(`sources[${i}].dOut_UD`, source.dOut_UD, 0);
      check.floats(`sources[${i}].dx_ND`, source.dx_ND, 0);
      if (source.rowWeights_N !== void 0)
        check.floats(`sources[${i}].rowWeights_N`, source.rowWeights_N, 0);
    });
    check.saved(call.saved, call.precision);
    check.target("weightSum", call.weightSum, expertsLength(call));
  },
  run(call) {
    const { op, experts, dim, hidden, activation, expertStride, sources, saved, weightSum, precision } = call;
    const { segments, totals } = segmentsOf(op, experts, sources);
    const width = hiddenInputs(activation) * hidden;
    sources.forEach((source, i) => {
      const rows = totals[i];
      checkSource(op, i, source, rows, dim);
      atLeast(op, `sources[${i}].dOut_UD`, source.dOut_UD, source.slots_N === void 0 ? rows * dim : (largestSlot(source.slots_N, rows) + 1) * dim);
      atLeast(op, `sources[${i}].rowWeights_N`, source.rowWeights_N, rows);
      atLeast(op, `sources[${i}].dx_ND`, source.dx_ND, rows * dim);
    });
    atLeast(op, "saved", saved, totals.reduce((a, b) => a + b, 0) * width);
    const leaf = new Float64Array((width + hidden) * dim);
    const operands2 = {
      round: rounding(precision),
      weights: operand(call.weights, precision),
      saved: widened(saved),
      inputs: sources.map(({ x_UD }) => operand(x_UD, precision))
    };
    for (let expert = 0; expert < experts; expert++) {
      intoTarget(weightSum, expert * expertStride, leaf.length, (sum2) => {
        for (const segment of segments) {
          if (segment.expert !== expert || segment.rows === 0)
            continue;
          leaf.fill(0);
          segmentBackward(call, operands2, segment, leaf);
          addLeaves(sum2, 0, leaf, leaf.length);
        }
      });
    }
  }
};
function largestSlot(slots, rows) {
  let largest = -1;
  for (let i = 0; i < rows; i++)
    largest = Math.max(largest, slots[i]);
  return largest;
}
__name(largestSlot, "largestSlot");
function segmentBackward(call, { round, weights, saved, inputs }, segment, leaf) {
  const { dim, hidden, activation, expertStride, accumulate } = call;
  const { slots_N, dOut_UD, rowWeights_N, dx_ND } = call.sources[segment.sourceIndex];
  const x_UD = inputs[segment.sourceIndex];
  const gated = hiddenInputs(activation) === 2;
  const width = hiddenInputs(activation) * hidden;
  const inAt = segment.expert * expertStride;
  const downAt = inAt + width * dim;
  const leafDownAt = width * dim;
  const h = new Float64Array(hidden);
  const dh = new Float64Array(hidden);
  const dBefore = new Float64Array(width);
  const dx = new Float64Array(dim);
  for (let r = 0; r < segment.rows; r++) {
    const row = segment.sourceRow + r;
    const tokenAt = (slots_N === void 0 ? row : slots_N[row]) * dim;
    const savedAt = (segment.savedRow + r) * width;
    const rowWeight = rowWeights_N === void 0 ? 1 : rowWeights_N[row];
    for (let f = 0; f < hidden; f++) {
      h[f] = round(activate(activation, saved[savedAt + f]) * (gated ? saved[savedAt + hidden + f] : 1));
    }
    dh.fill(0);
    for (let d = 0; d < dim; d++) {
      const dy = round(rowWeight * dOut_UD[tokenAt + d]);
      for (let f = 0; f < hidden; f++) {
        dh[f] += dy * weights[downAt + d * hidden + f];
        leaf[leafDownAt + d * hidden + f] += dy * h[f];
      }
    }
    for (let f = 0; f < hidden; f++) {
      const before = saved[savedAt + f];
      dBefore[f] = round(dh[f] * activationSlope(activation, before) * (gated ? saved[savedAt + hidden + f] : 1));
      if (gated)
        dBefore[hidden + f] = round(dh[f] * activate(activation, before));
    }
    for (let k = 0; k < dim; k++)
      dx[k] = accumulate === true ? dx_ND[row * dim + k] : 0;
    for (let f = 0; f < width; f++) {
      for (let k = 0; k < dim; k++) {
        dx[k] += dBefore[f] * weights[inAt + f * dim + k];
        leaf[f * dim + k] += dBefore[f] * x_UD[tokenAt + k];
      }
    }
    for (let k = 0; k < dim; k++)
      dx_ND[row * dim + k] = dx[k];
  }
}
__name(segmentBackward, "segmentBackward");

// kernels/dist/reference/fill.js
var BEYOND_TWO_SIGMA = 0.02275013194817921;
function drawFrom(kind, bits) {
  const signed = bits | 0;
  if (kind === "uniform")
    return signed * 2 ** -31 + 2 ** -32;
  const low = signed & 2147483647;
  const tail = kind === "normal" ? low * 2 ** -32 + 2 ** -33 : BEYOND_TWO_SIGMA + low * 2 ** -31 * (0.5 - BEYOND_TWO_SIGMA);
  const size = -normalQuantile(tail);
  return signed < 0 ? -size : size;
}
__name(drawFrom, "drawFrom");
var fill = {
  check({ out, kind, scale, key, firstIndex }, check) {
    check.floats("out", out, 0);
    check.oneOf("kind", kind, ["constant", "uniform", "normal", "truncated-normal"]);
    check.number("scale", scale);
    check.size("firstIndex", firstIndex);
    if (!Array.isArray(key) || key.length !== 2)
      check.fail("key", "no pair", "two 32-bit numbers");
  },
  run({ out, kind, scale, key, firstIndex }) {
    if (kind === "constant") {
      out.fill(scale);
      return;
    }
    let block = -1;
    let words = [];
    for (let i = 0; i < out.length; i++) {
      const index = firstIndex + i;
      const wanted = Math.floor(index / 4);
      if (wanted !== block) {
        words = philox4x32([wanted >>> 0, 0, 0, 0], key);
        block = wanted;
      }
      out[i] = scale * drawFrom(kind, words[index % 4]);
    }
  }
};
var CENTRE_TOP = [
  2509.0809287301227,
  33430.57558358813,
  67265.7709270087,
  45921.95393154987,
  13731.69376550946,
  1971.5909503065513,
  133.14166789178438,
  3.3871328727963665
];
var CENTRE_BOTTOM = [
  5226.495278852546,
  28729.085735721943,
  39307.89580009271,
  21213.794301586597,
  5394.196021424751,
  687.1870074920579,
  42.31333070160091,
  1
];
var TAIL_TOP = [
  7745450142783414e-19,
  0.022723844989269184,
  0.2417807251774506,
  1.2704582524523684,
  3.6478483247632045,
  5.769497221460691,
  4.630337846156546,
  1.4234371107496835
];
var TAIL_BOTTOM = [
  10507500716444169e-25,
  5475938084995345e-19,
  0.015198666563616457,
  0.14810397642748008,
  0.6897673349851,
  1.6763848301838038,
  2.053191626637759,
  1
];
var horner = /* @__PURE__ */ __name((coefficients, x) => coefficients.reduce((sum2, c) => sum2 * x + c, 0), "horner");
function normalQuantile(p) {
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r2 = 0.180625 - q * q;
    return q * horner(CENTRE_TOP, r2) / horner(CENTRE_BOTTOM, r2);
  }
  const r = Math.sqrt(-Math.log(Math.min(p, 1 - p))) - 1.6;
  return Math.sign(q) * horner(TAIL_TOP, r) / horner(TAIL_BOTTOM, r);
}
__name(normalQuantile, "normalQuantile");

// kernels/dist/reference/head.js
var headLoss = {
  check(call, check) {
    const { tokens, dim, vocab, gradScale, dx_TD, headSum } = call;
    check.sizes({ tokens });
    check.size("dim", dim, 1);
    check.size("vocab", vocab, 1);
    check.precision(call.precision);
    check.operand("x_TD", call.x_TD, tokens * dim, call.precision);
    check.floats("head_VD", call.head_VD, vocab * dim);
    check.ints("targets_T", call.targets_T, tokens);
    check.starts("grainStarts", call.grainStarts, tokens);
    check.floats("loss_T", call.loss_T, tokens);
    check.int64s("lossSum", call.lossSum, 1);
    if (dx_TD !== void 0)
      check.floats("dx_TD", dx_TD, tokens * dim);
    if (headSum !== void 0)
      check.target("headSum", headSum, vocab * dim);
    if (dx_TD !== void 0 || headSum !== void 0) {
      check.number("gradScale", gradScale ?? Number.NaN);
    }
  },
  run(call) {
    const { tokens, dim, vocab, targets_T, headSum } = call;
    for (let t2 = 0; t2 < tokens; t2++) {
      const target = targets_T[t2];
      if (target < -1 || target >= vocab)
        rangeError("head.loss", "targets_T", t2, target, vocab);
    }
    if (headSum === void 0)
      addGrains(call, null);
    else
      intoTarget(headSum, 0, vocab * dim, (sum2) => addGrains(call, sum2));
  }
};
function addGrains(call, headSum) {
  const { dim, vocab, targets_T, grainStarts, loss_T, lossSum, gradScale = 0, dx_TD, precision } = call;
  const x_TD = operand(call.x_TD, precision);
  const head_VD = operand(call.head_VD, precision);
  const round = rounding(precision);
  const logits = new Float64Array(vocab);
  const dx = new Float64Array(dim);
  const leaf = new Float64Array(headSum === null ? 0 : vocab * dim);
  for (let grain = 0; grain + 1 < grainStarts.length; grain++) {
    let lossLeaf = 0;
    leaf.fill(0);
    for (let t2 = grainStarts[grain]; t2 < grainStarts[grain + 1]; t2++) {
      const target = targets_T[t2];
      dx.fill(0);
      loss_T[t2] = 0;
      if (target >= 0) {
        const loss = softmaxLoss(logits, x_TD, t2 * dim, head_VD, dim, target);
        loss_T[t2] = loss;
        lossLeaf += loss;
        for (let v = 0; v < vocab; v++) {
          if (dx_TD === void 0 && headSum === null)
            break;
          const dLogit = round((logits[v] - (v === target ? 1 : 0)) * gradScale);
          for (let d = 0; d < dim; d++)
            dx[d] += dLogit * head_VD[v * dim + d];
          if (headSum === null)
            continue;
          for (let d = 0; d < dim; d++)
            leaf[v * dim + d] += dLogit * x_TD[t2 * dim + d];
        }
      }
      dx_TD?.set(dx, t2 * dim);
    }
    addLossLeaf(lossSum, 0, lossLeaf);
    if (headSum !== null)
      addLeaves(headSum, 0, leaf, leaf.length);
  }
}
__name(addGrains, "addGrains");
function softmaxLoss(logits, x, xAt, head, dim, target) {
  let largest = -Infinity;
  for (let v = 0; v < logits.length; v++) {
    let sum2 = 0;
    for (let d = 0; d < dim; d++)
      sum2 += x[xAt + d] * head[v * dim + d];
    logits[v] = sum2;
    largest = Math.max(largest, sum2);
  }
  const targetLogit = logits[target];
  let total = 0;
  for (let v = 0; v < logits.length; v++)
    total += logits[v] = Math.exp(logits[v] - largest);
  for (let v = 0; v < logits.length; v++)
    logits[v] /= total;
  return largest + Math.log(total) - targetLogit;
}
__name(softmaxLoss, "softmaxLoss");

// kernels/dist/reference/linear.js
var linearForward = {
  check({ rows, inDim, outDim, x, weight, out, accumulate, residual, precision }, check) {
    check.precision(precision);
    check.size("rows", rows);
    check.size("inDim", inDim, 1);
    check.size("outDim", outDim, 1);
    check.operandRows("x", x, rows, inDim, precision);
    check.floats("weight", weight, outDim * inDim);
    check.rows("out", out, rows, outDim);
    if (residual !== void 0) {
      check.rows("residual", residual, rows, outDim);
      if (accumulate === true)
        check.fail("residual", "given together with accumulate", "one start of the chain");
    }
  },
  run({ rows, inDim, outDim, x, weight: stored, out, accumulate, residual, precision }) {
    const from = rowsLayout(x, inDim);
    const to = rowsLayout(out, outDim);
    const start = accumulate === true ? out : residual;
    const startAt = start === void 0 ? to : rowsLayout(start, outDim);
    const xData = operandRows(x, precision);
    const weight = operand(stored, precision);
    for (let m = 0; m < rows; m++) {
      const xAt = from.offset + m * from.stride;
      for (let n = 0; n < outDim; n++) {
        let value = start === void 0 ? 0 : start.data[startAt.offset + m * startAt.stride + n];
        const weightAt = n * inDim;
        for (let k = 0; k < inDim; k++)
          value += xData[xAt + k] * weight[weightAt + k];
        out.data[to.offset + m * to.stride + n] = value;
      }
    }
  }
};
var linearBackwardInput = {
  check({ rows, inDim, outDim, dOut, weight, dx, precision }, check) {
    check.precision(precision);
    check.size("rows", rows);
    check.size("inDim", inDim, 1);
    check.size("outDim", outDim, 1);
    check.rows("dOut", dOut, rows, outDim);
    check.floats("weight", weight, outDim * inDim);
    check.rows("dx", dx, rows, inDim);
  },
  run({ rows, inDim, outDim, dOut, weight: stored, dx, accumulate, precision }) {
    const from = rowsLayout(dOut, outDim);
    const to = rowsLayout(dx, inDim);
    const dOutData = operandRows(dOut, precision);
    const weight = operand(stored, precision);
    const chain = new Float64Array(inDim);
    for (let m = 0; m < rows; m++) {
      const dxAt = to.offset + m * to.stride;
      for (let k = 0; k < inDim; k++)
        chain[k] = accumulate === true ? dx.data[dxAt + k] : 0;
      for (let n = 0; n < outDim; n++) {
        const upstream = dOutData[from.offset + m * from.stride + n];
        const weightAt = n * inDim;
        for (let k = 0; k < inDim; k++)
          chain[k] += upstream * weight[weightAt + k];
      }
      for (let k = 0; k < inDim; k++)
        dx.data[dxAt + k] = chain[k];
    }
  }
};
var linearBackwardWeight = {
  check({ rows, inDim, outDim, dOut, x, grainStarts, weightSum, precision }, check) {
    check.precision(precision);
    check.size("rows", rows);
    check.size("inDim", inDim, 1);
    check.size("outDim", outDim, 1);
    check.rows("dOut", dOut, rows, outDim);
    check.operandRows("x", x, rows, inDim, precision);
    check.starts("grainStarts", grainStarts, rows);
    check.target("weightSum", weightSum, outDim * inDim);
  },
  run({ inDim, outDim, dOut, x, grainStarts, weightSum, precision }) {
    const upstream = rowsLayout(dOut, outDim);
    const input = rowsLayout(x, inDim);
    const leaf = new Float64Array(outDim * inDim);
    const xData = operandRows(x, precision);
    const dOutData = operandRows(dOut, precision);
    intoTarget(weightSum, 0, leaf.length, (sum2) => {
      for (let grain = 0; grain + 1 < grainStarts.length; grain++) {
        leaf.fill(0);
        for (let m = grainStarts[grain]; m < grainStarts[grain + 1]; m++) {
          const xAt = input.offset + m * input.stride;
          for (let n = 0; n < outDim; n++) {
            const value = dOutData[upstream.offset + m * upstream.stride + n];
            const leafAt = n * inDim;
            for (let k = 0; k < inDim; k++)
              leaf[leafAt + k] += value * xData[xAt + k];
          }
        }
        addLeaves(sum2, 0, leaf, leaf.length);
      }
    });
  }
};

// kernels/dist/reference/norm.js
function checkNorm(call, check) {
  const { kind, rows, groups: groups2, dim } = call;
  check.oneOf("kind", kind, ["rms", "layer"]);
  check.size("rows", rows);
  check.size("groups", groups2, 1);
  check.size("dim", dim, 1);
  check.rows("x", call.x, rows, groups2 * dim);
  check.floats("weight", call.weight, dim);
  check.floats("stats", call.stats, rows * groups2 * (kind === "layer" ? 2 : 1));
  return groups2 * dim;
}
__name(checkNorm, "checkNorm");
var normForward2 = {
  check(call, check) {
    const rowLength = checkNorm(call, check);
    check.number("eps", call.eps);
    check.floatsOrHalves("out.data", call.out?.data, check.rowsEnd("out", call.out, call.rows, rowLength));
    if (call.bias !== void 0)
      check.floats("bias", call.bias, call.dim);
  },
  run({ kind, rows, groups: groups2, dim, eps, x, weight, bias, out, stats }) {
    const from = rowsLayout(x, groups2 * dim);
    const to = rowsLayout(out, groups2 * dim);
    for (let i = 0; i < rows * groups2; i++) {
      const row = Math.floor(i / groups2);
      const group = i % groups2;
      const xAt = from.offset + row * from.stride + group * dim;
      const outAt = to.offset + row * to.stride + group * dim;
      let mean = 0;
      if (kind === "layer") {
        for (let d = 0; d < dim; d++)
          mean += x.data[xAt + d];
        mean /= dim;
      }
      let square = 0;
      for (let d = 0; d < dim; d++) {
        const centred = x.data[xAt + d] - mean;
        square += centred * centred;
      }
      const inverse = 1 / Math.sqrt(square / dim + eps);
      stats[i] = inverse;
      if (kind === "layer")
        stats[rows * groups2 + i] = mean;
      for (let d = 0; d < dim; d++) {
        const scaled = (x.data[xAt + d] - mean) * inverse * weight[d];
        store(out.data, outAt + d, bias === void 0 ? scaled : scaled + bias[d]);
      }
    }
  }
};
var normBackward2 = {
  check(call, check) {
    const rowLength = checkNorm(call, check);
    check.rows("dOut", call.dOut, call.rows, rowLength);
    check.rows("dx", call.dx, call.rows, rowLength);
    check.starts("grainStarts", call.grainStarts, call.rows);
    check.target("weightSum", call.weightSum, call.dim);
    if (call.biasSum !== void 0)
      check.target("biasSum", call.biasSum, call.dim);
  },
  run(call) {
    const { dim, weightSum, biasSum } = call;
    intoTarget(weightSum, 0, dim, (weightLeaves) => {
      if (biasSum === void 0)
        addGrains2(call, weightLeaves, null);
      else
        intoTarget(biasSum, 0, dim, (biasLeaves) => addGrains2(call, weightLeaves, biasLeaves));
    });
  }
};
function addGrains2(call, weightLeaves, biasLeaves) {
  const { kind, rows, groups: groups2, dim, x, weight, stats, dOut, dx, accumulate, grainStarts } = call;
  const input = rowsLayout(x, groups2 * dim);
  const gradient = rowsLayout(dOut, groups2 * dim);
  const result = rowsLayout(dx, groups2 * dim);
  const weightLeaf = new Float64Array(dim);
  const biasLeaf = new Float64Array(dim);
  for (let grain = 0; grain + 1 < grainStarts.length; grain++) {
    weightLeaf.fill(0);
    biasLeaf.fill(0);
    for (let i = grainStarts[grain] * groups2; i < grainStarts[grain + 1] * groups2; i++) {
      const row = Math.floor(i / groups2);
      const group = i % groups2;
      const xAt = input.offset + row * input.stride + group * dim;
      const dOutAt = gradient.offset + row * gradient.stride + group * dim;
      const dxAt = result.offset + row * result.stride + group * dim;
      const inverse = stats[i];
      const mean = kind === "layer" ? stats[rows * groups2 + i] : 0;
      let gradientMean = 0;
      let projection = 0;
      for (let d = 0; d < dim; d++) {
        const normal = (x.data[xAt + d] - mean) * inverse;
        const upstream = dOut.data[dOutAt + d];
        weightLeaf[d] += upstream * normal;
        biasLeaf[d] += upstream;
        gradientMean += upstream * weight[d];
        projection += upstream * weight[d] * normal;
      }
      gradientMean = kind === "layer" ? gradientMean / dim : 0;
      projection /= dim;
      for (let d = 0; d < dim; d++) {
        const normal = (x.data[xAt + d] - mean) * inverse;
        const value = inverse * (dOut.data[dOutAt + d] * weight[d] - gradientMean - normal * projection);
        dx.data[dxAt + d] = accumulate ? dx.data[dxAt + d] + value : value;
      }
    }
    addLeaves(weightLeaves, 0, weightLeaf, dim);
    if (biasLeaves !== null)
      addLeaves(biasLeaves, 0, biasLeaf, dim);
  }
}
__name(addGrains2, "addGrains");

// kernels/dist/reference/rope.js
var rope2 = {
  check({ rows, seqLen, heads, headDim, x, cos_S2, sin_S2, firstPosition = 0 }, check) {
    check.sizes({ rows, heads, firstPosition });
    check.size("seqLen", seqLen, rows === 0 ? 0 : 1);
    check.size("headDim", headDim);
    if (headDim % 2 !== 0)
      check.fail("headDim", String(headDim), "an even number");
    check.rows("x", x, rows, heads * headDim);
    const positions = Math.min(rows, seqLen);
    const needed = positions === 0 ? 0 : (firstPosition + positions) * (headDim / 2);
    check.floats("cos_S2", cos_S2, needed);
    check.floats("sin_S2", sin_S2, needed);
  },
  run({ rows, seqLen, heads, headDim, x, cos_S2, sin_S2, inverse, firstPosition = 0 }) {
    const { offset, stride } = rowsLayout(x, heads * headDim);
    const half = headDim / 2;
    for (let t2 = 0; t2 < rows; t2++) {
      const angleAt = (t2 % seqLen + firstPosition) * half;
      for (let h = 0; h < heads; h++) {
        const at = offset + t2 * stride + h * headDim;
        for (let i = 0; i < half; i++) {
          const cos = cos_S2[angleAt + i];
          const sin = inverse ? -sin_S2[angleAt + i] : sin_S2[angleAt + i];
          const a = x.data[at + i];
          const b = x.data[at + half + i];
          x.data[at + i] = a * cos - b * sin;
          x.data[at + half + i] = b * cos + a * sin;
        }
      }
    }
  }
};

// kernels/dist/reference/route.js
var routePlan = {
  check(call, check) {
    const { tokens, experts, topK, ranks, grainStarts } = call;
    check.sizes({ tokens });
    check.size("experts", experts, 1);
    check.size("topK", topK, 1);
    check.size("ranks", ranks, 1);
    if (experts % ranks !== 0)
      check.fail("ranks", String(ranks), `a divisor of experts, ${experts}`);
    check.ints("choices_TK", call.choices_TK, tokens * topK);
    check.starts("grainStarts", grainStarts, tokens);
    check.ints("counts_EG", call.counts_EG, experts * (grainStarts.length - 1));
    check.ints("position_TK", call.position_TK, tokens * topK);
    check.ints("slots_N", call.slots_N, tokens * topK);
    check.ints("choiceOfRow_N", call.choiceOfRow_N, tokens * topK);
    check.ints("rankTokens", call.rankTokens, ranks * tokens);
    check.ints("numTokens_R", call.numTokens_R, ranks);
    check.ints("numRows_R", call.numRows_R, ranks);
  },
  run(call) {
    const { tokens, experts, topK, ranks, choices_TK, grainStarts, counts_EG } = call;
    checkChoices("route.plan", choices_TK, tokens * topK, experts);
    const numGrains = grainStarts.length - 1;
    const perRank = experts / ranks;
    counts_EG.fill(0, 0, experts * numGrains);
    const countOf2 = new Int32Array(experts);
    const lastToken = new Int32Array(experts).fill(-1);
    for (let grain = 0; grain < numGrains; grain++) {
      for (let t2 = grainStarts[grain]; t2 < grainStarts[grain + 1]; t2++) {
        for (let k = 0; k < topK; k++) {
          const expert = choices_TK[t2 * topK + k];
          if (expert < 0)
            continue;
          if (lastToken[expert] === t2) {
            throw new KernelRangeError(`route.plan: token ${t2} chose expert ${expert} twice, expected distinct experts`);
          }
          lastToken[expert] = t2;
          counts_EG[expert * numGrains + grain] += 1;
          countOf2[expert] += 1;
        }
      }
    }
    const nextRow = new Int32Array(experts);
    call.numRows_R.fill(0, 0, ranks);
    for (let e2 = 0, row = 0; e2 < experts; e2++) {
      nextRow[e2] = row;
      row += countOf2[e2];
      call.numRows_R[Math.floor(e2 / perRank)] += countOf2[e2];
    }
    call.numTokens_R.fill(0, 0, ranks);
    const lastSlot = new Int32Array(ranks);
    const lastOfRank = new Int32Array(ranks).fill(-1);
    for (let t2 = 0; t2 < tokens; t2++) {
      for (let k = 0; k < topK; k++) {
        const choice = t2 * topK + k;
        const expert = choices_TK[choice];
        if (expert < 0) {
          call.position_TK[choice] = -1;
          continue;
        }
        const rank = Math.floor(expert / perRank);
        if (lastOfRank[rank] !== t2) {
          lastOfRank[rank] = t2;
          lastSlot[rank] = call.numTokens_R[rank];
          call.rankTokens[rank * tokens + lastSlot[rank]] = t2;
          call.numTokens_R[rank] += 1;
        }
        const row = nextRow[expert]++;
        call.position_TK[choice] = row;
        call.slots_N[row] = lastSlot[rank];
        call.choiceOfRow_N[row] = choice;
      }
    }
  }
};

// kernels/dist/reference/rows.js
var gather = {
  check({ rows, dim, x, index, out }, check) {
    check.sizes({ rows });
    check.size("dim", dim, 1);
    check.floats("x", x, 0);
    check.ints("index", index, rows);
    check.floats("out", out, rows * dim);
  },
  run({ rows, dim, x, index, out }) {
    const bound = Math.floor(x.length / dim);
    for (let i = 0; i < rows; i++) {
      const from = index[i];
      if (from < 0 || from >= bound)
        rangeError("gather", "index", i, from, bound);
      for (let d = 0; d < dim; d++)
        out[i * dim + d] = x[from * dim + d];
    }
  }
};
var gatherScalars = {
  check({ count: count3, values, index, out }, check) {
    check.sizes({ count: count3 });
    check.floats("values", values, 0);
    check.ints("index", index, count3);
    check.floats("out", out, count3);
  },
  run({ count: count3, values, index, out }) {
    for (let i = 0; i < count3; i++) {
      const from = index[i];
      if (from < 0 || from >= values.length)
        rangeError("gather.scalars", "index", i, from, values.length);
      out[i] = values[from];
    }
  }
};
function partOf(op, parts, position) {
  for (const part of parts) {
    if (position >= part.firstRow && position < part.firstRow + part.rows)
      return part;
  }
  throw new KernelRangeError(`${op}: no part holds row ${position}`, { op, position });
}
__name(partOf, "partOf");
var combine = {
  check({ tokens, topK, dim, parts, position_TK, weights_TK, base_TD, out_TD }, check) {
    check.sizes({ tokens, topK });
    check.size("dim", dim, 1);
    check.parts(parts, dim);
    check.ints("position_TK", position_TK, tokens * topK);
    if (weights_TK !== void 0)
      check.floats("weights_TK", weights_TK, tokens * topK);
    if (base_TD !== void 0)
      check.floats("base_TD", base_TD, tokens * dim);
    check.floats("out_TD", out_TD, tokens * dim);
  },
  run({ tokens, topK, dim, parts, position_TK, weights_TK, base_TD, out_TD }) {
    const chain = new Float64Array(dim);
    for (let t2 = 0; t2 < tokens; t2++) {
      for (let d = 0; d < dim; d++)
        chain[d] = base_TD === void 0 ? 0 : base_TD[t2 * dim + d];
      for (let k = 0; k < topK; k++) {
        const position = position_TK[t2 * topK + k];
        if (position === -1)
          continue;
        const part = partOf("combine", parts, position);
        const at = (position - part.firstRow) * dim;
        const weight = weights_TK === void 0 ? 1 : weights_TK[t2 * topK + k];
        for (let d = 0; d < dim; d++)
          chain[d] += weight * part.data[at + d];
      }
      for (let d = 0; d < dim; d++)
        out_TD[t2 * dim + d] = chain[d];
    }
  }
};
var combineBackwardWeights = {
  check({ tokens, topK, dim, parts, position_TK, dOut_TD, dWeights_TK }, check) {
    check.sizes({ tokens, topK });
    check.size("dim", dim, 1);
    check.parts(parts, dim);
    check.ints("position_TK", position_TK, tokens * topK);
    check.floats("dOut_TD", dOut_TD, tokens * dim);
    check.floats("dWeights_TK", dWeights_TK, tokens * topK);
  },
  run({ tokens, topK, dim, parts, position_TK, dOut_TD, dWeights_TK }) {
    for (let i = 0; i < tokens * topK; i++) {
      const position = position_TK[i];
      let sum2 = 0;
      if (position !== -1) {
        const part = partOf("combine.backward.weights", parts, position);
        const at = (position - part.firstRow) * dim;
        const dOutAt = Math.floor(i / topK) * dim;
        for (let d = 0; d < dim; d++)
          sum2 += dOut_TD[dOutAt + d] * part.data[at + d];
      }
      dWeights_TK[i] = sum2;
    }
  }
};

// kernels/dist/reference/kernels.js
var kernels = {
  fill,
  copy,
  "embed.forward": embedForward2,
  "embed.backward": embedBackward2,
  "norm.forward": normForward2,
  "norm.backward": normBackward2,
  "linear.forward": linearForward,
  "linear.backward.input": linearBackwardInput,
  "linear.backward.weight": linearBackwardWeight,
  rope: rope2,
  "attention.forward": attentionForward2,
  "attention.backward": attentionBackward2,
  "gate.forward": gateForward2,
  "balance.forward": balanceForward,
  "gate.backward": gateBackward2,
  "route.plan": routePlan,
  gather,
  "gather.scalars": gatherScalars,
  combine,
  "combine.backward.weights": combineBackwardWeights,
  "experts.forward": expertsForward2,
  "experts.backward": expertsBackward2,
  "head.loss": headLoss,
  "sum.add": sumAdd,
  "sum.reset": sumReset,
  "sum.read": sumRead,
  "sum.squares": sumSquares,
  adamw
};

// kernels/dist/reference/reference-device.js
var SLICE_MS = 4;
var kernelOf = /* @__PURE__ */ __name((op) => Object.hasOwn(kernels, op) ? kernels[op] : void 0, "kernelOf");
function asTroupeError(error, op) {
  if (error instanceof TroupeError)
    return error;
  const message = error instanceof Error ? error.message : String(error);
  return new KernelFailedError(`${op ?? "a call"}: ${message}`, { cause: error });
}
__name(asTroupeError, "asTroupeError");
var ReferenceDevice = class {
  static {
    __name(this, "ReferenceDevice");
  }
  info;
  #dtype;
  #queue = [];
  #drained = [];
  #busy = false;
  #closed = false;
  constructor(dtype) {
    this.#dtype = dtype;
    this.info = {
      body: "reference",
      name: `reference ${dtype}`,
      reason: "reference: asked for by name; it is the oracle, slow on purpose",
      threads: 1,
      dtype,
      layoutFree: false
    };
  }
  floats(length) {
    return this.#dtype === "f64" ? new Float64Array(length) : new Float32Array(length);
  }
  halves(length) {
    return new Uint16Array(length);
  }
  ints(length) {
    return new Int32Array(length);
  }
  int64s(length) {
    return new BigInt64Array(length);
  }
  bytes(length) {
    return new Uint8Array(length);
  }
  submit(calls, done) {
    if (this.#closed) {
      setImmediate(() => done({ error: closedError(), kernelMs: 0 }));
      return;
    }
    this.#queue.push({ calls, done });
    this.#start();
  }
  run(calls) {
    if (this.#closed)
      return { error: closedError(), kernelMs: 0 };
    const start = performance.now();
    let error = this.#check(calls);
    for (let i = 0; i < calls.length && error === null; i++)
      error = this.#runOne(calls[i]);
    return { error, kernelMs: performance.now() - start };
  }
  close() {
    this.#closed = true;
    if (!this.#busy)
      return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }
  #start() {
    if (this.#busy)
      return;
    this.#busy = true;
    setImmediate(() => this.#next());
  }
  #next() {
    const submission = this.#queue.shift();
    if (submission === void 0) {
      this.#busy = false;
      for (const resolve of this.#drained.splice(0))
        resolve();
      return;
    }
    const start = performance.now();
    const error = this.#check(submission.calls);
    this.#proceed(submission, 0, error, performance.now() - start);
  }
  /** Runs calls from `index` on until the slice is over, then goes on in another turn of the event loop. */
  #proceed(submission, index, error, spentMs) {
    const start = performance.now();
    let elapsedMs = 0;
    let at = index;
    let found = error;
    while (at < submission.calls.length && found === null && elapsedMs < SLICE_MS) {
      found = this.#runOne(submission.calls[at]);
      at += 1;
      elapsedMs = performance.now() - start;
    }
    const kernelMs = spentMs + elapsedMs;
    if (at < submission.calls.length && found === null) {
      setImmediate(() => this.#proceed(submission, at, null, kernelMs));
      return;
    }
    setImmediate(() => this.#next());
    submission.done({ error: found, kernelMs });
  }
  #check(calls) {
    for (const call of calls) {
      const kernel = kernelOf(call?.op);
      if (kernel === void 0)
        return new KernelShapeError(`${call?.op} is no operation of the kernel set`);
      try {
        kernel.check(call, new ArgumentCheck(call.op, this.#dtype));
      } catch (thrown) {
        return asTroupeError(thrown, call.op);
      }
    }
    return null;
  }
  #runOne(call) {
    try {
      kernelOf(call.op)?.run(call, this.#dtype);
      return null;
    } catch (thrown) {
      return asTroupeError(thrown, call.op);
    }
  }
};
var closedError = /* @__PURE__ */ __name(() => new KernelFailedError("the device is closed"), "closedError");
function openReferenceDevice(options = {}) {
  return new ReferenceDevice(options.dtype ?? "f64");
}
__name(openReferenceDevice, "openReferenceDevice");

// kernels/dist/load-device.js
var importBody = {
  native: /* @__PURE__ */ __name(async () => {
    const { nativeAvailability, openNativeDevice: openNativeDevice2 } = await import("./native-device-FPZJKMXO.js");
    return { availability: nativeAvailability, open: openNativeDevice2 };
  }, "native"),
  tfjs: /* @__PURE__ */ __name(async () => {
    const { tfjsAvailability, openTfjsDevice } = await import("./tfjs-device-UNM5XL2W.js");
    return { availability: tfjsAvailability, open: openTfjsDevice };
  }, "tfjs")
};
async function attempt(name, threads = availableParallelism()) {
  try {
    const body = await importBody[name]();
    const { available, reason } = await body.availability();
    if (!available)
      return { device: null, reason };
    const device = await body.open({ threads });
    return { device, reason: device.info.reason };
  } catch (thrown) {
    return { device: null, reason: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}
__name(attempt, "attempt");
function explained(device, reason) {
  return {
    ...withoutQueue(device),
    ..."run" in device ? { run: /* @__PURE__ */ __name((calls) => device.run(calls), "run") } : {},
    ...device.timeCalls === void 0 ? {} : { timeCalls: /* @__PURE__ */ __name((on) => device.timeCalls?.(on), "timeCalls") },
    info: { ...device.info, reason },
    submit: /* @__PURE__ */ __name((calls, done) => device.submit(calls, done), "submit")
  };
}
__name(explained, "explained");
async function loadDevice({ body = "auto", threads, dtype } = {}) {
  if (threads !== void 0 && (!Number.isSafeInteger(threads) || threads < 1)) {
    throw new DeviceUnavailableError(`threads is ${threads}, expected an integer \u2265 1`, {
      details: { threads }
    });
  }
  if (body === "reference")
    return openReferenceDevice(dtype === void 0 ? {} : { dtype });
  if (body !== "auto") {
    const { device, reason } = await attempt(body, threads);
    if (device === null)
      throw new DeviceUnavailableError(`${body}: ${reason}`, { details: { body } });
    return explained(device, `${body}: ${reason}; asked for by name`);
  }
  const native = await attempt("native", threads);
  if (native.device !== null)
    return explained(native.device, `native: ${native.reason}; chosen because it is the fastest body here`);
  const tfjs = await attempt("tfjs", threads);
  if (tfjs.device !== null)
    return explained(tfjs.device, `tfjs: ${tfjs.reason}; chosen because native is not available: ${native.reason}; for its speed install g++ or clang++ and run \`npm run build:native\``);
  throw new DeviceUnavailableError(`no fast device body can be opened: native: ${native.reason}; tfjs: ${tfjs.reason}; run \`npm run build:native\`, or ask for body reference`);
}
__name(loadDevice, "loadDevice");

// kernels/dist/tfjs/tfjs-expert.js
function tfjsExpert({ name, module, parameters, create }) {
  const listed2 = /* @__PURE__ */ __name((size) => Object.entries(parameters(size)).map(([own, parameter]) => ({ name: own, ...parameter })), "listed");
  const layerOf = /* @__PURE__ */ __name((size) => ({
    name,
    module,
    parameters: listed2(size).map(({ name: own, shape }) => ({ name: own, shape }))
  }), "layerOf");
  return {
    name,
    body: "tfjs",
    parameters: listed2,
    forward: /* @__PURE__ */ __name(({ experts, dim, hidden, weights, expertStride, sources }) => [
      {
        op: "expert-layer.forward",
        layer: layerOf({ dim, hidden }),
        experts,
        dim,
        hidden,
        weights,
        expertStride,
        sources
      }
    ], "forward"),
    backward: /* @__PURE__ */ __name(({ experts, dim, hidden, weights, expertStride, sources, weightSum }) => [
      {
        op: "expert-layer.backward",
        layer: layerOf({ dim, hidden }),
        experts,
        dim,
        hidden,
        weights,
        expertStride,
        sources,
        weightSum
      }
    ], "backward"),
    create
  };
}
__name(tfjsExpert, "tfjsExpert");

// packages/transport/dist/zmq.js
import { Context, Pull, Push } from "zeromq";

// packages/transport/dist/curve.js
import { capability, Reply } from "zeromq";

// packages/transport/dist/errors.js
var UnknownPeerError = class extends TroupeError {
  static {
    __name(this, "UnknownPeerError");
  }
  name = "UnknownPeerError";
  constructor(node) {
    super("TROUPE_TRANSPORT_UNKNOWN_PEER", `no endpoint is known for node '${node}'; name it with setPeers first`, {
      details: { node }
    });
  }
};
var TransportClosedError = class extends TroupeError {
  static {
    __name(this, "TransportClosedError");
  }
  name = "TransportClosedError";
  constructor(node) {
    super("TROUPE_TRANSPORT_CLOSED", `the transport of node '${node}' is closed`, { details: { node } });
  }
};
var OversizeError = class extends TroupeError {
  static {
    __name(this, "OversizeError");
  }
  name = "OversizeError";
  constructor(what, found, limit, unit) {
    super("TROUPE_TRANSPORT_OVERSIZE", `${what} is ${found} ${unit}, limit ${limit} ${unit}; split it`, {
      details: { what, found, limit, unit }
    });
  }
};
var PeerLostError = class extends TroupeError {
  static {
    __name(this, "PeerLostError");
  }
  name = "PeerLostError";
  constructor(node, reason) {
    super("TROUPE_TRANSPORT_PEER_LOST", `node '${node}' went away before it took the packet: ${reason}`, {
      retryable: true,
      details: { node, reason }
    });
  }
};
var AddressInUseError = class extends TroupeError {
  static {
    __name(this, "AddressInUseError");
  }
  name = "AddressInUseError";
  constructor(endpoint, cause) {
    super("TROUPE_TRANSPORT_ADDRESS_IN_USE", `${endpoint} is in use; choose port 0 or another path`, {
      retryable: true,
      details: { endpoint },
      cause
    });
  }
};
var EndpointError = class extends TroupeError {
  static {
    __name(this, "EndpointError");
  }
  name = "EndpointError";
  constructor(endpoint, problem, cause) {
    super("TROUPE_TRANSPORT_ENDPOINT", `endpoint ${endpoint}: ${problem}`, { details: { endpoint }, cause });
  }
};
var InsecureTransportError = class extends TroupeError {
  static {
    __name(this, "InsecureTransportError");
  }
  name = "InsecureTransportError";
  constructor(endpoint, problem) {
    super("TROUPE_TRANSPORT_INSECURE", `${endpoint} is refused: ${problem}; give CURVE keys or stay on loopback`, {
      details: { endpoint }
    });
  }
};

// packages/transport/dist/curve.js
var alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
var curveServer = /* @__PURE__ */ __name((keys) => ({
  curveServer: true,
  curvePublicKey: keys.public,
  curveSecretKey: keys.secret,
  zapDomain: "troupe"
}), "curveServer");
var curveClient = /* @__PURE__ */ __name((keys) => ({ curveServerKey: keys.serverPublic, curvePublicKey: keys.public, curveSecretKey: keys.secret }), "curveClient");
function checkCurve(keys) {
  if (capability.curve !== true)
    throw new InsecureTransportError("CURVE", "this build of ZeroMQ lacks it");
  for (const key of [keys.serverPublic, keys.public, keys.secret, ...keys.authorized ?? []]) {
    if (key.length !== 40 || Array.from(key).some((digit) => !alphabet.includes(digit))) {
      throw new InsecureTransportError("CURVE", "a key is not 40 characters of Z85");
    }
  }
}
__name(checkCurve, "checkCurve");
async function guardDoor(context, keys) {
  const allowed = new Set([keys.public, keys.serverPublic, ...keys.authorized ?? []].map((key) => z85Hex(key)));
  const door = new Reply({ context, linger: 0 });
  await door.bind("inproc://zeromq.zap.01");
  void answer(door, allowed);
  return door;
}
__name(guardDoor, "guardDoor");
async function answer(door, allowed) {
  try {
    for await (const [version, id, , , , mechanism, key] of door) {
      const known2 = String(mechanism) === "CURVE" && key !== void 0 && allowed.has(key.toString("hex"));
      await door.send([
        version ?? "1.0",
        id ?? "",
        known2 ? "200" : "400",
        known2 ? "OK" : "unknown key",
        "",
        ""
      ]);
    }
  } catch {
  }
}
__name(answer, "answer");
function z85Hex(text) {
  const bytes = Buffer.alloc(text.length / 5 * 4);
  for (let group = 0; group < text.length / 5; group++) {
    let value = 0;
    for (const digit of text.slice(group * 5, group * 5 + 5))
      value = value * 85 + alphabet.indexOf(digit);
    bytes.writeUInt32BE(value % 2 ** 32, group * 4);
  }
  return bytes.toString("hex");
}
__name(z85Hex, "z85Hex");

// packages/transport/dist/endpoints.js
import { chmod, mkdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join as join2 } from "node:path";
var ipcPathBytesMax = 100;
var ipcCounter = 0;
var named2 = /* @__PURE__ */ __name((listen) => listen.kind === "ipc" && listen.name === void 0 ? { ...listen, name: `${process.pid}-${++ipcCounter}` } : listen, "named");
async function bindEndpoint(listen, lane, secured) {
  if (listen.kind === "tcp") {
    const endpoint2 = `tcp://${listen.host}:${listen.ports?.[lane] || "*"}`;
    checkSecure(endpoint2, listen.host, secured);
    return endpoint2;
  }
  const endpoint = `ipc://${join2(listen.directory, `${named2(listen).name}.${lane}`)}`;
  checkEndpoint(endpoint, secured);
  await mkdir(listen.directory, { recursive: true });
  await clearStale(endpoint);
  return endpoint;
}
__name(bindEndpoint, "bindEndpoint");
function advertised(listen, bound) {
  if (listen.kind !== "tcp" || listen.advertiseHost === void 0)
    return bound;
  return `tcp://${listen.advertiseHost}:${bound.slice(bound.lastIndexOf(":") + 1)}`;
}
__name(advertised, "advertised");
var guardIpc = /* @__PURE__ */ __name((bound) => bound.startsWith("ipc://") ? chmod(bound.slice("ipc://".length), 384) : Promise.resolve(), "guardIpc");
var removeIpc = /* @__PURE__ */ __name((bound) => bound.startsWith("ipc://") ? rm(bound.slice("ipc://".length), { force: true }) : Promise.resolve(), "removeIpc");
function checkEndpoint(endpoint, secured) {
  if (endpoint.startsWith("ipc://")) {
    const found = Buffer.byteLength(endpoint) - "ipc://".length;
    if (found <= ipcPathBytesMax)
      return;
    throw new EndpointError(endpoint, `its path has ${found} bytes, limit ${ipcPathBytesMax}; choose a shorter directory`);
  }
  const host = /^tcp:\/\/(.+):(\d+|\*)$/.exec(endpoint)?.[1];
  if (host === void 0)
    throw new EndpointError(endpoint, "expected 'ipc://PATH' or 'tcp://HOST:PORT'");
  checkSecure(endpoint, host, secured);
}
__name(checkEndpoint, "checkEndpoint");
function checkSecure(endpoint, host, secured) {
  if (secured || /^(127(\.\d{1,3}){3}|\[?::1\]?|localhost)$/.test(host))
    return;
  throw new InsecureTransportError(endpoint, "TCP beyond loopback is open to everybody on the network");
}
__name(checkSecure, "checkSecure");
async function clearStale(endpoint) {
  const path = endpoint.slice("ipc://".length);
  const inUse = await new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
  if (inUse)
    throw new AddressInUseError(endpoint);
  await rm(path, { force: true });
}
__name(clearStale, "clearStale");

// node_modules/xxhash-wasm/esm/xxhash-wasm.js
var t = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 48, 8, 96, 3, 127, 127, 127, 1, 127, 96, 3, 127, 127, 127, 0, 96, 2, 127, 127, 0, 96, 1, 127, 1, 127, 96, 3, 127, 127, 126, 1, 126, 96, 3, 126, 127, 127, 1, 126, 96, 2, 127, 126, 0, 96, 1, 127, 1, 126, 3, 11, 10, 0, 0, 2, 1, 3, 4, 5, 6, 1, 7, 5, 3, 1, 0, 1, 7, 85, 9, 3, 109, 101, 109, 2, 0, 5, 120, 120, 104, 51, 50, 0, 0, 6, 105, 110, 105, 116, 51, 50, 0, 2, 8, 117, 112, 100, 97, 116, 101, 51, 50, 0, 3, 8, 100, 105, 103, 101, 115, 116, 51, 50, 0, 4, 5, 120, 120, 104, 54, 52, 0, 5, 6, 105, 110, 105, 116, 54, 52, 0, 7, 8, 117, 112, 100, 97, 116, 101, 54, 52, 0, 8, 8, 100, 105, 103, 101, 115, 116, 54, 52, 0, 9, 10, 251, 22, 10, 242, 1, 1, 4, 127, 32, 0, 32, 1, 106, 33, 3, 32, 1, 65, 16, 79, 4, 127, 32, 3, 65, 16, 107, 33, 6, 32, 2, 65, 168, 136, 141, 161, 2, 106, 33, 3, 32, 2, 65, 137, 235, 208, 208, 7, 107, 33, 4, 32, 2, 65, 207, 140, 162, 142, 6, 106, 33, 5, 3, 64, 32, 3, 32, 0, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 33, 3, 32, 4, 32, 0, 65, 4, 106, 34, 0, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 33, 4, 32, 2, 32, 0, 65, 4, 106, 34, 0, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 33, 2, 32, 5, 32, 0, 65, 4, 106, 34, 0, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 33, 5, 32, 6, 32, 0, 65, 4, 106, 34, 0, 79, 13, 0, 11, 32, 2, 65, 12, 119, 32, 5, 65, 18, 119, 106, 32, 4, 65, 7, 119, 106, 32, 3, 65, 1, 119, 106, 5, 32, 2, 65, 177, 207, 217, 178, 1, 106, 11, 32, 1, 106, 32, 0, 32, 1, 65, 15, 113, 16, 1, 11, 146, 1, 0, 32, 1, 32, 2, 106, 33, 2, 3, 64, 32, 1, 65, 4, 106, 32, 2, 75, 69, 4, 64, 32, 0, 32, 1, 40, 2, 0, 65, 189, 220, 202, 149, 124, 108, 106, 65, 17, 119, 65, 175, 214, 211, 190, 2, 108, 33, 0, 32, 1, 65, 4, 106, 33, 1, 12, 1, 11, 11, 3, 64, 32, 1, 32, 2, 79, 69, 4, 64, 32, 0, 32, 1, 45, 0, 0, 65, 177, 207, 217, 178, 1, 108, 106, 65, 11, 119, 65, 177, 243, 221, 241, 121, 108, 33, 0, 32, 1, 65, 1, 106, 33, 1, 12, 1, 11, 11, 32, 0, 32, 0, 65, 15, 118, 115, 65, 247, 148, 175, 175, 120, 108, 34, 0, 65, 13, 118, 32, 0, 115, 65, 189, 220, 202, 149, 124, 108, 34, 0, 65, 16, 118, 32, 0, 115, 11, 63, 0, 32, 0, 65, 8, 106, 32, 1, 65, 168, 136, 141, 161, 2, 106, 54, 2, 0, 32, 0, 65, 12, 106, 32, 1, 65, 137, 235, 208, 208, 7, 107, 54, 2, 0, 32, 0, 65, 16, 106, 32, 1, 54, 2, 0, 32, 0, 65, 20, 106, 32, 1, 65, 207, 140, 162, 142, 6, 106, 54, 2, 0, 11, 195, 4, 1, 6, 127, 32, 1, 32, 2, 106, 33, 6, 32, 0, 65, 24, 106, 33, 4, 32, 0, 65, 40, 106, 40, 2, 0, 33, 3, 32, 0, 32, 0, 40, 2, 0, 32, 2, 106, 54, 2, 0, 32, 0, 65, 4, 106, 34, 5, 32, 5, 40, 2, 0, 32, 2, 65, 16, 79, 32, 0, 40, 2, 0, 65, 16, 79, 114, 114, 54, 2, 0, 32, 2, 32, 3, 106, 65, 16, 73, 4, 64, 32, 3, 32, 4, 106, 32, 1, 32, 2, 252, 10, 0, 0, 32, 0, 65, 40, 106, 32, 2, 32, 3, 106, 54, 2, 0, 15, 11, 32, 3, 4, 64, 32, 3, 32, 4, 106, 32, 1, 65, 16, 32, 3, 107, 34, 2, 252, 10, 0, 0, 32, 0, 65, 8, 106, 34, 3, 32, 3, 40, 2, 0, 32, 4, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 54, 2, 0, 32, 0, 65, 12, 106, 34, 3, 32, 3, 40, 2, 0, 32, 4, 65, 4, 106, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 54, 2, 0, 32, 0, 65, 16, 106, 34, 3, 32, 3, 40, 2, 0, 32, 4, 65, 8, 106, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 54, 2, 0, 32, 0, 65, 20, 106, 34, 3, 32, 3, 40, 2, 0, 32, 4, 65, 12, 106, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 54, 2, 0, 32, 0, 65, 40, 106, 65, 0, 54, 2, 0, 32, 1, 32, 2, 106, 33, 1, 11, 32, 1, 32, 6, 65, 16, 107, 77, 4, 64, 32, 6, 65, 16, 107, 33, 8, 32, 0, 65, 8, 106, 40, 2, 0, 33, 2, 32, 0, 65, 12, 106, 40, 2, 0, 33, 3, 32, 0, 65, 16, 106, 40, 2, 0, 33, 5, 32, 0, 65, 20, 106, 40, 2, 0, 33, 7, 3, 64, 32, 2, 32, 1, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 33, 2, 32, 3, 32, 1, 65, 4, 106, 34, 1, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 33, 3, 32, 5, 32, 1, 65, 4, 106, 34, 1, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 33, 5, 32, 7, 32, 1, 65, 4, 106, 34, 1, 40, 2, 0, 65, 247, 148, 175, 175, 120, 108, 106, 65, 13, 119, 65, 177, 243, 221, 241, 121, 108, 33, 7, 32, 8, 32, 1, 65, 4, 106, 34, 1, 79, 13, 0, 11, 32, 0, 65, 8, 106, 32, 2, 54, 2, 0, 32, 0, 65, 12, 106, 32, 3, 54, 2, 0, 32, 0, 65, 16, 106, 32, 5, 54, 2, 0, 32, 0, 65, 20, 106, 32, 7, 54, 2, 0, 11, 32, 1, 32, 6, 73, 4, 64, 32, 4, 32, 1, 32, 6, 32, 1, 107, 34, 1, 252, 10, 0, 0, 32, 0, 65, 40, 106, 32, 1, 54, 2, 0, 11, 11, 97, 1, 1, 127, 32, 0, 65, 16, 106, 40, 2, 0, 33, 1, 32, 0, 65, 4, 106, 40, 2, 0, 4, 127, 32, 1, 65, 12, 119, 32, 0, 65, 20, 106, 40, 2, 0, 65, 18, 119, 106, 32, 0, 65, 12, 106, 40, 2, 0, 65, 7, 119, 106, 32, 0, 65, 8, 106, 40, 2, 0, 65, 1, 119, 106, 5, 32, 1, 65, 177, 207, 217, 178, 1, 106, 11, 32, 0, 40, 2, 0, 106, 32, 0, 65, 24, 106, 32, 0, 65, 40, 106, 40, 2, 0, 16, 1, 11, 255, 3, 2, 3, 126, 1, 127, 32, 0, 32, 1, 106, 33, 6, 32, 1, 65, 32, 79, 4, 126, 32, 6, 65, 32, 107, 33, 6, 32, 2, 66, 214, 235, 130, 238, 234, 253, 137, 245, 224, 0, 124, 33, 3, 32, 2, 66, 177, 169, 172, 193, 173, 184, 212, 166, 61, 125, 33, 4, 32, 2, 66, 249, 234, 208, 208, 231, 201, 161, 228, 225, 0, 124, 33, 5, 3, 64, 32, 3, 32, 0, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 33, 3, 32, 4, 32, 0, 65, 8, 106, 34, 0, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 33, 4, 32, 2, 32, 0, 65, 8, 106, 34, 0, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 33, 2, 32, 5, 32, 0, 65, 8, 106, 34, 0, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 33, 5, 32, 6, 32, 0, 65, 8, 106, 34, 0, 79, 13, 0, 11, 32, 2, 66, 12, 137, 32, 5, 66, 18, 137, 124, 32, 4, 66, 7, 137, 124, 32, 3, 66, 1, 137, 124, 32, 3, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 133, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 66, 157, 163, 181, 234, 131, 177, 141, 138, 250, 0, 125, 32, 4, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 133, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 66, 157, 163, 181, 234, 131, 177, 141, 138, 250, 0, 125, 32, 2, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 133, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 66, 157, 163, 181, 234, 131, 177, 141, 138, 250, 0, 125, 32, 5, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 133, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 66, 157, 163, 181, 234, 131, 177, 141, 138, 250, 0, 125, 5, 32, 2, 66, 197, 207, 217, 178, 241, 229, 186, 234, 39, 124, 11, 32, 1, 173, 124, 32, 0, 32, 1, 65, 31, 113, 16, 6, 11, 134, 2, 0, 32, 1, 32, 2, 106, 33, 2, 3, 64, 32, 2, 32, 1, 65, 8, 106, 79, 4, 64, 32, 1, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 32, 0, 133, 66, 27, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 66, 157, 163, 181, 234, 131, 177, 141, 138, 250, 0, 125, 33, 0, 32, 1, 65, 8, 106, 33, 1, 12, 1, 11, 11, 32, 1, 65, 4, 106, 32, 2, 77, 4, 64, 32, 0, 32, 1, 53, 2, 0, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 133, 66, 23, 137, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 66, 249, 243, 221, 241, 153, 246, 153, 171, 22, 124, 33, 0, 32, 1, 65, 4, 106, 33, 1, 11, 3, 64, 32, 1, 32, 2, 73, 4, 64, 32, 0, 32, 1, 49, 0, 0, 66, 197, 207, 217, 178, 241, 229, 186, 234, 39, 126, 133, 66, 11, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 33, 0, 32, 1, 65, 1, 106, 33, 1, 12, 1, 11, 11, 32, 0, 32, 0, 66, 33, 136, 133, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 34, 0, 32, 0, 66, 29, 136, 133, 66, 249, 243, 221, 241, 153, 246, 153, 171, 22, 126, 34, 0, 32, 0, 66, 32, 136, 133, 11, 77, 0, 32, 0, 65, 8, 106, 32, 1, 66, 214, 235, 130, 238, 234, 253, 137, 245, 224, 0, 124, 55, 3, 0, 32, 0, 65, 16, 106, 32, 1, 66, 177, 169, 172, 193, 173, 184, 212, 166, 61, 125, 55, 3, 0, 32, 0, 65, 24, 106, 32, 1, 55, 3, 0, 32, 0, 65, 32, 106, 32, 1, 66, 249, 234, 208, 208, 231, 201, 161, 228, 225, 0, 124, 55, 3, 0, 11, 244, 4, 2, 3, 127, 4, 126, 32, 1, 32, 2, 106, 33, 5, 32, 0, 65, 40, 106, 33, 4, 32, 0, 65, 200, 0, 106, 40, 2, 0, 33, 3, 32, 0, 32, 0, 41, 3, 0, 32, 2, 173, 124, 55, 3, 0, 32, 2, 32, 3, 106, 65, 32, 73, 4, 64, 32, 3, 32, 4, 106, 32, 1, 32, 2, 252, 10, 0, 0, 32, 0, 65, 200, 0, 106, 32, 2, 32, 3, 106, 54, 2, 0, 15, 11, 32, 3, 4, 64, 32, 3, 32, 4, 106, 32, 1, 65, 32, 32, 3, 107, 34, 2, 252, 10, 0, 0, 32, 0, 65, 8, 106, 34, 3, 32, 3, 41, 3, 0, 32, 4, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 55, 3, 0, 32, 0, 65, 16, 106, 34, 3, 32, 3, 41, 3, 0, 32, 4, 65, 8, 106, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 55, 3, 0, 32, 0, 65, 24, 106, 34, 3, 32, 3, 41, 3, 0, 32, 4, 65, 16, 106, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 55, 3, 0, 32, 0, 65, 32, 106, 34, 3, 32, 3, 41, 3, 0, 32, 4, 65, 24, 106, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 55, 3, 0, 32, 0, 65, 200, 0, 106, 65, 0, 54, 2, 0, 32, 1, 32, 2, 106, 33, 1, 11, 32, 1, 65, 32, 106, 32, 5, 77, 4, 64, 32, 5, 65, 32, 107, 33, 2, 32, 0, 65, 8, 106, 41, 3, 0, 33, 6, 32, 0, 65, 16, 106, 41, 3, 0, 33, 7, 32, 0, 65, 24, 106, 41, 3, 0, 33, 8, 32, 0, 65, 32, 106, 41, 3, 0, 33, 9, 3, 64, 32, 6, 32, 1, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 33, 6, 32, 7, 32, 1, 65, 8, 106, 34, 1, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 33, 7, 32, 8, 32, 1, 65, 8, 106, 34, 1, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 33, 8, 32, 9, 32, 1, 65, 8, 106, 34, 1, 41, 3, 0, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 124, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 33, 9, 32, 2, 32, 1, 65, 8, 106, 34, 1, 79, 13, 0, 11, 32, 0, 65, 8, 106, 32, 6, 55, 3, 0, 32, 0, 65, 16, 106, 32, 7, 55, 3, 0, 32, 0, 65, 24, 106, 32, 8, 55, 3, 0, 32, 0, 65, 32, 106, 32, 9, 55, 3, 0, 11, 32, 1, 32, 5, 73, 4, 64, 32, 4, 32, 1, 32, 5, 32, 1, 107, 34, 1, 252, 10, 0, 0, 32, 0, 65, 200, 0, 106, 32, 1, 54, 2, 0, 11, 11, 188, 2, 1, 5, 126, 32, 0, 65, 24, 106, 41, 3, 0, 33, 1, 32, 0, 41, 3, 0, 34, 2, 66, 32, 90, 4, 126, 32, 0, 65, 8, 106, 41, 3, 0, 34, 3, 66, 1, 137, 32, 0, 65, 16, 106, 41, 3, 0, 34, 4, 66, 7, 137, 124, 32, 1, 66, 12, 137, 32, 0, 65, 32, 106, 41, 3, 0, 34, 5, 66, 18, 137, 124, 124, 32, 3, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 133, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 66, 157, 163, 181, 234, 131, 177, 141, 138, 250, 0, 125, 32, 4, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 133, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 66, 157, 163, 181, 234, 131, 177, 141, 138, 250, 0, 125, 32, 1, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 133, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 66, 157, 163, 181, 234, 131, 177, 141, 138, 250, 0, 125, 32, 5, 66, 207, 214, 211, 190, 210, 199, 171, 217, 66, 126, 66, 31, 137, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 133, 66, 135, 149, 175, 175, 152, 182, 222, 155, 158, 127, 126, 66, 157, 163, 181, 234, 131, 177, 141, 138, 250, 0, 125, 5, 32, 1, 66, 197, 207, 217, 178, 241, 229, 186, 234, 39, 124, 11, 32, 2, 124, 32, 0, 65, 40, 106, 32, 2, 66, 31, 131, 167, 16, 6, 11]);
async function e() {
  return (function(t2) {
    const { exports: { mem: e2, xxh32: n, xxh64: r, init32: i, update32: a, digest32: o, init64: s, update64: u, digest64: c } } = t2;
    let h = new Uint8Array(e2.buffer);
    function g(t3, n2) {
      if (e2.buffer.byteLength < t3 + n2) {
        const r2 = Math.ceil((t3 + n2 - e2.buffer.byteLength) / 65536);
        e2.grow(r2), h = new Uint8Array(e2.buffer);
      }
    }
    __name(g, "g");
    function f(t3, e3, n2, r2, i2, a2) {
      g(t3);
      const o2 = new Uint8Array(t3);
      return h.set(o2), n2(0, e3), o2.set(h.subarray(0, t3)), { update(e4) {
        let n3;
        return h.set(o2), "string" == typeof e4 ? (g(3 * e4.length, t3), n3 = w.encodeInto(e4, h.subarray(t3)).written) : (g(e4.byteLength, t3), h.set(e4, t3), n3 = e4.byteLength), r2(0, t3, n3), o2.set(h.subarray(0, t3)), this;
      }, digest: /* @__PURE__ */ __name(() => (h.set(o2), a2(i2(0))), "digest") };
    }
    __name(f, "f");
    function y(t3) {
      return t3 >>> 0;
    }
    __name(y, "y");
    const b = 2n ** 64n - 1n;
    function d(t3) {
      return t3 & b;
    }
    __name(d, "d");
    const w = new TextEncoder(), l = 0, p = 0n;
    function x(t3, e3 = l) {
      return g(3 * t3.length, 0), y(n(0, w.encodeInto(t3, h).written, e3));
    }
    __name(x, "x");
    function L(t3, e3 = p) {
      return g(3 * t3.length, 0), d(r(0, w.encodeInto(t3, h).written, e3));
    }
    __name(L, "L");
    return { h32: x, h32ToString: /* @__PURE__ */ __name((t3, e3 = l) => x(t3, e3).toString(16).padStart(8, "0"), "h32ToString"), h32Raw: /* @__PURE__ */ __name((t3, e3 = l) => (g(t3.byteLength, 0), h.set(t3), y(n(0, t3.byteLength, e3))), "h32Raw"), create32: /* @__PURE__ */ __name((t3 = l) => f(48, t3, i, a, o, y), "create32"), h64: L, h64ToString: /* @__PURE__ */ __name((t3, e3 = p) => L(t3, e3).toString(16).padStart(16, "0"), "h64ToString"), h64Raw: /* @__PURE__ */ __name((t3, e3 = p) => (g(t3.byteLength, 0), h.set(t3), d(r(0, t3.byteLength, e3))), "h64Raw"), create64: /* @__PURE__ */ __name((t3 = p) => f(88, t3, s, u, c, d), "create64") };
  })((await WebAssembly.instantiate(t)).instance);
}
__name(e, "e");

// packages/wire/dist/checksum.js
var hasher = await e();
var chunkBytes = 64 * 1024;
function checksum(bytes, seed) {
  let hash = seed;
  if (bytes.byteLength <= chunkBytes)
    return hasher.h64Raw(bytes, hash);
  for (let offset = 0; offset < bytes.byteLength; offset += chunkBytes) {
    hash = hasher.h64Raw(bytes.subarray(offset, offset + chunkBytes), hash);
  }
  return hash;
}
__name(checksum, "checksum");

// packages/wire/dist/errors.js
var WireVersionError = class extends TroupeError {
  static {
    __name(this, "WireVersionError");
  }
  name = "WireVersionError";
  constructor(found, supported) {
    super("TROUPE_WIRE_VERSION", `wire protocol version ${found} found, ${supported} supported; run the same release of Troupe on every machine`, { details: { found, supported } });
  }
};
var WireKindError = class extends TroupeError {
  static {
    __name(this, "WireKindError");
  }
  name = "WireKindError";
  constructor(kind) {
    super("TROUPE_WIRE_KIND", `message kind '${kind}' is not registered; expected a known 'noun.verb'`, {
      details: { kind }
    });
  }
};
var WireFormatError = class extends TroupeError {
  static {
    __name(this, "WireFormatError");
  }
  name = "WireFormatError";
  constructor(message, details = {}, cause) {
    super("TROUPE_WIRE_FORMAT", message, { details, cause });
  }
};
var WireChecksumError = class extends TroupeError {
  static {
    __name(this, "WireChecksumError");
  }
  name = "WireChecksumError";
  constructor(found, expected) {
    super("TROUPE_WIRE_CHECKSUM", `checksum ${found} found, ${expected} expected; the packet was damaged on the way`, {
      retryable: true,
      details: { found, expected }
    });
  }
};
var WireOversizeError = class extends TroupeError {
  static {
    __name(this, "WireOversizeError");
  }
  name = "WireOversizeError";
  constructor(what, found, limit, unit) {
    super("TROUPE_WIRE_OVERSIZE", `${what} is ${found} ${unit}, limit ${limit} ${unit}; tensors travel as frames, never in the body`, { details: { what, found, limit, unit } });
  }
};

// packages/wire/dist/frames.js
var constructors = {
  f32: Float32Array,
  bf16: Uint16Array,
  f64: Float64Array,
  i32: Int32Array,
  u8: Uint8Array,
  i64: BigInt64Array
};
var isDtype = /* @__PURE__ */ __name((name) => typeof name === "string" && Object.hasOwn(constructors, name), "isDtype");
var tensorBytes2 = /* @__PURE__ */ __name((tensor) => new Uint8Array(tensor.buffer, tensor.byteOffset, tensor.byteLength), "tensorBytes");
function frameSpec(tensor, shape) {
  const spec = { dtype: dtypeOf(tensor), shape: shape ?? [tensor.length] };
  checkLength(spec, tensor.byteLength);
  return spec;
}
__name(frameSpec, "frameSpec");
function frameTensor(spec, frame) {
  checkLength(spec, frame.byteLength);
  const bytes = dtypeBytes[spec.dtype];
  const aligned2 = frame.byteOffset % bytes === 0 ? frame : new Uint8Array(frame);
  const buffer = aligned2.buffer;
  return new constructors[spec.dtype](buffer, aligned2.byteOffset, aligned2.byteLength / bytes);
}
__name(frameTensor, "frameTensor");
function checkLength(spec, foundBytes) {
  const expectedBytes = spec.shape.reduce((product, dim) => product * dim, dtypeBytes[spec.dtype]);
  if (foundBytes === expectedBytes)
    return;
  throw new WireFormatError(`a frame has ${foundBytes} bytes, ${expectedBytes} expected for ${spec.dtype} of shape (${spec.shape.join(", ")})`, { foundBytes, expectedBytes, dtype: spec.dtype, shape: spec.shape });
}
__name(checkLength, "checkLength");

// packages/wire/dist/header.js
import { Packr } from "msgpackr";

// packages/wire/dist/message.js
var wireVersion = 1;
var wireLimits = {
  /** Largest encoded header, bytes. */
  headerBytesMax: 64 * 1024,
  kindLengthMax: 64,
  addressLengthMax: 256,
  /** Levels of arrays and maps in a body, the body itself being the first. */
  bodyDepthMax: 6,
  framesMax: 256,
  shapeDimsMax: 8
};

// packages/wire/dist/body.js
function checkBody(body) {
  if (!isPlainMap(body))
    throw new WireFormatError(`body is ${describe2(body)}, a plain map expected`);
  checkMap(body, "body", 1);
  return body;
}
__name(checkBody, "checkBody");
function checkMap(map, path, depth) {
  for (const key of Object.keys(map)) {
    if (key === "__proto__")
      throw new WireFormatError(`${path} has a key '__proto__'; choose another name`);
    checkValue(map[key], `${path}.${key}`, depth);
  }
}
__name(checkMap, "checkMap");
function checkValue(value, path, depth) {
  if (value === null || typeof value === "boolean" || typeof value === "number" || typeof value === "string")
    return;
  if (depth >= wireLimits.bodyDepthMax) {
    throw new WireFormatError(`${path} nests deeper than ${wireLimits.bodyDepthMax} levels`, { path });
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++)
      checkValue(value[index], `${path}[${index}]`, depth + 1);
  } else if (isPlainMap(value))
    checkMap(value, path, depth + 1);
  else {
    const hint = typeof value === "bigint" ? "send it as a decimal string" : "send tensors as frames, leave out what is absent";
    throw new WireFormatError(`${path} is ${describe2(value)}; ${hint}`, { path });
  }
}
__name(checkValue, "checkValue");
function isPlainMap(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
__name(isPlainMap, "isPlainMap");
function describe2(value) {
  if (value === null)
    return "null";
  if (typeof value === "object")
    return `an instance of ${value.constructor?.name ?? "something"}`;
  return typeof value === "undefined" ? "undefined" : `a ${typeof value}`;
}
__name(describe2, "describe");

// packages/wire/dist/scan.js
var refuse2 = /* @__PURE__ */ __name((what, at) => {
  throw new WireFormatError(`header is not plain msgpack: ${what} at byte ${at}`, { at });
}, "refuse");
var payloadBytes = [
  0,
  -2,
  0,
  0,
  -1,
  -1,
  -2,
  -2,
  -2,
  -2,
  4,
  8,
  1,
  2,
  4,
  -2,
  1,
  2,
  4,
  -2,
  -2,
  -2,
  -2,
  -2,
  -2,
  -1,
  -1,
  -2,
  -1,
  -2,
  -1,
  -2
];
function scanMsgpack(bytes, depthMax) {
  const open = [1];
  let at = 0;
  while (open.length > 0) {
    const level = open.length - 1;
    if (open[level] === 0) {
      open.pop();
      continue;
    }
    open[level]--;
    if (at >= bytes.length)
      refuse2("it ends early", at);
    const type = bytes[at++];
    let skip = 0;
    let children = 0;
    if (type < 128 || type >= 224)
      continue;
    if (type < 144)
      children = 2 * (type & 15);
    else if (type < 160)
      children = type & 15;
    else if (type < 192)
      skip = type & 31;
    else {
      const fixed = payloadBytes[type - 192];
      if (fixed === -2)
        refuse2(`type 0x${type.toString(16)} is not used`, at - 1);
      if (fixed >= 0)
        skip = fixed;
      else {
        const wide = type === 197 || type === 218 || type === 220 || type === 222;
        if (at + (wide ? 2 : 1) > bytes.length)
          refuse2("a length is cut off", at);
        const length = wide ? bytes[at] << 8 | bytes[at + 1] : bytes[at];
        at += wide ? 2 : 1;
        if (type === 220)
          children = length;
        else if (type === 222)
          children = 2 * length;
        else
          skip = length;
      }
    }
    if (skip > bytes.length - at || children > bytes.length - at)
      refuse2("a length exceeds the header", at - 1);
    at += skip;
    if (children > 0)
      open.push(children);
    if (open.length - 1 > depthMax)
      refuse2(`nesting exceeds ${depthMax} levels`, at - 1);
  }
  if (at !== bytes.length)
    refuse2(`${bytes.length - at} bytes follow its end`, at);
}
__name(scanMsgpack, "scanMsgpack");

// packages/wire/dist/header.js
var checksumBytes = 8;
var packr = new Packr({ useRecords: false, moreTypes: false, variableMapSize: true });
var noChecksum = new Uint8Array(checksumBytes);
var fields = /* @__PURE__ */ new Set([
  "v",
  "kind",
  "from",
  "to",
  "inc",
  "step",
  "att",
  "ver",
  "layer",
  "mb",
  "cor",
  "re",
  "dl",
  "body",
  "frames",
  "all",
  "sum"
]);
function packHeader(header) {
  const { message } = header;
  const map = {
    v: wireVersion,
    kind: message.kind,
    from: message.from,
    to: message.to,
    inc: header.incarnation,
    step: message.step,
    att: message.attempt,
    ver: message.version
  };
  if (message.layer !== void 0)
    map["layer"] = message.layer;
  if (message.microbatch !== void 0)
    map["mb"] = message.microbatch;
  if (message.correlation !== void 0)
    map["cor"] = message.correlation;
  if (message.replyTo !== void 0)
    map["re"] = message.replyTo;
  if (message.deadlineMs !== void 0)
    map["dl"] = message.deadlineMs;
  map["body"] = message.body;
  map["frames"] = header.frames.map((frame) => [frame.dtype, ...frame.shape]);
  map["all"] = header.framesSummed;
  map["sum"] = noChecksum;
  const bytes = packr.pack(map);
  checkSize(bytes);
  return bytes;
}
__name(packHeader, "packHeader");
function unpackHeader(bytes) {
  checkSize(bytes);
  scanMsgpack(bytes, wireLimits.bodyDepthMax + 2);
  let decoded;
  try {
    decoded = packr.unpack(bytes);
  } catch (cause) {
    throw new WireFormatError("header cannot be decoded", {}, cause);
  }
  if (typeof decoded !== "object" || decoded === null || Array.isArray(decoded)) {
    throw new WireFormatError("header is not a map");
  }
  const map = decoded;
  const version = count2(map, "v");
  if (version !== wireVersion)
    throw new WireVersionError(version, wireVersion);
  for (const key of Object.keys(map)) {
    if (!fields.has(key))
      throw new WireFormatError(`header has an unknown field '${key.slice(0, 64)}'`, {
        key: key.slice(0, 64)
      });
  }
  checkChecksumField(bytes, map["sum"]);
  if (typeof map["all"] !== "boolean")
    throw new WireFormatError("header field 'all' is not a boolean");
  return {
    message: messageOf2(map),
    incarnation: count2(map, "inc"),
    framesSummed: map["all"],
    frames: framesOf(map["frames"])
  };
}
__name(unpackHeader, "unpackHeader");
function checkMessage(message, incarnation) {
  const map = {
    kind: message.kind,
    from: message.from,
    to: message.to,
    step: message.step,
    att: message.attempt,
    ver: message.version,
    layer: message.layer,
    mb: message.microbatch,
    cor: message.correlation,
    re: message.replyTo,
    dl: message.deadlineMs,
    body: message.body,
    inc: incarnation
  };
  messageOf2(map);
  count2(map, "inc");
}
__name(checkMessage, "checkMessage");
function messageOf2(map) {
  const layer = optionalCount(map, "layer");
  const microbatch = optionalCount(map, "mb");
  const correlation = optionalCount(map, "cor");
  const replyTo = optionalCount(map, "re");
  const deadlineMs = optionalMs(map, "dl");
  const body = checkBody(map["body"]);
  return {
    kind: kindOf(map["kind"]),
    from: addressOf(map, "from"),
    to: addressOf(map, "to"),
    step: count2(map, "step"),
    attempt: count2(map, "att"),
    version: count2(map, "ver"),
    ...layer === void 0 ? {} : { layer },
    ...microbatch === void 0 ? {} : { microbatch },
    ...correlation === void 0 ? {} : { correlation },
    ...replyTo === void 0 ? {} : { replyTo },
    ...deadlineMs === void 0 ? {} : { deadlineMs },
    body
  };
}
__name(messageOf2, "messageOf");
function framesOf(list) {
  if (!Array.isArray(list))
    throw new WireFormatError("header field 'frames' is not a list");
  if (list.length > wireLimits.framesMax) {
    throw new WireOversizeError("the list of frames", list.length, wireLimits.framesMax, "frames");
  }
  return list.map((entry, index) => {
    if (!Array.isArray(entry))
      throw new WireFormatError(`frame ${index} is not a list of dtype and dims`);
    const [dtype, ...shape] = entry;
    if (!isDtype(dtype))
      throw new WireFormatError(`frame ${index} has an unknown dtype`);
    if (shape.length > wireLimits.shapeDimsMax)
      throw new WireFormatError(`frame ${index} has ${shape.length} dims`);
    return { dtype, shape: shape.map((dim) => checkCount(dim, `a dim of frame ${index}`)) };
  });
}
__name(framesOf, "framesOf");
function checkSize(bytes) {
  if (bytes.byteLength > wireLimits.headerBytesMax) {
    throw new WireOversizeError("the header", bytes.byteLength, wireLimits.headerBytesMax, "bytes");
  }
}
__name(checkSize, "checkSize");
function checkChecksumField(bytes, sum2) {
  const at = bytes.byteLength - checksumBytes;
  const isLast = sum2 instanceof Uint8Array && sum2.byteLength === checksumBytes && bytes[at - 2] === 196 && bytes[at - 1] === 8;
  if (!isLast || bytes[at - 3] !== 109)
    throw new WireFormatError("header does not end in its checksum field 'sum'");
}
__name(checkChecksumField, "checkChecksumField");
function kindOf(kind) {
  if (typeof kind !== "string" || kind.length > wireLimits.kindLengthMax || !/^[a-z][\w-]*\.[a-z][\w.-]*$/i.test(kind)) {
    throw new WireFormatError(`header field 'kind' is not a 'noun.verb' of at most ${wireLimits.kindLengthMax} characters`);
  }
  return kind;
}
__name(kindOf, "kindOf");
function addressOf(map, field) {
  const name = map[field];
  if (typeof name !== "string" || name.length === 0 || name.length > wireLimits.addressLengthMax) {
    throw new WireFormatError(`header field '${field}' is not an address of 1 to ${wireLimits.addressLengthMax} characters`);
  }
  return address(name);
}
__name(addressOf, "addressOf");
function checkCount(value, what) {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new WireFormatError(`${what} is not an integer from 0 to 2^53 - 1`);
  }
  return value;
}
__name(checkCount, "checkCount");
var count2 = /* @__PURE__ */ __name((map, field) => checkCount(map[field], `header field '${field}'`), "count");
var optionalCount = /* @__PURE__ */ __name((map, field) => map[field] === void 0 ? void 0 : count2(map, field), "optionalCount");
function optionalMs(map, field) {
  const value = map[field];
  if (value === void 0)
    return void 0;
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
    throw new WireFormatError(`header field '${field}' is not a number of milliseconds \u2265 0`);
  }
  return value;
}
__name(optionalMs, "optionalMs");

// packages/wire/dist/codec.js
function createCodec(options) {
  const { kinds } = options;
  const framesSummed = (options.checksum ?? "all") === "all";
  return {
    encodeMessage(message, incarnation) {
      checkMessage(message, incarnation);
      if (!kinds.has(message.kind))
        throw new WireKindError(message.kind);
      const { tensors, shapes } = message;
      if (tensors.length > wireLimits.framesMax) {
        throw new WireOversizeError("the list of tensors", tensors.length, wireLimits.framesMax, "frames");
      }
      if (shapes !== void 0 && shapes.length !== tensors.length) {
        throw new WireFormatError(`${shapes.length} shapes found for ${tensors.length} tensors`);
      }
      const specs = tensors.map((tensor, index) => frameSpec(tensor, shapes?.[index]));
      const header = packHeader({ message, incarnation, framesSummed, frames: specs });
      const frames = tensors.map((tensor) => tensorBytes2(tensor));
      const at = header.byteLength - checksumBytes;
      new DataView(header.buffer, header.byteOffset + at).setBigUint64(0, packetChecksum(header, frames, framesSummed));
      return { header, frames };
    },
    decodeMessage(packet) {
      const header = unpackHeader(packet.header);
      const found = packetChecksum(packet.header, packet.frames, header.framesSummed);
      const expected = new DataView(packet.header.buffer, packet.header.byteOffset + packet.header.byteLength - checksumBytes).getBigUint64(0);
      if (found !== expected)
        throw new WireChecksumError(found.toString(16), expected.toString(16));
      if (!kinds.has(header.message.kind))
        throw new WireKindError(header.message.kind);
      if (header.frames.length !== packet.frames.length) {
        throw new WireFormatError(`${packet.frames.length} frames found, ${header.frames.length} announced`);
      }
      const tensors = header.frames.map((spec, index) => frameTensor(spec, packet.frames[index]));
      const shapes = header.frames.map((spec) => spec.shape);
      return { message: { ...header.message, tensors, shapes }, incarnation: header.incarnation };
    }
  };
}
__name(createCodec, "createCodec");
function packetName({ header }) {
  const view = new DataView(header.buffer, header.byteOffset + header.byteLength - checksumBytes);
  return view.getBigUint64(0).toString(16).padStart(2 * checksumBytes, "0");
}
__name(packetName, "packetName");
function packetChecksum(header, frames, framesSummed) {
  let hash = checksum(header.subarray(0, header.byteLength - checksumBytes), 0n);
  if (framesSummed)
    for (const frame of frames)
      hash = checksum(frame, hash);
  return hash;
}
__name(packetChecksum, "packetChecksum");

// packages/wire/dist/reference-codec.js
var HEADER_BYTES = 96;
var ENTRY_BYTES = 16;
var headers = Array.from({ length: 64 }, (_, entries) => blankHeader(entries));
function blankHeader(entries) {
  return new Uint8Array(HEADER_BYTES + ENTRY_BYTES * entries);
}
__name(blankHeader, "blankHeader");
var MessagePacket = class {
  static {
    __name(this, "MessagePacket");
  }
  message;
  incarnation;
  header;
  constructor(message, incarnation) {
    this.message = message;
    this.incarnation = incarnation;
    const entries = Object.keys(message.body).length + message.tensors.length;
    this.header = headers[entries] ?? blankHeader(entries);
  }
  /** The tensors themselves: only their lengths are looked at. */
  get frames() {
    return this.message.tensors;
  }
};
function createReferenceCodec() {
  return {
    encodeMessage: /* @__PURE__ */ __name((message, incarnation) => new MessagePacket(message, incarnation), "encodeMessage"),
    decodeMessage: /* @__PURE__ */ __name((packet) => {
      if (!(packet instanceof MessagePacket))
        throw new WireFormatError("a packet of another codec found");
      return packet;
    }, "decodeMessage")
  };
}
__name(createReferenceCodec, "createReferenceCodec");

// packages/transport/dist/limits.js
var lanes = ["control", "data"];
var defaultCreditBytes = { control: 4 * 1024 * 1024, data: 65 * 1024 * 1024 };
var defaultMaxFrameBytes = 1024 * 1024 * 1024;
var overheadBytes = 64;
function packetBytes(packet) {
  let bytes = overheadBytes + packet.header.byteLength;
  for (const frame of packet.frames)
    bytes += frame.byteLength;
  return bytes;
}
__name(packetBytes, "packetBytes");
function checkPacket(packet, maxFrameBytes) {
  const { headerBytesMax, framesMax } = wireLimits;
  const { header, frames } = packet;
  if (header.byteLength > headerBytesMax)
    throw new OversizeError("the header", header.byteLength, headerBytesMax, "bytes");
  if (frames.length > framesMax)
    throw new OversizeError("the packet", frames.length, framesMax, "frames");
  for (const frame of frames) {
    if (frame.byteLength > maxFrameBytes)
      throw new OversizeError("a frame", frame.byteLength, maxFrameBytes, "bytes");
  }
}
__name(checkPacket, "checkPacket");

// packages/transport/dist/framing.js
var transportVersion = 1;
var types = { hello: 1, welcome: 2, packets: 3, credit: 4, goodbye: 5, goodbyeAck: 6 };
var magic = 84;
var prologueBytes = 24;
var externalBit = 2147483648;
var externalFrameBytes = 16 * 1024;
var batchInlineBytes = 64 * 1024;
var batchExternalBytes = 256 * 1024;
var GarbageError = class extends Error {
  static {
    __name(this, "GarbageError");
  }
  name = "GarbageError";
};
var typeNames = new Map(Object.entries(types).map(([name, type]) => [type, name]));
var aligned = /* @__PURE__ */ __name((bytes) => bytes + 7 & ~7, "aligned");
var viewOf = /* @__PURE__ */ __name((bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), "viewOf");
function writePrologue(view, prologue) {
  view.setUint8(0, magic);
  view.setUint8(1, transportVersion);
  view.setUint8(2, types[prologue.type]);
  view.setUint8(3, lanes.indexOf(prologue.lane));
  view.setUint32(4, prologue.count, true);
  view.setFloat64(8, prologue.token, true);
  view.setFloat64(16, prologue.first, true);
}
__name(writePrologue, "writePrologue");
function readPrologue(bytes) {
  if (bytes.byteLength < prologueBytes)
    throw new GarbageError("shorter than a prologue");
  const view = viewOf(bytes);
  if (view.getUint8(0) !== magic)
    throw new GarbageError("not a message of a transport");
  if (view.getUint8(1) !== transportVersion) {
    throw new GarbageError(`transport version ${view.getUint8(1)} found, ${transportVersion} supported`);
  }
  const type = typeNames.get(view.getUint8(2));
  const lane = lanes[view.getUint8(3)];
  if (type === void 0 || lane === void 0)
    throw new GarbageError("unknown type or lane");
  const [token, first] = [view.getFloat64(8, true), view.getFloat64(16, true)];
  if (!Number.isSafeInteger(token) || !Number.isSafeInteger(first))
    throw new GarbageError("token or number out of range");
  return { type, lane, token, first, count: view.getUint32(4, true) };
}
__name(readPrologue, "readPrologue");
function encodeService(prologue, payload) {
  const bytes = Buffer.alloc(prologueBytes + (payload?.byteLength ?? 0));
  writePrologue(viewOf(bytes), { count: 0, first: 0, ...prologue });
  if (payload !== void 0)
    bytes.set(payload, prologueBytes);
  return bytes;
}
__name(encodeService, "encodeService");
var payloadOf = /* @__PURE__ */ __name((bytes) => bytes.subarray(prologueBytes), "payloadOf");
function encodeCredit(token, lane, runs) {
  const payload = Buffer.alloc(runs.length * 8);
  const view = viewOf(payload);
  for (let index = 0; index < runs.length; index++)
    view.setFloat64(index * 8, runs[index], true);
  return encodeService({ type: "credit", lane, token, count: runs.length / 2 }, payload);
}
__name(encodeCredit, "encodeCredit");
function decodeCredit(bytes, numRuns) {
  if (bytes.byteLength !== prologueBytes + numRuns * 16)
    throw new GarbageError("credit of the wrong length");
  const view = viewOf(bytes);
  return Array.from({ length: numRuns * 2 }, (_, index) => view.getFloat64(prologueBytes + index * 8, true));
}
__name(decodeCredit, "decodeCredit");
function encodeBatch(prologue, take) {
  const packets = [];
  const external = [];
  let inlineBytes = prologueBytes;
  let externalBytes = 0;
  while (inlineBytes < batchInlineBytes && externalBytes < batchExternalBytes) {
    const packet = take();
    if (packet === void 0)
      break;
    packets.push(packet);
    inlineBytes += aligned(8 + 4 * packet.frames.length) + aligned(packet.header.byteLength);
    for (const frame of packet.frames) {
      if (frame.byteLength < externalFrameBytes)
        inlineBytes += aligned(frame.byteLength);
      else {
        external.push(frame);
        externalBytes += frame.byteLength;
      }
    }
  }
  if (packets.length === 0)
    return void 0;
  const bytes = Buffer.allocUnsafe(inlineBytes);
  const view = viewOf(bytes);
  writePrologue(view, { ...prologue, type: "packets", count: packets.length });
  let at = prologueBytes;
  for (const packet of packets)
    at = writePacket(bytes, view, at, packet);
  return [bytes, ...external];
}
__name(encodeBatch, "encodeBatch");
function writePacket(bytes, view, start, packet) {
  const { header, frames } = packet;
  view.setUint32(start, header.byteLength, true);
  view.setUint32(start + 4, frames.length, true);
  for (let index = 0; index < frames.length; index++) {
    const length = frames[index].byteLength;
    view.setUint32(start + 8 + 4 * index, length < externalFrameBytes ? length : length + externalBit, true);
  }
  let at = start + aligned(8 + 4 * frames.length);
  bytes.set(header, at);
  at += aligned(header.byteLength);
  for (const frame of frames) {
    if (frame.byteLength >= externalFrameBytes)
      continue;
    bytes.set(frame, at);
    at += aligned(frame.byteLength);
  }
  return at;
}
__name(writePacket, "writePacket");
function decodeBatch(parts, numPackets) {
  const bytes = new Uint8Array(parts[0]);
  const view = viewOf(bytes);
  const packets = [];
  let at = prologueBytes;
  let part = 1;
  const inline = /* @__PURE__ */ __name((length) => {
    if (length > bytes.byteLength - at)
      throw new GarbageError("a batch ends early");
    const slice = bytes.subarray(at, at + length);
    at += aligned(length);
    return slice;
  }, "inline");
  for (let packet = 0; packet < numPackets; packet++) {
    if (at + 8 > bytes.byteLength)
      throw new GarbageError("a batch ends early");
    const headerBytes = view.getUint32(at, true);
    const numFrames = view.getUint32(at + 4, true);
    const table = at + 8;
    if (numFrames > (bytes.byteLength - table) / 4)
      throw new GarbageError("a batch ends early");
    at += aligned(8 + 4 * numFrames);
    const header = inline(headerBytes);
    const frames = [];
    for (let index = 0; index < numFrames; index++) {
      const length = view.getUint32(table + 4 * index, true);
      if (length < externalBit)
        frames.push(inline(length));
      else {
        const frame = parts[part++];
        if (frame?.byteLength !== length - externalBit)
          throw new GarbageError("a part is missing or of the wrong length");
        frames.push(frame);
      }
    }
    packets.push({ header, frames });
  }
  if (part !== parts.length || at < bytes.byteLength)
    throw new GarbageError("a batch has bytes or parts too many");
  return packets;
}
__name(decodeBatch, "decodeBatch");

// packages/transport/dist/handlers.js
var Handlers = class {
  static {
    __name(this, "Handlers");
  }
  #packet;
  #peer;
  #early = [];
  onPacket(handler) {
    this.#packet = handler;
    this.#flush();
  }
  onPeer(handler) {
    this.#peer = handler;
  }
  peer(event) {
    if (this.#packet === void 0)
      this.#early.push({ event });
    else
      this.#peer?.(event);
  }
  packet(from, lane, packet, release) {
    if (this.#packet === void 0)
      this.#early.push({ from, lane, packet, release });
    else
      this.#packet(from, lane, packet, release);
  }
  #flush() {
    const early = this.#early;
    this.#early = [];
    for (const arrival of early) {
      if ("event" in arrival)
        this.#peer?.(arrival.event);
      else
        this.#packet(arrival.from, arrival.lane, arrival.packet, arrival.release);
    }
  }
};

// packages/transport/dist/hello.js
var helloBytesMax = 4096;
var encodeHello = /* @__PURE__ */ __name((hello) => Buffer.from(JSON.stringify(hello)), "encodeHello");
function decodeHello(bytes) {
  if (bytes.byteLength > helloBytesMax)
    throw new GarbageError("a hello is too long");
  let found;
  try {
    found = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    throw new GarbageError("a hello is not JSON");
  }
  const hello = mapOf(found);
  const endpoints = mapOf(hello["endpoints"]);
  const credit = mapOf(hello["creditBytes"]);
  return {
    node: nodeId(textOf(hello["node"])),
    incarnation: countOf(hello["incarnation"]),
    to: nodeId(textOf(hello["to"])),
    endpoints: { control: textOf(endpoints["control"]), data: textOf(endpoints["data"]) },
    creditBytes: { control: countOf(credit["control"]), data: countOf(credit["data"]) }
  };
}
__name(decodeHello, "decodeHello");
function mapOf(value) {
  if (typeof value !== "object" || value === null)
    throw new GarbageError("a hello lacks a map");
  return value;
}
__name(mapOf, "mapOf");
function textOf(value) {
  if (typeof value !== "string" || value.length === 0 || value.length > 512)
    throw new GarbageError("a hello lacks a name");
  return value;
}
__name(textOf, "textOf");
function countOf(value) {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new GarbageError("a hello lacks a number");
  return value;
}
__name(countOf, "countOf");

// packages/transport/dist/link.js
import { randomBytes } from "node:crypto";

// packages/transport/dist/outbox.js
var Outbox = class {
  static {
    __name(this, "Outbox");
  }
  /** Bytes that may be on the way; what the receiver announced. */
  windowBytes;
  #waiting = [];
  #head = 0;
  #onTheWay = /* @__PURE__ */ new Map();
  #nextSeq = 0;
  #waitingBytes = 0;
  #onTheWayBytes = 0;
  constructor(windowBytes) {
    this.windowBytes = windowBytes;
  }
  get queuedBytes() {
    return this.#waitingBytes + this.#onTheWayBytes;
  }
  get hasWaiting() {
    return this.#head < this.#waiting.length;
  }
  /** Number of the packet that {@link take} gives next. */
  get nextSeq() {
    return this.#nextSeq;
  }
  push(packet, sent) {
    const bytes = packetBytes(packet);
    this.#waiting.push({ packet, bytes, sent });
    this.#waitingBytes += bytes;
  }
  /** The next packet if the window has room for it. */
  take() {
    const entry = this.#waiting[this.#head];
    if (entry === void 0)
      return void 0;
    if (this.#onTheWay.size > 0 && this.#onTheWayBytes + entry.bytes > this.windowBytes)
      return void 0;
    this.#head++;
    if (this.#head === this.#waiting.length || this.#head > 4096) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    this.#waitingBytes -= entry.bytes;
    this.#onTheWayBytes += entry.bytes;
    this.#onTheWay.set(this.#nextSeq++, entry);
    return entry.packet;
  }
  /** The receiver released packet `seq`; false when no such packet is on the way. */
  acknowledge(seq) {
    const entry = this.#onTheWay.get(seq);
    if (entry === void 0)
      return false;
    this.#onTheWay.delete(seq);
    this.#onTheWayBytes -= entry.bytes;
    entry.sent?.(null);
    return true;
  }
  /**
   * Empties itself and starts again at number 0.
   *
   * @returns tells every sender; apart, so that what they send anew when they learn of the loss is not lost with it
   */
  clear() {
    const failed = [...this.#onTheWay.values(), ...this.#waiting.slice(this.#head)];
    this.#waiting = [];
    this.#head = 0;
    this.#onTheWay = /* @__PURE__ */ new Map();
    this.#nextSeq = 0;
    this.#waitingBytes = 0;
    this.#onTheWayBytes = 0;
    return (error) => {
      for (const entry of failed)
        entry.sent?.(error);
    };
  }
};

// packages/transport/dist/sockets.js
var Writer = class {
  static {
    __name(this, "Writer");
  }
  #socket;
  #next;
  #failed;
  #awake = false;
  constructor(socket, next, failed) {
    this.#socket = socket;
    this.#next = next;
    this.#failed = failed;
  }
  /** Starts the loop at the end of the current turn, so that what one turn sends shares a batch. */
  wake() {
    if (this.#awake)
      return;
    this.#awake = true;
    queueMicrotask(() => void this.#run());
  }
  async #run() {
    try {
      while (!this.#socket.closed) {
        const parts = this.#next();
        if (parts === void 0)
          break;
        await this.#socket.send(parts);
      }
    } catch (error) {
      if (!this.#socket.closed)
        this.#failed(error);
    }
    this.#awake = false;
  }
};
async function readAll(socket, lane, take, failed) {
  try {
    while (!socket.closed)
      take(lane, await socket.receive());
  } catch (error) {
    if (!socket.closed)
      failed(error);
  }
}
__name(readAll, "readAll");

// packages/transport/dist/outgoing.js
var Outgoing = class {
  static {
    __name(this, "Outgoing");
  }
  token;
  endpoints;
  #sockets;
  #writers;
  #closed = false;
  constructor(options) {
    const { endpoints, token, open, next } = options;
    this.token = token;
    this.endpoints = endpoints;
    const gone = /* @__PURE__ */ __name((reason) => {
      if (this.#closed)
        return;
      this.close();
      options.gone(reason);
    }, "gone");
    const start = /* @__PURE__ */ __name((lane) => {
      const socket = open(lane);
      socket.events.on("disconnect", () => gone("connection closed"));
      socket.connect(endpoints[lane]);
      return {
        socket,
        writer: new Writer(socket, () => next(lane), (error) => gone(`send failed: ${String(error)}`))
      };
    }, "start");
    const control = start("control");
    const data = start("data");
    this.#sockets = { control: control.socket, data: data.socket };
    this.#writers = { control: control.writer, data: data.writer };
  }
  wake(lane) {
    if (lane !== void 0)
      this.#writers[lane].wake();
    else
      for (const each of lanes)
        this.#writers[each].wake();
  }
  close() {
    this.#closed = true;
    for (const lane of lanes)
      this.#sockets[lane].close();
  }
};

// packages/transport/dist/receipts.js
var runsMax = 2048;
var Receipts = class {
  static {
    __name(this, "Receipts");
  }
  #nextSeq = 0;
  #heldBytes = 0;
  #numHeld = 0;
  #runs = [];
  /** Number that the next packet must have. */
  get nextSeq() {
    return this.#nextSeq;
  }
  get hasCredit() {
    return this.#runs.length > 0;
  }
  /** Takes a packet in; false when the sender had no credit for it. */
  arrive(bytes, windowBytes) {
    if (this.#numHeld > 0 && this.#heldBytes + bytes > windowBytes)
      return false;
    this.#nextSeq++;
    this.#numHeld++;
    this.#heldBytes += bytes;
    return true;
  }
  release(seq, bytes) {
    this.#numHeld--;
    this.#heldBytes -= bytes;
    const runs = this.#runs;
    const last = runs.length - 2;
    if (last >= 0 && seq === runs[last] + runs[last + 1])
      runs[last + 1]++;
    else
      runs.push(seq, 1);
  }
  /** `[start, count, …]` of what was released since the last call. */
  takeCredit() {
    return this.#runs.splice(0, 2 * runsMax);
  }
};

// packages/transport/dist/link.js
var Link = class {
  static {
    __name(this, "Link");
  }
  node;
  #host;
  #outboxes;
  #outgoing;
  #incoming;
  #announced;
  #up = false;
  #highest = 0;
  /** Lanes on which this attempt has said hello, and goodbye. */
  #helloed = /* @__PURE__ */ new Set();
  #farewelled = /* @__PURE__ */ new Set();
  #service = [];
  #ackDue = false;
  #leaving = false;
  #ended = false;
  #timer;
  constructor(host, node) {
    this.#host = host;
    this.node = node;
    this.#outboxes = { control: new Outbox(0), data: new Outbox(0) };
  }
  get queuedBytes() {
    return this.#outboxes.control.queuedBytes + this.#outboxes.data.queuedBytes;
  }
  /** True when a leaving transport need not wait for this link any more. */
  get finished() {
    return !this.#up && !this.#hasWaiting;
  }
  get #hasWaiting() {
    return this.#outboxes.control.hasWaiting || this.#outboxes.data.hasWaiting;
  }
  get #endpoints() {
    return this.#announced ?? this.#host.resolve(this.node);
  }
  get isKnown() {
    return this.#endpoints !== void 0;
  }
  send(lane, packet, sent) {
    this.#dial();
    this.#outboxes[lane].push(packet, sent);
    this.#outgoing?.wake(lane);
  }
  /** The topology says anew where nodes are: an attempt at a place that is no longer theirs is given up. */
  readdress() {
    const resolved = this.#host.resolve(this.node);
    if (this.#up || resolved === void 0)
      return;
    this.#announced = void 0;
    const dialed = this.#outgoing?.endpoints;
    if (dialed?.control === resolved.control && dialed.data === resolved.data)
      return;
    if (dialed !== void 0 || this.#hasWaiting) {
      this.#reset();
      this.#dial();
    }
  }
  /** Says goodbye once everything queued has left. */
  leave() {
    this.#leaving = true;
    this.#outgoing?.wake();
  }
  /** Drops everything at once. */
  end() {
    this.#leaving = true;
    this.#ended = true;
    this.#reset();
    for (const lane of lanes)
      this.#outboxes[lane].clear()(new TransportClosedError(this.#host.node));
  }
  /** @throws {GarbageError} when the hello is refused */
  onHello(hello, token, lane) {
    if (this.#incoming?.token === token) {
      this.#incoming.greeted.add(lane);
      return;
    }
    const { node, incarnation } = hello;
    orGarbage(() => this.#host.check(hello.endpoints));
    if (incarnation < this.#highest) {
      throw new GarbageError(`node '${node}' is at incarnation ${this.#highest}, a hello of ${incarnation} is stale`);
    }
    if (this.#incoming !== void 0) {
      const replaced2 = incarnation > this.#highest;
      this.#lose(replaced2 ? `replaced by incarnation ${incarnation}` : "the peer connected again");
    }
    this.#highest = incarnation;
    this.#announced = hello.endpoints;
    const receipts = { control: new Receipts(), data: new Receipts() };
    const { creditBytes } = hello;
    this.#incoming = {
      token,
      incarnation,
      creditBytes,
      greeted: /* @__PURE__ */ new Set([lane]),
      goodbyes: /* @__PURE__ */ new Set(),
      receipts
    };
    this.#host.route(token, this);
    if (this.#leaving && !this.#hasWaiting)
      return;
    const dialed = this.#outgoing?.endpoints;
    if (dialed?.control !== hello.endpoints.control || dialed.data !== hello.endpoints.data)
      this.#hangUp();
    this.#dial();
    this.#welcome(token);
  }
  /** Takes a message of the peer's session; @throws {GarbageError} when it is refused */
  onMessage(prologue, parts) {
    const incoming = this.#incoming;
    const { type, lane } = prologue;
    if (!incoming.greeted.has(type === "credit" ? "control" : lane))
      throw new GarbageError(`${type} before a hello on lane ${lane}`);
    if (type !== "packets" && parts.length !== 1)
      throw new GarbageError(`${type} has ${parts.length} parts`);
    if (type === "welcome") {
      if (prologue.first === this.#outgoing?.token)
        this.#rise(incoming);
    } else if (type === "credit")
      this.#onCredit(lane, decodeCredit(parts[0], prologue.count));
    else if (type === "goodbye")
      this.#onGoodbye(incoming, lane);
    else if (type === "goodbyeAck")
      this.#onGoodbyeAck();
    else
      this.#onPackets(incoming, prologue, parts);
  }
  /** The peer broke the protocol: what it sent cannot be continued. */
  onViolation(problem) {
    this.#lose(problem);
    this.#redial();
  }
  #dial() {
    const endpoints = this.#endpoints;
    if (this.#outgoing !== void 0 || endpoints === void 0 || this.#ended)
      return;
    this.#host.check(endpoints);
    this.#disarm();
    this.#outgoing = new Outgoing({
      endpoints,
      token: randomBytes(6).readUIntBE(0, 6),
      open: /* @__PURE__ */ __name((lane) => this.#host.open(lane, endpoints[lane]), "open"),
      next: /* @__PURE__ */ __name((lane) => this.#next(lane), "next"),
      gone: /* @__PURE__ */ __name((reason) => this.#onHangUp(reason), "gone")
    });
    this.#helloed.clear();
    this.#farewelled.clear();
    this.#outgoing.wake();
    this.#timer = this.#host.clock.after(this.#host.giveUpMs, () => this.#giveUp());
  }
  /** Nobody answered for long: begin anew if something waits for an answer, else stop trying until there is a reason. */
  #giveUp() {
    this.#timer = void 0;
    if (this.#up)
      return;
    this.#host.logger.warn("transport: a node does not answer", {
      node: this.node,
      afterMs: this.#host.giveUpMs
    });
    this.#reset();
    if (this.#hasWaiting)
      this.#dial();
  }
  #redial() {
    if (this.#leaving && !this.#hasWaiting || this.#timer !== void 0 || this.#outgoing !== void 0)
      return;
    this.#timer = this.#host.clock.after(this.#host.redialMs, () => {
      this.#timer = void 0;
      this.#dial();
    });
  }
  #onHangUp(reason) {
    const departed = this.#incoming?.goodbyes.size === lanes.length;
    this.#lose(reason);
    if (!departed || this.#hasWaiting)
      this.#redial();
  }
  #welcome(token) {
    const own = this.#outgoing.token;
    this.#service.push(encodeService({ type: "welcome", lane: "control", token: own, first: token }));
    this.#outgoing.wake("control");
  }
  #rise(incoming) {
    if (this.#up || incoming.goodbyes.size === lanes.length)
      return;
    this.#up = true;
    this.#disarm();
    for (const lane of lanes)
      this.#outboxes[lane].windowBytes = incoming.creditBytes[lane];
    this.#host.emit({ type: "peer.up", node: this.node, incarnation: incoming.incarnation });
    this.#outgoing?.wake();
  }
  #onPackets(incoming, prologue, parts) {
    const { lane } = prologue;
    if (incoming.goodbyes.has(lane))
      throw new GarbageError("packets after goodbye");
    const receipts = incoming.receipts[lane];
    if (prologue.first !== receipts.nextSeq) {
      throw new GarbageError(`packet ${prologue.first} found on lane ${lane}, ${receipts.nextSeq} expected`);
    }
    const packets = decodeBatch(parts, prologue.count);
    orGarbage(() => packets.forEach((packet) => checkPacket(packet, this.#host.maxFrameBytes)));
    this.#rise(incoming);
    for (const packet of packets) {
      const seq = receipts.nextSeq;
      const bytes = packetBytes(packet);
      if (!receipts.arrive(bytes, this.#host.creditBytes[lane]))
        throw new GarbageError("more bytes than its credit");
      this.#host.counted("received", bytes);
      let released = false;
      this.#host.deliver(this.node, lane, packet, () => {
        if (released)
          return;
        released = true;
        if (this.#incoming !== incoming)
          return;
        receipts.release(seq, bytes);
        this.#outgoing?.wake("control");
      });
      if (this.#incoming !== incoming)
        return;
    }
  }
  #onCredit(lane, runs) {
    const outbox = this.#outboxes[lane];
    for (let run = 0; run < runs.length; run += 2) {
      const [start, count3] = [runs[run], runs[run + 1]];
      for (let seq = start; seq < start + count3; seq++) {
        if (!outbox.acknowledge(seq))
          throw new GarbageError(`credit for packet ${seq}, which is not on the way`);
      }
    }
    this.#outgoing?.wake(lane);
    this.#host.progress();
  }
  #onGoodbye(incoming, lane) {
    incoming.goodbyes.add(lane);
    if (incoming.goodbyes.size < lanes.length)
      return;
    this.#ackDue = true;
    this.#outgoing?.wake("control");
    this.#fall("goodbye");
    this.#host.progress();
  }
  #onGoodbyeAck() {
    if (this.#farewelled.size < lanes.length)
      throw new GarbageError("an answer to a goodbye that was not said");
    this.#lose("goodbye");
  }
  /** What the lane's socket sends next: what keeps the peer going before what is new. */
  #next(lane) {
    const token = this.#outgoing?.token;
    if (token === void 0)
      return void 0;
    if (!this.#helloed.has(lane)) {
      this.#helloed.add(lane);
      return [encodeService({ type: "hello", lane, token }, encodeHello(this.#hello()))];
    }
    if (lane === "control") {
      const service = this.#service.shift() ?? this.#nextCredit(token) ?? this.#nextAck(token);
      if (service !== void 0)
        return [service];
    }
    if (!this.#up)
      return void 0;
    const outbox = this.#outboxes[lane];
    const batch = encodeBatch({ lane, token, first: outbox.nextSeq }, () => {
      const packet = outbox.take();
      if (packet !== void 0)
        this.#host.counted("sent", packetBytes(packet));
      return packet;
    });
    if (batch !== void 0)
      return batch;
    if (!this.#leaving || outbox.hasWaiting || this.#farewelled.has(lane))
      return void 0;
    this.#farewelled.add(lane);
    return [encodeService({ type: "goodbye", lane, token })];
  }
  #hello() {
    const { node, incarnation, endpoints, creditBytes } = this.#host;
    return { node, incarnation, to: this.node, endpoints, creditBytes };
  }
  #nextCredit(token) {
    for (const lane of lanes) {
      const receipts = this.#incoming?.receipts[lane];
      if (receipts?.hasCredit === true)
        return encodeCredit(token, lane, receipts.takeCredit());
    }
    return void 0;
  }
  #nextAck(token) {
    if (!this.#ackDue)
      return void 0;
    this.#ackDue = false;
    return encodeService({ type: "goodbyeAck", lane: "control", token });
  }
  /** The link goes down and says so; sessions stay, to answer a goodbye. A transport that leaves hears of no peer any more. */
  #fall(reason) {
    if (!this.#up)
      return;
    this.#up = false;
    const { node } = this;
    const incarnation = this.#highest;
    const tell = lanes.map((lane) => this.#outboxes[lane].clear());
    if (!this.#leaving) {
      const goodbye = reason === "goodbye";
      this.#host.emit(goodbye ? { type: "peer.goodbye", node, incarnation } : { type: "peer.lost", node, incarnation, reason });
    }
    const error = this.#leaving ? new TransportClosedError(this.#host.node) : new PeerLostError(node, reason);
    for (const fail of tell)
      fail(error);
  }
  #lose(reason) {
    this.#hangUp();
    this.#forget();
    this.#fall(reason);
    this.#host.progress();
  }
  #reset() {
    this.#hangUp();
    this.#forget();
    this.#up = false;
  }
  #forget() {
    if (this.#incoming !== void 0)
      this.#host.route(this.#incoming.token, void 0);
    this.#incoming = void 0;
  }
  #hangUp() {
    this.#disarm();
    this.#outgoing?.close();
    this.#outgoing = void 0;
    this.#service = [];
    this.#ackDue = false;
  }
  #disarm() {
    if (this.#timer !== void 0)
      this.#host.clock.cancel(this.#timer);
    this.#timer = void 0;
  }
};
function orGarbage(check) {
  try {
    check();
  } catch (error) {
    throw new GarbageError(error.message);
  }
}
__name(orGarbage, "orGarbage");

// packages/transport/dist/zmq.js
var batchBytesMax = 8 * 1024 * 1024;
async function openZmqTransport(options) {
  const { listen, curve, clock } = options;
  if (curve !== void 0)
    checkCurve(curve);
  const secured = curve !== void 0;
  const maxFrameBytes = options.maxFrameBytes ?? defaultMaxFrameBytes;
  assert(maxFrameBytes < 2 ** 31, "maxFrameBytes does not fit 31 bits", { maxFrameBytes });
  const heartbeat = {
    heartbeatInterval: options.heartbeatMs ?? 1e3,
    heartbeatTimeout: options.lostMs ?? 5e3
  };
  const context = new Context({ blocky: false });
  const pull = /* @__PURE__ */ __name((lane) => new Pull({
    context,
    linger: 0,
    maxMessageSize: Math.max(maxFrameBytes, batchBytesMax),
    receiveHighWaterMark: lane === "control" ? 0 : 8,
    ...lane === "control" ? { ...heartbeat, heartbeatTimeToLive: heartbeat.heartbeatTimeout } : {},
    ...curve !== void 0 && listen.kind === "tcp" ? curveServer(curve) : {}
  }), "pull");
  const push = /* @__PURE__ */ __name((lane, endpoint) => new Push({
    context,
    linger: 0,
    sendHighWaterMark: 8,
    reconnectInterval: 50,
    reconnectMaxInterval: 1e3,
    ...lane === "control" ? { ...heartbeat, heartbeatTimeToLive: heartbeat.heartbeatTimeout } : {},
    ...curve !== void 0 && endpoint.startsWith("tcp://") ? curveClient(curve) : {}
  }), "push");
  const door = curve === void 0 ? void 0 : await guardDoor(context, curve);
  const pulls = { control: pull("control"), data: pull("data") };
  const shut = /* @__PURE__ */ __name(() => {
    for (const lane of lanes)
      pulls[lane].close();
    door?.close();
  }, "shut");
  const place = named2(listen);
  try {
    const control = await bind(pulls.control, await bindEndpoint(place, "control", secured));
    const data = await bind(pulls.data, await bindEndpoint(place, "data", secured));
    const endpoints = { control: advertised(listen, control), data: advertised(listen, data) };
    const check = /* @__PURE__ */ __name((places) => {
      for (const lane of lanes)
        checkEndpoint(places[lane], secured);
    }, "check");
    return new ZmqNode({ ...options, clock, maxFrameBytes }, { pulls, door, bound: [control, data], endpoints, push, check });
  } catch (error) {
    shut();
    throw error;
  }
}
__name(openZmqTransport, "openZmqTransport");
async function bind(socket, endpoint) {
  try {
    await socket.bind(endpoint);
  } catch (cause) {
    if (cause.code === "EADDRINUSE")
      throw new AddressInUseError(endpoint, cause);
    throw new EndpointError(endpoint, `it cannot be bound (${cause.message})`, cause);
  }
  const bound = socket.lastEndpoint ?? endpoint;
  await guardIpc(bound);
  return bound;
}
__name(bind, "bind");
var ZmqNode = class {
  static {
    __name(this, "ZmqNode");
  }
  node;
  incarnation;
  endpoints;
  #options;
  #parts;
  #handlers = new Handlers();
  #links = /* @__PURE__ */ new Map();
  /** Who speaks under a token. */
  #routes = /* @__PURE__ */ new Map();
  #host;
  #stats = {
    bytesSent: 0,
    bytesReceived: 0,
    messagesSent: 0,
    messagesReceived: 0,
    packetsRefused: 0
  };
  #peers;
  #open = true;
  #closing;
  #onProgress;
  constructor(options, parts) {
    this.#options = options;
    this.#parts = parts;
    this.node = options.node;
    this.incarnation = options.incarnation;
    this.endpoints = parts.endpoints;
    this.#peers = options.peers ?? (() => void 0);
    this.#host = this.#makeHost();
    for (const lane of lanes) {
      void readAll(parts.pulls[lane], lane, (on, message) => this.#take(on, message), (error) => this.#fatal(error));
    }
  }
  send(to, lane, packet, sent) {
    if (!this.#open || this.#closing !== void 0)
      throw new TransportClosedError(this.node);
    const link = this.#link(to);
    if (!link.isKnown)
      throw new UnknownPeerError(to);
    checkPacket(packet, this.#options.maxFrameBytes);
    link.send(lane, packet, sent);
  }
  onPacket(handler) {
    this.#handlers.onPacket(handler);
  }
  onPeer(handler) {
    this.#handlers.onPeer(handler);
  }
  stats() {
    return { ...this.#stats };
  }
  queuedBytes(to) {
    return this.#links.get(to)?.queuedBytes ?? 0;
  }
  setPeers(peers) {
    this.#peers = peers;
    for (const link of this.#links.values())
      link.readdress();
  }
  close(deadlineMs) {
    this.#closing ??= this.#leave(deadlineMs);
    return this.#closing;
  }
  async #leave(deadlineMs) {
    const { clock } = this.#options;
    const links = [...this.#links.values()];
    for (const link of links)
      link.leave();
    const finished = /* @__PURE__ */ __name(() => !this.#open || links.every((link) => link.finished), "finished");
    if (!finished()) {
      await new Promise((resolve) => {
        const timer = clock.after(deadlineMs, resolve);
        this.#onProgress = () => {
          if (!finished())
            return;
          clock.cancel(timer);
          resolve();
        };
      });
    }
    this.#end();
    for (const bound of this.#parts.bound)
      await removeIpc(bound);
  }
  #end() {
    if (!this.#open)
      return;
    this.#open = false;
    for (const link of this.#links.values())
      link.end();
    for (const lane of lanes)
      this.#parts.pulls[lane].close();
    this.#parts.door?.close();
    this.#onProgress?.();
  }
  #guard(handle) {
    if (!this.#open)
      return;
    try {
      handle();
    } catch (error) {
      this.#fatal(error);
    }
  }
  #fatal(error) {
    if (!this.#open)
      return;
    this.#options.logger.error("transport: a handler failed, the transport ends", { node: this.node, error });
    this.#end();
    const { onFatal } = this.#options;
    if (onFatal !== void 0)
      return onFatal(error);
    queueMicrotask(() => {
      throw error;
    });
  }
  /** Judges one message of the network; what is wrong with it is counted and never thrown. */
  #take(lane, parts) {
    let link;
    try {
      const prologue = readPrologue(parts[0]);
      if (prologue.type === "credit" ? lane !== "control" : prologue.lane !== lane) {
        throw new GarbageError(`${prologue.type} for lane ${prologue.lane} on lane ${lane}`);
      }
      if (prologue.type === "hello") {
        if (parts.length !== 1)
          throw new GarbageError("a hello has more than one part");
        const hello = decodeHello(payloadOf(parts[0]));
        if (hello.to !== this.node)
          throw new GarbageError(`a hello for node '${hello.to}'`);
        this.#link(hello.node).onHello(hello, prologue.token, lane);
        return;
      }
      link = this.#routes.get(prologue.token);
      if (link === void 0)
        throw new GarbageError(`${prologue.type} of a session that is unknown or over`);
      link.onMessage(prologue, parts);
    } catch (error) {
      if (!(error instanceof GarbageError))
        throw error;
      this.#refused(error.message);
      link?.onViolation(error.message);
    }
  }
  #refused(why) {
    const count3 = ++this.#stats.packetsRefused;
    if ((count3 & count3 - 1) === 0)
      this.#options.logger.warn("transport: refused", { node: this.node, why, count: count3 });
  }
  #link(node) {
    let link = this.#links.get(node);
    if (link === void 0) {
      link = new Link(this.#host, node);
      this.#links.set(node, link);
    }
    return link;
  }
  #makeHost() {
    const { node, incarnation, clock, logger, maxFrameBytes, creditBytes, redialMs, giveUpMs } = this.#options;
    return {
      node,
      incarnation,
      endpoints: this.endpoints,
      clock,
      logger,
      maxFrameBytes,
      creditBytes: creditBytes ?? defaultCreditBytes,
      redialMs: redialMs ?? 100,
      giveUpMs: giveUpMs ?? 3e4,
      resolve: /* @__PURE__ */ __name((peer) => this.#peers(peer), "resolve"),
      check: this.#parts.check,
      open: this.#parts.push,
      emit: /* @__PURE__ */ __name((event) => {
        logger.debug("transport: peer", { node, event });
        this.#guard(() => this.#handlers.peer(event));
      }, "emit"),
      deliver: /* @__PURE__ */ __name((from, lane, packet, release) => this.#guard(() => this.#handlers.packet(from, lane, packet, release)), "deliver"),
      counted: /* @__PURE__ */ __name((direction, bytes) => {
        if (direction === "sent") {
          this.#stats.messagesSent++;
          this.#stats.bytesSent += bytes;
        } else {
          this.#stats.messagesReceived++;
          this.#stats.bytesReceived += bytes;
        }
      }, "counted"),
      route: /* @__PURE__ */ __name((token, link) => void (link === void 0 ? this.#routes.delete(token) : this.#routes.set(token, link)), "route"),
      progress: /* @__PURE__ */ __name(() => this.#onProgress?.(), "progress")
    };
  }
};

// packages/transport/dist/memory.js
function createMemoryNetwork(options = {}) {
  const network = new Network(options);
  return {
    connect: /* @__PURE__ */ __name((node, incarnation) => network.connect(node, incarnation), "connect")
  };
}
__name(createMemoryNetwork, "createMemoryNetwork");
var Network = class {
  static {
    __name(this, "Network");
  }
  clock;
  creditBytes;
  maxFrameBytes;
  #schedule;
  #nodes = /* @__PURE__ */ new Map();
  #tasks = [];
  #scheduled = false;
  constructor(options) {
    this.clock = options.clock;
    this.creditBytes = options.creditBytes ?? defaultCreditBytes;
    this.maxFrameBytes = options.maxFrameBytes ?? defaultMaxFrameBytes;
    this.#schedule = options.schedule ?? ((run) => void setImmediate(run));
  }
  connect(node, incarnation) {
    const created = new MemoryNode(this, node, incarnation);
    const current = this.#nodes.get(node);
    if (current?.open === true && current.incarnation === incarnation) {
      throw new AddressInUseError(`memory://${node} incarnation ${incarnation}`);
    }
    if (current !== void 0 && current.incarnation > incarnation)
      return created;
    this.#nodes.set(node, created);
    if (current?.open === true)
      current.unlinkAll(`replaced by incarnation ${incarnation}`);
    for (const other of this.#nodes.values())
      other.pump(node);
    return created;
  }
  /** The node's latest life, alive or not. */
  find(node) {
    return this.#nodes.get(node);
  }
  /** One queue for everything, so what is caused first happens first. */
  later(task) {
    this.#tasks.push(task);
    this.#arm();
  }
  #arm() {
    if (this.#scheduled || this.#tasks.length === 0)
      return;
    this.#scheduled = true;
    this.#schedule(() => this.#drain());
  }
  /** A task that throws is a fatal handler; the tasks behind it are kept. */
  #drain() {
    const tasks = this.#tasks;
    this.#tasks = [];
    this.#scheduled = false;
    let done = 0;
    try {
      for (; done < tasks.length; done++)
        tasks[done]();
    } finally {
      if (done < tasks.length)
        this.#tasks = [...tasks.slice(done + 1), ...this.#tasks];
      this.#arm();
    }
  }
};
var MemoryNode = class {
  static {
    __name(this, "MemoryNode");
  }
  node;
  incarnation;
  open = true;
  #network;
  #links = /* @__PURE__ */ new Map();
  #handlers = new Handlers();
  #stats = {
    bytesSent: 0,
    bytesReceived: 0,
    messagesSent: 0,
    messagesReceived: 0,
    packetsRefused: 0
  };
  #closing;
  #onProgress;
  constructor(network, node, incarnation) {
    this.#network = network;
    this.node = node;
    this.incarnation = incarnation;
  }
  send(to, lane, packet, sent) {
    if (!this.open || this.#closing !== void 0)
      throw new TransportClosedError(this.node);
    if (this.#network.find(to) === void 0)
      throw new UnknownPeerError(to);
    checkPacket(packet, this.#network.maxFrameBytes);
    this.#link(to).outboxes[lane].push(packet, sent);
    this.pump(to);
  }
  onPacket(handler) {
    this.#handlers.onPacket(handler);
  }
  onPeer(handler) {
    this.#handlers.onPeer(handler);
  }
  stats() {
    return { ...this.#stats };
  }
  queuedBytes(to) {
    const link = this.#links.get(to);
    return link === void 0 ? 0 : link.outboxes.control.queuedBytes + link.outboxes.data.queuedBytes;
  }
  kill() {
    if (!this.open)
      return;
    this.unlinkAll("killed");
    this.#end();
  }
  close(deadlineMs) {
    this.#closing ??= this.open ? this.#leave(deadlineMs) : Promise.resolve();
    return this.#closing;
  }
  async #leave(deadlineMs) {
    const { clock } = this.#network;
    const waits = /* @__PURE__ */ __name(() => [...this.#links.values()].some((link) => link.up !== void 0 && lanes.some((lane) => link.outboxes[lane].hasWaiting)), "waits");
    if (clock !== void 0 && waits()) {
      await new Promise((resolve) => {
        const timer = clock.after(deadlineMs, resolve);
        this.#onProgress = () => {
          if (this.open && waits())
            return;
          clock.cancel(timer);
          resolve();
        };
      });
    }
    if (!this.open)
      return;
    await new Promise((resolve) => this.#network.later(resolve));
    for (const link of this.#links.values()) {
      const other = link.up;
      if (other !== void 0)
        this.#network.later(() => other.onGone(this, "goodbye"));
    }
    this.#end();
  }
  /** Hands packets with credit to the receiver, if it lives. */
  pump(to) {
    const link = this.#links.get(to);
    const target = this.#network.find(to);
    if (link === void 0 || !this.open || target?.open !== true)
      return;
    const stale = this.#network.find(this.node) !== this;
    if (link.up !== target && !stale && !this.#connect(link, target))
      return;
    for (const lane of lanes) {
      const outbox = link.outboxes[lane];
      for (let seq = outbox.nextSeq, packet = outbox.take(); packet !== void 0; packet = outbox.take()) {
        const [number, taken, generation] = [seq++, packet, link.generation];
        this.#stats.messagesSent++;
        this.#stats.bytesSent += packetBytes(taken);
        this.#network.later(() => target.#deliver(this, generation, lane, number, taken));
      }
    }
  }
  /** The links of this life end; its peers notice before anything of a later life reaches them. */
  unlinkAll(reason) {
    for (const link of this.#links.values()) {
      const other = link.up;
      if (other === void 0)
        continue;
      this.#network.later(() => other.onGone(this, reason));
    }
  }
  /** The other end of a link said goodbye or is gone. */
  onGone(from, reason) {
    const link = this.#links.get(from.node);
    if (!this.open || link?.up !== from)
      return;
    link.up = void 0;
    link.generation++;
    const { node, incarnation } = from;
    const tell = lanes.map((lane) => link.outboxes[lane].clear());
    this.#emit(reason === "goodbye" ? { type: "peer.goodbye", node, incarnation } : { type: "peer.lost", node, incarnation, reason });
    for (const fail of tell)
      fail(new PeerLostError(node, reason));
    this.#onProgress?.();
    this.pump(node);
    this.#network.find(node)?.pump(this.node);
  }
  /** Brings a link up when there is something to send, unless either end has yet to notice the loss of an earlier life. */
  #connect(link, target) {
    if (!lanes.some((lane) => link.outboxes[lane].hasWaiting))
      return false;
    const back = target.#link(this.node);
    if (link.up !== void 0 || back.up !== void 0)
      return false;
    link.up = target;
    back.up = this;
    this.#network.later(() => target.#emit({ type: "peer.up", node: this.node, incarnation: this.incarnation }));
    this.#network.later(() => this.#emit({ type: "peer.up", node: target.node, incarnation: target.incarnation }));
    this.#network.later(() => target.pump(this.node));
    return true;
  }
  #deliver(from, generation, lane, seq, packet) {
    if (!this.open)
      return;
    if (this.#links.get(from.node)?.up !== from) {
      this.#stats.packetsRefused++;
      return;
    }
    this.#stats.messagesReceived++;
    this.#stats.bytesReceived += packetBytes(packet);
    let released = false;
    const release = /* @__PURE__ */ __name(() => {
      if (released)
        return;
      released = true;
      this.#network.later(() => from.#onReleased(this.node, generation, lane, seq));
    }, "release");
    this.#guard(() => this.#handlers.packet(from.node, lane, packet, release));
  }
  #onReleased(by, generation, lane, seq) {
    const link = this.#links.get(by);
    if (!this.open || link === void 0 || link.generation !== generation)
      return;
    assert(link.outboxes[lane].acknowledge(seq), "a packet that is not on the way was released", {
      seq,
      lane
    });
    this.pump(by);
    this.#onProgress?.();
  }
  #emit(event) {
    if (this.open)
      this.#guard(() => this.#handlers.peer(event));
  }
  /** A handler that throws ends the transport; the error goes on to whoever runs the scheduler. */
  #guard(run) {
    try {
      run();
    } catch (error) {
      this.kill();
      throw error;
    }
  }
  #end() {
    this.open = false;
    for (const link of this.#links.values()) {
      link.up = void 0;
      for (const lane of lanes)
        link.outboxes[lane].clear()(new TransportClosedError(this.node));
    }
    this.#onProgress?.();
  }
  #link(to) {
    let link = this.#links.get(to);
    if (link === void 0) {
      const { control, data } = this.#network.creditBytes;
      link = {
        outboxes: { control: new Outbox(control), data: new Outbox(data) },
        up: void 0,
        generation: 0
      };
      this.#links.set(to, link);
    }
    return link;
  }
};

// packages/troupe/dist/job-system.js
var EVENTS_OF_A_REPLICA = 8;
var mailboxCapacityOf = /* @__PURE__ */ __name(({ parallel }) => Math.max(MAILBOX_CAPACITY, EVENTS_OF_A_REPLICA * parallel.dp), "mailboxCapacityOf");
function createJobSystem({ topology, codec, home, mailboxCapacity, ...ports }) {
  const { node, transport } = ports;
  const { incarnation } = transport;
  const system = new ActorSystem({
    ...ports,
    mailboxCapacity: mailboxCapacity ?? mailboxCapacityOf(topology),
    codec: codec ?? createCodec({ kinds: messageKinds, checksum: "header" }),
    directory: new Directory(home ?? defaultHome(topology)),
    onFailure: /* @__PURE__ */ __name((error, actor) => {
      const { code, message, retryable } = serializeError(error, actor);
      system.tell(addresses2.supervisor, "actor.failed", {
        body: { actor, code, message, retryable, node, incarnation }
      });
    }, "onFailure"),
    onStuck: /* @__PURE__ */ __name((error, wait) => system.tell(addresses2.supervisor, "worker.stuck", {
      body: { sentence: error.message, awaited: wait.awaited[0] ?? "" }
    }), "onStuck")
  });
  transport.onPeer((event) => {
    if (event.type !== "peer.lost" || event.node === agentNode)
      return;
    const { reason, incarnation: life } = event;
    system.tell(addresses2.supervisor, node === agentNode ? "worker.lost" : "link.lost", {
      body: { node: event.node, incarnation: life, reason, by: node }
    });
  });
  return system;
}
__name(createJobSystem, "createJobSystem");

// packages/troupe/dist/ports/clock.js
function systemClock() {
  const timers = /* @__PURE__ */ new Map();
  let last = 0;
  return {
    now: /* @__PURE__ */ __name(() => performance.now(), "now"),
    after: /* @__PURE__ */ __name((delayMs, callback) => {
      const handle = ++last;
      const timer = setTimeout(() => {
        timers.delete(handle);
        callback();
      }, Math.min(Math.max(0, delayMs), 2 ** 31 - 1));
      timers.set(handle, timer);
      return handle;
    }, "after"),
    cancel: /* @__PURE__ */ __name((handle) => {
      clearTimeout(timers.get(handle));
      timers.delete(handle);
    }, "cancel")
  };
}
__name(systemClock, "systemClock");

// packages/troupe/dist/ports/open-logger.js
async function openLogger(level) {
  return level === "silent" ? silentLogger : (await import("./logger-6K4Z2LPV.js")).pinoLogger(level);
}
__name(openLogger, "openLogger");

// packages/troupe/dist/profile/monotonic.js
var monotonicMs = /* @__PURE__ */ __name(() => Number(process.hrtime.bigint()) / 1e6, "monotonicMs");

// packages/troupe/dist/profile/part-file.js
import { closeSync, openSync, writeSync } from "node:fs";
var FLUSH_CHARS = 1 << 16;
var PART_BYTES_MAX = 512 * 2 ** 20;
var PartFile = class {
  static {
    __name(this, "PartFile");
  }
  #path;
  #logger;
  #bytesMax;
  #handle = null;
  /** A killed process before this one may have left half a line. */
  #pending = ["\n"];
  #pendingChars = 0;
  #bytes = 0;
  #isTruncated = false;
  constructor(path, logger, bytesMax = PART_BYTES_MAX) {
    this.#path = path;
    this.#logger = logger;
    this.#bytesMax = bytesMax;
    this.#try(() => this.#handle = openSync(path, "a"));
  }
  write(record) {
    if (this.#isTruncated || this.#handle === null)
      return;
    const line = `${JSON.stringify(record)}
`;
    this.#pending.push(line);
    this.#pendingChars += line.length;
    if (this.#pendingChars >= FLUSH_CHARS)
      this.flush();
    if (this.#bytes + this.#pendingChars > this.#bytesMax) {
      this.#isTruncated = true;
      this.#logger.warn("profile is full", { path: this.#path, bytesMax: this.#bytesMax });
    }
  }
  close() {
    if (this.#handle === null)
      return;
    const end = { kind: "end", isTruncated: this.#isTruncated };
    this.#pending.push(`${JSON.stringify(end)}
`);
    this.flush();
    const handle = this.#handle;
    if (handle !== null)
      this.#try(() => closeSync(handle));
    this.#handle = null;
  }
  flush() {
    const handle = this.#handle;
    if (handle === null)
      return;
    const text = this.#pending.join("");
    this.#pending = [];
    this.#pendingChars = 0;
    this.#try(() => this.#bytes += writeSync(handle, text));
  }
  #try(act) {
    try {
      act();
    } catch (error) {
      this.#handle = null;
      this.#logger.warn("no more profile", {
        path: this.#path,
        reason: error instanceof Error ? error.message : String(error)
      });
    }
  }
};

// packages/troupe/dist/profile/recorder.js
var OPENING = "step.open";
var partPath = /* @__PURE__ */ __name(({ partPrefix }, node) => `${partPrefix}.${node.replaceAll("/", "-")}.part`, "partPath");
var partPaths = /* @__PURE__ */ __name((plan, numWorkers) => [agentNode, ...Array.from({ length: numWorkers }, (_, rank) => workerNode(rank))].map((node) => partPath(plan, node)), "partPaths");
var packetBytes2 = /* @__PURE__ */ __name(({ header, frames }) => frames.reduce((sum2, frame) => sum2 + frame.byteLength, header.byteLength), "packetBytes");
var Recorder = class {
  static {
    __name(this, "Recorder");
  }
  #plan;
  #part;
  #device = null;
  #isRecording = false;
  #turnStart = 0;
  #turnSlept = 0;
  #sendStart = 0;
  #receiveStart = 0;
  #receiveSlept = 0;
  #listEnd = 0;
  /** Names of the packets whose events lie in a mailbox. */
  #packets = /* @__PURE__ */ new WeakMap();
  #waits = /* @__PURE__ */ new Map();
  constructor(plan, node, logger) {
    this.#plan = plan;
    this.#part = new PartFile(partPath(plan, node), logger);
  }
  /** Says who this is; before anything else. */
  begin(node, device) {
    this.#device = device;
    const record = {
      kind: "node",
      node,
      pid: process.pid,
      device: device === null ? null : { name: device.info.name, threads: device.info.threads }
    };
    this.#part.write(record);
    this.#part.flush();
  }
  /** A step was committed, `seconds` after it was opened. */
  step(step, seconds) {
    const end = this.#now();
    if (step >= this.#plan.first && step <= this.#plan.last)
      this.#part.write({ kind: "step", step, start: end - 1e3 * seconds, end });
  }
  close() {
    this.#record(false);
    this.#part.close();
  }
  turnBegins() {
    if (!this.#isRecording)
      return;
    this.#turnStart = this.#now();
    this.#turnSlept = slept();
  }
  turnEnded({ address: address2, event, outcome, stateBefore, stateAfter, mailboxSize }) {
    if (!this.#isRecording || this.#turnStart === 0)
      return;
    const packet = this.#packets.get(event);
    this.#part.write({
      kind: "turn",
      actor: address2,
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
      ...packet === void 0 ? {} : { packet }
    });
    this.#turnStart = 0;
  }
  sending() {
    if (this.#isRecording)
      this.#sendStart = this.#now();
  }
  sent(message, _to, packet) {
    this.#follow(message.kind, message.step);
    if (!this.#isRecording)
      return;
    const end = this.#now();
    this.#part.write({
      kind: "send",
      actor: message.from,
      to: message.to,
      message: message.kind,
      packet: packetName(packet),
      bytes: packetBytes2(packet),
      start: this.#sendStart === 0 ? end : this.#sendStart,
      end
    });
    this.#sendStart = 0;
  }
  receiving() {
    this.#receiveStart = this.#now();
    this.#receiveSlept = slept();
  }
  received(_from, to, packet, event) {
    this.#follow(event.type, event.step);
    if (!this.#isRecording)
      return;
    const name = packetName(packet);
    this.#packets.set(event, name);
    this.#part.write({
      kind: "receive",
      to,
      message: event.type,
      packet: name,
      bytes: packetBytes2(packet),
      start: this.#receiveStart,
      end: this.#now(),
      slept: this.#receiveSlept
    });
  }
  submitted() {
    return this.#now();
  }
  completed({ owner, device, calls, fields: fields2, submittedMs, completion }) {
    if (!this.#isRecording || calls.length === 0)
      return;
    const start = this.#now();
    const since = Math.max(submittedMs, this.#listEnd, start - completion.kernelMs);
    const { callTimes } = completion;
    const tuples = callTimes === void 0 ? [wholeList(calls, since, start)] : timedCalls(calls, callTimes, 2 + 3 * device.info.threads, this.#plan.originMs);
    this.#listEnd = start;
    this.#part.write({
      kind: "list",
      owner,
      submitted: submittedMs,
      step: fields2.step ?? 0,
      layer: fields2.layer ?? -1,
      microbatch: fields2.microbatch ?? -1,
      calls: tuples,
      slept: slept(),
      start,
      end: this.#now()
    });
  }
  waitBegan(wait) {
    this.waitEnded(wait.owner, wait.name);
    this.#waits.set(`${wait.owner} ${wait.name}`, { ...wait, start: this.#now() });
  }
  waitEnded(owner, name) {
    const key = `${owner} ${name}`;
    const wait = this.#waits.get(key);
    if (wait === void 0)
      return;
    this.#waits.delete(key);
    if (!this.#isRecording)
      return;
    const { reason, awaited, start } = wait;
    this.#part.write({ kind: "wait", owner, reason, awaited, start, end: this.#now() });
  }
  #now() {
    return short(monotonicMs() - this.#plan.originMs);
  }
  #follow(message, step) {
    if (message === OPENING)
      this.#record(step >= this.#plan.first && step <= this.#plan.last);
  }
  #record(on) {
    if (on === this.#isRecording)
      return;
    this.#isRecording = on;
    this.#device?.timeCalls?.(on);
    this.#turnStart = 0;
  }
};
var short = /* @__PURE__ */ __name((ms) => Math.round(ms * 1e4) / 1e4, "short");
var slept = /* @__PURE__ */ __name(() => short(performance.nodeTiming.idleTime), "slept");
function timedCalls(calls, times, perCall, originMs) {
  return calls.slice(0, times.length / perCall).map((call, index) => {
    const { flops, bytes } = callCost(call);
    const numbers = [];
    for (let at = 0; at < perCall; at++) {
      const time = times[index * perCall + at] ?? 0;
      const isDuration = at >= 2 && (at - 2) % 3 === 2;
      numbers.push(short(isDuration || time === 0 ? time : time - originMs));
    }
    const [start = 0, end = 0, ...threads] = numbers;
    return [call.op, callShape(call), flops, bytes, start, end, ...threads];
  });
}
__name(timedCalls, "timedCalls");
function wholeList(calls, start, end) {
  const [first] = calls;
  const costs = calls.map(callCost);
  const sum2 = /* @__PURE__ */ __name((of) => costs.reduce((total, cost) => total + cost[of], 0), "sum");
  const ops = [...new Set(calls.map((call) => call.op))];
  const shape = calls.length === 1 && first !== void 0 ? callShape(first) : `list of ${calls.length}`;
  return [ops.join(" + "), shape, sum2("flops"), sum2("bytes"), start, end];
}
__name(wholeList, "wholeList");

// packages/troupe/dist/launch/listening.js
function listenAs(plan, index) {
  const { socketFolder, port } = plan;
  if (port === null)
    return { kind: "ipc", directory: socketFolder, name: index === 0 ? "agent" : `w${index - 1}` };
  const first = port + 2 * index;
  return { kind: "tcp", host: "127.0.0.1", ports: { control: first, data: first + 1 } };
}
__name(listenAs, "listenAs");

export {
  dataConfig,
  cacheFolder,
  openTopologyData,
  defaultDeadlines,
  lossLimit,
  evaluationSequences,
  jobOf,
  precisionOf,
  addresses2 as addresses,
  lossValue,
  LocalModel,
  Generator,
  checkpointFolders,
  inlineHasher,
  openCheckpoint,
  latestCheckpoint,
  agentNode,
  workerNode,
  mountWorker,
  mountAgent,
  openReferenceDevice,
  loadDevice,
  tfjsExpert,
  createReferenceCodec,
  createMemoryNetwork,
  openZmqTransport,
  mailboxCapacityOf,
  createJobSystem,
  systemClock,
  openLogger,
  monotonicMs,
  partPaths,
  Recorder,
  listenAs
};
//# sourceMappingURL=chunk-YHPICGTS.js.map
