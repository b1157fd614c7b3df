import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  count
} from "./chunk-CIMKCJAC.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/simulate/report.js
var REWRITE = "\r\x1B[2K";
var EVERY_MS = 200;
function liveLine(isShown) {
  let [shownMs, shownEvents, isOpen] = [performance.now(), 0, false];
  return {
    show: /* @__PURE__ */ __name(({ virtualMs, step, numEvents, struck }) => {
      const now = performance.now();
      if (!isShown || now - shownMs < EVERY_MS)
        return;
      const rate = 1e3 * Math.max(0, numEvents - shownEvents) / (now - shownMs);
      const faults = struck.length === 0 ? "" : `, ${struck.length} faults (${struck.at(-1)?.fault.kind ?? ""})`;
      const text = `virtual ${(virtualMs / 1e3).toFixed(3)} s, step ${step}, ${count(Math.round(rate))} events/s${faults}`;
      process.stderr.write(`${REWRITE}${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
      [shownMs, shownEvents, isOpen] = [now, numEvents, true];
    }, "show"),
    close: /* @__PURE__ */ __name(() => {
      if (isOpen)
        process.stderr.write(REWRITE);
      isOpen = false;
    }, "close")
  };
}
__name(liveLine, "liveLine");
function verdictOf({ result, violation }) {
  if (violation !== null)
    return "violated";
  return result.exitCode === 0 ? "finished" : "ended";
}
__name(verdictOf, "verdictOf");
var jsonOf = /* @__PURE__ */ __name((seed, run, seconds) => ({
  event: "simulation",
  seed,
  verdict: verdictOf(run),
  exitCode: run.result.exitCode,
  step: run.result.step,
  loss: run.result.loss,
  message: run.result.error?.message ?? null,
  virtualSeconds: run.virtualMs / 1e3,
  numEvents: run.numEvents,
  eventsPerSecond: run.numEvents / seconds,
  traceHash: run.traceHash,
  faults: run.struck.map(({ atMs, fault, text }) => ({ struckMs: atMs, text, ...fault })),
  violation: run.violation
}), "jsonOf");
function linesOf({ seed, ...run }) {
  const { faults, violation, virtualSeconds, numEvents, eventsPerSecond, traceHash, loss } = run;
  const end = run.exitCode === 0 ? `step ${run.step}, loss ${loss?.toFixed(4) ?? "none"}` : run.message ?? "";
  return [
    ...faults.map(({ struckMs, text }) => `  ${struckMs.toFixed(3)} ms: ${text}`),
    `seed ${seed}: ${run.verdict}, ${end}`,
    ...violation === null ? [] : [`  ${violation.checker} at ${violation.atMs.toFixed(3)} ms: ${violation.text}`],
    `  ${virtualSeconds.toFixed(3)} s of virtual time, ${count(numEvents)} events (${count(Math.round(eventsPerSecond))} a second), trace ${traceHash.slice(0, 16)}`
  ];
}
__name(linesOf, "linesOf");
export {
  jsonOf,
  linesOf,
  liveLine,
  verdictOf
};
//# sourceMappingURL=report-ZPIMQFNH.js.map
