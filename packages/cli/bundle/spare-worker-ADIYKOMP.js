import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  SpareWorker,
  forkWorker
} from "./chunk-VRYBNUKX.js";
import "./chunk-MDDKBFTF.js";
export {
  SpareWorker,
  forkWorker
};
//# sourceMappingURL=spare-worker-ADIYKOMP.js.map
