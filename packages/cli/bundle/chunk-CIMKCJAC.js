import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/run/numbers.js
var scaled = /* @__PURE__ */ __name((value, base, units) => {
  let [rest, index] = [value, 0];
  while (rest >= base && index < units.length - 1)
    [rest, index] = [rest / base, index + 1];
  return `${index === 0 ? Math.round(rest) : rest.toPrecision(3)}${units[index] ?? ""}`;
}, "scaled");
var count = /* @__PURE__ */ __name((value) => scaled(value, 1e3, ["", "k", "M", "G", "T"]), "count");
var bytes = /* @__PURE__ */ __name((value) => scaled(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]), "bytes");
function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60)
    return `${whole}s`;
  if (whole < 3600)
    return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  return `${Math.floor(whole / 3600)}h ${Math.floor(whole % 3600 / 60)}m`;
}
__name(duration, "duration");
var percent = /* @__PURE__ */ __name((share) => share === null ? "-" : `${(100 * share).toFixed(1)}%`, "percent");
var nats = /* @__PURE__ */ __name((loss) => loss === null || !Number.isFinite(loss) ? "-" : loss.toFixed(4), "nats");

export {
  count,
  bytes,
  duration,
  percent,
  nats
};
//# sourceMappingURL=chunk-CIMKCJAC.js.map
