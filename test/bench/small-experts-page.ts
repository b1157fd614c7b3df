import type { LineChart } from '@troupe/cli/line-chart';
import type { Section } from './results-page.ts';
import type { SmallExpertsFound, SmallExpertsRow } from './small-experts.ts';

/** Where a group of experts should reach half of the speed of a dense FFN. */
const AIM = { rows: 64, leaf: 16, ofDense: 0.5 };
const LEAVES = [1, 4, 16, 64] as const;
/** The curve that is drawn: leaves of so many rows, or one leaf where an expert has no more. */
const DRAWN = { experts: 256, leaf: 16 };

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

function line({ experts, width, rows, cells }: SmallExpertsRow): string {
  const shown = (leaf: number): string => {
    const cell = cells.find((each) => each.leaf === leaf && leaf < rows);
    return cell === undefined ? '' : `${cell.ofDense.toFixed(2)} (${percent(cell.leafShare)})`;
  };
  const whole = cells.at(-1);
  return ['', experts, width, rows, ...LEAVES.map(shown), whole?.ofDense.toFixed(2) ?? '', '']
    .join(' | ')
    .trim();
}

/** Whether the aim was reached, in a sentence. */
export function aimSentence(rows: readonly SmallExpertsRow[]): string {
  const within = rows
    .filter((row) => row.rows >= AIM.rows)
    .flatMap(({ experts, width, rows: each, cells }) =>
      cells.filter(({ leaf }) => leaf >= AIM.leaf).map((cell) => ({ ...cell, experts, width, rows: each })),
    );
  const reached = within.filter(({ ofDense }) => ofDense >= AIM.ofDense).length;
  const [slowest] = [...within].sort((a, b) => a.ofDense - b.ofDense);
  if (slowest === undefined) return `No case has ${AIM.rows} rows an expert and ${AIM.leaf} a leaf.`;
  const { experts, width, rows: each, leaf, ofDense } = slowest;
  return `Of ${within.length} cases with at least ${AIM.rows} rows an expert and ${AIM.leaf} a leaf, ${reached} reach half of the dense speed; the slowest, ${experts} experts of ${width} with ${each} rows in leaves of ${leaf}, has ${ofDense.toFixed(2)} of it.`;
}

function chart(rows: readonly SmallExpertsRow[]): LineChart & { readonly file: string } {
  const drawn = rows.filter(({ experts }) => experts === DRAWN.experts);
  const widths = [...new Set(drawn.map(({ width }) => width))];
  return {
    file: 'small-experts.svg',
    title: `${DRAWN.experts} experts: speed for each useful FLOP, of a dense FFN's`,
    x: {
      title: `rows an expert (leaves of ${DRAWN.leaf} rows)`,
      isLog: true,
      ticks: [...new Set(drawn.map((row) => row.rows))],
      shown: String,
    },
    y: { title: 'of the dense speed', isLog: false, shown: percent },
    series: widths.map((width) => ({
      label: `${width} wide`,
      points: drawn
        .filter((row) => row.width === width)
        .map(({ rows: each, cells }) => {
          const cell = cells.find(({ leaf }) => leaf === Math.min(each, DRAWN.leaf));
          return [each, cell?.ofDense ?? Number.NaN] as const;
        }),
    })),
  };
}

export function smallExpertsSections({
  device,
  denseFlops,
  rows,
  routing,
}: SmallExpertsFound): readonly Section[] {
  const experts: Section = {
    title: 'Small experts',
    text: [
      `${device}. Experts of a ReLU FFN with D 256, forward and backward, equally many rows each, from tokens of which each meets 1,024 hidden units; beside it, in every round, a dense FFN of 1,024 hidden units and 4,096 rows in 8 leaves (${(denseFlops / 1e9).toFixed(0)} GFLOP/s). A cell: speed for each useful FLOP, of the dense FFN's; in brackets the share of the time that goes away when an expert's rows are one leaf. Medians of rounds.`,
      '',
      `| experts | width | rows an expert | ${LEAVES.map((leaf) => `${leaf} a leaf`).join(' | ')} | one leaf |`,
      '|---|---|---|---|---|---|---|---|',
      ...rows.map(line),
      '',
      aimSentence(rows),
    ].join('\n'),
    ...(rows.some((row) => row.experts === DRAWN.experts) ? { chart: chart(rows) } : {}),
  };
  const units: Section = {
    title: 'Routing, by what it looks at',
    text: [
      `${device}. An operation that is linear in tokens × experts, or in rows, takes as long for each at every size that fits the caches.`,
      '',
      '| operation | shape | ms | ns | for each |',
      '|---|---|---|---|---|',
      ...routing.map(
        ({ op, shape, ms, nsPerUnit, unit }) =>
          `| ${op} | ${shape} | ${ms.toFixed(3)} | ${nsPerUnit.toFixed(2)} | ${unit} |`,
      ),
    ].join('\n'),
  };
  return [experts, units];
}
