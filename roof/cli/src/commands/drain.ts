import type { Command } from 'commander';
import type { RelayoutOptions } from '../operate/ask-relayout.ts';
import { addRelayoutOptions } from '../operate/relayout-options.ts';
import { verb } from '../verb.ts';

async function drain(folder: string, machine: string, options: RelayoutOptions): Promise<void> {
  const { askRelayout } = await import('../operate/ask-relayout.ts');
  await askRelayout(folder, { kind: 'drain', machine }, options);
}

export function registerDrain(program: Command): void {
  addRelayoutOptions(
    verb(
      program,
      'drain <run> <machine>',
      'Let a running run go on without one of its machines (m1, or its host), with the same numbers: it saves, and goes on in the fastest layout on the others.',
      'npx troupe drain runs/quickstart m1',
    ),
  ).action(drain);
}
