import { formatBytes, table } from '../table.ts';
import type { FoundMixture, MixtureSearch } from './search.ts';

/** A column of the table, and what it shows of a row. */
const columns: readonly (readonly [string, (row: FoundMixture) => string])[] = [
  ['pp', ({ mixture }) => `${mixture.pp}`],
  ['dp', ({ mixture }) => `${mixture.dp}`],
  ['tp', ({ mixture }) => `${mixture.tp}`],
  ['ep', ({ mixture }) => `${mixture.ep}`],
  ['zero', ({ mixture }) => `${mixture.zero}`],
  ['offload', ({ mixture }) => mixture.offload],
  [
    'pipeline',
    ({ mixture: { pp, pipeline, chunks } }) =>
      pp === 1 ? '-' : chunks > 1 ? `${pipeline} ${chunks}` : pipeline,
  ],
  ['microbatches', ({ mixture }) => `${mixture.microbatches}`],
  ['recompute', ({ mixture }) => mixture.recompute],
  ['device', ({ deviceBytes }) => formatBytes(deviceBytes)],
  ['host', ({ hostBytes }) => formatBytes(hostBytes)],
  ['bubble', ({ bubble }) => `${(100 * bubble).toFixed(1)} %`],
  ['waits', ({ time }) => `${((100 * (time.messages + time.update)) / time.step).toFixed(1)} %`],
  ['step', ({ stepSeconds }) => `${stepSeconds.toPrecision(3)} s`],
  ['tokens/s', ({ tokensPerSecond }) => tokensPerSecond.toFixed(0)],
  ['', ({ isBuilt }) => (isBuilt ? '' : 'not built')],
];

const basis = {
  estimated:
    'Step: estimated; every device at its full speed, then what it waits for, message by message, over links as `simulate` has them',
  simulated: 'Step: simulated under the calibration, without arithmetic',
} as const satisfies Readonly<Record<FoundMixture['basis'], string>>;

/** The search for people, and the best row as flags to paste. */
export function formatSearch({ numMixtures, numFitting, found, memoryBytes }: MixtureSearch): string {
  const [best] = found;
  const head = `${numMixtures} mixtures divide this model over these devices; ${numFitting} fit ${formatBytes(memoryBytes)} a device`;
  if (best === undefined) return `${head}\n`;
  return [
    head,
    '',
    table(
      columns.map(([name]) => name),
      found.map((row) => columns.map(([, show]) => show(row))),
      0,
    ),
    '',
    basis[best.basis],
    'waits: of that, messages between experts, tensor ranks and stages, and the update',
    '',
    `Best: ${best.set.map((each) => `--set ${each}`).join(' ')}`,
    '',
  ].join('\n');
}
