import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import type { Simulation, SimulationCase, Simulator, StateTrace } from 'troupe';
import { Ended, UsageError } from '../errors.ts';
import { exitLine } from '../exit-line.ts';
import { OutputFile } from '../output-file.ts';
import { print, printError, printJson } from '../output.ts';
import { seedRange, splitRange, type SeedRange } from '../simulate/seed-range.ts';
import type { SimulationJson } from '../simulate/report.ts';
import { collect, integer, verb, type CommonOptions } from '../verb.ts';

interface SimulateOptions extends CommonOptions {
  readonly set: readonly string[];
  readonly seed: number;
  readonly steps?: number;
  readonly faults?: string;
  readonly seeds?: SeedRange;
  readonly jobs: number;
  readonly shapesOnly?: boolean;
  readonly real?: readonly number[];
  readonly calibration?: string;
  readonly trace?: string;
  readonly check?: boolean;
  readonly until?: string;
  readonly inspect?: string;
  readonly shrink?: boolean;
  readonly writeTest?: string;
  readonly log?: string;
}

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
    `${runs.length} runs: ${of('finished').length} finished with the loss curve of the run without faults, ${of('ended').length} ended with a reason, ${seeds.length} violated a rule${seeds.length === 0 ? '' : ` (seeds ${seeds.join(', ')})`}`,
    `faults: ${drawn.length === 0 ? 'none' : drawn.join(', ')}`,
  ];
}

/** @throws {UsageError} when there is no such file, or it is not JSON */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new UsageError(
      `--calibration: '${path}' cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

type Opener = (topology: Awaited<ReturnType<typeof openTopology>>) => Promise<Simulator>;

/** Opens a topology as the options say, whichever topology it is: a shrunk one is simulated like the one that failed. */
async function opener({ shapesOnly, calibration, real }: SimulateOptions): Promise<Opener> {
  const { openSimulator, parseCalibration } = await import('troupe');
  const { OptionError } = await import('@troupe/core');
  const simulatorOptions = {
    ...(shapesOnly === true ? { shapesOnly } : {}),
    ...(calibration === undefined
      ? {}
      : { calibration: parseCalibration(await readJson(calibration), calibration) }),
    ...(real === undefined ? {} : { real }),
  };
  return (topology) =>
    openSimulator(topology, simulatorOptions).catch((error: unknown) => {
      throw error instanceof OptionError
        ? new UsageError(`--real: ${String(error.details['problems'])}`)
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
    ...(isFile ? { over: [options.faults] } : {}),
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
}> {
  const [{ StateTrace: Picture }, { jsonOf, liveLine }] = await Promise.all([
    import('troupe'),
    import('../simulate/report.ts'),
  ]);
  const live = liveLine(process.stderr.isTTY && options.json !== true);
  const pictured = options.trace === undefined ? null : new Picture();
  const startedMs = performance.now();
  const run = await simulator.run(one, {
    progress: live.show,
    keepsTrace: options.check === true || options.log !== undefined,
    observe: (turn, atMs) => pictured?.see(turn, atMs),
  });
  live.close();
  const seconds = (performance.now() - startedMs) / 1000;
  return { run, pictured, report: jsonOf(one.seed, run, seconds) };
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
  if (options.jobs > 1 && range.to > range.from) {
    const args = [file, '--steps', `${steps}`, ...options.set.flatMap((each) => ['--set', each])];
    if (options.faults !== undefined) args.push('--faults', options.faults);
    if (options.shapesOnly === true) args.push('--shapes-only');
    if (options.real !== undefined) args.push('--real', options.real.join(','));
    if (options.calibration !== undefined) args.push('--calibration', options.calibration);
    const codes = await Promise.all(
      splitRange(range, options.jobs).map((part) => runSeeds(args, part, take)),
    );
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

/** `KIND` or `KIND@STEP`: an event that an actor handles. */
function untilOf(text: string): { readonly kind: string; readonly step: number | null } {
  const [kind = '', step] = text.split('@');
  if (kind === '' || (step !== undefined && !/^\d+$/u.test(step)))
    throw new UsageError(
      `--until: found '${text}', expected an event such as commit.decide or commit.decide@3`,
    );
  return { kind, step: step === undefined ? null : Number(step) };
}

/** Runs to an event, and shows the state of an actor there. */
async function inspect(simulator: Simulator, one: SimulationCase, options: SimulateOptions): Promise<void> {
  const until = options.until === undefined ? null : untilOf(options.until);
  const turns: string[] = [];
  const run = await simulator.run(one, {
    observe: ({ address, event, outcome, stateBefore, stateAfter }, atMs) => {
      if (options.inspect !== undefined && address !== options.inspect) return;
      turns.push(
        `${atMs.toFixed(3)} ms ${address}: ${event.type} of ${event.from} (step ${event.step}, attempt ${event.attempt}, layer ${event.layer}, microbatch ${event.microbatch}) ${outcome}: ${stateBefore} → ${stateAfter}`,
      );
      if (turns.length > 10) turns.shift();
    },
    until: ({ address, event }) =>
      until !== null &&
      event.type === until.kind &&
      (until.step === null || event.step === until.step) &&
      (options.inspect === undefined || address === options.inspect || !options.inspect.includes('/')),
  });
  const actors = run.actors.filter(
    ({ address }) => options.inspect === undefined || address === options.inspect,
  );
  if (actors.length === 0) throw new UsageError(`--inspect: no actor has the address '${options.inspect}'`);
  if (options.json === true) {
    printJson({ event: 'inspection', virtualSeconds: run.virtualMs / 1000, actors, turns });
    return;
  }
  print(
    `at ${run.virtualMs.toFixed(3)} ms of virtual time:`,
    ...actors.map(
      ({ address, incarnation, state, mailboxSize }) =>
        `  ${address}#${incarnation}: ${state}, ${mailboxSize} events in its mailbox`,
    ),
    'what moved it, the latest last:',
    ...turns.map((line) => `  ${line}`),
  );
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
    print(`seed ${one.seed}: twice the same ${first.run.trace.length} lines, trace ${first.run.traceHash}`);
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
}

function outputsOf({ trace, writeTest, log }: SimulateOptions): Outputs {
  const named = (flag: string, path: string | undefined): OutputFile | null =>
    path === undefined ? null : new OutputFile(flag, path);
  return { trace: named('--trace', trace), test: named('--write-test', writeTest), log: named('--log', log) };
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
  const { describeFault } = await import('@troupe/core');
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
      `smallest: ${smallest.faults.length} faults, ${smallest.steps} steps${smallest.set.map((each) => ` --set ${each}`).join('')}`,
      ...smallest.faults.map((fault) => `  ${describeFault(fault)}`),
    );
  if (options.writeTest === undefined) return;
  outputs.test?.write(testOf(simulator.topology.file, one, smallest, report));
  say(`test: ${options.writeTest}`);
}

async function simulate(file: string, options: SimulateOptions): Promise<void> {
  if (options.real !== undefined && options.shapesOnly === true)
    throw new UsageError(
      '--real and --shapes-only exclude each other: without arithmetic no replica computes',
    );
  if (options.writeTest !== undefined && options.shrink !== true)
    throw new UsageError('--write-test needs --shrink, which makes the case that it writes');
  const outputs = outputsOf(options);
  const topology = await openTopology(file, options);
  const open = await opener(options);
  const simulator = (): Promise<Simulator> => open(topology);
  const steps = Math.min(options.steps ?? STEPS, topology.train.steps);
  if (options.seeds !== undefined) {
    await sweep(file, options, options.seeds, simulator, steps);
    return;
  }
  const opened = await simulator();
  const faults =
    options.faults === 'swarm' ? ('swarm' as const) : options.faults === 'none' ? [] : topology.faults;
  const one = { seed: options.seed, steps, faults };
  if (options.check === true) {
    await check(opened, one, options);
    return;
  }
  if (options.until !== undefined || options.inspect !== undefined) {
    await inspect(opened, one, options);
    return;
  }
  const { run, report, pictured } = await play(opened, one, options);
  if (options.json === true) printJson(report);
  else print(...(await import('../simulate/report.ts')).linesOf(report));
  if (pictured !== null && options.trace !== undefined) {
    const traceEvents = pictured.finish(run.virtualMs, run.struck);
    outputs.trace?.write(JSON.stringify({ traceEvents, displayTimeUnit: 'ms' }));
    if (options.json !== true) print(`trace: ${options.trace} (open it in ui.perfetto.dev)`);
  }
  const exitCode = run.violation === null ? run.result.exitCode : 1;
  if (exitCode === 0) return;
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
    .option('--seed <n>', "decides every draw of the cluster; the model's seed is train.seed", integer(0), 1)
    .option('--steps <n>', `steps to run; default ${STEPS}`, integer(1))
    .option(
      '--faults <which>',
      'swarm: drawn from the seed; none; or a file with `faults:`; default: those of the topology',
    )
    .option('--seeds <a..b>', 'run every seed from a to b', seedRange)
    .option('--jobs <n>', 'with --seeds: processes', integer(1), 1)
    .option('--shapes-only', 'no arithmetic: sizes and times only, for thousands of devices')
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
