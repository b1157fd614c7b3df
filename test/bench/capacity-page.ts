import { formatBytes } from '@troupe/topology';
import type { BarChart } from './bar-chart.ts';
import type { Capacity, CapacityResult, CapacityRow, SameModel, ThroughputRow } from './capacity.ts';
import type { Largest } from './capacity-search.ts';
import type { Section } from './results-page.ts';

/** The page of its own that these sections are on. */
export const capacityPage = 'docs/capacity.md';

const billions = (parameters: number): string => (parameters / 1e9).toFixed(parameters < 1e10 ? 2 : 0);

const layoutOf = ({ parallel }: CapacityRow['case']['mixture']): string =>
  Object.entries(parallel)
    .filter(([key, value]) => key !== 'offload' || value !== 'none')
    .map(([key, value]) => `${key} ${String(value)}`)
    .join(', ');

const figure = ({ parameters, size, basis }: Largest): string =>
  `${size === 0 ? 'none' : billions(parameters)}${basis === 'formula' ? ' †' : ''}`;

function largestTable(rows: readonly CapacityRow[]): string {
  const lines = rows.map(({ case: { devices, mixture, published }, own, papers }) =>
    [
      `${devices}`,
      mixture.name,
      layoutOf(mixture),
      figure(own),
      own.size === 0 ? '–' : `${own.size}`,
      formatBytes(own.deviceBytes),
      formatBytes(own.hostBytes),
      figure(papers),
      published === null ? '–' : `${published}`,
    ].join(' | '),
  );
  return [
    '| devices | mixture | layout | largest, 10^9 parameters | k | on a device | on a host | as the papers count † | arXiv:2109.10465 |',
    '|---|---|---|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
    '',
    '† by formula alone: nothing ran, since the all-to-all of so many groups is millions of messages a step, or since nothing allocates as the papers count. Every other figure: a step ran in the allocators of all devices, and the next larger model was refused by one.',
  ].join('\n');
}

const largestChart = (rows: readonly CapacityRow[]): BarChart & { readonly file: string } => ({
  file: 'capacity.svg',
  title: 'Largest model on 512 A100-40GB, 10^9 parameters',
  panels: [
    { title: 'as Troupe allocates', digits: 0 },
    { title: 'as the papers count (formula)', digits: 0 },
    { title: 'arXiv:2109.10465', digits: 0 },
  ],
  bars: rows
    .filter(({ case: { devices } }) => devices === 512)
    .map(({ case: { mixture, published }, own, papers }) => ({
      label: `${mixture.name}${own.basis === 'formula' ? ' (formula)' : ''}`,
      ours: own.basis === 'simulated',
      values: [
        { value: own.parameters / 1e9 },
        { value: papers.parameters / 1e9 },
        published === null ? null : { value: published },
      ],
    })),
});

function sameTable(same: Capacity['same']): string {
  const names = { own: 'as Troupe allocates', papers: 'as the papers count' } as const;
  const line = (
    name: keyof typeof names,
    { parameters, devices, mixture, basis, tried }: SameModel,
  ): string => {
    const holds = basis === 'formula' ? 'fits' : 'runs';
    const on = tried.map((each) => `${each.mixture} on ${each.devices}: ${each.fits ? holds : 'refused'}`);
    const mark = basis === 'formula' ? ' †' : '';
    return `| ${names[name]} | ${billions(parameters)}${mark} | ${mixture} on ${devices} | ${on.join('; ')}${mark} |`;
  };
  return [
    '| counted | 10^9 parameters | largest of | on fewer devices |',
    '|---|---|---|---|',
    line('own', same.own),
    line('papers', same.papers),
    '',
    '† by formula alone. arXiv:2109.10465 has 64 devices with E+Z-Off+M for what takes 512 with E+D+M.',
  ].join('\n');
}

function throughputTable(rows: readonly ThroughputRow[]): string {
  const [first] = rows;
  const each = ({ tokensPerSecond, devices }: ThroughputRow): number => tokensPerSecond / devices;
  const lines = rows.map((row) =>
    [
      `${row.devices}`,
      billions(row.parameters),
      `${(1000 * row.stepSeconds).toFixed(1)} ms`,
      row.tokensPerSecond.toFixed(0),
      each(row).toFixed(0),
      first === undefined ? '–' : `${((100 * each(row)) / each(first)).toFixed(0)} %`,
    ].join(' | '),
  );
  return [
    '| devices | 10^9 parameters | step | tokens/s | tokens/s a device | of the first row |',
    '|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
    '',
    'Simulated, not measured: kernels at the roofline of a data sheet, links without jitter beyond what a topology says.',
  ].join('\n');
}

export const capacitySections = ({ rows, same, throughput }: Capacity): readonly Section[] => [
  {
    title: 'The largest model',
    text: largestTable(rows),
    page: capacityPage,
    ...(rows.some(({ case: { devices } }) => devices === 512) ? { chart: largestChart(rows) } : {}),
  },
  { title: 'The same model on fewer devices', text: sameTable(same), page: capacityPage },
  { title: 'Throughput', text: throughputTable(throughput), page: capacityPage },
];

/** One result on one line, as it comes. */
export function capacityLine(found: CapacityResult): string {
  if ('case' in found) {
    const { devices, mixture } = found.case;
    const { own, papers } = found;
    const largerIsRefused = own.size === 0 ? 'refused' : 'ran, and the next was refused';
    const basis = own.basis === 'formula' ? 'by formula' : largerIsRefused;
    return `${devices} ${mixture.name}: ${figure(own)} (k ${own.size}, ${formatBytes(own.deviceBytes)}, ${basis}); papers ${figure(papers)}`;
  }
  if ('tried' in found) {
    const on = found.tried.map(({ devices, fits }) => `${devices} ${fits ? 'runs' : 'refused'}`);
    return `${billions(found.parameters)} of ${found.mixture} on ${found.devices}: ${on.join(', ')}`;
  }
  return `${found.devices}: ${found.tokensPerSecond.toFixed(0)} tokens/s`;
}
