import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  DeviceUnavailableError,
  KernelFailedError,
  KernelRangeError,
  KernelShapeError
} from "./chunk-J3KKUFZH.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// kernels/dist/native/addon.js
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
function load() {
  const path = fileURLToPath(new URL("../../native/build/troupe_native.node", new URL("../../../kernels/dist/native/addon.js", import.meta.url).href));
  try {
    return { addon: createRequire(new URL("../../../kernels/dist/native/addon.js", import.meta.url).href)(path) };
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n", 1)[0] ?? "" : String(error);
    return { reason: `the native addon cannot be loaded (${why}); run npm run build:native` };
  }
}
__name(load, "load");
var loaded;
function loadAddon() {
  loaded ??= load();
  return loaded;
}
__name(loadAddon, "loadAddon");

// kernels/dist/native/native-device.js
function errorOf(code, message) {
  switch (code) {
    case "":
      return null;
    case "TROUPE_KERNEL_SHAPE":
      return new KernelShapeError(message);
    case "TROUPE_KERNEL_RANGE":
      return new KernelRangeError(message);
    default:
      return new KernelFailedError(message);
  }
}
__name(errorOf, "errorOf");
var closedError = /* @__PURE__ */ __name(() => new KernelFailedError("the device is closed; open another one"), "closedError");
var NativeDevice = class {
  static {
    __name(this, "NativeDevice");
  }
  info;
  #addon;
  #queue;
  #outstanding = 0;
  #closed = false;
  #timesCalls = false;
  #drained;
  constructor(addon, options) {
    this.#addon = addon;
    this.#queue = new addon.NativeQueue(options.threads, options.isa ?? "auto");
    const { isa } = this.#queue;
    this.info = {
      body: "native",
      name: `native ${isa}, ${options.threads} ${options.threads === 1 ? "thread" : "threads"}`,
      reason: options.isa === void 0 || options.isa === "auto" ? `${isa} is the best instruction set that this CPU and build share` : `${isa} was asked for`,
      threads: options.threads,
      dtype: "f32",
      layoutFree: true
    };
  }
  floats(length) {
    return new Float32Array(this.#addon.allocate(length * 4));
  }
  halves(length) {
    return new Uint16Array(this.#addon.allocate(length * 2));
  }
  ints(length) {
    return new Int32Array(this.#addon.allocate(length * 4));
  }
  int64s(length) {
    return new BigInt64Array(this.#addon.allocate(length * 8));
  }
  bytes(length) {
    return new Uint8Array(this.#addon.allocate(length));
  }
  submit(calls, done) {
    if (this.#closed) {
      queueMicrotask(() => done({ error: closedError(), kernelMs: 0 }));
      return;
    }
    this.#outstanding++;
    this.#queue.submit(calls, this.#timesCalls, (code, message, kernelMs, callTimes) => {
      this.#outstanding--;
      if (this.#outstanding === 0)
        this.#drained?.();
      done({
        error: errorOf(code, message),
        kernelMs,
        ...callTimes === void 0 ? {} : { callTimes }
      });
    });
  }
  timeCalls(on) {
    this.#timesCalls = on;
  }
  run(calls) {
    if (this.#closed)
      return { error: closedError(), kernelMs: 0 };
    const [code, message, kernelMs] = this.#queue.run(calls);
    return { error: errorOf(code, message), kernelMs };
  }
  async close() {
    if (this.#closed)
      return;
    this.#closed = true;
    if (this.#outstanding > 0) {
      await new Promise((resolve) => {
        this.#drained = resolve;
      });
    }
    this.#queue.stop();
  }
};
function nativeAvailability() {
  const loaded2 = loadAddon();
  return "addon" in loaded2 ? { available: true, reason: "the native addon is built and loads" } : { available: false, reason: loaded2.reason };
}
__name(nativeAvailability, "nativeAvailability");
function openNativeDevice(options) {
  const loaded2 = loadAddon();
  if (!("addon" in loaded2))
    throw new DeviceUnavailableError(loaded2.reason);
  try {
    return new NativeDevice(loaded2.addon, options);
  } catch (error) {
    throw new DeviceUnavailableError(error instanceof Error ? error.message : String(error), {
      cause: error
    });
  }
}
__name(openNativeDevice, "openNativeDevice");
function nativeIsas() {
  const names = ["avx512bf16", "avx512", "avx2", "neon", "portable"];
  return names.filter((isa) => {
    try {
      void openNativeDevice({ threads: 1, isa }).close();
      return true;
    } catch {
      return false;
    }
  });
}
__name(nativeIsas, "nativeIsas");
function releaseArrays(arrays) {
  const loaded2 = loadAddon();
  if (!("addon" in loaded2))
    return;
  for (const { buffer, byteLength } of arrays)
    if (byteLength === buffer.byteLength)
      loaded2.addon.release(buffer);
}
__name(releaseArrays, "releaseArrays");
function measurePeak(threads, precision = "f32") {
  const loaded2 = loadAddon();
  if (!("addon" in loaded2))
    throw new DeviceUnavailableError(loaded2.reason);
  return loaded2.addon.measurePeak(threads, precision === "bf16");
}
__name(measurePeak, "measurePeak");
function measureBandwidth(threads) {
  const loaded2 = loadAddon();
  if (!("addon" in loaded2))
    throw new DeviceUnavailableError(loaded2.reason);
  return loaded2.addon.measureBandwidth(threads);
}
__name(measureBandwidth, "measureBandwidth");

export {
  nativeAvailability,
  openNativeDevice,
  nativeIsas,
  releaseArrays,
  measurePeak,
  measureBandwidth
};
//# sourceMappingURL=chunk-RTBJM3FJ.js.map
