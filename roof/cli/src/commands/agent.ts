import type { Command } from 'commander';

/** What launchers start on the machines of a run. Hidden: nobody types it, and it says so to who does. */
export function registerAgent(program: Command): void {
  program
    .command('agent', { hidden: true })
    .description('The agent of a machine, which a launcher starts and tells over standard input what to do.')
    .action(async () => {
      const { runAgent } = await import('troupe/agent');
      await runAgent();
    });
}
