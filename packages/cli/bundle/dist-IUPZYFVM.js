import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  CalibrationError,
  Simulator,
  StateTrace,
  TrainedModel,
  calibrated,
  firstDivergence,
  openSimulator,
  parseCalibration,
  referenceOf,
  rooflineMs,
  shrink,
  simulate,
  startCluster
} from "./chunk-LGOQTQFJ.js";
import {
  ExpertDeviceError,
  ResumeDiffersError,
  RunDamagedError,
  RunMissingError,
  exitCodeOf,
  exitCodes,
  failureResult,
  fileStorage,
  launch,
  measuredBandwidth,
  measuredPeakFlops,
  openRun,
  resultOf,
  runOfPath,
  withAbsolutePaths,
  writeProfile
} from "./chunk-QARYORQO.js";
import "./chunk-VRYBNUKX.js";
import {
  cacheFolder,
  dataConfig,
  defaultDeadlines,
  evaluationSequences,
  jobOf,
  loadDevice,
  lossLimit,
  monotonicMs,
  openTopologyData,
  partPaths,
  precisionOf,
  systemClock,
  tfjsExpert
} from "./chunk-YHPICGTS.js";
import {
  loadTopology
} from "./chunk-VTPYBM4G.js";
import "./chunk-IEL6CF5I.js";
import "./chunk-K7SOYNM4.js";
import "./chunk-RTBJM3FJ.js";
import "./chunk-J3KKUFZH.js";
import "./chunk-JUIDX3IZ.js";
import {
  pinoLogger
} from "./chunk-E7AC55FK.js";
import "./chunk-MDDKBFTF.js";
export {
  CalibrationError,
  ExpertDeviceError,
  ResumeDiffersError,
  RunDamagedError,
  RunMissingError,
  Simulator,
  StateTrace,
  TrainedModel,
  cacheFolder,
  calibrated,
  dataConfig,
  defaultDeadlines,
  evaluationSequences,
  exitCodeOf,
  exitCodes,
  failureResult,
  fileStorage,
  firstDivergence,
  jobOf,
  launch,
  loadDevice,
  loadTopology,
  lossLimit,
  measuredBandwidth,
  measuredPeakFlops,
  monotonicMs,
  openRun,
  openSimulator,
  openTopologyData,
  parseCalibration,
  partPaths,
  pinoLogger,
  precisionOf,
  referenceOf,
  resultOf,
  rooflineMs,
  runOfPath,
  shrink,
  simulate,
  startCluster,
  systemClock,
  tfjsExpert,
  withAbsolutePaths,
  writeProfile
};
//# sourceMappingURL=dist-IUPZYFVM.js.map
