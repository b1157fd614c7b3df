import type { Command } from 'commander';
import { endWithReader, print, printJson } from '../output.ts';
import { integer, verb, type CommonOptions } from '../verb.ts';

interface LogsOptions extends CommonOptions {
  readonly follow?: boolean;
  readonly worker?: number;
}

async function logs(
  folder: string,
  node: string | undefined,
  { follow = false, worker, json }: LogsOptions,
): Promise<void> {
  const [{ RunLogs, mustHoldRun }, { followLogs }, { UsageError }] = await Promise.all([
    import('troupe/control'),
    import('../operate/follow-logs.ts'),
    import('../errors.ts'),
  ]);
  if (node !== undefined && worker !== undefined)
    throw new UsageError(`'${node}' and --worker ${worker} both name a process; name one`);
  mustHoldRun(folder);
  const wanted = node ?? (worker === undefined ? null : `worker/${worker}`);
  const logs = new RunLogs(folder, (each) => wanted === null || each === wanted);
  const { nodes } = logs;
  if (wanted !== null && !follow && nodes.length > 0 && !nodes.includes(wanted))
    throw new UsageError(
      `${wanted} of '${folder}' has printed nothing; there are lines of ${nodes.join(', ')}`,
    );
  const width = Math.max(0, ...nodes.map(({ length }) => length));
  const show = (): void => {
    for (const line of logs.read())
      if (json === true) printJson({ event: 'line', ...line });
      else print(`${line.at} ${line.node.padEnd(width)} ${line.text}`);
  };
  if (follow) endWithReader();
  show();
  if (follow) await followLogs(folder, show);
}

export function registerLogs(program: Command): void {
  verb(
    program,
    'logs <run> [node]',
    'What the processes of a run have printed, by time: the lead as launch shows it, every worker, and agents of other machines; of one node (worker/1, agent/0, lead) if it is named.',
    'npx troupe logs runs/quickstart --follow',
  )
    .option('--follow', 'go on with what they print, until the run has ended')
    .option('--worker <n>', 'of this worker alone', integer(0))
    .action(logs);
}
