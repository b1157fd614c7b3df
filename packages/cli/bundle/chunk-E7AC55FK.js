import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/troupe/dist/ports/logger.js
import { destination, pino } from "pino";
function wrap(log) {
  const at = /* @__PURE__ */ __name((level) => (message, fields) => log[level](fields ?? {}, message), "at");
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: /* @__PURE__ */ __name((fields) => wrap(log.child(fields)), "child")
  };
}
__name(wrap, "wrap");
function pinoLogger(level) {
  return wrap(pino({ level }, destination({ dest: 2, sync: true })));
}
__name(pinoLogger, "pinoLogger");

export {
  pinoLogger
};
//# sourceMappingURL=chunk-E7AC55FK.js.map
