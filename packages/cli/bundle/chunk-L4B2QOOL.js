import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  printError
} from "./chunk-PACDVEM2.js";
import {
  TroupeError
} from "./chunk-JUIDX3IZ.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/run/run-folder.js
import { mkdirSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join as join2 } from "node:path";

// packages/cli/dist/run/metrics-file.js
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
var METRICS_FILE = "metrics.jsonl";
var MetricsFile = class {
  static {
    __name(this, "MetricsFile");
  }
  path;
  #handle = null;
  constructor(folder) {
    this.path = join(folder, METRICS_FILE);
    this.#try(() => this.#handle = openSync(this.path, "a"));
  }
  write(event) {
    const handle = this.#handle;
    if (handle !== null)
      this.#try(() => writeSync(handle, `${JSON.stringify(event)}
`));
  }
  close() {
    if (this.#handle !== null)
      closeSync(this.#handle);
    this.#handle = null;
  }
  #try(act) {
    try {
      act();
    } catch (error) {
      this.#handle = null;
      printError(`troupe: no more metrics in ${this.path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
};

// packages/cli/dist/run/run-folder.js
var SIBLINGS_MAX = 1e4;
function claimRunFolder(wanted) {
  const base = wanted.replace(/\/+$/u, "") || wanted;
  try {
    mkdirSync(dirname(base), { recursive: true });
    for (let number = 1; number <= SIBLINGS_MAX; number++) {
      const path = number === 1 ? base : `${base}-${number}`;
      try {
        mkdirSync(path);
        return { path, taken: number === 1 ? null : base };
      } catch (error) {
        if (error.code !== "EEXIST")
          throw error;
      }
    }
  } catch (error) {
    throw folderError(base, error);
  }
  throw new TroupeError("TROUPE_STORAGE_FAILED", `'${base}' has ${SIBLINGS_MAX} siblings already; choose another --run-dir`);
}
__name(claimRunFolder, "claimRunFolder");
function folderError(path, error) {
  const full = error.code === "ENOSPC" || error.code === "EDQUOT";
  const code = full ? "TROUPE_STORAGE_FULL" : error.code === "EACCES" || error.code === "EROFS" ? "TROUPE_STORAGE_DENIED" : "TROUPE_STORAGE_FAILED";
  return new TroupeError(code, `cannot make the run folder '${path}' (${error.code ?? error.message}); choose another with --run-dir`, {
    retryable: full,
    cause: error
  });
}
__name(folderError, "folderError");
function releaseRunFolder(path) {
  rmSync(join2(path, METRICS_FILE), { force: true });
  try {
    rmdirSync(path);
  } catch {
  }
}
__name(releaseRunFolder, "releaseRunFolder");

export {
  MetricsFile,
  claimRunFolder,
  releaseRunFolder
};
//# sourceMappingURL=chunk-L4B2QOOL.js.map
