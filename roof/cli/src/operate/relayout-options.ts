import type { Command } from 'commander';
import { named } from '../verb.ts';

/** What `drain`, `migrate` and `apply` share. */
export const addRelayoutOptions = (command: Command): Command =>
  command
    .option('--dry-run', 'say what would move and what it would cost, and change nothing')
    .option('--id <name>', 'a name of its own: repeated, it is answered and not done again', named);
