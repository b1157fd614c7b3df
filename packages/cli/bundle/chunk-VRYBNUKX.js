import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/troupe/dist/launch/spare-worker.js
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
function forkWorker() {
  const main = fileURLToPath(new URL("./worker-main.js", import.meta.url));
  return fork(main, [], { stdio: ["ignore", "inherit", "inherit", "ipc"], serialization: "json" });
}
__name(forkWorker, "forkWorker");
var SpareWorker = class {
  static {
    __name(this, "SpareWorker");
  }
  #child = forkWorker();
  constructor() {
    this.#child?.on("error", () => {
    });
    this.#child?.unref();
    this.#child?.channel?.unref();
  }
  /** The process, once; null after that, or if it has already ended. */
  take() {
    const child = this.#child;
    this.#child = null;
    if (child === null || !child.connected)
      return null;
    child.ref();
    child.channel?.ref();
    return child;
  }
};

export {
  forkWorker,
  SpareWorker
};
//# sourceMappingURL=chunk-VRYBNUKX.js.map
