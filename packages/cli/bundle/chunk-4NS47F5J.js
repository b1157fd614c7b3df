import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  TroupeError
} from "./chunk-JUIDX3IZ.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/errors.js
var UsageError = class extends TroupeError {
  static {
    __name(this, "UsageError");
  }
  name = "UsageError";
  constructor(message) {
    super("TROUPE_USAGE", message);
  }
};
var Ended = class extends Error {
  static {
    __name(this, "Ended");
  }
  exitCode;
  constructor(exitCode) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
};

export {
  UsageError,
  Ended
};
//# sourceMappingURL=chunk-4NS47F5J.js.map
