import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  openSimulator,
  rooflineMs
} from "./chunk-LGOQTQFJ.js";
import "./chunk-QARYORQO.js";
import "./chunk-VRYBNUKX.js";
import {
  UsageError
} from "./chunk-4NS47F5J.js";
import "./chunk-YHPICGTS.js";
import {
  loadTopology
} from "./chunk-VTPYBM4G.js";
import "./chunk-IEL6CF5I.js";
import "./chunk-K7SOYNM4.js";
import "./chunk-RTBJM3FJ.js";
import "./chunk-J3KKUFZH.js";
import "./chunk-JUIDX3IZ.js";
import "./chunk-E7AC55FK.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/calibrate/calibrate.js
import { availableParallelism, cpus } from "node:os";

// packages/cli/dist/calibrate/profiled-run.js
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
var WARM_UP_STEPS = 2;
async function profiledRun(file, set, numSteps) {
  const main = fileURLToPath(new URL("./main.js", import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), "troupe-calibrate-"));
  const last = WARM_UP_STEPS + numSteps;
  const flags = ["--json", "--no-checkpoint", "--stop-after", `${last}`, "--run-dir", join(folder, "run")];
  const profiling = ["--profile", "--profile-steps", `${WARM_UP_STEPS + 1}..${last}`];
  const overrides = set.flatMap((each) => ["--set", each]);
  const child = spawn(process.execPath, [main, "launch", file, ...overrides, ...flags, ...profiling], {
    stdio: ["ignore", "pipe", "inherit"]
  });
  let profile = null;
  let reason = "";
  const lines = createInterface({ input: child.stdout }).on("line", (line) => {
    const event = JSON.parse(line);
    if (event.event === "profile")
      profile = event;
    if (event.event === "error")
      reason = event.message;
  });
  try {
    const [code] = await Promise.all([
      new Promise((resolve, reject) => {
        child.on("error", reject);
        child.on("exit", resolve);
      }),
      new Promise((resolve) => lines.on("close", resolve))
    ]);
    if (code !== 0 || profile === null)
      throw new UsageError(`launch of ${file} ended with ${code ?? "a signal"}: ${reason}`);
    return profile;
  } finally {
    child.kill();
    await rm(folder, { recursive: true, force: true });
  }
}
__name(profiledRun, "profiledRun");

// packages/cli/dist/calibrate/calibrate.js
function setupsOf(cores) {
  if (cores === 1)
    return [{ threads: 1, workers: 1 }];
  return [
    { threads: cores, workers: 1 },
    { threads: 1, workers: 1 },
    { threads: 1, workers: cores }
  ];
}
__name(setupsOf, "setupsOf");
function alone({ file, set }, { threads, workers }) {
  const { batch, grains } = loadTopology(file, { set }).train;
  const share = batch % workers === 0 ? batch / workers : batch;
  const ownGrains = Math.max(1, Math.floor(grains / workers));
  return [
    ...set,
    `train.batch=${share}`,
    `train.grains=${share % ownGrains === 0 ? ownGrains : 1}`,
    "train.microbatches=1",
    "parallel={dp: 1, ep: 1, zero: 0}",
    `machines=[{host: localhost, devices: ["cpu:0/threads=${threads}"]}]`,
    "eval.every=0"
  ];
}
__name(alone, "alone");
async function turnsOfStep(file, set) {
  const simulator = await openSimulator(loadTopology(file, { set }), { shapesOnly: true });
  const count = /* @__PURE__ */ __name(async (steps) => {
    let turns = 0;
    await simulator.run({ seed: 1, steps, faults: [] }, { observe: /* @__PURE__ */ __name(({ node }) => void (turns += node.startsWith("worker/") ? 1 : 0), "observe") });
    return turns;
  }, "count");
  return await count(3) - await count(2);
}
__name(turnsOfStep, "turnsOfStep");
var mean = /* @__PURE__ */ __name((values) => values.reduce((sum, value) => sum + value, 0) / values.length, "mean");
function fit(profiles, setup, turns) {
  const rate = /* @__PURE__ */ __name((of) => {
    const rates2 = profiles.flatMap((profile) => profile[of] ?? []);
    if (rates2.length === 0)
      throw new UsageError("the native kernels are not built, so this machine has no peak to calibrate against");
    return Math.max(...rates2) / 1e3;
  }, "rate");
  const rates = { flopsPerMs: rate("peakFlops"), bytesPerMs: rate("bytesPerSecond") };
  const sums = /* @__PURE__ */ new Map();
  for (const { op, ms, flops, bytes } of profiles.flatMap(({ lines }) => lines)) {
    const sum = sums.get(op) ?? { ms: 0, leastMs: 0 };
    sum.ms += ms;
    sum.leastMs += rooflineMs({ flops, bytes }, rates);
    sums.set(op, sum);
  }
  const slowness = Object.fromEntries([...sums].flatMap(([op, { ms, leastMs }]) => ms > 0 && leastMs > 0 ? [[op, ms / leastMs]] : []));
  const outsideMs = mean(profiles.map(({ shares }) => shares.eventLoop + shares.idle));
  return { ...setup, ...rates, slowness, turnMs: outsideMs / Math.max(1, turns) };
}
__name(fit, "fit");
async function calibrate(job, numSteps, progress = () => {
}) {
  const setups = [];
  for (const setup of setupsOf(availableParallelism())) {
    progress(setup);
    const set = alone(job, setup);
    const turns = await turnsOfStep(job.file, set);
    const runs = Array.from({ length: setup.workers }, () => profiledRun(job.file, set, numSteps));
    setups.push(fit(await Promise.all(runs), setup, turns));
  }
  return {
    version: 1,
    machine: `${cpus()[0]?.model.trim() ?? "unknown"}, ${availableParallelism()} cores`,
    job: loadTopology(job.file, { set: job.set }).name,
    date: (/* @__PURE__ */ new Date()).toISOString(),
    setups
  };
}
__name(calibrate, "calibrate");
export {
  calibrate,
  fit
};
//# sourceMappingURL=calibrate-RVUVHKHK.js.map
