import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  printError
} from "./chunk-PACDVEM2.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/simulate/failure.js
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
async function writeEventLog(path, run) {
  const { struck, violation, result, trace } = run;
  const head = [
    ...struck.map(({ atMs, text }) => `# ${atMs} ms: ${text}`),
    ...violation === null ? [] : [`# ${violation.atMs} ms: ${violation.checker}: ${violation.text}`],
    ...result.error === null ? [] : [`# exit ${result.exitCode}: ${result.error.message}`]
  ];
  const lines = trace.map(({ atMs, node, text }) => `${atMs.toFixed(6)} ${node} ${text}`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${[...head, ...lines].join("\n")}
`);
}
__name(writeEventLog, "writeEventLog");
function smaller({ model, train, parallel }) {
  return [
    ...model.layers > 1 ? ["model.layers=1"] : [],
    ...parallel.ep > 1 ? ["parallel.ep=1"] : [],
    ...train.microbatches > 1 ? ["train.microbatches=1"] : []
  ];
}
__name(smaller, "smaller");
async function shrinkCase(simulator, open, one, run) {
  const { shrink } = await import("./dist-IUPZYFVM.js");
  const checker = run.violation?.checker ?? null;
  const exitCode = run.result.exitCode;
  return shrink({ faults: run.struck.map(({ fault }) => fault), steps: one.steps, set: [] }, {
    overrides: smaller(simulator.topology.file),
    fails: /* @__PURE__ */ __name(async ({ faults, steps, set }) => {
      const other = await open(set);
      if (other === null)
        return false;
      const again = await other.run({ seed: one.seed, steps, faults });
      return checker === null ? again.result.exitCode === exitCode && again.violation === null : again.violation?.checker === checker;
    }, "fails"),
    progress: /* @__PURE__ */ __name(({ faults, steps }, numRuns) => {
      if (process.stderr.isTTY)
        process.stderr.write(`\r\x1B[2Krun ${numRuns}: ${faults.length} faults, ${steps} steps`);
      else if (numRuns % 25 === 0)
        printError(`run ${numRuns}: ${faults.length} faults, ${steps} steps`);
    }, "progress")
  });
}
__name(shrinkCase, "shrinkCase");
function testOf(topology, one, smallest, report) {
  const expected = report.violation === null ? `ends with ${report.exitCode}` : `violates ${report.violation.checker}: ${report.violation.text}`;
  const title = `simulate: seed ${one.seed} with ${smallest.faults.length} faults`;
  return `import test from 'ava';
import type { Fault } from '@troupe/core';
import { resolveTopology } from '@troupe/topology';
import { openSimulator } from 'troupe';

/** Found by \`troupe simulate --shrink\`: when it was written, this ${expected.replaceAll("*/", "* /")} */
const topology = resolveTopology(${JSON.stringify(topology)}, { set: ${JSON.stringify(smallest.set)} });
const faults: readonly Fault[] = ${JSON.stringify(smallest.faults, null, 2)};

test(${JSON.stringify(title)}, async (t) => {
  const simulator = await openSimulator(topology);
  const { violation, result } = await simulator.run({ seed: ${one.seed}, steps: ${smallest.steps}, faults });
  t.is(violation, null);
  t.is(result.error, null);
});
`;
}
__name(testOf, "testOf");
export {
  shrinkCase,
  testOf,
  writeEventLog
};
//# sourceMappingURL=failure-KPIIKLFQ.js.map
