import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  claimRunFolder,
  releaseRunFolder
} from "./chunk-L4B2QOOL.js";
import "./chunk-PACDVEM2.js";
import "./chunk-JUIDX3IZ.js";
import "./chunk-MDDKBFTF.js";
export {
  claimRunFolder,
  releaseRunFolder
};
//# sourceMappingURL=run-folder-5VDZ6L24.js.map
