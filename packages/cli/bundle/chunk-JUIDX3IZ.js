import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/core/dist/device.js
var withoutQueue = /* @__PURE__ */ __name((device) => ({
  info: device.info,
  floats: /* @__PURE__ */ __name((length) => device.floats(length), "floats"),
  halves: /* @__PURE__ */ __name((length) => device.halves(length), "halves"),
  ints: /* @__PURE__ */ __name((length) => device.ints(length), "ints"),
  int64s: /* @__PURE__ */ __name((length) => device.int64s(length), "int64s"),
  bytes: /* @__PURE__ */ __name((length) => device.bytes(length), "bytes"),
  close: /* @__PURE__ */ __name(() => device.close(), "close")
}), "withoutQueue");

// packages/core/dist/errors.js
var TroupeError = class extends Error {
  static {
    __name(this, "TroupeError");
  }
  name = "TroupeError";
  code;
  retryable;
  details;
  constructor(code, message, options = {}) {
    super(message, options.cause === void 0 ? void 0 : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.details = options.details ?? {};
  }
};
var InvariantError = class extends TroupeError {
  static {
    __name(this, "InvariantError");
  }
  name = "InvariantError";
  constructor(message, details = {}) {
    super("TROUPE_INVARIANT", message, { details });
  }
};
var NotBuiltError = class extends TroupeError {
  static {
    __name(this, "NotBuiltError");
  }
  name = "NotBuiltError";
  constructor(what, hint) {
    super("TROUPE_NOT_BUILT", `${what} is not built yet; ${hint}`, { details: { what } });
  }
};
var DeadlineError = class extends TroupeError {
  static {
    __name(this, "DeadlineError");
  }
  name = "DeadlineError";
  constructor(message, details = {}) {
    super("TROUPE_DEADLINE", message, { retryable: true, details });
  }
};
function assert(condition, message, details) {
  if (!condition)
    throw new InvariantError(message, details);
}
__name(assert, "assert");
function serializeError(error, origin) {
  const base = error instanceof TroupeError ? { code: error.code, message: error.message, retryable: error.retryable, details: error.details } : {
    code: "TROUPE_UNKNOWN",
    message: error instanceof Error ? error.message : String(error),
    retryable: false,
    details: {}
  };
  return origin === void 0 ? base : { ...base, origin };
}
__name(serializeError, "serializeError");
function deserializeError(error) {
  const details = error.origin === void 0 ? error.details : { ...error.details, origin: error.origin };
  return new TroupeError(error.code, error.message, { retryable: error.retryable, details });
}
__name(deserializeError, "deserializeError");

// packages/core/dist/faults.js
var faultKinds = [
  {
    kind: "crash",
    aims: ["process", "actor"],
    meaning: "A process dies without a goodbye: peers see peer.lost after one latency (a closed connection). A machine dies with all its processes and its unsynced files: peers see peer.lost after the silence limit. An actor fails in its turn, with TROUPE_SIM_CRASH. A process or machine may be started again `restartAfterMs` later, at once by default; -1: never.",
    takes: ["restartAfterMs"]
  },
  {
    kind: "hang",
    aims: ["process"],
    meaning: "A process stands still (SIGSTOP, swapping): no turn, no timer, no completion. Beyond the silence limit peers see peer.lost; it then wakes as a zombie, which must be fenced by its incarnation.",
    takes: ["forMs"]
  },
  {
    kind: "slow",
    aims: ["device", "process"],
    meaning: "A straggler: kernels of the process take `factor` times as long.",
    takes: ["forMs", "factor"]
  },
  {
    kind: "skew",
    aims: ["process"],
    meaning: "The process's monotonic clock runs `factor` times as fast: deadlines and heartbeats come early or late.",
    takes: ["forMs", "factor"]
  },
  {
    kind: "nan",
    aims: ["device"],
    meaning: "The next backward kernels find a non-finite gradient leaf, once: the step is replayed with the same numbers.",
    takes: []
  },
  {
    kind: "drop",
    aims: ["link"],
    meaning: "A packet never arrives and nobody sends it again: the next one shows a gap, and the connection is lost.",
    takes: ["oneWay"]
  },
  {
    kind: "duplicate",
    aims: ["link"],
    meaning: "A packet comes twice: its number shows it, and the connection is lost. It is never delivered twice.",
    takes: ["oneWay"]
  },
  {
    kind: "corrupt",
    aims: ["link"],
    meaning: "Bits of a packet flip: its authentication (CURVE) shows it before anybody reads it, it counts as refused, and the connection is lost.",
    takes: ["oneWay"]
  },
  {
    kind: "delay",
    aims: ["link"],
    meaning: "Latency grows by `factor` times; order holds.",
    takes: ["forMs", "factor", "oneWay"]
  },
  {
    kind: "partition",
    aims: ["link", "process"],
    meaning: "Nothing passes, in one direction or both. Shorter than the silence limit it is a delay; longer, both ends see peer.lost, and no connection stands before it ends. On a process: all its links.",
    takes: ["forMs", "oneWay"]
  },
  {
    kind: "clog",
    aims: ["link", "process"],
    meaning: "Bandwidth falls to 1 / `factor`; heartbeats pass, so nothing is lost.",
    takes: ["forMs", "factor", "oneWay"]
  },
  {
    kind: "disk-full",
    aims: ["disk"],
    meaning: "Writes fail with TROUPE_STORAGE_FULL.",
    takes: ["forMs"]
  },
  {
    kind: "torn-write",
    aims: ["disk"],
    meaning: "The next file that is committed keeps only a part of its bytes, while the write reports success: whoever reads it must notice.",
    takes: []
  },
  {
    kind: "lost-unsynced",
    aims: ["disk"],
    meaning: "The machine loses power: names that were not synced with their folder are gone. Its processes crash.",
    takes: ["restartAfterMs"]
  },
  {
    kind: "bit-flip",
    aims: ["disk"],
    meaning: "The next read returns one flipped bit; the file itself is intact.",
    takes: []
  }
];
var DEFAULT_FAULT_MS = 1e3;
var DEFAULT_FAULT_FACTOR = 4;
var faultInfo = /* @__PURE__ */ __name((kind) => {
  const found = faultKinds.find((info) => info.kind === kind);
  assert(found, "a plan was validated", { kind });
  return found;
}, "faultInfo");
function ordinal(n) {
  const suffix = n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th";
  return `${n}${suffix}`;
}
__name(ordinal, "ordinal");
function describeFault(fault) {
  const { kind, target, atMs, atStep, when, forMs, restartAfterMs, factor, oneWay } = fault;
  const at = when === void 0 ? atStep === void 0 ? `at ${atMs ?? 0} ms` : `at step ${atStep}` : `when ${when.actor} is ${when.state}${when.times === void 0 || when.times === 1 ? "" : ` for the ${ordinal(when.times)} time`}`;
  const parts = [
    `${kind} ${target}${oneWay === true ? " one way" : ""} ${at}`,
    forMs === void 0 ? "" : `for ${forMs} ms`,
    factor === void 0 ? "" : `factor ${factor}`,
    restartAfterMs === void 0 ? "" : restartAfterMs < 0 ? "never restarts" : `restarts after ${restartAfterMs} ms`
  ];
  return parts.filter((part) => part !== "").join(", ");
}
__name(describeFault, "describeFault");

// packages/core/dist/ids.js
var address = /* @__PURE__ */ __name((name) => name, "address");
var nodeId = /* @__PURE__ */ __name((name) => name, "nodeId");

// packages/core/dist/kernel-calls.js
var GRADIENT_QUANTUM_LOG2 = -50;
var LOSS_QUANTUM_LOG2 = -36;
var NORM_QUANTUM_LOG2 = -80;
var GRADIENT_LEAF_LIMIT = 64;
var NORM_BLOCK = 1024;
var hiddenInputs = /* @__PURE__ */ __name((activation) => activation === "swiglu" ? 2 : 1, "hiddenInputs");

// packages/core/dist/kernel-cost.js
var I32 = 4;
var I64 = 8;
var SUM = 2 * I64;
function targetBytes(target) {
  if (target === void 0)
    return 0;
  if ("gradient" in target)
    return size(target.gradient);
  return target.begin === true ? I64 : SUM;
}
__name(targetBytes, "targetBytes");
var isReplaced = /* @__PURE__ */ __name((target) => "gradient" in target || target.begin === true, "isReplaced");
var size = /* @__PURE__ */ __name((array) => array.BYTES_PER_ELEMENT, "size");
var elements = /* @__PURE__ */ __name((arrays, count) => arrays.reduce((sum, array) => sum + (array === void 0 ? 0 : size(array) * count), 0), "elements");
function unknown(call) {
  throw new InvariantError(`a call has no cost: ${call.op}`);
}
__name(unknown, "unknown");
function seenPairs(call) {
  const { batch, seqLen, firstSeen_T } = call;
  let pairs = batch * seqLen * (seqLen + 1) / 2;
  if (firstSeen_T !== void 0)
    for (const first of firstSeen_T.subarray(0, batch * seqLen))
      pairs -= first;
  return pairs;
}
__name(seenPairs, "seenPairs");
function expertLoad(sources, numExperts) {
  let [rows, activeExperts] = [0, 0];
  for (let expert = 0; expert < numExperts; expert++) {
    let own = 0;
    for (const { counts_EG, numGrains } of sources)
      for (let grain = 0; grain < numGrains; grain++)
        own += counts_EG[expert * numGrains + grain] ?? 0;
    rows += own;
    if (own > 0)
      activeExperts++;
  }
  return { rows, activeExperts };
}
__name(expertLoad, "expertLoad");
function callCost(call) {
  switch (call.op) {
    case "fill":
      return { flops: 0, bytes: call.out.byteLength };
    case "copy":
      return { flops: 0, bytes: 2 * call.out.byteLength };
    case "embed.forward": {
      const tokens = call.ids_T.length;
      return {
        flops: 0,
        bytes: I32 * tokens + elements([call.table_VD, call.out_TD], tokens * call.dim)
      };
    }
    case "embed.backward": {
      const count = call.ids_T.length * call.dim;
      const table = "gradient" in call.tableSum ? call.tableSum.gradient.length : call.tableSum.values.length;
      const written = isReplaced(call.tableSum) ? table : count;
      return {
        flops: count,
        bytes: I32 * call.ids_T.length + size(call.dOut_TD) * count + targetBytes(call.tableSum) * written
      };
    }
    case "norm.forward": {
      const count = call.rows * call.groups * call.dim;
      const stats = call.rows * call.groups * (call.kind === "layer" ? 2 : 1);
      return {
        flops: (call.kind === "layer" ? 8 : 4) * count,
        bytes: elements([call.x.data, call.out.data], count) + elements([call.weight, call.bias], call.dim) + size(call.stats) * stats
      };
    }
    case "norm.backward": {
      const count = call.rows * call.groups * call.dim;
      const stats = call.rows * call.groups * (call.kind === "layer" ? 2 : 1);
      const dx = call.accumulate ? [call.dx.data, call.dx.data] : [call.dx.data];
      return {
        flops: (call.kind === "layer" ? 14 : 10) * count,
        bytes: elements([call.x.data, call.dOut.data, ...dx], count) + (size(call.weight) + targetBytes(call.weightSum) + targetBytes(call.biasSum)) * call.dim + size(call.stats) * stats
      };
    }
    case "linear.forward": {
      const { rows, inDim, outDim } = call;
      const start = call.accumulate === true ? call.out.data : call.residual?.data;
      return {
        flops: 2 * rows * inDim * outDim,
        bytes: size(call.x.data) * rows * inDim + size(call.weight) * inDim * outDim + elements([call.out.data, start], rows * outDim)
      };
    }
    case "linear.backward.input": {
      const { rows, inDim, outDim } = call;
      return {
        flops: 2 * rows * inDim * outDim,
        bytes: size(call.dOut.data) * rows * outDim + size(call.weight) * inDim * outDim + size(call.dx.data) * rows * inDim * (call.accumulate === true ? 2 : 1)
      };
    }
    case "linear.backward.weight": {
      const { rows, inDim, outDim } = call;
      return {
        flops: 2 * rows * inDim * outDim,
        bytes: size(call.dOut.data) * rows * outDim + size(call.x.data) * rows * inDim + targetBytes(call.weightSum) * inDim * outDim
      };
    }
    case "rope": {
      const count = call.rows * call.heads * call.headDim;
      return {
        flops: 3 * count,
        bytes: 2 * size(call.x.data) * count + elements([call.cos_S2, call.sin_S2], Math.min(call.rows, call.seqLen) * call.headDim / 2)
      };
    }
    case "attention.forward": {
      const tokens = call.batch * call.seqLen;
      const [own, shared] = [tokens * call.heads * call.headDim, tokens * call.kvHeads * call.headDim];
      return {
        // Two products a pair; the softmax is another four.
        flops: seenPairs(call) * call.heads * (4 * call.headDim + 4),
        bytes: elements([call.q.data, call.out.data], own) + elements([call.k.data, call.v.data], shared) + size(call.lse_TH) * tokens * call.heads
      };
    }
    case "attention.backward": {
      const tokens = call.batch * call.seqLen;
      const [own, shared] = [tokens * call.heads * call.headDim, tokens * call.kvHeads * call.headDim];
      return {
        // Five products a pair: scores again, dP, dQ, dK, dV; the softmax and its gradient are another six.
        flops: seenPairs(call) * call.heads * (10 * call.headDim + 6) + 2 * own,
        bytes: elements([call.q.data, call.out.data, call.dOut.data, call.dq.data], own) + elements([call.k.data, call.v.data, call.dk.data, call.dv.data], shared) + size(call.lse_TH) * tokens * call.heads
      };
    }
    case "gate.forward": {
      const [all, chosen] = [call.tokens * call.experts, call.tokens * call.topK];
      return {
        flops: 4 * all + (call.renormalise ? 2 * chosen : 0),
        bytes: elements([call.logits_TE, call.probs_TE], all) + elements([call.choices_TK, call.weights_TK], chosen)
      };
    }
    case "balance.forward": {
      const [all, chosen] = [call.tokens * call.experts, call.tokens * call.topK];
      return {
        flops: 4 * all,
        bytes: elements([call.logits_TE, call.probs_TE], all) + I32 * chosen + call.fractions_BE.byteLength
      };
    }
    case "gate.backward": {
      const [all, chosen] = [call.tokens * call.experts, call.tokens * call.topK];
      return {
        flops: 6 * all,
        bytes: elements([call.logits_TE, call.probs_TE, call.dLogits_TE], all) + elements([call.choices_TK, call.weights_TK, call.dWeights_TK], chosen) + call.fractions.byteLength
      };
    }
    case "route.plan":
      return { flops: 0, bytes: I32 * (5 * call.tokens * call.topK + call.counts_EG.length) };
    case "gather":
      return { flops: 0, bytes: I32 * call.rows + elements([call.x, call.out], call.rows * call.dim) };
    case "gather.scalars":
      return { flops: 0, bytes: I32 * call.count + elements([call.values, call.out], call.count) };
    case "combine": {
      const [count, chosen] = [call.tokens * call.dim, call.tokens * call.topK];
      const rows = call.parts.reduce((sum, part) => sum + part.rows, 0);
      return {
        flops: 2 * rows * call.dim,
        bytes: call.parts.reduce((sum, part) => sum + size(part.data) * part.rows * call.dim, 0) + elements([call.position_TK, call.weights_TK], chosen) + elements([call.base_TD, call.out_TD], count)
      };
    }
    case "combine.backward.weights": {
      const rows = call.parts.reduce((sum, part) => sum + part.rows, 0);
      return {
        flops: 2 * rows * call.dim,
        bytes: call.parts.reduce((sum, part) => sum + size(part.data) * part.rows * call.dim, 0) + elements([call.position_TK, call.dWeights_TK], call.tokens * call.topK) + size(call.dOut_TD) * call.tokens * call.dim
      };
    }
    case "experts.forward": {
      const { rows, activeExperts } = expertLoad(call.sources, call.experts);
      const inner = hiddenInputs(call.activation) * call.hidden;
      const [x, y] = [call.sources[0]?.x_UD, call.sources[0]?.y_ND];
      return {
        flops: 2 * rows * call.dim * (inner + call.hidden) + 4 * rows * call.hidden,
        bytes: elements([x, y, call.accumulate === true ? y : void 0], rows * call.dim) + elements([call.weights], activeExperts * call.dim * (inner + call.hidden)) + elements([call.saved], rows * inner)
      };
    }
    // What a layer of the user's computes is not known; its rows and weights are.
    case "expert-layer.forward": {
      const { rows } = expertLoad(call.sources, call.experts);
      const [x, y] = [call.sources[0]?.x_UD, call.sources[0]?.y_ND];
      return { flops: 0, bytes: elements([x, y], rows * call.dim) + call.weights.byteLength };
    }
    case "expert-layer.backward": {
      const { rows } = expertLoad(call.sources, call.experts);
      const source = call.sources[0];
      return {
        flops: 0,
        bytes: elements([source?.x_UD, source?.dOut_UD, source?.dx_ND], rows * call.dim) + call.weights.byteLength + targetBytes(call.weightSum) * call.weights.length
      };
    }
    case "experts.backward": {
      const { rows, activeExperts } = expertLoad(call.sources, call.experts);
      const writtenExperts = isReplaced(call.weightSum) ? call.experts : activeExperts;
      const inner = hiddenInputs(call.activation) * call.hidden;
      const [source] = call.sources;
      const dx = source?.dx_ND;
      return {
        flops: 4 * rows * call.dim * (inner + call.hidden) + 10 * rows * call.hidden,
        bytes: elements([source?.x_UD, source?.dOut_UD, dx, call.accumulate === true ? dx : void 0], rows * call.dim) + (size(call.weights) * activeExperts + targetBytes(call.weightSum) * writtenExperts) * call.dim * (inner + call.hidden) + size(call.saved) * rows * inner
      };
    }
    case "head.loss": {
      const { tokens, dim, vocab } = call;
      const isTraining = call.dx_TD !== void 0;
      return {
        flops: 2 * tokens * dim * vocab * (isTraining ? 3 : 1) + (isTraining ? 5 : 3) * tokens * vocab,
        bytes: elements([call.x_TD, call.dx_TD], tokens * dim) + (size(call.head_VD) + targetBytes(call.headSum)) * dim * vocab + elements([call.targets_T, call.loss_T], tokens)
      };
    }
    case "sum.add":
      return { flops: 0, bytes: (SUM + I64) * call.other.length };
    case "sum.reset":
      return { flops: 0, bytes: I64 * call.sum.values.length };
    case "sum.read":
      return { flops: call.sum.length, bytes: (I64 + size(call.out)) * call.sum.length };
    case "sum.squares":
      return { flops: 3 * call.gradient.length, bytes: size(call.gradient) * call.gradient.length };
    case "adamw": {
      const count = call.weights.length;
      return {
        flops: 16 * count,
        bytes: elements([call.gradient, call.weights, call.out, call.m, call.m, call.v, call.v], count)
      };
    }
    default:
      return unknown(call);
  }
}
__name(callCost, "callCost");
function callShape(call) {
  return `${sizesOf(call)}${"precision" in call && call.precision === "bf16" ? ", bf16" : ""}`;
}
__name(callShape, "callShape");
function sizesOf(call) {
  switch (call.op) {
    case "fill":
    case "copy":
      return `${call.out.length}`;
    case "embed.forward":
    case "embed.backward":
      return `${call.ids_T.length}\xD7${call.dim}`;
    case "norm.forward":
    case "norm.backward":
      return `${call.rows}\xD7${call.groups === 1 ? "" : `${call.groups}\xD7`}${call.dim}`;
    case "linear.forward":
    case "linear.backward.input":
    case "linear.backward.weight":
      return `${call.rows}\xD7${call.inDim}\u2192${call.outDim}`;
    case "rope":
      return `${call.rows}\xD7${call.heads}\xD7${call.headDim}`;
    case "attention.forward":
    case "attention.backward":
      return `${call.batch}\xD7${call.seqLen}, ${call.heads}/${call.kvHeads} heads of ${call.headDim}`;
    case "gate.forward":
    case "balance.forward":
    case "gate.backward":
    case "route.plan":
      return `${call.tokens}\xD7${call.experts} top ${call.topK}`;
    case "gather":
      return `rows of ${call.dim}`;
    case "gather.scalars":
      return "scalars";
    case "combine":
    case "combine.backward.weights":
      return `${call.tokens}\xD7${call.topK} of ${call.dim}`;
    case "expert-layer.forward":
    case "expert-layer.backward":
      return `${call.layer.name}: ${call.experts} \xD7 ${call.dim}`;
    case "experts.forward":
    case "experts.backward":
      return `${call.experts} \xD7 ${call.dim}\u2192${call.hidden}`;
    case "head.loss":
      return `${call.tokens}\xD7${call.dim}\u2192${call.vocab}`;
    case "sum.add":
      return `${call.other.length}`;
    case "sum.reset":
      return `${call.sum.values.length}`;
    case "sum.read":
      return `${call.sum.length}`;
    case "sum.squares":
      return `${call.gradient.length}`;
    case "adamw":
      return `${call.weights.length}`;
    default:
      return unknown(call);
  }
}
__name(sizesOf, "sizesOf");

// packages/core/dist/logger.js
var nothing = /* @__PURE__ */ __name(() => {
}, "nothing");
var silentLogger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: /* @__PURE__ */ __name(() => silentLogger, "child")
};

// packages/core/dist/storage-errors.js
var StorageFullError = class extends TroupeError {
  static {
    __name(this, "StorageFullError");
  }
  name = "StorageFullError";
  constructor(path, options = {}) {
    super("TROUPE_STORAGE_FULL", `no room left to write '${path}'; free space, raise the quota, then resume`, {
      ...options,
      retryable: true,
      details: { path, ...options.details }
    });
  }
};
var StorageMissingError = class extends TroupeError {
  static {
    __name(this, "StorageMissingError");
  }
  name = "StorageMissingError";
  constructor(path, options = {}) {
    super("TROUPE_STORAGE_MISSING", `'${path}' does not exist`, {
      ...options,
      details: { path, ...options.details }
    });
  }
};
var StorageDeniedError = class extends TroupeError {
  static {
    __name(this, "StorageDeniedError");
  }
  name = "StorageDeniedError";
  constructor(path, reason, options = {}) {
    super("TROUPE_STORAGE_DENIED", `access to '${path}' is denied: ${reason}`, {
      ...options,
      details: { path, reason, ...options.details }
    });
  }
};
var StorageFailedError = class extends TroupeError {
  static {
    __name(this, "StorageFailedError");
  }
  name = "StorageFailedError";
  constructor(path, reason, options = {}) {
    super("TROUPE_STORAGE_FAILED", `'${path}': ${reason}`, {
      ...options,
      details: { path, reason, ...options.details }
    });
  }
};

// packages/core/dist/storage-path.js
function storagePath(path) {
  if (path.startsWith("/") || path.includes("\\") || path.includes("\0")) {
    throw new StorageDeniedError(path, "a storage path is relative, with / between names");
  }
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes(".."))
    throw new StorageDeniedError(path, "it leaves the root of the storage");
  return names.join("/");
}
__name(storagePath, "storagePath");
function parentFolder(path) {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}
__name(parentFolder, "parentFolder");

// packages/core/dist/memory-storage.js
var cloneTree = /* @__PURE__ */ __name((tree) => ({ files: new Map(tree.files), folders: new Set(tree.folders) }), "cloneTree");
var isInside = /* @__PURE__ */ __name((path, folder) => folder === "" || path.startsWith(`${folder}/`), "isInside");
var MemoryStorage = class _MemoryStorage {
  static {
    __name(this, "MemoryStorage");
  }
  #visible;
  #durable;
  #options;
  #unsynced = [];
  #capacityBytes;
  #pendingBytes = 0;
  constructor(options = {}, tree) {
    this.#visible = tree === void 0 ? { files: /* @__PURE__ */ new Map(), folders: /* @__PURE__ */ new Set([""]) } : cloneTree(tree);
    this.#durable = cloneTree(this.#visible);
    this.#options = options;
    this.#capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  }
  /** Bytes held now, files being written included. */
  get usedBytes() {
    let sum = this.#pendingBytes;
    for (const bytes of this.#visible.files.values())
      sum += bytes.byteLength;
    return sum;
  }
  /** Changes of names that a loss of power may still undo. */
  get numUnsynced() {
    return this.#unsynced.length;
  }
  /** Paths of all files, sorted. */
  get paths() {
    return [...this.#visible.files.keys()].sort();
  }
  setCapacity(capacityBytes) {
    this.#capacityBytes = capacityBytes;
  }
  /** Turns over bit `bitIndex` (0 is the lowest bit of the first byte) of a file, for good. */
  flipBit(path, bitIndex) {
    const bytes = this.#file(storagePath(path));
    const byteIndex = Math.floor(bitIndex / 8);
    if (byteIndex >= bytes.byteLength)
      throw new StorageFailedError(path, `has no bit ${bitIndex}`);
    bytes[byteIndex] = (bytes[byteIndex] ?? 0) ^ 1 << bitIndex % 8;
  }
  /** Cuts a file to its first `lengthBytes` bytes, as a torn write does. */
  tear(path, lengthBytes) {
    const whole = this.#file(storagePath(path));
    const kept = whole.slice(0, lengthBytes);
    for (const { files } of [this.#visible, this.#durable]) {
      for (const [name, bytes] of files)
        if (bytes === whole)
          files.set(name, kept);
    }
  }
  /**
   * The disk after a loss of power: files being written are gone, and of the unsynced changes of names only the
   * first `keptChanges` (0 … numUnsynced, default 0) happened. This storage goes on as if nothing had been.
   */
  crash(keptChanges = 0, options = {}) {
    const tree = cloneTree(this.#durable);
    for (const change of this.#unsynced.slice(0, keptChanges))
      change.apply(tree);
    for (const [path, bytes] of tree.files)
      tree.files.set(path, bytes.slice());
    return new _MemoryStorage(options, tree);
  }
  async create(path) {
    const name = storagePath(path);
    return this.#do("create", name, () => {
      this.#folder(parentFolder(name));
      if (this.#visible.folders.has(name))
        throw new StorageFailedError(path, "is a folder");
      return this.#pendingFile(name);
    });
  }
  async writeAtomic(path, bytes) {
    const file = await this.create(path);
    try {
      await file.write(bytes);
      await file.commit();
    } catch (error) {
      await file.abort();
      throw error;
    }
  }
  async read(path, range) {
    const name = storagePath(path);
    return this.#do("read", name, () => {
      const bytes = this.#file(name);
      const { offset, lengthBytes } = range ?? { offset: 0, lengthBytes: bytes.byteLength };
      if (offset + lengthBytes > bytes.byteLength) {
        throw new StorageFailedError(path, `ends at byte ${bytes.byteLength}, before ${offset + lengthBytes}`);
      }
      return bytes.slice(offset, offset + lengthBytes);
    });
  }
  async sizeBytes(path) {
    return this.#file(storagePath(path)).byteLength;
  }
  async list(folder) {
    const name = storagePath(folder);
    this.#folder(name);
    const all = [...this.#visible.files.keys(), ...this.#visible.folders];
    const inside = all.filter((path) => path !== "" && parentFolder(path) === name);
    return inside.map((path) => path.slice(name === "" ? 0 : name.length + 1)).sort();
  }
  async exists(path) {
    const name = storagePath(path);
    return this.#visible.files.has(name) || this.#visible.folders.has(name);
  }
  async makeFolder(folder) {
    const name = storagePath(folder);
    this.#do("make-folder", name, () => {
      const missing = [];
      for (let at = name; !this.#visible.folders.has(at); at = parentFolder(at)) {
        if (this.#visible.files.has(at))
          throw new StorageFailedError(at, "is a file, not a folder");
        missing.unshift(at);
      }
      for (const at of missing) {
        this.#change([parentFolder(at)], (tree) => {
          tree.folders.add(at);
        });
      }
    });
  }
  async rename(from, to) {
    const [source, target] = [storagePath(from), storagePath(to)];
    this.#do("rename", target, () => {
      const isFolder = this.#visible.folders.has(source);
      if (!isFolder)
        this.#file(source);
      this.#folder(parentFolder(target));
      if (source === target)
        return;
      if (isFolder && isInside(target, source))
        throw new StorageFailedError(to, `lies inside '${from}'`);
      const children = [...this.#visible.files.keys(), ...this.#visible.folders];
      const isInTheWay = isFolder ? this.#visible.files.has(target) || children.some((path) => path !== "" && isInside(path, target)) : this.#visible.folders.has(target);
      if (isInTheWay)
        throw new StorageFailedError(to, `exists, '${from}' cannot take its place`);
      this.#change([parentFolder(source), parentFolder(target)], (tree) => moveInTree(tree, source, target));
    });
  }
  async remove(path) {
    const name = storagePath(path);
    this.#do("remove", name, () => {
      if (!this.#visible.files.has(name) && !this.#visible.folders.has(name))
        return;
      this.#change([parentFolder(name)], (tree) => {
        tree.files.delete(name);
        tree.folders.delete(name);
        for (const file of tree.files.keys())
          if (isInside(file, name))
            tree.files.delete(file);
        for (const folder of tree.folders)
          if (isInside(folder, name) && folder !== "")
            tree.folders.delete(folder);
        tree.folders.add("");
      });
    });
  }
  async syncFolder(folder) {
    const name = storagePath(folder);
    this.#do("sync-folder", name, () => {
      this.#folder(name);
      this.#sync(name);
    });
  }
  #do(kind, path, act) {
    this.#options.before?.({ kind, path });
    const result = act();
    this.#options.after?.({ kind, path });
    return result;
  }
  #file(name) {
    const bytes = this.#visible.files.get(name);
    if (bytes !== void 0)
      return bytes;
    if (this.#visible.folders.has(name))
      throw new StorageFailedError(name, "is a folder, not a file");
    throw new StorageMissingError(name);
  }
  #folder(name) {
    if (this.#visible.folders.has(name))
      return;
    if (this.#visible.files.has(name))
      throw new StorageFailedError(name, "is a file, not a folder");
    throw new StorageMissingError(name);
  }
  #change(folders, apply) {
    apply(this.#visible);
    this.#unsynced.push({ folders, apply });
  }
  #sync(folder) {
    const last = this.#unsynced.findLastIndex((change) => change.folders.includes(folder));
    for (const change of this.#unsynced.splice(0, last + 1))
      change.apply(this.#durable);
  }
  #pendingFile(name) {
    let chunks = [];
    let sizeBytes = 0;
    let isOpen = true;
    let isTorn = false;
    const close = /* @__PURE__ */ __name(() => {
      this.#pendingBytes -= sizeBytes;
      chunks = [];
      isOpen = false;
    }, "close");
    const write = /* @__PURE__ */ __name((chunk) => {
      if (!isOpen)
        throw new StorageFailedError(name, "is already committed or aborted");
      const room = this.#capacityBytes - this.usedBytes;
      const part = chunk.slice(0, Math.max(0, room));
      chunks.push(part);
      sizeBytes += part.byteLength;
      this.#pendingBytes += part.byteLength;
      if (part.byteLength < chunk.byteLength) {
        isTorn = true;
        throw new StorageFullError(name);
      }
    }, "write");
    const commit = /* @__PURE__ */ __name(() => {
      if (!isOpen)
        throw new StorageFailedError(name, "is already committed or aborted");
      if (isTorn)
        throw new StorageFailedError(name, "an earlier write failed, so it cannot be committed");
      this.#folder(parentFolder(name));
      const bytes = new Uint8Array(sizeBytes);
      let at = 0;
      for (const chunk of chunks) {
        bytes.set(chunk, at);
        at += chunk.byteLength;
      }
      close();
      this.#change([parentFolder(name)], (tree) => {
        tree.files.set(name, bytes);
      });
      this.#sync(parentFolder(name));
    }, "commit");
    return {
      write: /* @__PURE__ */ __name(async (chunk) => this.#do("write", name, () => write(chunk)), "write"),
      commit: /* @__PURE__ */ __name(async () => this.#do("commit", name, commit), "commit"),
      abort: /* @__PURE__ */ __name(async () => {
        if (isOpen)
          this.#do("abort", name, close);
      }, "abort")
    };
  }
};
function moveInTree(tree, source, target) {
  const moved = /* @__PURE__ */ __name((path) => target + path.slice(source.length), "moved");
  for (const [path, bytes] of tree.files) {
    if (path !== source && !isInside(path, source))
      continue;
    tree.files.delete(path);
    tree.files.set(moved(path), bytes);
  }
  for (const folder of tree.folders) {
    if (folder !== source && !isInside(folder, source))
      continue;
    tree.folders.delete(folder);
    tree.folders.add(moved(folder));
  }
}
__name(moveInTree, "moveInTree");
function memoryStorage(options = {}) {
  return new MemoryStorage(options);
}
__name(memoryStorage, "memoryStorage");

// packages/core/dist/prng.js
var PHILOX_M0 = 3528531795;
var PHILOX_M1 = 3449720151;
var PHILOX_W0 = 2654435769;
var PHILOX_W1 = 3144134277;
function mulHiLo(a, b) {
  const aHi = a >>> 16;
  const aLo = a & 65535;
  const bHi = b >>> 16;
  const bLo = b & 65535;
  const low = aLo * bLo;
  const mid = aHi * bLo + (low >>> 16);
  const mid2 = aLo * bHi + (mid & 65535);
  const hi = aHi * bHi + Math.floor(mid / 65536) + (mid2 >>> 16);
  return [hi >>> 0, Math.imul(a, b) >>> 0];
}
__name(mulHiLo, "mulHiLo");
function philox4x32(counter, key) {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [hi0, lo0] = mulHiLo(PHILOX_M0, c0 >>> 0);
    const [hi1, lo1] = mulHiLo(PHILOX_M1, c2 >>> 0);
    c0 = (hi1 ^ c1 ^ k0) >>> 0;
    c1 = lo1;
    c2 = (hi0 ^ c3 ^ k1) >>> 0;
    c3 = lo0;
    k0 = k0 + PHILOX_W0 >>> 0;
    k1 = k1 + PHILOX_W1 >>> 0;
  }
  return [c0, c1, c2, c3];
}
__name(philox4x32, "philox4x32");
function hashName(name) {
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    hash = Math.imul(hash ^ unit & 255, 16777619);
    hash = Math.imul(hash ^ unit >>> 8, 16777619);
  }
  return hash >>> 0;
}
__name(hashName, "hashName");
function philoxKey(seed, purpose) {
  assert(Number.isSafeInteger(seed) && seed >= 0, "a seed is a non-negative safe integer", { seed });
  const high = Math.floor(seed / 4294967296);
  return [seed >>> 0, (hashName(purpose) ^ Math.imul(high, 2654435761)) >>> 0];
}
__name(philoxKey, "philoxKey");
function prng(drawKey) {
  const key = philoxKey(drawKey.seed, drawKey.purpose);
  const step = (drawKey.step ?? 0) >>> 0;
  const place = (Math.imul((drawKey.layer ?? 0) + 1, 2246822507) ^ Math.imul((drawKey.position ?? 0) + 1, 3266489909)) >>> 0;
  const sequence = (drawKey.sequence ?? 0) >>> 0;
  let block = -1;
  let words = [0, 0, 0, 0];
  const bits = /* @__PURE__ */ __name((index) => {
    const wanted = Math.floor(index / 4);
    if (wanted !== block) {
      words = philox4x32([wanted >>> 0, step, place, sequence], key);
      block = wanted;
    }
    return words[index & 3] ?? 0;
  }, "bits");
  return {
    bits,
    uniform: /* @__PURE__ */ __name((index) => bits(index) / 4294967296, "uniform"),
    integer: /* @__PURE__ */ __name((index, bound) => Math.floor(bits(index) / 4294967296 * bound), "integer")
  };
}
__name(prng, "prng");

// packages/core/dist/tensor.js
var dtypeBytes = { f32: 4, bf16: 2, f64: 8, i32: 4, u8: 1, i64: 8 };
function dtypeOf(array) {
  if (array instanceof Float32Array)
    return "f32";
  if (array instanceof Float64Array)
    return "f64";
  if (array instanceof Uint16Array)
    return "bf16";
  if (array instanceof Int32Array)
    return "i32";
  if (array instanceof BigInt64Array)
    return "i64";
  return "u8";
}
__name(dtypeOf, "dtypeOf");

export {
  withoutQueue,
  TroupeError,
  InvariantError,
  NotBuiltError,
  DeadlineError,
  assert,
  serializeError,
  deserializeError,
  faultKinds,
  DEFAULT_FAULT_MS,
  DEFAULT_FAULT_FACTOR,
  faultInfo,
  describeFault,
  address,
  nodeId,
  GRADIENT_QUANTUM_LOG2,
  LOSS_QUANTUM_LOG2,
  NORM_QUANTUM_LOG2,
  GRADIENT_LEAF_LIMIT,
  NORM_BLOCK,
  hiddenInputs,
  callCost,
  callShape,
  silentLogger,
  StorageFullError,
  StorageMissingError,
  StorageDeniedError,
  StorageFailedError,
  storagePath,
  parentFolder,
  MemoryStorage,
  memoryStorage,
  philox4x32,
  hashName,
  philoxKey,
  prng,
  dtypeBytes,
  dtypeOf
};
//# sourceMappingURL=chunk-JUIDX3IZ.js.map
