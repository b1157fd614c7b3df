import type { Loss, ResolvedTopology } from '@troupe/topology';
import type { Command } from 'commander';
import { readCalibration } from '../calibrate/read-calibration.ts';
import { simulatedStepSeconds } from '../calibrate/simulated-step.ts';
import { Ended, UsageError } from '../errors.ts';
import { print, printJson } from '../output.ts';
import { collect, integer, verb, type CommonOptions } from '../verb.ts';

interface PlanOptions extends CommonOptions {
  readonly set: readonly string[];
  readonly resolved?: boolean;
  readonly calibration?: string;
  readonly diff?: string;
  readonly detailedExitcode?: boolean;
  readonly search?: boolean;
  readonly losses?: boolean;
  readonly most?: number;
}

/** Rows that a search prints. */
const MOST_ROWS = 20;

/** The time of a step of a topology under the calibration of this file. */
async function simulatedSeconds(path: string): Promise<(topology: ResolvedTopology) => Promise<number>> {
  const calibration = await readCalibration(path);
  return (topology) => simulatedStepSeconds(topology, calibration);
}

/** Memory of one device: what a machine says, or its share of the memory of this one. */
async function deviceMemory({ machines }: ResolvedTopology): Promise<number> {
  const { machineMemory } = await import('troupe');
  const said = machines.flatMap(({ speed }) => speed?.memoryBytes ?? []);
  if (said.length === machines.length) return Math.min(...said);
  return machineMemory().bytes / machines.reduce((sum, { devices }) => sum + devices.length, 0);
}

/** Prints the best mixtures; with a calibration in the order of what simulations of them take. */
async function search(topology: ResolvedTopology, options: PlanOptions): Promise<void> {
  const { clusterSpeed, formatSearch, resolveTopology, searchMixtures } = await import('@troupe/topology');
  const result = searchMixtures(topology, {
    memoryBytes: await deviceMemory(topology),
    speed: clusterSpeed(topology),
    most: options.most ?? MOST_ROWS,
  });
  let { found } = result;
  if (options.calibration !== undefined) {
    const secondsOf = await simulatedSeconds(options.calibration);
    const rows = [];
    for (const row of found) {
      if (!row.isBuilt) continue;
      const stepSeconds = await secondsOf(resolveTopology(topology.file, { set: row.set }));
      const tokensPerSecond = (row.tokensPerSecond * row.stepSeconds) / stepSeconds;
      rows.push({ ...row, basis: 'simulated' as const, stepSeconds, tokensPerSecond });
    }
    found = rows.toSorted((a, b) => a.stepSeconds - b.stepSeconds);
  }
  if (options.json === true) printJson({ event: 'search', ...result, found });
  else print(formatSearch({ ...result, found }).trimEnd());
  if (found.length === 0) throw new Ended(5);
}

/** Prints how the run would go on without each machine, and without any two. */
async function losses(topology: ResolvedTopology, options: PlanOptions): Promise<void> {
  const { formatLosses, planLosses } = await import('@troupe/topology');
  const found = planLosses(topology, { memoryBytes: await deviceMemory(topology) });
  if (options.json !== true) {
    print(formatLosses(found, topology).trimEnd());
    return;
  }
  const plain = <T extends Loss>({ layout, ...loss }: T) => {
    if (layout === null) return { ...loss, layout };
    const { topology: _whole, ...figures } = layout;
    return { ...loss, layout: figures };
  };
  printJson({ event: 'losses', ...found, single: found.single.map(plain), pairs: found.pairs.map(plain) });
}

/** @throws {UsageError} two options ask for different things */
function mustAgree(options: PlanOptions): void {
  if (options.detailedExitcode === true && options.diff === undefined)
    throw new UsageError('--detailed-exitcode needs --diff FILE to compare with');
  if (options.resolved === true && options.diff !== undefined)
    throw new UsageError(
      '--resolved and --diff exclude each other: one prints a topology, the other compares two',
    );
  if (options.search === true && (options.resolved === true || options.diff !== undefined))
    throw new UsageError('--search looks for topologies; --resolved and --diff show one');
  if (
    options.losses === true &&
    (options.search === true || options.resolved === true || options.diff !== undefined)
  )
    throw new UsageError(
      '--losses shows one topology without its machines; --search, --resolved and --diff show something else',
    );
  if (options.most !== undefined && options.search !== true)
    throw new UsageError('--most needs --search: it is the number of its rows');
}

async function plan(file: string, options: PlanOptions): Promise<void> {
  const {
    connectionProblems,
    diffPlans,
    formatPlan,
    formatPlanDiff,
    formatTopology,
    loadTopology,
    planTopology,
  } = await import('@troupe/topology');
  mustAgree(options);
  const json = options.json === true;
  const topology = loadTopology(file, { set: options.set });
  if (options.resolved === true) {
    if (json) printJson(topology.file);
    else print(formatTopology(topology.file).trimEnd());
    return;
  }
  if (options.search === true) {
    await search(topology, options);
    return;
  }
  if (options.losses === true) {
    await losses(topology, options);
    return;
  }
  const secondsOf = options.calibration === undefined ? null : await simulatedSeconds(options.calibration);
  const planOf = async (each: ResolvedTopology) =>
    planTopology(each, secondsOf === null ? {} : { simulatedSeconds: await secondsOf(each) });
  const now = await planOf(topology);
  if (options.diff === undefined) {
    const { descriptorLimit } = await import('troupe');
    const limits = { descriptors: descriptorLimit() };
    if (json) printJson({ event: 'plan', ...now, warnings: connectionProblems(now.connections, limits) });
    else print(formatPlan(now, { limits }).trimEnd());
    return;
  }
  const diff = diffPlans(await planOf(loadTopology(options.diff)), now);
  if (json) printJson({ event: 'diff', ...diff });
  else print(formatPlanDiff(diff).trimEnd());
  if (options.detailedExitcode === true && !diff.same) throw new Ended(4);
}

export function registerPlan(program: Command): void {
  verb(
    program,
    'plan <topology>',
    'Show who runs where, bytes on every device and link, and FLOPs, without running anything.',
    'npx troupe plan my.yaml --diff old.yaml --detailed-exitcode',
  )
    .option('--set <key=value>', 'override one key, may be repeated', collect, [])
    .option(
      '--calibration <file>',
      'predict the step time as measured on this machine by `bench --calibrate`',
    )
    .option('--resolved', 'print the topology with every default filled in')
    .option(
      '--search',
      'show the fastest ways to divide this model over these machines, with the flags for the best',
    )
    .option(
      '--losses',
      'show how the run would go on without each of its machines, and without any two, with the same numbers',
    )
    .option('--most <n>', `with --search: rows (default ${MOST_ROWS})`, integer(1))
    .option('--diff <topology>', 'show what changes from this topology')
    .option('--detailed-exitcode', 'with --diff: exit 4 when anything differs')
    .action(plan);
}
