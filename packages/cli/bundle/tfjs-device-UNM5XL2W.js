import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  DeviceUnavailableError,
  KernelFailedError,
  KernelRangeError,
  KernelShapeError
} from "./chunk-J3KKUFZH.js";
import {
  NotBuiltError
} from "./chunk-JUIDX3IZ.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// kernels/dist/tfjs/tfjs-device.js
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";

// kernels/dist/tfjs/bf16-refused.js
var bf16Refused = /* @__PURE__ */ __name(() => new NotBuiltError("precision bf16 on TensorFlow.js", "choose device native, or train.precision f32, which every body computes"), "bf16Refused");

// kernels/dist/tfjs/written-arguments.js
var writtenArguments = {
  fill: ["out"],
  copy: ["out"],
  "embed.forward": ["out_TD"],
  "embed.backward": ["tableSum"],
  "norm.forward": ["out", "stats"],
  "norm.backward": ["dx", "weightSum", "biasSum"],
  "linear.forward": ["out"],
  "linear.backward.input": ["dx"],
  "linear.backward.weight": ["weightSum"],
  rope: ["x"],
  "attention.forward": ["out", "lse_TH"],
  "attention.backward": ["dq", "dk", "dv"],
  "gate.forward": ["probs_TE", "choices_TK", "weights_TK"],
  "balance.forward": ["fractions_BE", "lossSums", "counts_E", "probSums_E"],
  "gate.backward": ["dLogits_TE"],
  "route.plan": [
    "counts_EG",
    "position_TK",
    "slots_N",
    "choiceOfRow_N",
    "rankTokens",
    "numTokens_R",
    "numRows_R"
  ],
  gather: ["out"],
  "gather.scalars": ["out"],
  combine: ["out_TD"],
  "combine.backward.weights": ["dWeights_TK"],
  "experts.forward": ["y_ND", "saved"],
  "experts.backward": ["dx_ND", "weightSum"],
  "expert-layer.forward": ["y_ND"],
  "expert-layer.backward": ["dx_ND", "weightSum"],
  "head.loss": ["loss_T", "lossSum", "dx_TD", "headSum"],
  "sum.add": ["sum"],
  "sum.reset": ["sum"],
  "sum.read": ["out"],
  "sum.squares": ["norm128"],
  adamw: ["out", "m", "v"]
};

// kernels/dist/tfjs/shared-list.js
var SharedList = class {
  static {
    __name(this, "SharedList");
  }
  /** Private buffers that the list reads or writes … */
  touched = /* @__PURE__ */ new Map();
  /** … and those that it writes. */
  written = /* @__PURE__ */ new Set();
  #calls;
  #results = [];
  constructor(calls) {
    this.#calls = calls;
    for (const call of calls)
      this.#look(call, outputsOf(call), false);
  }
  /** The calls with every array in shared memory; copies the private ones now. */
  prepare() {
    if (this.touched.size === 0)
      return this.#calls;
    return this.#calls.map((call) => this.#share(call, outputsOf(call), false));
  }
  /** Brings what the list wrote back to the caller's own arrays. */
  finish() {
    for (const { own, shared } of this.#results)
      bytesOf(own).set(bytesOf(shared));
    this.#results.length = 0;
  }
  /** Finds private arrays; the bytes of one buffer are copied as one, since views may overlap. */
  #look(value, outputs, isOutput) {
    if (typeof value !== "object" || value === null)
      return;
    if (ArrayBuffer.isView(value)) {
      if (value.buffer instanceof SharedArrayBuffer)
        return;
      const end = value.byteOffset + value.byteLength;
      const first = value.byteOffset - value.byteOffset % 8;
      const known = this.touched.get(value.buffer);
      if (known === void 0)
        this.touched.set(value.buffer, { first, end, shared: null });
      else {
        known.first = Math.min(known.first, first);
        known.end = Math.max(known.end, end);
      }
      if (isOutput)
        this.written.add(value.buffer);
      return;
    }
    for (const [name, inner] of Object.entries(value))
      this.#look(inner, outputs, isOutput || outputs.includes(name));
  }
  #share(value, outputs, isOutput) {
    if (typeof value !== "object" || value === null)
      return value;
    if (ArrayBuffer.isView(value))
      return value.buffer instanceof SharedArrayBuffer ? value : this.#shareView(value, isOutput);
    if (Array.isArray(value))
      return value.map((inner) => this.#share(inner, outputs, isOutput));
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [
      name,
      this.#share(inner, outputs, isOutput || outputs.includes(name))
    ]));
  }
  #shareView(own, isOutput) {
    const range = this.touched.get(own.buffer);
    if (range.shared === null) {
      range.shared = new SharedArrayBuffer(range.end - range.first);
      const bytes = new Uint8Array(own.buffer, range.first, range.end - range.first);
      new Uint8Array(range.shared).set(bytes);
    }
    const View = own.constructor;
    const shared = new View(range.shared, own.byteOffset - range.first, own.length);
    if (isOutput)
      this.#results.push({ own, shared });
    return shared;
  }
};
var bytesOf = /* @__PURE__ */ __name(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength), "bytesOf");
function outputsOf(call) {
  const op = call?.op;
  return typeof op === "string" && Object.hasOwn(writtenArguments, op) ? writtenArguments[op] : [];
}
__name(outputsOf, "outputsOf");

// kernels/dist/tfjs/tensorflow-environment.js
import { homedir } from "node:os";
import { join } from "node:path";
var TFJS_NODE_VERSION = "4.22.0";
var LIBTENSORFLOW_VERSION = "2.15.1";
function builtTensorflowFolder(env = process.env) {
  const cache = env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const build = `tfjs-node-${TFJS_NODE_VERSION}-libtensorflow-${LIBTENSORFLOW_VERSION}-${process.platform}-${process.arch}`;
  return env["TROUPE_TENSORFLOW"] ?? join(cache, "troupe", build);
}
__name(builtTensorflowFolder, "builtTensorflowFolder");
function setTensorflowEnvironment(threads, env = process.env) {
  env["TF_CPP_MIN_LOG_LEVEL"] ??= "2";
  env["TF_NUM_INTRAOP_THREADS"] ??= String(threads);
  env["TF_NUM_INTEROP_THREADS"] ??= "1";
  return Number(env["TF_NUM_INTRAOP_THREADS"]);
}
__name(setTensorflowEnvironment, "setTensorflowEnvironment");

// kernels/dist/tfjs/tfjs-device.js
var PACKAGES = ["@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-wasm", "@tensorflow/tfjs-backend-cpu"];
function errorOf({ code, message, details }) {
  switch (code) {
    case "TROUPE_KERNEL_SHAPE":
      return new KernelShapeError(message, details);
    case "TROUPE_KERNEL_RANGE":
      return new KernelRangeError(message, details);
    case "TROUPE_NOT_BUILT":
      return bf16Refused();
    default:
      return new KernelFailedError(message, { details });
  }
}
__name(errorOf, "errorOf");
var closedError = /* @__PURE__ */ __name(() => new KernelFailedError("the device is closed; open another one"), "closedError");
var TfjsDevice = class {
  static {
    __name(this, "TfjsDevice");
  }
  info;
  #worker;
  #waiting = [];
  #running = [];
  #ended;
  #closed = false;
  #broken = null;
  #drained;
  constructor(worker, info) {
    this.#worker = worker;
    this.info = info;
    worker.on("message", (message) => this.#receive(message));
    worker.on("error", (cause) => this.#break(`the worker thread failed: ${cause.message}`, cause));
    this.#ended = new Promise((resolve) => {
      worker.once("exit", () => {
        this.#break("the worker thread has ended");
        resolve();
      });
    });
    worker.unref();
  }
  floats(length) {
    return new Float32Array(new SharedArrayBuffer(length * 4));
  }
  halves(length) {
    return new Uint16Array(new SharedArrayBuffer(length * 2));
  }
  ints(length) {
    return new Int32Array(new SharedArrayBuffer(length * 4));
  }
  int64s(length) {
    return new BigInt64Array(new SharedArrayBuffer(length * 8));
  }
  bytes(length) {
    return new Uint8Array(new SharedArrayBuffer(length));
  }
  submit(calls, done) {
    const refusal = this.#closed ? closedError() : this.#broken;
    if (refusal !== null) {
      setImmediate(() => done({ error: refusal, kernelMs: 0 }));
      return;
    }
    if (this.#running.length === 0)
      this.#worker.ref();
    this.#waiting.push({ list: new SharedList(calls), done });
    this.#send();
  }
  async close() {
    if (!this.#closed) {
      this.#closed = true;
      if (this.#running.length > 0)
        await new Promise((resolve) => this.#drained = resolve);
      this.#worker.ref();
      if (this.#broken === null)
        this.#post({ kind: "thread.end" });
    }
    await this.#ended;
  }
  /** Sends as many lists as may go; with none under way the first one always may. */
  #send() {
    for (; ; ) {
      const next = this.#waiting[0];
      if (next === void 0)
        return;
      const touched = [...next.list.touched.keys()];
      if (this.#running.some(({ list }) => touched.some((buffer) => list.written.has(buffer))))
        return;
      this.#waiting.shift();
      this.#running.push(next);
      try {
        this.#post({ kind: "list.run", calls: next.list.prepare() });
      } catch (error) {
        const message = `the list cannot be sent: ${error instanceof Error ? error.message : String(error)}`;
        this.#post({ kind: "list.refuse", message });
      }
    }
  }
  #post(message) {
    this.#worker.postMessage(message, []);
  }
  #receive(message) {
    if (message.kind !== "list.completed")
      return;
    const first = this.#running.shift();
    if (first === void 0)
      return;
    first.list.finish();
    this.#send();
    if (this.#running.length === 0) {
      this.#worker.unref();
      this.#drained?.();
    }
    first.done({ error: message.error && errorOf(message.error), kernelMs: message.kernelMs });
  }
  /** The thread is gone: everything outstanding completes with the reason, later. */
  #break(message, cause) {
    if (this.#broken !== null)
      return;
    const error = new KernelFailedError(message, { cause });
    this.#broken = error;
    const outstanding = [...this.#running.splice(0), ...this.#waiting.splice(0)];
    for (const { done } of outstanding)
      setImmediate(() => done({ error, kernelMs: 0 }));
    this.#drained?.();
  }
};
function firstMessage(worker) {
  return new Promise((resolve, reject) => {
    const settle = /* @__PURE__ */ __name(() => {
      worker.off("error", fail);
      worker.off("exit", fail);
    }, "settle");
    const fail = /* @__PURE__ */ __name((cause) => {
      settle();
      reject(new DeviceUnavailableError("the TensorFlow.js worker thread ended before it was ready", { cause }));
    }, "fail");
    worker.once("error", fail);
    worker.once("exit", fail);
    worker.once("message", (message) => {
      settle();
      resolve(message);
    });
  });
}
__name(firstMessage, "firstMessage");
async function tfjsAvailability() {
  const require2 = createRequire(new URL("../../../kernels/dist/tfjs/tfjs-device.js", import.meta.url).href);
  const missing = PACKAGES.filter((name) => {
    try {
      require2.resolve(name);
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length > 0)
    return { available: false, reason: `not installed: ${missing.join(", ")}` };
  return { available: true, reason: "TensorFlow.js is installed" };
}
__name(tfjsAvailability, "tfjsAvailability");
async function openTfjsDevice({ threads = 1, backend = "auto", tensorflowFolder = builtTensorflowFolder() } = {}) {
  const workerData = { backend, tensorflowFolder };
  const processThreads = setTensorflowEnvironment(threads);
  const worker = new Worker(new URL("./tfjs-worker.js", new URL("../../../kernels/dist/tfjs/tfjs-device.js", import.meta.url).href), {
    workerData,
    name: "tfjs",
    // The process's own flags may be ones that a thread refuses.
    execArgv: []
  });
  const opened = await firstMessage(worker);
  if (opened.kind !== "backend.opened") {
    const reason = opened.kind === "backend.failed" ? opened.reason : opened.kind;
    await worker.terminate();
    throw new DeviceUnavailableError(`no TensorFlow.js backend starts: ${reason}`, { details: { backend } });
  }
  const isNode = opened.backend === "tfjs-node" || opened.backend === "tfjs-node-gpu";
  const uses = isNode ? processThreads : 1;
  const more = uses === threads ? "" : `; of ${threads} threads asked for it uses ${uses}`;
  return new TfjsDevice(worker, {
    body: "tfjs",
    name: `tfjs ${opened.name}`,
    reason: `${opened.reason}${more}`,
    threads: uses,
    dtype: "f32",
    layoutFree: false
  });
}
__name(openTfjsDevice, "openTfjsDevice");
export {
  openTfjsDevice,
  tfjsAvailability
};
//# sourceMappingURL=tfjs-device-UNM5XL2W.js.map
