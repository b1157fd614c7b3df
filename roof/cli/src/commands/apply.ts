import type { Command } from 'commander';
import type { RelayoutOptions } from '../operate/ask-relayout.ts';
import { addRelayoutOptions } from '../operate/relayout-options.ts';
import { collect, verb } from '../verb.ts';

interface ApplyOptions extends RelayoutOptions {
  readonly set: readonly string[];
}

async function apply(folder: string, name: string, options: ApplyOptions): Promise<void> {
  const [{ loadTopology }, { withAbsolutePaths }, { askRelayout }] = await Promise.all([
    import('@troupe/topology'),
    import('troupe/launch'),
    import('../operate/ask-relayout.ts'),
  ]);
  const { file } = withAbsolutePaths(loadTopology(name, { set: options.set }));
  await askRelayout(folder, { kind: 'apply', name, file }, options);
}

export function registerApply(program: Command): void {
  addRelayoutOptions(
    verb(
      program,
      'apply <run> <topology>',
      'Let a running run go on as a topology file says: another layout, other machines, evaluations or checkpoints. What would change its numbers is refused.',
      'npx troupe apply runs/quickstart wide.yaml --dry-run',
    ),
  )
    .option('--set <key=value>', 'override one key, may be repeated', collect, [])
    .action(apply);
}
