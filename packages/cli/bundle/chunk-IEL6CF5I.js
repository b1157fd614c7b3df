import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  NORM_BLOCK,
  TroupeError,
  address,
  assert,
  hiddenInputs,
  nodeId
} from "./chunk-JUIDX3IZ.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// topology/dist/problem.js
var problemCodes = [
  "TROUPE_TOPOLOGY_NOT_FOUND",
  "TROUPE_TOPOLOGY_SYNTAX",
  "TROUPE_TOPOLOGY_DUPLICATE_KEY",
  "TROUPE_TOPOLOGY_EXTENDS",
  "TROUPE_TOPOLOGY_OVERRIDE",
  "TROUPE_TOPOLOGY_VERSION",
  "TROUPE_TOPOLOGY_UNKNOWN_KEY",
  "TROUPE_TOPOLOGY_MISSING",
  "TROUPE_TOPOLOGY_TYPE",
  "TROUPE_TOPOLOGY_CHOICE",
  "TROUPE_TOPOLOGY_RANGE",
  "TROUPE_TOPOLOGY_FORMAT",
  "TROUPE_TOPOLOGY_INDIVISIBLE",
  "TROUPE_TOPOLOGY_CONFLICT",
  "TROUPE_TOPOLOGY_DUPLICATE_DEVICE",
  "TROUPE_TOPOLOGY_DEVICES",
  "TROUPE_TOPOLOGY_IDLE_DEVICES",
  "TROUPE_TOPOLOGY_PLACEMENT",
  "TROUPE_NOT_BUILT"
];
var nowhere = { file: null, line: null, column: null, flag: null };
function showPlace(place) {
  if (place.flag !== null)
    return place.flag;
  if (place.file === null)
    return "";
  return place.line === null ? place.file : `${place.file}:${place.line}:${place.column ?? 1}`;
}
__name(showPlace, "showPlace");
function showValue(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
__name(showValue, "showValue");
function formatProblem(problem) {
  const parts = [
    showPlace(problem),
    problem.value === void 0 ? problem.key : `${problem.key}: ${showValue(problem.value)}`
  ];
  const hint = problem.nearest === null ? "" : `; nearest: ${problem.nearest}`;
  return `${parts.filter((part) => part !== "").join("  ")}  ${problem.rule}${hint}  [${problem.code}]`;
}
__name(formatProblem, "formatProblem");

// topology/dist/errors.js
var TopologyError = class extends TroupeError {
  static {
    __name(this, "TopologyError");
  }
  name = "TopologyError";
  problems;
  constructor(problems) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    const list = problems.map((problem) => `  ${formatProblem(problem)}`).join("\n");
    super("TROUPE_TOPOLOGY_INVALID", `the topology has ${count}:
${list}`, {
      details: {
        problems: problems.map(formatProblem),
        codes: [...new Set(problems.map((problem) => problem.code))]
      }
    });
    this.problems = problems;
  }
  /** Exit code of a command that ends with this error: 5 when only devices are lacking, else 3. */
  get exitCode() {
    return this.problems.every((problem) => problem.code === "TROUPE_TOPOLOGY_DEVICES") ? 5 : 3;
  }
};
var AddressUnknownError = class extends TroupeError {
  static {
    __name(this, "AddressUnknownError");
  }
  name = "AddressUnknownError";
  constructor(address2, nearest) {
    super("TROUPE_ADDRESS_UNKNOWN", `no actor has the address ${address2}${nearest === null ? "" : `; nearest: ${nearest}`}`, { details: { address: address2, nearest } });
  }
};

// topology/dist/speed-presets.js
var speedPresets = {
  "a100-40gb": { tflops: 312, memoryGBps: 1555, memoryGB: 40 },
  h100: { tflops: 989, memoryGBps: 3350, memoryGB: 80 },
  h200: { tflops: 989, memoryGBps: 4800, memoryGB: 141 }
};

// topology/dist/machines.js
var pattern = /^(cpu|cuda):(\d+)(?:\/threads=(\d+))?$/;
function parseDevice(text) {
  const match = pattern.exec(text);
  assert(match !== null, "the schema lets only legal devices through", { text });
  const kind = match[1] === "cuda" ? "cuda" : "cpu";
  return { id: `${kind}:${match[2]}`, kind, index: Number(match[2]), threads: Number(match[3] ?? 1) };
}
__name(parseDevice, "parseDevice");
function resolveMachines(machines) {
  return machines.map((machine) => ({
    host: machine.host,
    body: machine.body,
    devices: machine.devices.map(parseDevice),
    speed: machine.speed === void 0 ? null : resolveSpeed(machine.speed)
  }));
}
__name(resolveMachines, "resolveMachines");
var PRESET_LAUNCH_MS = 0.01;
function resolveSpeed(speed) {
  const figures = typeof speed === "string" ? { ...speedPresets[speed], launchMs: PRESET_LAUNCH_MS } : speed;
  return {
    flopsPerSecond: figures.tflops * 1e12,
    memoryBytesPerSecond: figures.memoryGBps === void 0 ? null : figures.memoryGBps * 1e9,
    memoryBytes: figures.memoryGB === void 0 ? null : figures.memoryGB * 1e9,
    launchMs: figures.launchMs
  };
}
__name(resolveSpeed, "resolveSpeed");
var isLocalHost = /* @__PURE__ */ __name((host) => ["localhost", "127.0.0.1", "::1"].includes(host.toLowerCase()), "isLocalHost");
function deviceNames(machines) {
  return machines.flatMap((machine) => machine.devices.map((device) => `${machine.host}/${device.id}`));
}
__name(deviceNames, "deviceNames");

// topology/dist/buddies.js
function buddyShift({ recovery, parallel, machines }) {
  const { dp, tp } = parallel;
  if (!recovery.buddies || dp === 1)
    return 0;
  const hosts = machines.flatMap(({ host, devices }) => devices.map(() => isLocalHost(host) ? "" : host));
  const apart = /* @__PURE__ */ __name((shift) => hosts.filter((host, rank) => {
    const place = Math.floor(rank / tp);
    const dpRank = place % dp;
    return host !== hosts[(place - dpRank + (dpRank + shift) % dp) * tp + rank % tp];
  }).length, "apart");
  if (new Set(hosts).size === 1)
    return 1;
  let best = { shift: 1, count: apart(1) };
  for (let shift = 2; shift < dp && best.count < hosts.length; shift++) {
    const count = apart(shift);
    if (count > best.count)
      best = { shift, count };
  }
  return best.shift;
}
__name(buddyShift, "buddyShift");

// topology/dist/mesh.js
var range = /* @__PURE__ */ __name((n) => Array.from({ length: n }, (_, i) => i), "range");
function createMesh(shape, order = "contiguous") {
  const { pp, dp, tp, ep } = shape;
  assert([pp, dp, tp, ep].every((size) => Number.isSafeInteger(size) && size >= 1), "axes are positive whole numbers", { pp, dp, tp, ep });
  assert(dp % ep === 0, "ep divides dp", { dp, ep });
  const edp = dp / ep;
  const world = pp * dp * tp;
  const rankOf = /* @__PURE__ */ __name((at) => (at.pp * dp + at.dp) * tp + at.tp, "rankOf");
  const dpOf = /* @__PURE__ */ __name((e, replica) => order === "contiguous" ? replica * ep + e : e * edp + replica, "dpOf");
  const coordinates = /* @__PURE__ */ __name((rank) => {
    assert(Number.isSafeInteger(rank) && rank >= 0 && rank < world, "a rank lies in the world", {
      rank,
      world
    });
    const d = Math.floor(rank / tp) % dp;
    const [e, replica] = order === "contiguous" ? [d % ep, Math.floor(d / ep)] : [Math.floor(d / edp), d % edp];
    return { pp: Math.floor(rank / (dp * tp)), dp: d, tp: rank % tp, ep: e, edp: replica };
  }, "coordinates");
  const planes = range(pp).flatMap((p) => range(tp).map((t) => ({ pp: p, tp: t })));
  const groups = {
    tp: range(pp).flatMap((p) => range(dp).map((d) => range(tp).map((t) => rankOf({ pp: p, dp: d, tp: t })))),
    dp: planes.map((plane) => range(dp).map((d) => rankOf({ ...plane, dp: d }))),
    pp: range(dp).flatMap((d) => range(tp).map((t) => range(pp).map((p) => rankOf({ pp: p, dp: d, tp: t })))),
    ep: planes.flatMap((plane) => range(edp).map((s) => range(ep).map((e) => rankOf({ ...plane, dp: dpOf(e, s) })))),
    edp: planes.flatMap((plane) => range(ep).map((e) => range(edp).map((s) => rankOf({ ...plane, dp: dpOf(e, s) }))))
  };
  return { ...shape, world, edp, groups, coordinates, rankOf, dpOf };
}
__name(createMesh, "createMesh");
function expertRange(experts, ep, epSize) {
  assert(experts % epSize === 0, "ep divides the number of experts", { experts, epSize });
  const each = experts / epSize;
  return { first: ep * each, end: (ep + 1) * each };
}
__name(expertRange, "expertRange");
function pipelineStageOf(layer, layers, pp) {
  assert(layer >= 0 && layer < layers, "a layer lies in the model", { layer, layers });
  let stage = Math.floor(layer * pp / layers);
  while (Math.floor((stage + 1) * layers / pp) <= layer)
    stage++;
  return stage;
}
__name(pipelineStageOf, "pipelineStageOf");

// topology/dist/nearest.js
function editDistance(a, b) {
  let before = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped)
        best = Math.min(best, (before[j - 2] ?? 0) + 1);
      next.push(best);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
__name(editDistance, "editDistance");
function nearestName(typed, names) {
  const word = typed.toLowerCase();
  let best = null;
  let bestDistance = Infinity;
  for (const name of names) {
    const distance = editDistance(word, name.toLowerCase());
    if (distance < bestDistance)
      [best, bestDistance] = [name, distance];
  }
  if (best === null || word === "")
    return null;
  const limit = Math.max(1, Math.floor(Math.max(word.length, best.length) / 3));
  if (bestDistance <= limit)
    return best;
  return names.find((name) => name.toLowerCase().startsWith(word) || word.startsWith(name.toLowerCase())) ?? null;
}
__name(nearestName, "nearestName");
function divisors(n) {
  const low = [];
  const high = [];
  for (let d = 1; d * d <= n; d++) {
    if (n % d !== 0)
      continue;
    low.push(d);
    if (d * d !== n)
      high.unshift(n / d);
  }
  return [...low, ...high];
}
__name(divisors, "divisors");
function nearestNumber(value, candidates) {
  let best = null;
  for (const each of candidates) {
    if (best === null || Math.abs(each - value) < Math.abs(best - value))
      best = each;
  }
  return best;
}
__name(nearestNumber, "nearestNumber");
function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
__name(greatestCommonDivisor, "greatestCommonDivisor");

// topology/dist/placement-rules.js
function matchesAddress(pattern2, address2) {
  const wanted = pattern2.split("/");
  const found = address2.split("/");
  const open = wanted.at(-1) === "*";
  if (open ? found.length < wanted.length : found.length !== wanted.length)
    return false;
  return wanted.every((segment, index) => matchesSegment(segment, found[index] ?? ""));
}
__name(matchesAddress, "matchesAddress");
function matchesSegment(pattern2, segment) {
  const escaped = pattern2.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join(".*")}$`).test(segment);
}
__name(matchesSegment, "matchesSegment");

// packages/spec/dist/model-config.js
function isMoeLayer(config, layer) {
  return config.moe !== null && (layer + 1) % config.moe.every === 0;
}
__name(isMoeLayer, "isMoeLayer");
function moeLayers(config) {
  return Array.from({ length: config.layers }, (_, layer) => layer).filter((layer) => isMoeLayer(config, layer));
}
__name(moeLayers, "moeLayers");
function qkvWidths(config) {
  const q = config.heads * config.headDim;
  const k = config.kvHeads * config.headDim;
  return { q, k, v: k, all: q + 2 * k };
}
__name(qkvWidths, "qkvWidths");

// packages/spec/dist/parameters.js
function unit(id, place, parts) {
  let offset = 0;
  const parameters = parts.map((part) => {
    const size = part.shape.reduce((a, b) => a * b, 1);
    const parameter = { ...part, size, offset };
    offset += size;
    return parameter;
  });
  return {
    id,
    class: place.expert === void 0 ? "dense" : "expert",
    layer: place.layer,
    expert: place.expert ?? null,
    parameters,
    size: offset,
    paddedSize: Math.ceil(offset / NORM_BLOCK) * NORM_BLOCK
  };
}
__name(unit, "unit");
var one = { kind: "constant", value: 1 };
var zero = { kind: "constant", value: 0 };
function matrixInit(config, fanIn) {
  return { kind: "truncated-normal", std: Math.sqrt(config.init.scale / fanIn) };
}
__name(matrixInit, "matrixInit");
function normUnit(config, id, name, layer) {
  const weight = { name: `${name}.weight`, shape: [config.dModel], init: one };
  const bias = { name: `${name}.bias`, shape: [config.dModel], init: zero };
  return unit(id, { layer }, config.norm.kind === "layer" ? [weight, bias] : [weight]);
}
__name(normUnit, "normUnit");
function ffnParts(config, prefix, hidden, downFanIn) {
  const inputs = [
    {
      name: `${prefix}.gate_proj.weight`,
      shape: [hidden, config.dModel],
      init: matrixInit(config, config.dModel)
    },
    {
      name: `${prefix}.up_proj.weight`,
      shape: [hidden, config.dModel],
      init: matrixInit(config, config.dModel)
    }
  ];
  const down = {
    name: `${prefix}.down_proj.weight`,
    shape: [config.dModel, hidden],
    init: matrixInit(config, downFanIn)
  };
  return [...hiddenInputs(config.ffn.activation) === 2 ? inputs : inputs.slice(1), down];
}
__name(ffnParts, "ffnParts");
function ownPart(config, prefix, { name, shape, init }) {
  const fanIn = shape.length > 1 ? shape.at(-1) : void 0;
  return {
    name: `${prefix}.${name}`,
    shape,
    init: init ?? (fanIn === void 0 ? zero : matrixInit(config, fanIn))
  };
}
__name(ownPart, "ownPart");
function expertUnit(config, layer, expert) {
  assert(config.moe !== null && isMoeLayer(config, layer), "only layers with experts have expert units", {
    layer
  });
  const prefix = `model.layers.${layer}.mlp.experts.${expert}`;
  const own = config.moe.expertParameters?.map((parameter) => ownPart(config, prefix, parameter));
  return unit(`L${layer}/expert${expert}`, { layer, expert }, own ?? ffnParts(config, prefix, config.moe.dExpert, config.ffn.dFf));
}
__name(expertUnit, "expertUnit");
function layerUnits(config, layer) {
  const prefix = `model.layers.${layer}`;
  const d = config.dModel;
  const widths = qkvWidths(config);
  const units = [
    normUnit(config, `L${layer}/norm1`, `${prefix}.input_layernorm`, layer),
    unit(`L${layer}/qkv`, { layer }, ["q", "k", "v"].map((part) => ({
      name: `${prefix}.self_attn.${part}_proj.weight`,
      shape: [widths[part], d],
      init: matrixInit(config, d)
    })))
  ];
  if (config.qkNorm !== "none") {
    const [qDim, kDim] = config.qkNorm === "head" ? [config.headDim, config.headDim] : [widths.q, widths.k];
    units.push(unit(`L${layer}/q-norm`, { layer }, [
      { name: `${prefix}.self_attn.q_norm.weight`, shape: [qDim], init: one }
    ]));
    units.push(unit(`L${layer}/k-norm`, { layer }, [
      { name: `${prefix}.self_attn.k_norm.weight`, shape: [kDim], init: one }
    ]));
  }
  units.push(unit(`L${layer}/out`, { layer }, [
    { name: `${prefix}.self_attn.o_proj.weight`, shape: [d, widths.q], init: matrixInit(config, widths.q) }
  ]), normUnit(config, `L${layer}/norm2`, `${prefix}.post_attention_layernorm`, layer));
  if (config.moe !== null && isMoeLayer(config, layer)) {
    units.push(unit(`L${layer}/gate`, { layer }, [
      { name: `${prefix}.mlp.gate.weight`, shape: [config.moe.experts, d], init: matrixInit(config, d) }
    ]));
    const sharedHidden = config.moe.sharedExperts * config.moe.dExpert;
    if (sharedHidden > 0) {
      units.push(unit(`L${layer}/shared`, { layer }, ffnParts(config, `${prefix}.mlp.shared_experts`, sharedHidden, config.ffn.dFf)));
    }
  } else {
    units.push(unit(`L${layer}/ffn`, { layer }, ffnParts(config, `${prefix}.mlp`, config.ffn.dFf, config.ffn.dFf)));
  }
  return units;
}
__name(layerUnits, "layerUnits");
function denseUnits(config) {
  const d = config.dModel;
  const table = /* @__PURE__ */ __name((id, name, init) => unit(id, { layer: null }, [{ name, shape: [config.vocab, d], init }]), "table");
  const embed = table("embed", "model.embed_tokens.weight", { kind: "normal", std: config.init.embedding });
  const layers = Array.from({ length: config.layers }, (_, layer) => layerUnits(config, layer)).flat();
  const tail = [normUnit(config, "norm", "model.norm", null)];
  if (!config.tiedHead)
    tail.push(table("head", "lm_head.weight", matrixInit(config, d)));
  return [embed, ...layers, ...tail];
}
__name(denseUnits, "denseUnits");
function expertUnits(config, layer) {
  return Array.from({ length: config.moe?.experts ?? 0 }, (_, expert) => expertUnit(config, layer, expert));
}
__name(expertUnits, "expertUnits");
function flatLayout(units) {
  let length = 0;
  const starts = units.map((each) => {
    const start = length;
    length += each.paddedSize;
    return start;
  });
  return { units, starts, length };
}
__name(flatLayout, "flatLayout");
function sliceBounds(length, parts) {
  assert(length % NORM_BLOCK === 0, "flat layouts are padded to NORM_BLOCK", { length });
  const blocks = length / NORM_BLOCK;
  return Array.from({ length: parts + 1 }, (_, part) => Math.floor(blocks * part / parts) * NORM_BLOCK);
}
__name(sliceBounds, "sliceBounds");

// packages/spec/dist/counts.js
var sizeOf = /* @__PURE__ */ __name((units) => units.reduce((sum, unit2) => sum + unit2.size, 0), "sizeOf");
function parameterCounts(config) {
  const units = denseUnits(config);
  const dense = sizeOf(units);
  const layers = moeLayers(config);
  const perExpert = layers[0] === void 0 ? 0 : expertUnit(config, layers[0], 0).size;
  const moe = config.moe;
  const expert = moe === null ? 0 : layers.length * moe.experts * perExpert;
  const activeExpert = moe === null ? 0 : layers.length * moe.topK * perExpert;
  const isMatrix = /* @__PURE__ */ __name((unit2) => unit2.parameters.every((p) => p.shape.length === 2) && unit2.id !== "embed", "isMatrix");
  const head = config.tiedHead ? config.vocab * config.dModel : 0;
  const activeMatmul = sizeOf(units.filter(isMatrix)) + head + activeExpert;
  return { total: dense + expert, active: dense + activeExpert, activeMatmul, dense, expert };
}
__name(parameterCounts, "parameterCounts");
function trainingFlopsPerToken(config) {
  const width = qkvWidths(config).q;
  return 6 * parameterCounts(config).activeMatmul + 12 * config.layers * width * config.seqLen;
}
__name(trainingFlopsPerToken, "trainingFlopsPerToken");

// packages/spec/dist/exchange.js
var DEFAULT_FANOUT = 8;
function exchangeLevels(numPeers, { perMachine, fanout }) {
  assert(fanout === 0 || fanout >= 2, "groups have at least two peers", { fanout });
  if (fanout === 0 || numPeers <= fanout)
    return [{ size: numPeers, stride: 1 }];
  const inMachine = largestDivisor(greatestCommonDivisor2(numPeers, perMachine), fanout);
  const sizes = inMachine > 1 ? [inMachine] : [];
  for (let rest = numPeers / inMachine; rest > 1; rest /= sizes.at(-1) ?? rest) {
    const size = largestDivisor(rest, fanout);
    sizes.push(size > 1 ? size : smallestFactor(rest));
  }
  let stride = 1;
  return sizes.map((size) => {
    const level = { size, stride };
    stride *= size;
    return level;
  });
}
__name(exchangeLevels, "exchangeLevels");
var Exchange = class {
  static {
    __name(this, "Exchange");
  }
  numLevels;
  #parts;
  #groups;
  #position;
  constructor(length, position, levels) {
    this.numLevels = levels.length;
    this.#position = position;
    const parts = [{ from: 0, to: length }];
    this.#groups = levels.map(({ size, stride }) => {
      const whole = parts.at(-1) ?? { from: 0, to: 0 };
      const bounds = sliceBounds(whole.to - whole.from, size);
      const own = Math.floor(position / stride) % size;
      const group = Array.from({ length: size }, (_, digit) => ({
        position: position + (digit - own) * stride,
        part: { from: whole.from + (bounds[digit] ?? 0), to: whole.from + (bounds[digit + 1] ?? 0) }
      }));
      parts.push(group[own]?.part ?? whole);
      return group;
    });
    this.#parts = parts;
  }
  /** What is left to divide behind `level` levels. */
  part(level) {
    const found = this.#parts[level];
    assert(found, "a part belongs to a level", { level });
    return found;
  }
  /** All members of the peer's group at a level, itself among them, in the order of their parts. */
  group(level) {
    const found = this.#groups[level];
    assert(found, "a group belongs to a level", { level });
    return found;
  }
  /** The same without the peer itself. */
  others(level) {
    return this.group(level).filter(({ position }) => position !== this.#position);
  }
  /** Elements of leaves and sums that come in at a level, those of the peer's own replica among them at level 0. */
  expected(level) {
    const { from, to } = this.part(level + 1);
    const { length } = this.group(level);
    return (to - from) * (level === 0 ? length : length - 1);
  }
};
function greatestCommonDivisor2(a, b) {
  return b === 0 ? a : greatestCommonDivisor2(b, a % b);
}
__name(greatestCommonDivisor2, "greatestCommonDivisor");
function largestDivisor(value, most) {
  for (let divisor = Math.min(value, most); divisor > 1; divisor--)
    if (value % divisor === 0)
      return divisor;
  return 1;
}
__name(largestDivisor, "largestDivisor");
function smallestFactor(value) {
  for (let factor = 2; factor * factor <= value; factor++)
    if (value % factor === 0)
      return factor;
  return value;
}
__name(smallestFactor, "smallestFactor");

// packages/spec/dist/memory.js
function localParts({ dense, expert, ep, tp, expertsSliced }) {
  return { dense: dense / tp, expert: expert / ep / (expertsSliced === false ? 1 : tp) };
}
__name(localParts, "localParts");
function shares(layout) {
  const { dp, ep } = layout;
  const { dense, expert } = localParts(layout);
  return { local: dense + expert, owned: dense / dp + expert / (dp / ep) };
}
__name(shares, "shares");
function mixedPrecisionMemory(layout) {
  const bytes = { weights: 2, gradients: 2, optimizer: 12 };
  const { local, owned } = shares(layout);
  if (layout.offload === "optimizer") {
    return { device: bytes.weights * local, host: (bytes.gradients + bytes.optimizer) * owned };
  }
  const part = /* @__PURE__ */ __name((each, shardedFrom) => each * (layout.zero >= shardedFrom ? owned : local), "part");
  return { device: part(bytes.weights, 3) + part(bytes.gradients, 2) + part(bytes.optimizer, 1), host: 0 };
}
__name(mixedPrecisionMemory, "mixedPrecisionMemory");
var gradientBytes = /* @__PURE__ */ __name((holders, microbatches) => holders === 1 && microbatches === 1 ? 4 : 8, "gradientBytes");
function lonelyElements(layout) {
  const { dp, ep, zero: zero2 } = layout;
  const { dense, expert } = localParts(layout);
  if (dp === 1)
    return { dense: 0, expert: 0 };
  return { dense: zero2 >= 1 ? dense / dp : 0, expert: zero2 >= 1 || ep === dp ? expert / (dp / ep) : 0 };
}
__name(lonelyElements, "lonelyElements");
function f32Memory(layout, options) {
  const { local, owned } = shares(layout);
  const part = /* @__PURE__ */ __name((each, shardedFrom) => each * (layout.zero >= shardedFrom ? owned : local), "part");
  const { dense, expert } = localParts(layout);
  const eachGradient = /* @__PURE__ */ __name((holders) => gradientBytes(holders, options.microbatches), "eachGradient");
  const weights = part(layout.dp === 1 ? 4 : 8, 3);
  const gradients = layout.zero >= 2 ? 8 * owned : eachGradient(layout.dp) * dense + eachGradient(layout.dp / layout.ep) * expert;
  const moments = part(8, 1);
  const lonely = lonelyElements(layout);
  const buddies = options.buddies ? (12 + eachGradient(layout.dp)) * lonely.dense + (12 + eachGradient(layout.dp / layout.ep)) * lonely.expert : 0;
  const offloaded = layout.offload === "optimizer" ? moments + buddies : 0;
  const device = weights + gradients + moments + buddies + options.activations - offloaded;
  return {
    weights,
    gradients,
    moments,
    buddies,
    activations: options.activations,
    host: offloaded,
    device
  };
}
__name(f32Memory, "f32Memory");
function activationBytes(config, tokens, layers, precision = "f32") {
  const d = config.dModel;
  const widths = qkvWidths(config);
  const narrow = precision === "bf16" ? 2 : 4;
  const attention = narrow * d + 4 * (3 * d + widths.all + widths.q);
  const inputs = hiddenInputs(config.ffn.activation);
  const hidden = /* @__PURE__ */ __name((width) => narrow * inputs * width, "hidden");
  const perToken = layers.map((layer) => {
    if (config.moe === null || !isMoeLayer(config, layer))
      return attention + hidden(config.ffn.dFf);
    const { topK, dExpert, sharedExperts, experts } = config.moe;
    return attention + 8 * experts + topK * (8 * d + hidden(dExpert)) + hidden(sharedExperts * dExpert);
  });
  return tokens * perToken.reduce((sum, each) => sum + each, 0);
}
__name(activationBytes, "activationBytes");

// packages/spec/dist/traffic.js
function visitShare(experts, perRank, topK) {
  let missed = 1;
  for (let choice = 0; choice < topK; choice++)
    missed *= Math.max(0, experts - perRank - choice) / (experts - choice);
  return 1 - missed;
}
__name(visitShare, "visitShare");

// topology/dist/placement.js
var addresses = {
  trainer: address("trainer"),
  supervisor: address("supervisor"),
  store: /* @__PURE__ */ __name((machine) => address(`store/m${machine}`), "store"),
  feeder: /* @__PURE__ */ __name((dp) => address(`feeder/dp${dp}`), "feeder"),
  stage: /* @__PURE__ */ __name((at) => address(`stage/pp${at.pp}/dp${at.dp}/tp${at.tp}`), "stage"),
  gate: /* @__PURE__ */ __name((layer, at) => address(`gate/L${layer}/pp${at.pp}/dp${at.dp}`), "gate"),
  expert: /* @__PURE__ */ __name((layer, at) => address(`expert/L${layer}/ep${at.ep}/edp${at.edp}`), "expert"),
  /** One per device and parameter class; the device is named by dp alone while pp and tp are 1. */
  optimizer: /* @__PURE__ */ __name((parameters, at, shape = { pp: 1, tp: 1 }) => address(shape.pp * shape.tp === 1 ? `optimizer/${parameters}/dp${at.dp}` : `optimizer/${parameters}/pp${at.pp}/dp${at.dp}/tp${at.tp}`), "optimizer")
};
var agentId = /* @__PURE__ */ __name((machine) => nodeId(`agent/${machine}`), "agentId");
var workerId = /* @__PURE__ */ __name((rank) => nodeId(`worker/${rank}`), "workerId");
function listNodes({ machines }, mesh) {
  const agents = machines.map((machine, machineIndex) => ({
    kind: "agent",
    id: agentId(machineIndex),
    host: machine.host,
    machineIndex
  }));
  const workers = machines.flatMap((machine, machineIndex) => machine.devices.map((device) => ({ machine, machineIndex, device }))).map(({ machine, machineIndex, device }, rank) => ({
    kind: "worker",
    id: workerId(rank),
    host: machine.host,
    machineIndex,
    rank,
    coordinates: mesh.coordinates(rank),
    device,
    body: machine.body
  }));
  return { agents, workers };
}
__name(listNodes, "listNodes");
function defaultActors(topology, mesh) {
  const { model, machines } = topology;
  const layers = moeLayers(model).map((layer) => ({
    layer,
    pp: pipelineStageOf(layer, model.layers, mesh.pp)
  }));
  const actors = [
    { address: addresses.trainer, role: "trainer", node: agentId(0) },
    { address: addresses.supervisor, role: "supervisor", node: agentId(0) }
  ];
  const add = /* @__PURE__ */ __name((role, name, rank) => {
    actors.push({ address: name, role, node: workerId(rank) });
  }, "add");
  for (const machine of machines.keys())
    actors.push({ address: addresses.store(machine), role: "store", node: agentId(machine) });
  for (let dp = 0; dp < mesh.dp; dp++)
    add("feeder", addresses.feeder(dp), mesh.rankOf({ pp: 0, dp, tp: 0 }));
  const coordinates = Array.from({ length: mesh.world }, (_, rank) => mesh.coordinates(rank));
  for (const [rank, at] of coordinates.entries())
    add("stage", addresses.stage(at), rank);
  for (const { layer, pp } of layers) {
    for (let dp = 0; dp < mesh.dp; dp++)
      add("gate", addresses.gate(layer, { pp, dp }), mesh.rankOf({ pp, dp, tp: 0 }));
  }
  for (const { layer, pp } of layers) {
    for (let edp = 0; edp < mesh.edp; edp++) {
      for (let ep = 0; ep < mesh.ep; ep++) {
        add("expert", addresses.expert(layer, { ep, edp }), mesh.rankOf({ pp, dp: mesh.dpOf(ep, edp), tp: 0 }));
      }
    }
  }
  for (const [rank, at] of coordinates.entries())
    add("optimizer", addresses.optimizer("dense", at, mesh), rank);
  if (layers.length === 0)
    return actors;
  for (const [rank, at] of coordinates.entries())
    add("optimizer", addresses.optimizer("expert", at, mesh), rank);
  return actors;
}
__name(defaultActors, "defaultActors");
function applyRules(actors, topology) {
  const rules = Object.entries(topology.placement);
  if (rules.length === 0)
    return actors;
  const names = deviceNames(topology.machines);
  const placed = actors.map((actor) => {
    if (actor.role === "gate")
      return actor;
    const target = rules.findLast(([pattern2]) => matchesAddress(pattern2, actor.address))?.[1];
    return target === void 0 ? actor : { ...actor, node: workerId(names.indexOf(target)) };
  });
  return gatesBesideStages(placed);
}
__name(applyRules, "applyRules");
function gatesBesideStages(actors) {
  const stages = new Map(actors.filter((actor) => actor.role === "stage").map((actor) => [actor.address, actor.node]));
  return actors.map((actor) => {
    const [, , pp, dp] = actor.role === "gate" ? actor.address.split("/") : [];
    const node = stages.get(`stage/${pp}/${dp}/tp0`);
    return node === void 0 ? actor : { ...actor, node };
  });
}
__name(gatesBesideStages, "gatesBesideStages");
function createPlacement(topology, moves = /* @__PURE__ */ new Map()) {
  const mesh = createMesh(topology.parallel);
  const { agents, workers } = listNodes(topology, mesh);
  assert(workers.length === mesh.world, "one device per rank", {
    devices: workers.length,
    world: mesh.world
  });
  const start = applyRules(defaultActors(topology, mesh), topology);
  const moved = start.map((actor) => ({ ...actor, node: moves.get(actor.address) ?? actor.node }));
  const actors = moves.size === 0 ? start : gatesBesideStages(moved);
  const nodes = new Map(actors.map((actor) => [actor.address, actor.node]));
  for (const name of moves.keys())
    if (!nodes.has(name))
      throw unknown(name, actors);
  return {
    mesh,
    nodes: [...agents, ...workers],
    agents,
    workers,
    actors,
    moves,
    nodeOf: /* @__PURE__ */ __name((name) => {
      const node = nodes.get(name);
      if (node === void 0)
        throw unknown(name, actors);
      return node;
    }, "nodeOf"),
    actorsOf: /* @__PURE__ */ __name((node) => actors.filter((actor) => actor.node === node), "actorsOf"),
    withMoves: /* @__PURE__ */ __name((next) => createPlacement(topology, next), "withMoves")
  };
}
__name(createPlacement, "createPlacement");
var unknown = /* @__PURE__ */ __name((name, actors) => new AddressUnknownError(name, nearestName(name, actors.map((actor) => actor.address))), "unknown");
function expertsOfGate(mesh, layer, dp) {
  const { edp } = mesh.coordinates(dp * mesh.tp);
  return Array.from({ length: mesh.ep }, (_, ep) => addresses.expert(layer, { ep, edp }));
}
__name(expertsOfGate, "expertsOfGate");
function gatesOfExpert(mesh, layer, edp, pp = 0) {
  const dps = Array.from({ length: mesh.ep }, (_, ep) => mesh.dpOf(ep, edp)).sort((a, b) => a - b);
  return dps.map((dp) => addresses.gate(layer, { pp, dp }));
}
__name(gatesOfExpert, "gatesOfExpert");

// topology/dist/default-home.js
function partsOf(address2) {
  const names = [];
  const numbers = [];
  for (const part of address2.split("/")) {
    const match = /^([A-Za-z]+?)(0|[1-9]\d*)$/u.exec(part);
    names.push(match?.[1] ?? part);
    if (match !== null)
      numbers.push(Number(match[2]));
  }
  return { names: names.join("/"), numbers };
}
__name(partsOf, "partsOf");
function defaultHome(topology) {
  let listed = null;
  const lookUp = /* @__PURE__ */ __name((address2) => {
    listed ??= createPlacement(topology).nodeOf;
    return listed(address2);
  }, "lookUp");
  if (Object.keys(topology.placement).length > 0)
    return lookUp;
  const { model, machines } = topology;
  const { pp, dp, tp, ep, edp, rankOf, dpOf } = createMesh(topology.parallel);
  const worker = /* @__PURE__ */ __name((at) => at.pp < pp && at.dp < dp && at.tp < tp ? nodeId(`worker/${rankOf(at)}`) : null, "worker");
  const stageOf = /* @__PURE__ */ __name((layer) => layer < model.layers && isMoeLayer(model, layer) ? pipelineStageOf(layer, model.layers, pp) : null, "stageOf");
  const hasAxes = pp * tp > 1;
  const find = /* @__PURE__ */ __name((address2) => {
    const { names, numbers } = partsOf(address2);
    const [a = 0, b = 0, c = 0] = numbers;
    switch (names) {
      case "trainer":
      case "supervisor":
        return nodeId("agent/0");
      case "store/m":
        return a < machines.length ? nodeId(`agent/${a}`) : null;
      case "feeder/dp":
        return worker({ pp: 0, dp: a, tp: 0 });
      case "stage/pp/dp/tp":
        return worker({ pp: a, dp: b, tp: c });
      case "gate/L/pp/dp":
        return stageOf(a) === b ? worker({ pp: b, dp: c, tp: 0 }) : null;
      case "expert/L/ep/edp": {
        const stage = stageOf(a);
        return stage === null || b >= ep || c >= edp ? null : worker({ pp: stage, dp: dpOf(b, c), tp: 0 });
      }
      case "optimizer/dense/dp":
        return hasAxes ? null : worker({ pp: 0, dp: a, tp: 0 });
      case "optimizer/expert/dp":
        return hasAxes || model.moe === null ? null : worker({ pp: 0, dp: a, tp: 0 });
      case "optimizer/dense/pp/dp/tp":
        return hasAxes ? worker({ pp: a, dp: b, tp: c }) : null;
      case "optimizer/expert/pp/dp/tp":
        return hasAxes && model.moe !== null ? worker({ pp: a, dp: b, tp: c }) : null;
      default:
        return null;
    }
  }, "find");
  return (address2) => find(address2) ?? lookUp(address2);
}
__name(defaultHome, "defaultHome");

// topology/dist/exchange.js
function neighbours({ machines, parallel }) {
  if (parallel.pp * parallel.tp > 1)
    return 1;
  return machines.reduce((size, { devices }) => greatestCommonDivisor2(size, devices.length), 0);
}
__name(neighbours, "neighbours");
function exchangeOf(topology) {
  const { dp, ep, edp } = topology.parallel;
  const { fanout } = topology.wire;
  const perMachine = neighbours(topology);
  return {
    dense: exchangeLevels(dp, { perMachine, fanout }),
    expert: exchangeLevels(edp, { perMachine: Math.max(1, Math.floor(perMachine / ep)), fanout })
  };
}
__name(exchangeOf, "exchangeOf");

// topology/dist/unbuilt.js
function limited(topology) {
  const { model, routing, data, train, parallel, wire } = topology;
  const only = /* @__PURE__ */ __name((key, value, ...allowed) => ({
    key,
    value,
    allowed,
    built: allowed[0]
  }), "only");
  return [
    only("model.moe.router.kind", routing.kind, "token-choice"),
    only("model.moe.router.scores", routing.scores, "softmax"),
    only("model.moe.capacity", routing.capacity, 0),
    only("model.moe.balance.bias", routing.bias, 0),
    only("model.moe.balance.scope", model.moe?.balance.scope ?? "sequence", "sequence", "global"),
    only(`data.${data.source.kind}`, data.source.kind, "wordnet", "text", "jsonl", "synthetic"),
    only("train.optimizer.kind", train.optimizer.kind, "adamw"),
    only("train.optimizer.schedule", train.optimizer.schedule, "cosine", "constant", "linear"),
    only("train.precision", train.precision, "f32", "bf16"),
    only("parallel.pp", parallel.pp, 1),
    only("parallel.tp", parallel.tp, 1),
    only("parallel.zero", parallel.zero, 1, 0),
    only("parallel.offload", parallel.offload, "none"),
    only("parallel.pipeline", parallel.pipeline, "1f1b"),
    only("wire.dtype", wire.dtype, "f32")
  ];
}
__name(limited, "limited");
function unbuiltMachines({ machines }) {
  const remote = machines.map((machine, index) => ({ machine, index })).filter(({ machine }) => !isLocalHost(machine.host));
  const hosts = remote.map(({ machine, index }) => ({
    key: `machines.${index}.host`,
    value: machine.host,
    built: "localhost",
    why: `only local machines can be launched so far, and ${machine.host} is not this one`
  }));
  const cuda = machines.flatMap((machine, m) => machine.devices.flatMap((device, d) => device.kind === "cuda" ? [{ key: `machines.${m}.devices.${d}`, value: device.id, built: `cpu:${device.index}` }] : []));
  return [...hosts, ...cuda];
}
__name(unbuiltMachines, "unbuiltMachines");
var unbuiltPlacement = /* @__PURE__ */ __name(({ placement }) => Object.entries(placement).map(([pattern2, value]) => ({
  key: `placement.${pattern2}`,
  value,
  built: "none",
  why: "placement rules are planned but not launched so far; remove them"
})), "unbuiltPlacement");
var MOST_GRAINS = 128;
function unbuiltGrains({ train }) {
  if (train.grains <= MOST_GRAINS)
    return [];
  const why = `an exact sum holds at most ${MOST_GRAINS} leaves so far; only simulate --shapes-only takes more`;
  return [{ key: "train.grains", value: train.grains, built: MOST_GRAINS, why }];
}
__name(unbuiltGrains, "unbuiltGrains");
function refuseUnbuilt(topology, use = "launch") {
  const values = limited(topology).filter((each) => !each.allowed.includes(each.value));
  const found = [
    ...values.map((each) => ({ ...each, why: `is not built yet; built: ${each.allowed.join(", ")}` })),
    ...use === "shapes" ? [] : unbuiltGrains(topology),
    ...use === "launch" ? unbuiltMachines(topology) : [],
    ...unbuiltPlacement(topology)
  ];
  return found.map(({ key, value, built, why }) => ({
    ...topology.source.places[key] ?? nowhere,
    code: "TROUPE_NOT_BUILT",
    key,
    value,
    rule: why ?? "is not built yet",
    nearest: built
  }));
}
__name(refuseUnbuilt, "refuseUnbuilt");

// topology/dist/schedule.js
function warmupSteps({ steps, optimizer }) {
  return Math.round(optimizer.warmup * steps);
}
__name(warmupSteps, "warmupSteps");
function learningRate(train, step) {
  assert(Number.isSafeInteger(step) && step >= 1, "steps count from 1", { step });
  const { lr, lrMin, schedule } = train.optimizer;
  assert(schedule !== "wsd", "refuseUnbuilt lets only built schedules through", { schedule });
  const warmup = warmupSteps(train);
  if (step <= warmup)
    return lr * (step / warmup);
  if (schedule === "constant")
    return lr;
  const progress = Math.min(1, (step - warmup) / Math.max(1, train.steps - warmup));
  if (progress === 1)
    return lrMin;
  const share = schedule === "linear" ? 1 - progress : 0.5 * (1 + Math.cos(Math.PI * progress));
  return lrMin + (lr - lrMin) * share;
}
__name(learningRate, "learningRate");

export {
  problemCodes,
  nowhere,
  formatProblem,
  TopologyError,
  AddressUnknownError,
  speedPresets,
  parseDevice,
  resolveMachines,
  isLocalHost,
  deviceNames,
  buddyShift,
  createMesh,
  expertRange,
  pipelineStageOf,
  isMoeLayer,
  moeLayers,
  qkvWidths,
  expertUnit,
  denseUnits,
  expertUnits,
  flatLayout,
  parameterCounts,
  trainingFlopsPerToken,
  DEFAULT_FANOUT,
  Exchange,
  mixedPrecisionMemory,
  gradientBytes,
  lonelyElements,
  f32Memory,
  activationBytes,
  visitShare,
  nearestName,
  divisors,
  nearestNumber,
  greatestCommonDivisor,
  matchesAddress,
  addresses,
  createPlacement,
  expertsOfGate,
  gatesOfExpert,
  defaultHome,
  exchangeOf,
  refuseUnbuilt,
  warmupSteps,
  learningRate
};
//# sourceMappingURL=chunk-IEL6CF5I.js.map
