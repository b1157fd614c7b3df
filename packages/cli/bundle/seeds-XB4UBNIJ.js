import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/simulate/seeds.js
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
async function runSeeds(args, range, report) {
  const main = fileURLToPath(new URL("./main.js", import.meta.url));
  const child = spawn(process.execPath, [main, "simulate", ...args, "--seeds", `${range.from}..${range.to}`, "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line);
    if (event.event === "simulation")
      report(event);
  }
  return exited;
}
__name(runSeeds, "runSeeds");
export {
  runSeeds
};
//# sourceMappingURL=seeds-XB4UBNIJ.js.map
