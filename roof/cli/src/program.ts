import { Command } from 'commander';
import { registerAgent } from './commands/agent.ts';
import { registerApply } from './commands/apply.ts';
import { registerBench } from './commands/bench.ts';
import { registerCache } from './commands/cache.ts';
import { registerCompare } from './commands/compare.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerDrain } from './commands/drain.ts';
import { registerEval } from './commands/eval.ts';
import { registerExport } from './commands/export.ts';
import { registerGenerate } from './commands/generate.ts';
import { registerImport } from './commands/import.ts';
import { registerInit } from './commands/init.ts';
import { registerKey } from './commands/key.ts';
import { registerLaunch } from './commands/launch.ts';
import { registerLogs } from './commands/logs.ts';
import { registerMerge } from './commands/merge.ts';
import { registerMigrate } from './commands/migrate.ts';
import { registerPlan } from './commands/plan.ts';
import { registerPrune } from './commands/prune.ts';
import { registerResume } from './commands/resume.ts';
import { registerScaling } from './commands/scaling.ts';
import { registerSimulate } from './commands/simulate.ts';
import { registerStatus } from './commands/status.ts';
import { registerStop } from './commands/stop.ts';
import { registerSweep } from './commands/sweep.ts';
import { registerTokenize } from './commands/tokenize.ts';
import { registerTop } from './commands/top.ts';
import { registerTranslate } from './commands/translate.ts';
import { registerValidate } from './commands/validate.ts';
import { print } from './output.ts';
import { UsageError } from './errors.ts';
import { notBuilt, registerNotBuilt } from './not-built.ts';
import { VERSION } from './version.ts';

/** Verbs that compute: they build the native kernels first where an install was not allowed to. */
const computing: ReadonlySet<string> = new Set([
  'launch',
  'agent',
  'resume',
  'simulate',
  'eval',
  'generate',
  'translate',
  'prune',
  'bench',
  'sweep',
  'doctor',
]);

/** On standard error, so that what a program reads stays as it is. */
async function buildKernels(verb: string): Promise<void> {
  if (!computing.has(verb)) return;
  const { buildMissingAddon } = await import('@troupe/kernels/addon-file');
  await buildMissingAddon((line) => process.stderr.write(`${line}\n`));
}

/** What people type before they know of `--help`. */
function showHelp(program: Command, name: string | undefined): void {
  if (name === undefined) {
    program.outputHelp();
    return;
  }
  const found = program.commands.find((each) => each.name() === name);
  if (found === undefined)
    throw new UsageError(`there is no command '${name}'; npx troupe --help lists them`);
  if (name in notBuilt) throw new UsageError(`${name} is not built yet; ${notBuilt[name] ?? ''}`);
  found.outputHelp();
}

/**
 * The command line. Nothing but commander is loaded here: each command loads what it needs when it runs, so that help is quick.
 */
export function createProgram(): Command {
  const program = new Command('troupe')
    .description('Trains Mixture-of-Experts language models as actors over message passing.')
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .exitOverride()
    // main.ts prints errors: one sentence, or JSON.
    .configureOutput({ outputError: () => {} })
    .hook('preAction', (_, command) => buildKernels(command.name()));
  registerInit(program);
  registerValidate(program);
  registerPlan(program);
  registerLaunch(program);
  registerResume(program);
  registerStatus(program);
  registerTop(program);
  registerLogs(program);
  registerDrain(program);
  registerMigrate(program);
  registerApply(program);
  registerStop(program);
  registerEval(program);
  registerGenerate(program);
  registerTranslate(program);
  registerImport(program);
  registerExport(program);
  registerMerge(program);
  registerPrune(program);
  registerSimulate(program);
  registerScaling(program);
  registerSweep(program);
  registerCompare(program);
  registerTokenize(program);
  registerDoctor(program);
  registerCache(program);
  registerBench(program);
  registerAgent(program);
  registerKey(program);
  registerNotBuilt(program);
  program
    .command('help [command]', { hidden: true })
    .helpOption(false)
    .action((name: string | undefined) => showHelp(program, name));
  program
    .command('version', { hidden: true })
    .helpOption(false)
    .action(() => print(VERSION));
  return program.addHelpText(
    'after',
    `\nPlanned, not built yet: ${Object.keys(notBuilt).join(', ')}\n\nExample:\n  npx troupe launch quickstart\n`,
  );
}
