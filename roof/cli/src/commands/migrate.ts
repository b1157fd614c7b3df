import type { Command } from 'commander';
import type { RelayoutOptions } from '../operate/ask-relayout.ts';
import { addRelayoutOptions } from '../operate/relayout-options.ts';
import { verb } from '../verb.ts';

async function migrate(
  folder: string,
  pattern: string,
  target: string,
  options: RelayoutOptions,
): Promise<void> {
  const { askRelayout } = await import('../operate/ask-relayout.ts');
  await askRelayout(folder, { kind: 'migrate', pattern, target }, options);
}

export function registerMigrate(program: Command): void {
  addRelayoutOptions(
    verb(
      program,
      'migrate <run> <pattern> <target>',
      'Move actors of a running run to another device, as a rule of placement would: it saves, and goes on with the same numbers.',
      "npx troupe migrate runs/quickstart 'expert/*/ep1/*' m1/cpu:2",
    ),
  ).action(migrate);
}
