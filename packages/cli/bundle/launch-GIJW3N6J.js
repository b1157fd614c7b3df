import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import "./chunk-5VWEKRPD.js";
import {
  exitCodeOf,
  exitCodes,
  fileStorage,
  launch,
  measuredBandwidth,
  measuredPeakFlops,
  openRun,
  runOfPath,
  withAbsolutePaths,
  writeProfile
} from "./chunk-QARYORQO.js";
import "./chunk-VRYBNUKX.js";
import {
  monotonicMs,
  partPaths,
  systemClock
} from "./chunk-YHPICGTS.js";
import "./chunk-VTPYBM4G.js";
import "./chunk-IEL6CF5I.js";
import "./chunk-K7SOYNM4.js";
import "./chunk-RTBJM3FJ.js";
import "./chunk-J3KKUFZH.js";
import "./chunk-JUIDX3IZ.js";
import "./chunk-MDDKBFTF.js";
export {
  exitCodeOf,
  exitCodes,
  fileStorage,
  launch,
  measuredBandwidth,
  measuredPeakFlops,
  monotonicMs,
  openRun,
  partPaths,
  runOfPath,
  systemClock,
  withAbsolutePaths,
  writeProfile
};
//# sourceMappingURL=launch-GIJW3N6J.js.map
