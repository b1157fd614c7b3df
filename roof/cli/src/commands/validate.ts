import { counted } from '@troupe/core';
import type { Command } from 'commander';
import { Ended } from '../errors.ts';
import { exitLine } from '../exit-line.ts';
import { print, printError, printJson } from '../output.ts';
import { collect, verb, type CommonOptions } from '../verb.ts';

interface ValidateOptions extends CommonOptions {
  readonly set: readonly string[];
}

async function validate(file: string, options: ValidateOptions): Promise<void> {
  const { checkTopologyData } = await import('troupe');
  const { adviceOn, formatAdvice, formatProblem, loadTopology, neverShrinks, refuseUnbuilt, TopologyError } =
    await import('@troupe/topology');
  try {
    const topology = loadTopology(file, { set: options.set });
    const unbuilt = refuseUnbuilt(topology);
    const never = neverShrinks(topology);
    if (never !== null) throw new TopologyError([never]);
    await checkTopologyData(topology);
    const warnings = adviceOn(topology);
    if (options.json === true) {
      printJson({ event: 'validate', valid: true, problems: [], unbuilt, warnings });
      return;
    }
    print(
      `${file} is valid: ${topology.name}, ${counted(topology.parallel.world, 'device')} on ${counted(topology.machines.length, 'machine')}`,
    );
    for (const warning of warnings) print(formatAdvice(warning));
    if (unbuilt.length > 0)
      print('launch would refuse it:', ...unbuilt.map((problem) => `  ${formatProblem(problem)}`));
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    const { exitCode, problems, message } = error;
    if (options.json === true)
      printJson({ event: 'validate', valid: false, problems, unbuilt: [], warnings: [] });
    else printError(`troupe: ${message}`, exitLine(exitCode, error.code));
    throw new Ended(exitCode);
  }
}

export function registerValidate(program: Command): void {
  verb(
    program,
    'validate <topology>',
    'Check a topology file offline; shows everything that is wrong at once.',
    'npx troupe validate my.yaml',
  )
    .option('--set <key=value>', 'override one key, may be repeated', collect, [])
    .action(validate);
}
