import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  Recorder,
  addresses,
  createJobSystem,
  jobOf,
  listenAs,
  loadDevice,
  mountWorker,
  openLogger,
  openTopologyData,
  openZmqTransport,
  systemClock,
  workerNode
} from "./chunk-YHPICGTS.js";
import {
  createPlacement
} from "./chunk-IEL6CF5I.js";
import "./chunk-K7SOYNM4.js";
import {
  releaseArrays
} from "./chunk-RTBJM3FJ.js";
import "./chunk-J3KKUFZH.js";
import {
  assert,
  nodeId,
  serializeError
} from "./chunk-JUIDX3IZ.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/troupe/dist/launch/worker-main.js
import { setFlagsFromString } from "node:v8";
setFlagsFromString("--heap-growing-percent=3000");
var say = /* @__PURE__ */ __name((message) => {
  process.send?.(message);
}, "say");
var GOODBYE_MS = 300;
var Worker = class {
  static {
    __name(this, "Worker");
  }
  #worker;
  #node;
  #clock = systemClock();
  #logger;
  #recorder;
  #system = null;
  constructor(worker, logger) {
    const { rank, profile } = worker;
    this.#worker = worker;
    this.#node = workerNode(rank);
    this.#logger = logger.child({ node: this.#node });
    this.#recorder = profile === void 0 ? null : new Recorder(profile, this.#node, this.#logger);
    process.on("exit", () => this.#recorder?.close());
    process.on("uncaughtException", (error) => {
      this.fail(error);
      process.exit(1);
    });
  }
  fail(error) {
    const { code, message, retryable } = serializeError(error, this.#node);
    this.#logger.error("worker failed", { code, message });
    say({ type: "failed", code, message, retryable });
  }
  async listen() {
    const { rank, incarnation, ...listening } = this.#worker;
    const transport = await openZmqTransport({
      node: nodeId(this.#node),
      incarnation,
      clock: this.#clock,
      logger: this.#logger,
      listen: listenAs(listening, rank + 1),
      onFatal: /* @__PURE__ */ __name((error) => this.fail(error), "onFatal")
    });
    process.on("message", (message) => {
      if (message.type === "configure")
        this.#mount(message, transport).catch((error) => this.fail(error));
      if (message.type === "leave")
        this.#leave(transport).catch((error) => this.fail(error));
    });
    say({ type: "listening", endpoints: { node: this.#node, ...transport.endpoints } });
  }
  async #mount(message, transport) {
    const { topology, choices } = message;
    const { rank, incarnation } = this.#worker;
    const endpoints = new Map(message.endpoints.map(({ node, ...places }) => [node, places]));
    transport.setPeers((peer) => endpoints.get(peer));
    const placed = createPlacement(topology).workers[rank];
    const [device, data] = await Promise.all([
      loadDevice({ body: placed?.body ?? topology.device, threads: placed?.device.threads ?? 1 }),
      openTopologyData(topology)
    ]);
    this.#recorder?.begin(this.#node, device);
    const job = jobOf(topology, choices);
    const system = createJobSystem({
      node: nodeId(this.#node),
      topology,
      transport,
      clock: this.#clock,
      logger: this.#logger,
      schedule: /* @__PURE__ */ __name((run) => void setImmediate(run), "schedule"),
      free: releaseArrays,
      ...this.#recorder === null ? {} : { probe: this.#recorder }
    });
    this.#system = system;
    mountWorker(system, job, { dp: rank, device, tokens: data.batches, joins: incarnation > 1 });
    system.listen();
    if (incarnation > 1)
      system.tell(addresses.supervisor, "worker.joined", { body: { node: this.#node, incarnation } });
    say({ type: "ready", device: device.info.name, reason: device.info.reason });
  }
  async #leave(transport) {
    this.#system?.stop();
    say({ type: "left", bytesSent: transport.stats().bytesSent });
    await transport.close(GOODBYE_MS);
    process.exit(0);
  }
};
async function begin(self) {
  const worker = new Worker(self, await openLogger(self.logLevel));
  await worker.listen().catch((error) => worker.fail(error));
}
__name(begin, "begin");
process.on("SIGINT", () => {
});
process.on("SIGTERM", () => {
});
process.on("disconnect", () => process.exit(0));
if (!process.connected)
  process.exit(0);
process.once("message", (message) => {
  assert(message.type === "begin", "a worker is told first which one it is", { type: message.type });
  void begin(message.worker);
});
//# sourceMappingURL=worker-main.js.map
