import type { Command } from 'commander';
import { Ended, UsageError } from '../errors.ts';
import { print, printJson } from '../output.ts';
import { collect, verb, type CommonOptions } from '../verb.ts';

interface PlanOptions extends CommonOptions {
  readonly set: readonly string[];
  readonly resolved?: boolean;
  readonly diff?: string;
  readonly detailedExitcode?: boolean;
}

async function plan(file: string, options: PlanOptions): Promise<void> {
  const { diffPlans, formatPlan, formatPlanDiff, formatTopology, loadTopology, planTopology } =
    await import('@troupe/topology');
  if (options.detailedExitcode === true && options.diff === undefined)
    throw new UsageError('--detailed-exitcode needs --diff FILE to compare with');
  if (options.resolved === true && options.diff !== undefined)
    throw new UsageError(
      '--resolved and --diff exclude each other: one prints a topology, the other compares two',
    );
  const json = options.json === true;
  const topology = loadTopology(file, { set: options.set });
  if (options.resolved === true) {
    if (json) printJson(topology.file);
    else print(formatTopology(topology.file).trimEnd());
    return;
  }
  const now = planTopology(topology);
  if (options.diff === undefined) {
    if (json) printJson({ event: 'plan', ...now });
    else print(formatPlan(now).trimEnd());
    return;
  }
  const diff = diffPlans(planTopology(loadTopology(options.diff)), now);
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
    .option('--resolved', 'print the topology with every default filled in')
    .option('--diff <topology>', 'show what changes from this topology')
    .option('--detailed-exitcode', 'with --diff: exit 4 when anything differs')
    .action(plan);
}
