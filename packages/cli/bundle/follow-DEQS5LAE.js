import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import "./chunk-5VWEKRPD.js";
import {
  exitCodes,
  fileStorage,
  launch,
  measuredBandwidth,
  measuredPeakFlops,
  writeProfile
} from "./chunk-QARYORQO.js";
import "./chunk-VRYBNUKX.js";
import {
  MetricsFile,
  releaseRunFolder
} from "./chunk-L4B2QOOL.js";
import {
  exitLine
} from "./chunk-SIA6ZBYU.js";
import {
  UsageError
} from "./chunk-4NS47F5J.js";
import {
  bytes,
  count,
  duration,
  nats,
  percent
} from "./chunk-CIMKCJAC.js";
import {
  print,
  printError,
  printJson
} from "./chunk-PACDVEM2.js";
import {
  monotonicMs,
  partPaths,
  systemClock
} from "./chunk-YHPICGTS.js";
import "./chunk-VTPYBM4G.js";
import {
  TopologyError,
  createPlacement,
  refuseUnbuilt
} from "./chunk-IEL6CF5I.js";
import "./chunk-K7SOYNM4.js";
import "./chunk-RTBJM3FJ.js";
import "./chunk-J3KKUFZH.js";
import "./chunk-JUIDX3IZ.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/run/follow.js
import { availableParallelism } from "node:os";
import { join as join2, resolve } from "node:path";

// packages/cli/dist/run/profile-request.js
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
var WARM_UP_STEPS = 2;
var STEPS = 10;
function defaultSteps(run) {
  const first = Math.min(run.first + WARM_UP_STEPS, run.last);
  return { first, last: Math.min(first + STEPS - 1, run.last) };
}
__name(defaultSteps, "defaultSteps");
function profileRequest(profile, steps) {
  if (profile === void 0) {
    if (steps !== void 0)
      throw new UsageError("--profile-steps says which steps --profile records; add --profile");
    return null;
  }
  if (profile === true)
    return { file: null, steps: steps ?? null };
  if (!/\.json(?:\.gz)?$/u.test(profile))
    throw new UsageError(`--profile '${profile}' is neither .json nor .json.gz, which are what is written; to keep the name out, put --profile behind the topology`);
  const folder = dirname(profile);
  if (!existsSync(folder) || !statSync(folder).isDirectory())
    throw new UsageError(`--profile '${profile}': there is no folder '${folder}'; make it first`);
  return { file: profile, steps: steps ?? null };
}
__name(profileRequest, "profileRequest");
function profileSteps({ steps }, run) {
  if (steps === null)
    return defaultSteps(run);
  if (steps.first > run.last || steps.last < run.first)
    throw new UsageError(`--profile-steps ${steps.first}..${steps.last}: this run makes steps ${run.first} to ${run.last}`);
  return { first: Math.max(steps.first, run.first), last: Math.min(steps.last, run.last) };
}
__name(profileSteps, "profileSteps");
function profilePath({ file }, runFolder) {
  if (file !== null)
    return file;
  for (let number = 1; ; number++) {
    const path = join(runFolder, `profile${number === 1 ? "" : `-${number}`}.json.gz`);
    if (!existsSync(path))
      return path;
  }
}
__name(profilePath, "profilePath");

// packages/cli/dist/run/profile-table.js
var NUM_LINES = 10;
var ms = /* @__PURE__ */ __name((value) => value >= 100 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toFixed(3), "ms");
function speed({ flops, bytes: bytes2, ms: time, rate }) {
  if (time === 0)
    return "-";
  const perSecond = (rate === "flops" ? flops : bytes2) / time / 1e6;
  return `${perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toPrecision(2)} ${rate === "flops" ? "GFLOP/s" : "GB/s"}`;
}
__name(speed, "speed");
var OP_CHARS = 40;
var shortened = /* @__PURE__ */ __name((op) => op.length <= OP_CHARS ? op : `${op.slice(0, OP_CHARS - 1)}\u2026`, "shortened");
var explanations = {
  arithmetic: "at least half of the peak",
  memory: "at least half of the bandwidth",
  cache: "faster than memory, so from caches",
  calls: "shorter than 0.05 ms a call",
  threads: "its threads idle for a third of it or more",
  instructions: "work that FLOPs and bytes do not count"
};
function aligned(rows) {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => {
    const width = widths[column] ?? 0;
    if (column < 2)
      return cell.padEnd(width);
    return column === row.length - 1 ? cell : cell.padStart(width);
  }).join("  ").trimEnd());
}
__name(aligned, "aligned");
function profileTable(profile) {
  const { path, steps, devices, stepMs, shares, lines, truncated } = profile;
  const cut = truncated.length === 0 ? [] : [`               cut short: ${truncated.join(", ")}`];
  const where = [
    `profile        ${path}: ${profile.traceEvents} events, ${profile.arrows} messages; open it at https://ui.perfetto.dev`,
    ...cut
  ];
  if (steps === null)
    return [...where, "               none of its steps was committed: no table"];
  const shown = lines.slice(0, NUM_LINES);
  const rest = lines.slice(NUM_LINES);
  const sum = /* @__PURE__ */ __name((part) => part.reduce((total, line) => total + line.ms, 0), "sum");
  const outside = stepMs - sum(lines);
  const share = /* @__PURE__ */ __name((value) => percent(stepMs === 0 ? null : value / stepMs), "share");
  const count2 = /* @__PURE__ */ __name((calls) => Number.isInteger(calls) ? `${calls}` : calls.toFixed(1), "count");
  const rows = [
    ["op", "shape", "calls", "ms", "share", "speed", "of rate", "bound by"],
    ...shown.map((line) => [
      shortened(line.op),
      line.shape,
      count2(line.calls),
      ms(line.ms),
      percent(line.share),
      speed(line),
      percent(line.ofRate),
      line.bound ?? "-"
    ]),
    ...rest.length === 0 ? [] : [
      [
        `${rest.length} more`,
        "",
        count2(rest.reduce((n, { calls }) => n + calls, 0)),
        ms(sum(rest)),
        share(sum(rest)),
        "",
        "",
        ""
      ]
    ],
    ["outside kernels", "", "", ms(outside), share(outside), "", "", ""],
    ["a step", "", "", ms(stepMs), share(stepMs), "", "", ""]
  ];
  const bounds = [...new Set(shown.flatMap(({ bound }) => bound === null ? [] : [bound]))];
  const rates = profile.peakFlops === null || profile.bytesPerSecond === null ? "rates of this machine are unknown without the native addon" : `rates of a device, measured before and after the run: ${(profile.peakFlops / 1e9).toFixed(0)} GFLOP/s, ${(profile.bytesPerSecond / 1e9).toFixed(1)} GB/s`;
  return [
    ...where,
    `               ${steps.first === steps.last ? `step ${steps.first}` : `steps ${steps.first} to ${steps.last}`}, ${devices} ${devices === 1 ? "device" : "devices"}; of a step's ${ms(stepMs)} ms: kernels ${share(shares.kernels)}, waiting for messages ${share(shares.messages)}, event loop ${share(shares.eventLoop)}, idle ${share(shares.idle)}`,
    "",
    ...aligned(rows).map((line) => `  ${line}`),
    "",
    `  calls and ms: of one device and step; ${rates}`,
    ...bounds.map((bound) => `  ${bound}: ${explanations[bound]}`)
  ];
}
__name(profileTable, "profileTable");

// packages/cli/dist/run/progress.js
var LINES = 30;
var REWRITE = "\r\x1B[2K";
var sources = {
  peers: "other workers",
  snapshot: "the last checkpoint",
  seed: "the beginning"
};
var Progress = class {
  static {
    __name(this, "Progress");
  }
  #options;
  #tally;
  #every;
  #open = false;
  constructor(options, tally) {
    this.#options = options;
    this.#tally = tally;
    this.#every = Math.max(1, Math.ceil((options.end - options.first) / LINES));
  }
  /** Takes an event after the tally has. */
  show(event) {
    if (event.event === "step")
      this.#step(event);
    else if (event.event === "start")
      this.line(`${event.device} (${event.reason}); ${count(event.paramsTotal)} parameters, ${count(event.paramsActive)} active a token`);
    else if (event.event === "eval")
      this.line(`step ${event.step}: held-out loss ${nats(event.loss)} over ${count(event.tokens)} tokens`);
    else if (event.event === "checkpoint")
      this.line(`step ${event.step}: checkpoint ${event.path}`);
    else if (event.event === "fault")
      this.line(event.message);
    else if (event.event === "recovered") {
      const { worker, ms: ms2, from, step, repeatedSteps } = event;
      const again = repeatedSteps === 0 ? "" : `; ${count(repeatedSteps)} steps are computed again`;
      this.line(`${worker} is back after ${(ms2 / 1e3).toFixed(1)} s with the state of ${sources[from]}; step ${step} opens${again}`);
    }
  }
  /** A line that stays. */
  line(text) {
    this.close();
    this.#options.write(`${text}
`);
  }
  /** Leaves the rewritten line as it is; what comes next is below it. */
  close() {
    if (this.#open)
      this.#options.write("\n");
    this.#open = false;
  }
  #step(event) {
    const text = this.#describe(event);
    const { first, end, isTerminal, write } = this.#options;
    if (isTerminal) {
      write(`${REWRITE}${text.slice(0, (this.#options.columns?.() ?? 80) - 1)}`);
      this.#open = true;
    } else if (event.step === first + 1 || event.step === end || event.step % this.#every === 0)
      write(`${text}
`);
  }
  #describe({ step, loss, tokensPerSecond, mfu, hottest, maxExpertLoad, skipped }) {
    const hot = hottest === null ? [] : [`hottest L${hottest.layer}/e${hottest.expert} \xD7${maxExpertLoad.toFixed(1)}`];
    const left = (this.#tally.secondsPerStep ?? 0) * (this.#options.end - step);
    return [
      `step ${step}/${this.#options.steps}`,
      `loss ${nats(loss)}`,
      `${count(tokensPerSecond)} tokens/s`,
      `MFU ${percent(mfu)}`,
      ...hot,
      ...skipped ? ["skipped: the gradient was not finite"] : [],
      `${duration(left)} left`
    ].join("  ");
  }
};

// packages/cli/dist/run/stop-signals.js
var SAME_SIGNAL_MS = 300;
var StopSignals = class {
  static {
    __name(this, "StopSignals");
  }
  #options;
  #onInterrupt = /* @__PURE__ */ __name(() => this.#interrupt(), "#onInterrupt");
  #onTerminate = /* @__PURE__ */ __name(() => this.#terminate(), "#onTerminate");
  #timers = [];
  #run = null;
  #asked = null;
  #isArmed = false;
  constructor(options) {
    this.#options = options;
    process.on("SIGINT", this.#onInterrupt);
    process.on("SIGTERM", this.#onTerminate);
  }
  /** The run that signals stop from now on; one that came while it started stops it now. */
  attach(run) {
    this.#run = run;
    if (this.#asked !== null)
      run.stop(this.#asked);
  }
  close() {
    process.off("SIGINT", this.#onInterrupt);
    process.off("SIGTERM", this.#onTerminate);
    for (const timer of this.#timers)
      this.#options.clock.cancel(timer);
  }
  #interrupt() {
    if (this.#asked === null)
      this.#ask("interrupted");
    else if (this.#isArmed)
      this.#leave();
  }
  #terminate() {
    if (this.#asked === "terminated")
      return;
    this.#ask("terminated");
    this.#after(this.#options.graceMs, () => this.#leave());
  }
  #ask(reason) {
    this.#asked = reason;
    this.#run?.stop(reason);
    this.#after(SAME_SIGNAL_MS, () => {
      this.#isArmed = true;
      this.#options.notice(`${reason}: finishing the step and writing a checkpoint; Ctrl-C leaves at once`);
    });
  }
  #leave() {
    if (this.#run === null)
      this.#options.exit(this.#asked ?? "interrupted");
    else
      void this.#run.abort();
  }
  #after(delayMs, act) {
    this.#timers.push(this.#options.clock.after(delayMs, act));
  }
};

// packages/cli/dist/run/loss-chart.js
var HEIGHT = 8;
var WIDTH_MAX = 60;
function columnsOf(losses, columns) {
  return Array.from({ length: columns }, (_, column) => {
    const from = Math.floor(column * losses.length / columns);
    const to = Math.max(from + 1, Math.floor((column + 1) * losses.length / columns));
    const part = losses.slice(from, to);
    return part.reduce((sum, loss) => sum + loss, 0) / part.length;
  });
}
__name(columnsOf, "columnsOf");
function lossChart(points) {
  const finite = points.filter(({ loss }) => Number.isFinite(loss));
  const [first, last] = [finite[0], finite.at(-1)];
  if (first === void 0 || last === void 0 || first === last)
    return [];
  const losses = columnsOf(finite.map(({ loss }) => loss), Math.min(WIDTH_MAX, finite.length));
  const [top, bottom] = [Math.max(...losses), Math.min(...losses)];
  const row = /* @__PURE__ */ __name((loss) => top === bottom ? 0 : Math.round((top - loss) / (top - bottom) * (HEIGHT - 1)), "row");
  const lines = Array.from({ length: HEIGHT }, (_, index) => {
    const label = (top - (top - bottom) * index / (HEIGHT - 1)).toFixed(3);
    return `${label.padStart(8)} \u2524${losses.map((loss) => row(loss) === index ? "\u2022" : " ").join("")}`.trimEnd();
  });
  const [left, right] = [`step ${first.step}`, `step ${last.step}`];
  return [
    ...lines,
    `${" ".repeat(9)}\u2514${"\u2500".repeat(losses.length)}`,
    `${" ".repeat(10)}${left}${right.padStart(Math.max(right.length + 1, losses.length - left.length))}`
  ];
}
__name(lossChart, "lossChart");

// packages/cli/dist/run/summary.js
function summary(folder, tally, done, steps) {
  const { last, checkpoint } = tally;
  if (last === null)
    return [];
  const { evalLoss, unigramEntropy, bigramCrossEntropy } = done;
  const kept = checkpoint === null ? [] : [`checkpoint     ${folder}/${checkpoint}`];
  const next = checkpoint === null ? [] : [
    `next: npx troupe generate ${folder}`,
    ...done.steps >= steps ? [] : [`      npx troupe resume ${folder}`]
  ];
  return [
    "",
    ...lossChart(tally.losses),
    "",
    `loss           ${nats(last.loss)} nats a token after step ${last.step}`,
    evalLoss === null ? `held-out loss  not measured in these steps (eval.every)` : `held-out loss  ${nats(evalLoss)}; of all held-out tokens: unigram entropy ${nats(unigramEntropy)}, bigram cross entropy ${nats(bigramCrossEntropy)}`,
    `speed          ${count(done.tokensPerSecond ?? 0)} tokens/s, MFU ${percent(tally.mfu)}, ${duration(done.seconds)} in all`,
    `on the wire    ${bytes(done.wireBytes)}`,
    ...kept,
    `metrics        ${folder}/metrics.jsonl`,
    ...next.length === 0 ? [] : ["", ...next]
  ];
}
__name(summary, "summary");

// packages/cli/dist/run/tally.js
var Tally = class {
  static {
    __name(this, "Tally");
  }
  losses = [];
  last = null;
  evalLoss = null;
  /** Folder of the last checkpoint inside the run folder; null when none was written. */
  checkpoint = null;
  #tokens = 0;
  #seconds = 0;
  /** Mean utilisation weighs steps by their time. */
  #mfuSeconds = 0;
  add(event) {
    if (event.event === "eval")
      this.evalLoss = event.loss;
    if (event.event === "checkpoint")
      this.checkpoint = event.path;
    if (event.event !== "step")
      return;
    const seconds = event.tokens / event.tokensPerSecond;
    this.last = event;
    this.losses.push({ step: event.step, loss: event.loss });
    this.#tokens += event.tokens;
    this.#seconds += seconds;
    this.#mfuSeconds = event.mfu === null || this.#mfuSeconds === null ? null : this.#mfuSeconds + event.mfu * seconds;
  }
  /** Over all steps, without evaluations and checkpoints; null before the first step. */
  get tokensPerSecond() {
    return this.#seconds > 0 ? this.#tokens / this.#seconds : null;
  }
  get mfu() {
    return this.#mfuSeconds === null || this.#seconds === 0 ? null : this.#mfuSeconds / this.#seconds;
  }
  get secondsPerStep() {
    return this.losses.length === 0 ? null : this.#seconds / this.losses.length;
  }
};

// packages/cli/dist/run/follow.js
async function follow(topology, options) {
  const unbuilt = refuseUnbuilt(topology);
  if (unbuilt.length > 0)
    throw new TopologyError(unbuilt);
  const request = profileRequest(options.profile, options.profileSteps);
  const { steps } = topology.train;
  const profile = request === null ? null : {
    ...request,
    steps: profileSteps(request, {
      first: (options.resumeFrom?.manifest.step ?? 0) + 1,
      last: Math.min(options.stopAfter ?? steps, steps)
    })
  };
  return new FollowedRun(topology, options, profile).run();
}
__name(follow, "follow");
var FollowedRun = class {
  static {
    __name(this, "FollowedRun");
  }
  #topology;
  #options;
  #folder;
  #clock = systemClock();
  #tally = new Tally();
  #metrics;
  #progress;
  #profile;
  /** Measured before the run. */
  #rates = { flops: null, bytes: null };
  constructor(topology, options, profile) {
    const { steps } = topology.train;
    this.#topology = topology;
    this.#options = options;
    this.#folder = options.claim();
    this.#profile = profile === null ? null : this.#profilePlan(profile);
    this.#metrics = new MetricsFile(this.#folder.path);
    this.#progress = new Progress({
      steps,
      first: options.resumeFrom?.manifest.step ?? 0,
      end: Math.min(options.stopAfter ?? steps, steps),
      isTerminal: process.stdout.isTTY,
      columns: /* @__PURE__ */ __name(() => process.stdout.columns, "columns"),
      write: /* @__PURE__ */ __name((text) => void process.stdout.write(text), "write")
    }, this.#tally);
  }
  async run() {
    const { path, taken } = this.#folder;
    const { resumeFrom, grace } = this.#options;
    const signals = new StopSignals({
      clock: this.#clock,
      graceMs: 1e3 * grace,
      notice: /* @__PURE__ */ __name((text) => {
        this.#progress.close();
        printError(text);
      }, "notice"),
      // The workers hear the pipe close and leave by themselves.
      exit: /* @__PURE__ */ __name((reason) => process.exit(exitCodes[reason]), "exit")
    });
    try {
      if (this.#forPeople) {
        const from = resumeFrom === null ? "" : `, on from ${path}/${resumeFrom.folder}`;
        print(`${this.#topology.name}: run folder ${path}${taken === null ? "" : ` (${taken} belongs to an earlier run)`}${from}`);
      }
      const startedMs = this.#clock.now();
      const run = await this.#launch();
      signals.attach(run);
      const result = await run.result;
      const seconds = (this.#clock.now() - startedMs) / 1e3;
      const profile = await this.#writeProfile();
      return this.#end(run, result, seconds, profile);
    } finally {
      signals.close();
      this.#metrics.close();
      if (this.#tally.last === null && resumeFrom === null)
        releaseRunFolder(path);
    }
  }
  get #forPeople() {
    return this.#options.json !== true && this.#options.quiet !== true;
  }
  #launch() {
    const { stopAfter, checkpoints, resumeFrom, logLevel, spare } = this.#options;
    this.#rates = this.#measureRates();
    return launch(this.#topology, {
      ...stopAfter === void 0 ? {} : { stopAfter },
      checkpoints: checkpoints ? { storage: fileStorage(this.#folder.path), folder: "" } : null,
      ...resumeFrom === null ? {} : { resumeFrom },
      report: /* @__PURE__ */ __name((event) => this.#report(event), "report"),
      logLevel,
      spare,
      peakFlops: this.#rates.flops && this.#rates.flops * this.#topology.parallel.world,
      ...this.#profile === null ? {} : { profile: this.#profile.plan }
    });
  }
  /** Threads of all devices, as far as there are cores for them. */
  get #threads() {
    const { workers } = createPlacement(this.#topology);
    const threads = workers.reduce((sum, worker) => sum + worker.device.threads, 0);
    return Math.min(threads, availableParallelism());
  }
  /** Of a device: its share of what all threads reach together. */
  #measureRates() {
    const threads = this.#threads;
    const { world } = this.#topology.parallel;
    const flops = measuredPeakFlops(threads, this.#topology.train.precision === "bf16" ? "bf16" : "f32");
    const bytes2 = this.#profile === null ? null : measuredBandwidth(threads);
    return { flops: flops && flops / world, bytes: bytes2 && bytes2 / world };
  }
  /** What was measured before the run or is now, whichever is more: others may have used the machine in one of both moments. */
  #bestRates() {
    const { flops, bytes: bytes2 } = this.#measureRates();
    return {
      flops: flops && Math.max(flops, this.#rates.flops ?? 0),
      bytes: bytes2 && Math.max(bytes2, this.#rates.bytes ?? 0)
    };
  }
  #profilePlan(profile) {
    const path = profilePath(profile, this.#folder.path);
    return { path, plan: { partPrefix: resolve(path), originMs: monotonicMs(), ...profile.steps } };
  }
  /** null when none was asked for, or when it could not be written: that is said and costs the profile, not the run. */
  async #writeProfile() {
    if (this.#profile === null)
      return null;
    const { path, plan } = this.#profile;
    const paths = partPaths(plan, this.#topology.parallel.world);
    try {
      return await writeProfile({ paths, path, rates: this.#bestRates() });
    } catch (error) {
      this.#progress.close();
      printError(`troupe: no profile: ${error instanceof Error ? error.message : String(error)}; its parts are ${path}.*.part`);
      return null;
    }
  }
  #report(event) {
    this.#tally.add(event);
    const placed = event.event === "checkpoint" ? { ...event, path: join2(this.#folder.path, event.path) } : event;
    this.#metrics.write(placed);
    if (this.#options.json === true)
      printJson(placed);
    else if (this.#forPeople)
      this.#progress.show(placed);
  }
  #end(run, result, seconds, profile) {
    const { exitCode, error } = result;
    const { evalLoss, tokensPerSecond, last } = this.#tally;
    if (error !== null)
      this.#announce({ event: "error", code: error.code, message: error.message });
    if (profile !== null)
      this.#announce(profile);
    const statistics = error === null && last !== null ? run.statistics() : null;
    const done = {
      event: "done",
      steps: last?.step ?? this.#options.resumeFrom?.manifest.step ?? 0,
      loss: last?.loss ?? null,
      tokensPerSecond,
      seconds,
      exitCode,
      wireBytes: run.wireBytes(),
      evalLoss,
      unigramEntropy: statistics?.unigramEntropy ?? null,
      bigramCrossEntropy: statistics?.bigramCrossEntropy ?? null
    };
    this.#announce(done);
    if (this.#options.json === true)
      return exitCode;
    this.#progress.close();
    if (this.#forPeople && error === null)
      print(...summary(this.#folder.path, this.#tally, done, this.#topology.train.steps));
    if (this.#forPeople && profile !== null)
      print("", ...profileTable(profile));
    const line = exitLine(exitCode, this.#why(done, result));
    if (exitCode === exitCodes.ok)
      print(line);
    else
      printError(line);
    return exitCode;
  }
  /** To the metrics file, and to programs. */
  #announce(event) {
    this.#metrics.write(event);
    if (this.#options.json === true)
      printJson(event);
  }
  /** How the run ended and what to type to go on. */
  #why({ steps, exitCode }, { error }) {
    const { path } = this.#folder;
    const { checkpoint } = this.#tally;
    const total = this.#topology.train.steps;
    if (exitCode === exitCodes.ok)
      return steps === total ? `all ${total} steps` : `stopped after step ${steps} of ${total}, as asked`;
    const saved = checkpoint ?? this.#options.resumeFrom?.folder ?? null;
    const resume = saved === null ? "no checkpoint was written" : `the last checkpoint is ${join2(path, saved)}; go on with: npx troupe resume ${path}`;
    if (error === null)
      return `after step ${steps} of ${total}; ${resume}`;
    return exitCode === exitCodes.failed ? error.message : `${error.message}; ${resume}`;
  }
};
export {
  follow
};
//# sourceMappingURL=follow-DEQS5LAE.js.map
