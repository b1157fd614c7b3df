import { Option, type Command } from 'commander';
import { UsageError } from '../errors.ts';
import type { AgentOptions } from '../run/agent-options.ts';
import { collect, integer, named, verb } from '../verb.ts';
import { GRACE_SECONDS } from './launch.ts';

async function agent(topology: string | undefined, options: AgentOptions): Promise<void> {
  if (topology !== undefined) {
    const { joinRun } = await import('../run/join-run.ts');
    await joinRun(topology, options);
    return;
  }
  // What launchers start, and tell over standard input what to do.
  for (const [flag, value] of Object.entries({
    machine: options.machine,
    of: options.of,
    lead: options.lead,
  }))
    if (value !== undefined) throw new UsageError(`--${flag} goes with a topology: troupe agent FILE`);
  const { runAgent } = await import('troupe/agent');
  await runAgent();
}

export function registerAgent(program: Command): void {
  verb(
    program,
    'agent [topology]',
    'Take part in a run whose machines something else has started (Kubernetes, mpirun, torchrun): the first machine leads, the others dial it. The key that they share is in the file that TROUPE_KEY_FILE names.',
    'npx troupe agent run.yaml --machine 1 --of 2 --lead gpu-0\n  mpirun -x TROUPE_KEY_FILE --host a,b -n 2 npx troupe agent run.yaml --lead a',
  )
    .option('--machine <index>', 'which machine this is, from 0; default: by the environment', integer(0))
    .option('--of <machines>', 'how many machines there are; default: by the environment', integer(1))
    .option(
      '--lead <host:port>',
      'machine 0 as the others reach it; default: by the environment, port 7070',
      named,
    )
    .option('--set <key=value>', 'override one key, may be repeated, the same on all machines', collect, [])
    .option(
      '--run-dir <folder>',
      'run folder, which goes on from its last checkpoint when it is there; default: checkpoint.dir of the topology, anew',
      named,
    )
    .option('--stop-after <step>', 'end after this step; the schedule stays that of train.steps', integer(1))
    .option('--quiet', 'print only how the run ended')
    .option(
      '--grace <seconds>',
      'on SIGTERM, SIGHUP, SIGQUIT: time to finish the step and write a checkpoint',
      integer(0),
      GRACE_SECONDS,
    )
    .addOption(
      new Option('--log-level <level>', 'log lines on standard error')
        .choices(['debug', 'info', 'warn', 'error', 'silent'])
        .default('silent'),
    )
    .action(agent);
}
