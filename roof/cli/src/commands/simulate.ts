import { existsSync } from 'node:fs';
import { counted } from '@troupe/core';
import { InvalidArgumentError, type Command } from 'commander';
import type { RecordedLoad, Simulation, SimulationCase, Simulator, StateTrace } from 'troupe';
import { Ended, UsageError } from '../errors.ts';
import { exitLine } from '../exit-line.ts';
import { OutputFile } from '../output-file.ts';
import { print, printError, printJson } from '../output.ts';
import { seedRange, splitRange, type SeedRange } from '../simulate/seed-range.ts';
import { checkFlags, type SimulateOptions } from '../simulate/options.ts';
import type { SimulationJson } from '../simulate/report.ts';
import { readLoad } from '../simulate/load.ts';
import { readCalibration } from '../calibrate/read-calibration.ts';
import { collect, integer, verb } from '../verb.ts';

/** `0,1`: positions of replicas. */
function replicas(text: string): readonly number[] {
  const found = text.split(',').map(Number);
  if (text === '' || found.some((each) => !Number.isSafeInteger(each) || each < 0))
    throw new InvalidArgumentError('expected positions of replicas, e.g. 0,1.');
  return found;
}

/** Steps of a simulation that names none: enough for a commit after every fault that strikes in the first ones. */
const STEPS = 5;

/** The command line that plays one seed again. */
function replayLine(file: string, options: SimulateOptions, one: SimulationCase): string {
  const words = ['npx troupe simulate', file, `--seed ${one.seed} --steps ${one.steps}`];
  if (options.faults !== undefined) words.push(`--faults ${options.faults}`);
  for (const each of options.set) words.push(`--set '${each}'`);
  if (options.shapesOnly === true) words.push('--shapes-only');
  if (options.load !== undefined) words.push(`--load ${options.load}`);
  if (options.real !== undefined) words.push(`--real ${options.real.join(',')}`);
  if (options.calibration !== undefined) words.push(`--calibration ${options.calibration}`);
  return words.join(' ');
}

/** Names of the runs that ended so, and how many. */
function summary(runs: readonly SimulationJson[]): readonly string[] {
  const of = (verdict: SimulationJson['verdict']): readonly SimulationJson[] =>
    runs.filter((run) => run.verdict === verdict);
  const kinds = new Map<string, number>();
  for (const { kind } of runs.flatMap(({ faults }) => faults)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const drawn = [...kinds].sort(([, a], [, b]) => b - a).map(([kind, times]) => `${kind} ${times}`);
  const seeds = of('violated').map(({ seed }) => seed);
  return [
    `${counted(runs.length, 'run')}: ${of('finished').length} finished with the loss curve of the run without faults, ${of('ended').length} ended with a reason, ${seeds.length} violated a rule${seeds.length === 0 ? '' : ` (${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')})`}`,
    `faults: ${drawn.length === 0 ? 'none' : drawn.join(', ')}`,
  ];
}

type Opener = (topology: Awaited<ReturnType<typeof openTopology>>) => Promise<Simulator>;

/** Opens a topology as the options say, whichever topology it is: a shrunk one is simulated like the one that failed. */
async function opener({ shapesOnly, calibration, real, load }: SimulateOptions): Promise<Opener> {
  const { openSimulator } = await import('troupe');
  const { OptionError } = await import('@troupe/core');
  const simulatorOptions = {
    ...(shapesOnly === true ? { shapesOnly } : {}),
    ...(calibration === undefined ? {} : { calibration: await readCalibration(calibration) }),
    ...(real === undefined ? {} : { real }),
    ...(load === undefined ? {} : { load: await readLoad(load) }),
  };
  return (topology) =>
    openSimulator(topology, simulatorOptions).catch((error: unknown) => {
      throw error instanceof OptionError
        ? new UsageError(`${real === undefined ? '--load' : '--real'}: ${String(error.details['problems'])}`)
        : error;
    });
}

async function openTopology(file: string, options: SimulateOptions, set: readonly string[] = []) {
  const { loadTopology } = await import('@troupe/topology');
  const isFile = options.faults !== undefined && options.faults !== 'swarm' && options.faults !== 'none';
  if (isFile && !existsSync(options.faults))
    throw new UsageError(`--faults: '${options.faults}' is neither swarm, none nor a file`);
  return loadTopology(file, {
    set: [...options.set, ...set],
    ...(isFile ? { faultsFrom: options.faults } : {}),
  });
}

/** Runs one case, follows it on the terminal, and gives its report. */
async function play(
  simulator: Simulator,
  one: SimulationCase,
  options: SimulateOptions,
): Promise<{
  readonly run: Simulation;
  readonly report: SimulationJson;
  readonly pictured: StateTrace | null;
  readonly load: RecordedLoad | null;
}> {
  const [{ LoadRecorder, StateTrace: Picture }, { jsonOf, liveLine }, { MissedFaults }] = await Promise.all([
    import('troupe'),
    import('../simulate/report.ts'),
    import('../simulate/missed.ts'),
  ]);
  const live = liveLine(process.stderr.isTTY && options.json !== true);
  const pictured = options.trace === undefined ? null : new Picture();
  const recorder = options.recordLoad === undefined ? null : new LoadRecorder(simulator.topology);
  const faults = simulator.faultsOf(one);
  // What a seed draws may come to nothing; what somebody wrote should not.
  const missed = new MissedFaults(one.faults === 'swarm' ? [] : faults);
  const startedMs = performance.now();
  const run = await simulator.run(
    { ...one, faults },
    {
      progress: live.show,
      keepsTrace: options.check === true || options.log !== undefined,
      observe: (turn, atMs) => {
        missed.see(turn);
        pictured?.see(turn, atMs);
        recorder?.see(turn);
      },
    },
  );
  live.close();
  const seconds = (performance.now() - startedMs) / 1000;
  const hasLoss = options.shapesOnly !== true;
  const load = hasLoss ? null : (options.load ?? 'even');
  const about = { seconds, hasLoss, missed: missed.of(run), load };
  return { run, pictured, load: recorder?.load ?? null, report: jsonOf(one.seed, run, about) };
}

/** All seeds of a range, in this process or in several. */
async function sweep(
  file: string,
  options: SimulateOptions,
  range: SeedRange,
  simulator: () => Promise<Simulator>,
  steps: number,
): Promise<void> {
  const { linesOf } = await import('../simulate/report.ts');
  const { runSeeds } = await import('../simulate/seeds.ts');
  const json = options.json === true;
  const runs: SimulationJson[] = [];
  const faults = options.faults === 'swarm' ? ('swarm' as const) : null;
  const take = (report: SimulationJson): void => {
    runs.push(report);
    if (json) printJson(report);
    else if (report.verdict !== 'finished') {
      print(...linesOf(report));
      const one = { seed: report.seed, steps, faults: [] };
      if (report.verdict === 'violated') print(`  again: ${replayLine(file, options, one)}`);
    }
  };
  const jobs = options.jobs ?? 1;
  if (jobs > 1 && range.to > range.from) {
    const args = [file, '--steps', `${steps}`, ...options.set.flatMap((each) => ['--set', each])];
    if (options.faults !== undefined) args.push('--faults', options.faults);
    if (options.shapesOnly === true) args.push('--shapes-only');
    if (options.load !== undefined) args.push('--load', options.load);
    if (options.real !== undefined) args.push('--real', options.real.join(','));
    if (options.calibration !== undefined) args.push('--calibration', options.calibration);
    const codes = await Promise.all(splitRange(range, jobs).map((part) => runSeeds(args, part, take)));
    const failed = codes.find((code) => code > 1);
    if (failed !== undefined) throw new Ended(failed);
  } else {
    const one = await simulator();
    for (let seed = range.from; seed <= range.to; seed++) {
      const drawn = faults ?? one.topology.faults;
      take((await play(one, { seed, steps, faults: drawn }, options)).report);
    }
  }
  runs.sort((a, b) => a.seed - b.seed);
  const isViolated = runs.some(({ verdict }) => verdict === 'violated');
  if (!json) print(...summary(runs), exitLine(isViolated ? 1 : 0, isViolated ? 'a rule was violated' : ''));
  if (isViolated) throw new Ended(1);
}

/** Runs the case twice; a difference is a bug of the simulator, or something real that leaked in. */
async function check(simulator: Simulator, one: SimulationCase, options: SimulateOptions): Promise<void> {
  const { firstDivergence } = await import('troupe');
  const first = await play(simulator, one, options);
  const second = await play(simulator, one, options);
  const divergence = firstDivergence(first.run, second.run);
  if (options.json === true)
    printJson({ event: 'check', seed: one.seed, traceHash: first.run.traceHash, divergence });
  else if (divergence === null)
    print(
      `seed ${one.seed}: twice the same ${counted(first.run.trace.length, 'line')}, trace ${first.run.traceHash}`,
    );
  else
    print(
      `line ${divergence.index} differs:`,
      `  first:  ${divergence.first}`,
      `  second: ${divergence.second}`,
    );
  if (divergence !== null) throw new Ended(1);
}

/** Files that flags name, known to be writable before anything runs; the log has a place of its own without one. */
interface Outputs {
  readonly trace: OutputFile | null;
  readonly test: OutputFile | null;
  readonly log: OutputFile | null;
  readonly load: OutputFile | null;
}

function outputsOf({ trace, writeTest, log, recordLoad }: SimulateOptions): Outputs {
  const named = (flag: string, path: string | undefined): OutputFile | null =>
    path === undefined ? null : new OutputFile(flag, path);
  return {
    trace: named('--trace', trace),
    test: named('--write-test', writeTest),
    log: named('--log', log),
    load: named('--record-load', recordLoad),
  };
}

/** What a failed run leaves: its log, the line that plays it again, and its smallest form. */
async function explain(
  file: string,
  simulator: Simulator,
  one: SimulationCase,
  run: Simulation,
  report: SimulationJson,
  {
    options,
    open,
    outputs,
  }: { readonly options: SimulateOptions; readonly open: Opener; readonly outputs: Outputs },
): Promise<void> {
  const { defaultLog, eventLog, shrinkCase, testOf } = await import('../simulate/failure.ts');
  const output = outputs.log ?? defaultLog(`${simulator.topology.name}-seed${one.seed}`);
  const logged = run.trace.length > 0 ? run : await simulator.run(one, { keepsTrace: true });
  output.write(eventLog(logged));
  const say = options.json === true ? printError : print;
  say(`log: ${output.path}`, `again: ${replayLine(file, options, one)}`);
  if (options.shrink !== true) return;
  const { describeFault } = await import('@troupe/sim/faults');
  const known = new Map<string, Simulator | null>([['', simulator]]);
  const smallest = await shrinkCase(
    simulator,
    async (set) => {
      const key = set.join(' ');
      let found = known.get(key);
      if (found === undefined) {
        found = await openTopology(file, options, set)
          .then(open)
          .catch(() => null);
        known.set(key, found);
      }
      return found;
    },
    one,
    run,
  );
  if (options.json === true) printJson({ event: 'smallest', ...smallest });
  else
    print(
      `smallest: ${counted(smallest.faults.length, 'fault')}, ${counted(smallest.steps, 'step')}${smallest.set.map((each) => ` --set ${each}`).join('')}`,
      ...smallest.faults.map((fault) => `  ${describeFault(fault)}`),
    );
  if (options.writeTest === undefined) return;
  outputs.test?.write(testOf(simulator.topology.file, one, smallest, report));
  say(`test: ${options.writeTest}`);
}

async function simulate(file: string, options: SimulateOptions): Promise<void> {
  checkFlags(options);
  const outputs = outputsOf(options);
  const topology = await openTopology(file, options);
  const open = await opener(options);
  const simulator = (): Promise<Simulator> => open(topology);
  const steps = Math.min(options.steps ?? STEPS, topology.train.steps);
  if (options.steps !== undefined && options.steps > steps)
    printError(`--steps ${options.steps}: runs the ${counted(steps, 'step')} that train.steps has`);
  if (options.seeds !== undefined) {
    await sweep(file, options, options.seeds, simulator, steps);
    return;
  }
  const opened = await simulator();
  const faults =
    options.faults === 'swarm' ? ('swarm' as const) : options.faults === 'none' ? [] : topology.faults;
  const one = { seed: options.seed ?? 1, steps, faults };
  if (options.check === true) {
    await check(opened, one, options);
    return;
  }
  if (options.until !== undefined || options.inspect !== undefined) {
    await (await import('../simulate/inspect.ts')).inspect(opened, one, options);
    return;
  }
  const { run, report, pictured, load } = await play(opened, one, options);
  if (load !== null) outputs.load?.write(`${JSON.stringify(load)}\n`);
  if (options.json === true) printJson(report);
  else print(...(await import('../simulate/report.ts')).linesOf(report));
  if (pictured !== null && options.trace !== undefined) {
    const traceEvents = pictured.finish(run.virtualMs, run.struck);
    outputs.trace?.write(JSON.stringify({ traceEvents, displayTimeUnit: 'ms' }));
    if (options.json !== true) print(`trace: ${options.trace} (open it in ui.perfetto.dev)`);
  }
  const exitCode = run.violation === null ? run.result.exitCode : 1;
  if (exitCode === 0) {
    if (options.shrink === true)
      (options.json === true ? printError : print)(
        `--shrink: the run finished, so there is nothing to reduce${options.writeTest === undefined ? '' : `, and ${options.writeTest} is not written`}; a case that fails is found by --faults swarm --seeds 0..99`,
      );
    return;
  }
  await explain(file, opened, one, run, report, { options, open, outputs });
  if (options.json !== true)
    print(exitLine(exitCode, run.violation?.text ?? run.result.error?.message ?? ''));
  throw new Ended(exitCode);
}

export function registerSimulate(program: Command): void {
  verb(
    program,
    'simulate <topology>',
    'Run a topology on a simulated cluster in virtual time, with faults, and check what must hold.',
    'npx troupe simulate tiny --faults swarm --seeds 0..49 --jobs 2',
  )
    .option('--set <key=value>', 'override one key, may be repeated', collect, [])
    .option(
      '--seed <n>',
      "decides every draw of the cluster (default 1); the model's seed is train.seed",
      integer(0),
    )
    .option('--steps <n>', `steps to run; default ${STEPS}`, integer(1))
    .option(
      '--faults <which>',
      'swarm: drawn from the seed; none; or a file, of which only `faults:` is read; default: those of the topology',
    )
    .option('--seeds <a..b>', 'run every seed from a to b', seedRange)
    .option('--jobs <n>', 'with --seeds: processes (default 1)', integer(1))
    .option('--shapes-only', 'no arithmetic: sizes and times only, for thousands of devices')
    .option('--load <file>', 'with --shapes-only: rows of every expert as a run recorded them; default: even')
    .option('--record-load <file>', 'write the rows that every expert got')
    .option(
      '--real <replicas>',
      'only these compute (0,1); the others take part without arithmetic',
      replicas,
    )
    .option('--calibration <file>', 'times as measured on this machine by `bench --calibrate`')
    .option('--trace <file>', 'write the states of all actors over virtual time, for Perfetto')
    .option('--check', 'run twice and report the first divergence')
    .option('--until <event>', 'stop when an actor handles it: commit.decide, commit.decide@3')
    .option('--inspect <address>', 'show the state of this actor at the end, and what moved it')
    .option('--shrink', 'reduce a failing run to a smallest one')
    .option('--write-test <file>', 'with --shrink: write that one as an ava test')
    .option('--log <file>', 'where the event log of a failing run goes; default runs/simulate/NAME-seedN.log')
    .action(simulate);
}
