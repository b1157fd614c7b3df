import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  pinoLogger
} from "./chunk-E7AC55FK.js";
import "./chunk-MDDKBFTF.js";
export {
  pinoLogger
};
//# sourceMappingURL=logger-6K4Z2LPV.js.map
