import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import "./chunk-LGOQTQFJ.js";
import {
  measuredPeakFlops
} from "./chunk-QARYORQO.js";
import "./chunk-VRYBNUKX.js";
import {
  loadDevice
} from "./chunk-YHPICGTS.js";
import "./chunk-VTPYBM4G.js";
import "./chunk-IEL6CF5I.js";
import "./chunk-K7SOYNM4.js";
import "./chunk-RTBJM3FJ.js";
import "./chunk-J3KKUFZH.js";
import "./chunk-JUIDX3IZ.js";
import "./chunk-E7AC55FK.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/doctor/examine.js
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
var interesting = [
  "avx2",
  "fma",
  "avx512f",
  "avx512bw",
  "avx512vl",
  "avx512_bf16",
  "amx_bf16",
  "asimd",
  "sve"
];
function instructionSets() {
  try {
    const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/mu.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.split(/\s+/u));
    return interesting.filter((name) => flags.has(name));
  } catch {
    return [];
  }
}
__name(instructionSets, "instructionSets");
var withoutBody = /* @__PURE__ */ __name((body, reason) => reason.startsWith(`${body}: `) ? reason.slice(body.length + 2) : reason, "withoutBody");
async function tryDevice(body) {
  try {
    const device = await loadDevice({ body, threads: 1 });
    const { info } = device;
    await device.close();
    return { body: info.body, available: true, name: info.name, reason: withoutBody(info.body, info.reason) };
  } catch (error) {
    return {
      body,
      available: false,
      name: null,
      reason: error instanceof Error ? error.message : String(error)
    };
  }
}
__name(tryDevice, "tryDevice");
function run(command, argument) {
  return new Promise((resolve) => execFile(command, [argument], { timeout: 5e3 }, (error, stdout) => resolve(error === null ? stdout : null)));
}
__name(run, "run");
async function findCompiler() {
  const asked = process.env["CXX"];
  for (const command of asked === void 0 ? ["c++", "g++", "clang++"] : [asked]) {
    const version = await run(command, "--version");
    if (version !== null)
      return { command, version: version.split("\n", 1)[0] ?? "" };
  }
  return { command: null, version: null };
}
__name(findCompiler, "findCompiler");
function findPort() {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", (error) => resolve({ ok: false, reason: error.message }));
    server.listen(0, "127.0.0.1", () => server.close(() => resolve({ ok: true, reason: "the system hands out free ports on 127.0.0.1" })));
  });
}
__name(findPort, "findPort");
async function diskOf(folder) {
  try {
    const { bavail, bsize } = await statfs(folder);
    return { folder, freeBytes: bavail * bsize };
  } catch {
    return { folder, freeBytes: null };
  }
}
__name(diskOf, "diskOf");
function supported(version) {
  const [major = 0, minor = 0] = version.slice(1).split(".").map(Number);
  return major > 20 || major === 20 && minor >= 19;
}
__name(supported, "supported");
async function examine() {
  const path = fileURLToPath(new URL("../../../../kernels/native/build/troupe_native.node", new URL("../dist/doctor/examine.js", import.meta.url).href));
  const cores = availableParallelism();
  const limit = process.constrainedMemory();
  return {
    node: { version: process.version, supported: supported(process.version) },
    platform: `${process.platform} ${process.arch}`,
    cpu: { model: cpus()[0]?.model ?? "unknown", cores, instructionSets: instructionSets() },
    devices: [await tryDevice("native"), await tryDevice("tfjs"), await tryDevice("reference")],
    chosen: await tryDevice("auto"),
    peakFlops: measuredPeakFlops(cores),
    compiler: await findCompiler(),
    addon: { built: existsSync(path), path, build: "npm run build:native" },
    freePort: await findPort(),
    // Without a limit the system reports a number larger than any memory.
    memory: {
      totalBytes: totalmem(),
      freeBytes: freemem(),
      limitBytes: limit > 0 && limit < totalmem() ? limit : null
    },
    disk: await diskOf(".")
  };
}
__name(examine, "examine");
export {
  examine
};
//# sourceMappingURL=examine-TVVEPVSO.js.map
