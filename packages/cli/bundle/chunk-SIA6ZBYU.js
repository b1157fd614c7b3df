import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/exit-line.js
var meanings = {
  0: "ok",
  1: "failed, the same again will not help",
  2: "usage",
  3: "topology invalid",
  4: "plan differs",
  5: "not enough devices or memory",
  75: "temporary, try again",
  76: "a worker was lost",
  130: "interrupted",
  143: "terminated"
};
function exitLine(exitCode, why) {
  return `exit ${exitCode} (${meanings[exitCode] ?? "unknown"})${why === "" ? "" : `: ${why}`}`;
}
__name(exitLine, "exitLine");

export {
  exitLine
};
//# sourceMappingURL=chunk-SIA6ZBYU.js.map
