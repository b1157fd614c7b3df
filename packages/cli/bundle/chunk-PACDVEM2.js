import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/output.js
function printJson(value) {
  process.stdout.write(`${JSON.stringify(value)}
`);
}
__name(printJson, "printJson");
function print(...lines) {
  process.stdout.write(`${lines.join("\n")}
`);
}
__name(print, "print");
function printError(...lines) {
  process.stderr.write(`${lines.join("\n")}
`);
}
__name(printError, "printError");
function ignoreClosedOutput() {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error) => {
      if (error.code !== "EPIPE")
        throw error;
    });
  }
}
__name(ignoreClosedOutput, "ignoreClosedOutput");

export {
  printJson,
  print,
  printError,
  ignoreClosedOutput
};
//# sourceMappingURL=chunk-PACDVEM2.js.map
