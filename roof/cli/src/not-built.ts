import type { Command } from 'commander';
import { UsageError } from './errors.ts';

/** Commands of the design that do not exist yet, and what does their work today. */
export const notBuilt: Readonly<Record<string, string>> = {
  dashboard: '`troupe top RUN` shows a run in the terminal, and `top RUN --json` feeds programs',
};

/** Registers them, so that they answer with one sentence and exit 2; help does not list them. */
export function registerNotBuilt(program: Command): void {
  for (const [name, instead] of Object.entries(notBuilt)) {
    program
      .command(name, { hidden: true })
      .argument('[anything...]')
      .allowUnknownOption()
      .helpOption(false)
      .action(() => {
        throw new UsageError(`${name} is not built yet; ${instead}`);
      });
  }
}
