import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  measureBandwidth,
  measurePeak,
  nativeAvailability,
  nativeIsas,
  openNativeDevice,
  releaseArrays
} from "./chunk-RTBJM3FJ.js";
import "./chunk-J3KKUFZH.js";
import "./chunk-JUIDX3IZ.js";
import "./chunk-MDDKBFTF.js";
export {
  measureBandwidth,
  measurePeak,
  nativeAvailability,
  nativeIsas,
  openNativeDevice,
  releaseArrays
};
//# sourceMappingURL=native-device-FPZJKMXO.js.map
