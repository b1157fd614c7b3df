import type { RunStatus } from 'troupe/control';

type LayerLoad = RunStatus['experts']['layers'][number];

/** From nearly nothing to twice the mean and more. */
const LEVELS = '▁▂▃▄▅▆▇█';
/** An expert that no token chose. */
const DEAD = '·';
/** Choices by the mean at which a bar is full. */
const FULL = 2;

/** One character an expert: an even load is half a bar, twice as much a whole one, `·` is an expert that nobody chose. */
export const bar = (load: number): string =>
  load === 0
    ? DEAD
    : (LEVELS[Math.min(LEVELS.length - 1, Math.max(0, Math.ceil((load / FULL) * LEVELS.length) - 1))] ??
      DEAD);

/** Mean load over the largest: 1 where all experts have the same work, small where one has most of it. */
export const balance = (loads: readonly number[]): number => {
  const most = Math.max(0, ...loads);
  return most === 0 ? 0 : loads.reduce((sum, each) => sum + each, 0) / loads.length / most;
};

export const dead = (loads: readonly number[]): number => loads.filter((each) => each === 0).length;

/** The hottest expert of a layer, its balance, and how many are dead, in words. */
export function layerWords({ loads }: LayerLoad): string {
  const most = Math.max(0, ...loads);
  const gone = dead(loads);
  return `e${loads.indexOf(most)} ×${most.toFixed(1)}, even ${(100 * balance(loads)).toFixed(0)}%${gone === 0 ? '' : `, ${gone} dead`}`;
}

/** The lines of a layer: bars, broken where there is no room, and its words behind the last. */
export function layerLines(layer: LayerLoad, columns: number): readonly string[] {
  const words = layerWords(layer);
  const label = `L${layer.layer}`.padEnd(5);
  const room = Math.max(8, columns - label.length - words.length - 2);
  const bars = layer.loads.map(bar).join('');
  const rows = Array.from({ length: Math.max(1, Math.ceil(bars.length / room)) }, (_, row) =>
    bars.slice(row * room, (row + 1) * room),
  );
  return rows.map(
    (row, index) =>
      `${index === 0 ? label : ' '.repeat(label.length)}${index === rows.length - 1 ? `${row}  ${words}` : row}`,
  );
}
