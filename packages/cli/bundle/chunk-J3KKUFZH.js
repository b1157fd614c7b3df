import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  TroupeError
} from "./chunk-JUIDX3IZ.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// kernels/dist/errors.js
var KernelShapeError = class extends TroupeError {
  static {
    __name(this, "KernelShapeError");
  }
  name = "KernelShapeError";
  constructor(message, details = {}) {
    super("TROUPE_KERNEL_SHAPE", message, { details });
  }
};
var KernelRangeError = class extends TroupeError {
  static {
    __name(this, "KernelRangeError");
  }
  name = "KernelRangeError";
  constructor(message, details = {}) {
    super("TROUPE_KERNEL_RANGE", message, { details });
  }
};
var KernelFailedError = class extends TroupeError {
  static {
    __name(this, "KernelFailedError");
  }
  name = "KernelFailedError";
  constructor(message, options = {}) {
    super("TROUPE_KERNEL_FAILED", message, options);
  }
};
var DeviceUnavailableError = class extends TroupeError {
  static {
    __name(this, "DeviceUnavailableError");
  }
  name = "DeviceUnavailableError";
  constructor(message, options = {}) {
    super("TROUPE_DEVICE_UNAVAILABLE", message, options);
  }
};

export {
  KernelShapeError,
  KernelRangeError,
  KernelFailedError,
  DeviceUnavailableError
};
//# sourceMappingURL=chunk-J3KKUFZH.js.map
