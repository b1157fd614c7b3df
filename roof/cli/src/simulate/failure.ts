import { counted } from '@troupe/core';
import type { FailingCase } from 'troupe';
import type { Simulation, SimulationCase, Simulator } from 'troupe';
import { makeFolders } from 'troupe/launch';
import { OutputFile } from '../output-file.ts';
import { printError } from '../output.ts';
import type { SimulationJson } from './report.ts';

const LOG_FOLDER = 'runs/simulate';

/** Where a log goes that has no `--log`; Troupe makes that folder itself. */
export function defaultLog(name: string): OutputFile {
  makeFolders(LOG_FOLDER);
  return new OutputFile('log', `${LOG_FOLDER}/${name}.log`);
}

/** Every line of a run, what was struck and what was found, for people to read. */
export function eventLog(run: Simulation): string {
  const { struck, violation, result, trace } = run;
  const head = [
    ...struck.map(({ atMs, text }) => `# ${atMs} ms: ${text}`),
    ...(violation === null ? [] : [`# ${violation.atMs} ms: ${violation.checker}: ${violation.text}`]),
    ...(result.error === null ? [] : [`# exit ${result.exitCode}: ${result.error.message}`]),
  ];
  const lines = trace.map(({ atMs, node, text }) => `${atMs.toFixed(6)} ${node} ${text}`);
  return `${[...head, ...lines].join('\n')}\n`;
}

/** Overrides that leave fewer actors and messages than the topology has. */
function smaller({ model, train, parallel }: Simulator['topology']['file']): readonly string[] {
  return [
    ...(model.layers > 1 ? ['model.layers=1'] : []),
    ...(parallel.ep > 1 ? ['parallel.ep=1'] : []),
    ...(train.microbatches > 1 ? ['train.microbatches=1'] : []),
  ];
}

/** The smallest case that fails in the way that `run` did. */
export async function shrinkCase(
  simulator: Simulator,
  open: (set: readonly string[]) => Promise<Simulator | null>,
  one: SimulationCase,
  run: Simulation,
): Promise<FailingCase> {
  const { shrink } = await import('troupe');
  const checker = run.violation?.checker ?? null;
  const exitCode = run.result.exitCode;
  return shrink(
    { faults: run.struck.map(({ fault }) => fault), steps: one.steps, set: [] },
    {
      overrides: smaller(simulator.topology.file),
      fails: async ({ faults, steps, set }) => {
        const other = await open(set);
        if (other === null) return false;
        const again = await other.run({ seed: one.seed, steps, faults });
        return checker === null
          ? again.result.exitCode === exitCode && again.violation === null
          : again.violation?.checker === checker;
      },
      progress: ({ faults, steps }, numRuns) => {
        if (process.stderr.isTTY)
          process.stderr.write(
            `\r\u001b[2Krun ${numRuns}: ${counted(faults.length, 'fault')}, ${counted(steps, 'step')}`,
          );
        else if (numRuns % 25 === 0)
          printError(`run ${numRuns}: ${counted(faults.length, 'fault')}, ${counted(steps, 'step')}`);
      },
    },
  );
}

/** The case as an ava test, to be kept until it passes and forever after. */
export function testOf(
  topology: unknown,
  one: SimulationCase,
  smallest: FailingCase,
  report: SimulationJson,
): string {
  const expected =
    report.violation === null
      ? `ends with ${report.exitCode}`
      : `violates ${report.violation.checker}: ${report.violation.text}`;
  const title = `simulate: seed ${one.seed} with ${counted(smallest.faults.length, 'fault')}`;
  return `import test from 'ava';
import type { Fault } from '@troupe/sim/faults';
import { resolveTopology } from '@troupe/topology';
import { openSimulator } from 'troupe';

/** Found by \`troupe simulate --shrink\`: when it was written, this ${expected.replaceAll('*/', '* /')} */
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
