import { parseArgs } from 'node:util';
import { installMissing, whyMissing, whyNoLab } from './lab/permitted.ts';
import { containerRow } from './rows/container-row.ts';
import { doctorRow } from './rows/doctor-row.ts';
import { playRow } from './rows/row.ts';
import { slurmRows } from './rows/slurm-rows.ts';
import { slurmRunRows } from './rows/slurm-run-rows.ts';
import { runRows } from './rows/run-rows.ts';
import { linkRows } from './rows/link-rows.ts';
import { strangerRows } from './rows/stranger-rows.ts';
import { transportRows } from './rows/transport-rows.ts';
import { trustRows } from './rows/trust-rows.ts';

const usage = `npm run test:machines [-- --only TEXT]
  --only TEXT   rows whose name holds it
`;

const { values } = parseArgs({ options: { only: { type: 'string' }, help: { type: 'boolean' } } });
const print = (line: string): void => void process.stdout.write(`${line}\n`);
const rows = [
  ...transportRows,
  ...trustRows,
  doctorRow,
  containerRow,
  ...runRows,
  ...linkRows,
  ...strangerRows,
  ...slurmRows,
  ...slurmRunRows,
].filter(({ name }) => name.includes(values.only ?? ''));

/** Plays every row, one behind the other, since they measure; how many did not hold, and how many could not be played. */
async function playAll(): Promise<{ readonly numWrong: number; readonly numSkipped: number }> {
  let [numWrong, numSkipped] = [0, 0];
  for (const row of rows) {
    const missing = whyMissing(row.needs ?? {});
    if (missing !== null) {
      numSkipped++;
      print(`skipped ${row.name}: ${missing}`);
      continue;
    }
    const startMs = performance.now();
    const took = (): string => `${((performance.now() - startMs) / 1000).toFixed(1)} s`;
    try {
      const figures = await playRow(row);
      print(`held   ${row.name}: ${figures} (${took()})`);
    } catch (error) {
      numWrong++;
      print(`WRONG  ${row.name}: ${error instanceof Error ? error.message : String(error)} (${took()})`);
    }
  }
  return { numWrong, numSkipped };
}

if (values.help === true) process.stdout.write(usage);
else {
  await installMissing(
    print,
    Object.assign({}, ...rows.map(({ needs }) => needs ?? {})) as Record<string, string>,
  );
  const reason = await whyNoLab();
  if (reason !== null) print(`skipped: ${reason}`);
  else {
    const { numWrong, numSkipped } = await playAll();
    print(`${rows.length - numWrong - numSkipped} of ${rows.length} rows hold`);
    process.exitCode = numWrong === 0 && rows.length > 0 ? 0 : 1;
  }
}
