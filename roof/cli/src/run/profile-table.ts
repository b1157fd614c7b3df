import type { ProfileEvent, ProfileLine } from '@troupe/telemetry';
import { percent } from './numbers.ts';

/** Lines of the table; the rest is one more. */
const NUM_LINES = 10;

const ms = (value: number): string =>
  value >= 100 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toFixed(3);

/** What a line did a second: of what bounds it. */
function speed({ flops, bytes, ms: time, rate }: ProfileLine): string {
  if (time === 0) return '-';
  const perSecond = (rate === 'flops' ? flops : bytes) / time / 1e6;
  return `${perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toPrecision(2)} ${rate === 'flops' ? 'GFLOP/s' : 'GB/s'}`;
}

/** A body that knows whole lists only names all their operations. */
const OP_CHARS = 40;
const shortened = (op: string): string => (op.length <= OP_CHARS ? op : `${op.slice(0, OP_CHARS - 1)}…`);

const explanations: Readonly<Record<NonNullable<ProfileLine['bound']>, string>> = {
  arithmetic: 'at least half of the peak',
  memory: 'at least half of the bandwidth',
  cache: 'faster than memory, so from caches',
  calls: 'shorter than 0.05 ms a call',
  threads: 'its threads idle for a third of it or more',
  instructions: 'work that FLOPs and bytes do not count',
};

/** Rows of equal columns; the first two to the left, numbers to the right, the last as it is. */
function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        if (column < 2) return cell.padEnd(width);
        return column === row.length - 1 ? cell : cell.padStart(width);
      })
      .join('  ')
      .trimEnd(),
  );
}

/** A profile on the screen: where the time of a step went, and its most expensive lines. All of them add up to the step. */
export function profileTable(profile: ProfileEvent): readonly string[] {
  const { path, steps, devices, stepMs, shares, lines, truncated } = profile;
  const cut = truncated.length === 0 ? [] : [`               cut short: ${truncated.join(', ')}`];
  const where = [
    `profile        ${path}: ${profile.traceEvents} events, ${profile.arrows} messages; open it at https://ui.perfetto.dev`,
    ...cut,
  ];
  if (steps === null) return [...where, '               none of its steps was committed: no table'];
  const shown = lines.slice(0, NUM_LINES);
  const rest = lines.slice(NUM_LINES);
  const sum = (part: readonly ProfileLine[]): number => part.reduce((total, line) => total + line.ms, 0);
  const outside = stepMs - sum(lines);
  const share = (value: number): string => percent(stepMs === 0 ? null : value / stepMs);
  const count = (calls: number): string => (Number.isInteger(calls) ? `${calls}` : calls.toFixed(1));
  const rows = [
    ['op', 'shape', 'calls', 'ms', 'share', 'speed', 'of rate', 'bound by'],
    ...shown.map((line) => [
      shortened(line.op),
      line.shape,
      count(line.calls),
      ms(line.ms),
      percent(line.share),
      speed(line),
      percent(line.ofRate),
      line.bound ?? '-',
    ]),
    ...(rest.length === 0
      ? []
      : [
          [
            `${rest.length} more`,
            '',
            count(rest.reduce((n, { calls }) => n + calls, 0)),
            ms(sum(rest)),
            share(sum(rest)),
            '',
            '',
            '',
          ],
        ]),
    ['outside kernels', '', '', ms(outside), share(outside), '', '', ''],
    ['a step', '', '', ms(stepMs), share(stepMs), '', '', ''],
  ];
  const bounds = [...new Set(shown.flatMap(({ bound }) => (bound === null ? [] : [bound])))];
  const rates =
    profile.peakFlops === null || profile.bytesPerSecond === null
      ? 'rates of this machine are unknown without the native addon'
      : `rates of a device, measured before and after the run: ${(profile.peakFlops / 1e9).toFixed(0)} GFLOP/s, ${(profile.bytesPerSecond / 1e9).toFixed(1)} GB/s`;
  return [
    ...where,
    `               ${steps.first === steps.last ? `step ${steps.first}` : `steps ${steps.first} to ${steps.last}`}, ${devices} ${devices === 1 ? 'device' : 'devices'}; of a step's ${ms(stepMs)} ms: kernels ${share(shares.kernels)}, waiting for messages ${share(shares.messages)}, event loop ${share(shares.eventLoop)}, idle ${share(shares.idle)}`,
    '',
    ...aligned(rows).map((line) => `  ${line}`),
    '',
    `  calls and ms: of one device and step; ${rates}`,
    ...bounds.map((bound) => `  ${bound}: ${explanations[bound]}`),
  ];
}
